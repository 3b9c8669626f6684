"""Every body that Label Studio sends is understood, and what is no such body is told in a sentence."""

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.core.wire import (
    JSON,
    NOTHING,
    Annotation,
    Prediction,
    PredictRequest,
    Region,
    SetupRequest,
    Task,
    WebhookEvent,
    extra_params,
    marked,
    project_key,
    reply,
)
from llm_backend.errors import RequestError

HOST = Path(__file__).parents[1] / "data" / "host"
PROJECT = "7.1795217550"
ABSENT = object()


def sent(name: str, **changed: Any) -> Any:
    """What the host sends, with some keys changed or left out."""
    body = json.loads((HOST / f"{name}.json").read_text(encoding="utf-8")) | changed
    return {key: value for key, value in body.items() if value is not ABSENT}


def test_a_setup_is_read() -> None:
    request = SetupRequest.from_json(sent("setup"))
    assert request.project == PROJECT
    assert request.label_config.startswith("<View><Text")
    assert request.hostname == "http://labels.example:8080"
    assert request.access_token == "00112233445566778899aabbccddeeff00112233"
    assert request.extra_params["model"] == "small-model"


def test_no_secret_of_a_setup_reaches_a_log() -> None:
    told = repr(SetupRequest.from_json(sent("setup")))
    assert PROJECT in told
    assert "00112233" not in told
    assert "sk-of-the-project" not in told


def test_parameters_typed_in_the_form_come_as_text() -> None:
    assert SetupRequest.from_json(sent("setup_typed_params")).extra_params == {"temperature": 0.2, "num_responses": 3}


@pytest.mark.parametrize(
    ("raw", "params"),
    [
        pytest.param({"model": "m"}, {"model": "m"}, id="object"),
        pytest.param('{"model": "m"}', {"model": "m"}, id="text"),
        pytest.param(None, {}, id="null"),
        pytest.param("", {}, id="empty text"),
        pytest.param(" \n", {}, id="blank text"),
        pytest.param("null", {}, id="null as text"),
        pytest.param("{}", {}, id="empty object"),
    ],
)
def test_extra_parameters_are_an_object_in_any_dress(raw: JSON, params: dict[str, JSON]) -> None:
    assert extra_params(raw) == params


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        pytest.param("{model: m}", "are not JSON (", id="no JSON"),
        pytest.param("model=m", "are not JSON (", id="words"),
        pytest.param('{"a": ' * 100_000, "are not JSON (", id="endless nesting"),
        pytest.param(f'{{"a": {"9" * 5000}}}', "are not JSON (", id="endless number"),
        pytest.param("[1]", "must be a JSON object; found a list", id="list as text"),
        pytest.param([1], "must be a JSON object; found a list", id="list"),
        pytest.param('"m"', "must be a JSON object; found text", id="text as text"),
        pytest.param(5, "must be a JSON object; found a number", id="number"),
        pytest.param(True, "must be a JSON object; found true/false", id="true"),
    ],
)
def test_other_extra_parameters_are_refused(raw: JSON, told: str) -> None:
    with pytest.raises(RequestError) as raised:
        SetupRequest.from_json(sent("setup", extra_params=raw))
    assert told in raised.value.sentence


def test_a_key_in_unreadable_parameters_is_not_repeated() -> None:
    with pytest.raises(RequestError) as raised:
        extra_params('{"provider": {"api_key": "sk-secret"')
    assert "sk-secret" not in raised.value.sentence


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"schema": ABSENT}, '"schema" must be the project\'s labeling config, as text; found nothing.'),
        ({"schema": None}, "found nothing"),
        ({"schema": 5}, "found a number"),
        ({"schema": {"a": 1}}, "found an object"),
    ],
    ids=["missing", "null", "number", "object"],
)
def test_a_setup_without_a_config_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError) as raised:
        SetupRequest.from_json(sent("setup", **changed))
    assert told in raised.value.sentence


def test_the_rest_of_a_setup_may_be_missing() -> None:
    request = SetupRequest.from_json({"schema": "<View/>"})
    assert request == SetupRequest("", "<View/>")


def test_an_interactive_call_is_read() -> None:
    request = PredictRequest.from_json(sent("predict_interactive"))
    assert request.interactive
    assert request.project == PROJECT
    assert request.label_config.startswith("<View>")
    assert request.context == (
        Region("prompt", "review", "textarea", {"text": ["Judge the tone", "in one word"]}, "aB3dE5fG7h", "manual"),
        Region("tone", "review", "choices", {"choices": ["+"]}, "cD5fG7hI9j", "prediction", 0.75),
    )
    (task,) = request.tasks
    assert task is not None
    assert (task.id, task.data) == (41, {"review": "The lid does not close. 🫖"})
    (draft,) = task.drafts
    assert [region.from_name for region in draft.result] == ["prompt", "stars"]


def test_a_batch_is_read_in_order() -> None:
    request = PredictRequest.from_json(sent("predict_batch"))
    assert not request.interactive
    assert [task and task.id for task in request.tasks] == [41, 42]
    assert [task and task.data["review"] for task in request.tasks] == ["The lid does not close. 🫖", "مطبوخ جيدا"]
    assert all(task and not task.drafts for task in request.tasks)


def test_after_submit_the_context_is_there_and_empty() -> None:
    request = PredictRequest.from_json(sent("predict_after_submit"))
    assert request.interactive
    assert request.context == ()


@pytest.mark.parametrize(
    ("params", "context"),
    [
        pytest.param({"context": None}, None, id="null"),
        pytest.param({}, None, id="missing"),
        pytest.param(ABSENT, None, id="no params"),
        pytest.param(None, None, id="null params"),
        pytest.param([], None, id="params of another type"),
        pytest.param({"context": "words"}, None, id="context of another type"),
        pytest.param({"context": {}}, (), id="empty"),
        pytest.param({"context": {"result": None}}, (), id="null result"),
        pytest.param({"context": {"result": "words"}}, (), id="result of another type"),
        pytest.param({"context": {"result": [None, 5, "x", []]}}, (), id="regions of another type"),
        pytest.param({"context": {"result": [{}]}}, (Region("", "", "", {}),), id="region without anything"),
    ],
)
def test_only_a_context_makes_a_call_interactive(params: Any, context: tuple[Region, ...] | None) -> None:
    request = PredictRequest.from_json(sent("predict_batch", params=params))
    assert request.context == context
    assert request.interactive is (context is not None)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"tasks": ABSENT}, '"tasks" must be a list of tasks; found nothing.'),
        ({"tasks": None}, "found nothing"),
        ({"tasks": {"id": 1}}, "found an object"),
        ({"tasks": "1"}, "found text"),
        ({"label_config": ABSENT}, '"label_config" must be the project\'s labeling config, as text; found nothing.'),
        ({"label_config": ["<View/>"]}, "found a list"),
    ],
    ids=["no tasks", "null", "object", "text", "no config", "config of another type"],
)
def test_a_request_without_tasks_or_config_is_refused(changed: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError) as raised:
        PredictRequest.from_json(sent("predict_batch", **changed))
    assert told in raised.value.sentence
    assert raised.value.status == 400


@pytest.mark.parametrize("body", [None, [], "text", 5, True], ids=repr)
@pytest.mark.parametrize("kind", [SetupRequest, PredictRequest, WebhookEvent])
def test_a_body_that_is_no_object_is_refused(kind: Any, body: JSON) -> None:
    with pytest.raises(RequestError, match="The body must be a JSON object; found"):
        kind.from_json(body)


@pytest.mark.parametrize(
    "task",
    [None, "1", 5, [], {}, {"id": 1}, {"data": None}, {"data": "text"}, {"data": [1]}],
    ids=json.dumps,
)
def test_what_is_no_task_keeps_its_place_and_spoils_no_neighbour(task: JSON) -> None:
    good = {"id": 1, "data": {}}
    first, second, third = PredictRequest.from_json(sent("predict_batch", tasks=[good, task, good])).tasks
    assert second is None
    assert first == third == Task(1, {})
    with pytest.raises(RequestError, match='A task is an object with a "data" object'):
        Task.from_json(task)


@pytest.mark.parametrize(
    ("ident", "kept"), [(7, 7), ("a-7", "a-7"), (None, None), (True, None), (1.5, None), ([7], None)], ids=repr
)
def test_the_id_of_a_task_is_a_number_or_a_text(ident: JSON, kept: int | str | None) -> None:
    assert Task.from_json({"id": ident, "data": {}}).id == kept


@pytest.mark.parametrize("drafts", [None, {}, "x", [None, 5]], ids=repr)
def test_drafts_of_another_type_are_none(drafts: JSON) -> None:
    assert Task.from_json({"data": {}, "drafts": drafts}).drafts == ()


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        pytest.param({"value": {"choices": ["A"]}}, Region("", "", "", {"choices": ["A"]}), id="value alone"),
        pytest.param({"value": None, "from_name": None, "id": None}, Region("", "", "", {}), id="nulls"),
        pytest.param({"value": "A", "from_name": 5, "id": 7}, Region("5", "", "", {}, id="7"), id="other types"),
        pytest.param({"score": 1}, Region("", "", "", {}, score=1.0), id="whole score"),
        pytest.param({"score": True}, Region("", "", "", {}), id="score true"),
        pytest.param({"score": "0.5"}, Region("", "", "", {}), id="score as text"),
        pytest.param({"score": float("nan")}, Region("", "", "", {}), id="score NaN"),
        pytest.param({"score": 10**400}, Region("", "", "", {}), id="score beyond a float"),
        pytest.param({"item_index": 0}, Region("", "", "", {}, item_index=0), id="first item"),
        pytest.param({"item_index": True}, Region("", "", "", {}), id="item true"),
    ],
)
def test_a_region_keeps_what_is_of_its_type(raw: JSON, region: Region) -> None:
    assert Region.from_json(raw) == region


@pytest.mark.parametrize(
    ("origin", "by_person"), [(None, True), ("manual", True), ("prediction-changed", True), ("prediction", False)]
)
def test_who_made_a_region_is_told_by_its_origin(origin: str | None, by_person: bool) -> None:
    assert Region("c", "t", "choices", {}, origin=origin).by_person is by_person
    assert marked((Region("c", "t", "choices", {}, origin=origin),), "prediction")[0].by_person is False


@pytest.mark.parametrize(
    "region",
    [
        Region("c", "t", "choices", {"choices": ["A"]}),
        Region("r", "t", "rating", {"rating": 4}, "id1", "prediction", 0.0, 0),
    ],
    ids=["bare", "whole"],
)
def test_a_region_goes_out_and_comes_back(region: Region) -> None:
    raw = json.loads(json.dumps(region.to_json()))
    assert Region.from_json(raw) == region
    assert not [key for key, held in raw.items() if held is None]


@pytest.mark.parametrize("prediction", [Prediction(()), Prediction((Region("c", "t", "x", {}),), 0.25, "v1")])
def test_a_prediction_goes_out_and_comes_back(prediction: Prediction) -> None:
    assert Prediction.from_json(json.loads(json.dumps(prediction.to_json()))) == prediction


def test_a_prediction_without_a_version_names_none() -> None:
    # Label Studio then takes the version that /setup told; null would lose the whole batch.
    assert Prediction(()).to_json() == {"result": [], "score": None}


def test_a_stored_prediction_of_another_shape_is_read_as_far_as_it_goes() -> None:
    raw = {"result": None, "score": "high", "model_version": 3}
    assert Prediction.from_json(raw) == Prediction((), None, "3")


def test_a_batch_is_answered_in_order_with_an_empty_list_for_nothing_now() -> None:
    entries = [NOTHING, json.dumps(Prediction(()).to_json()), NOTHING]
    assert json.loads(reply(entries)) == {"results": [[], {"result": [], "score": None}, []]}
    assert json.loads(reply([])) == {"results": []}


def test_a_submitted_annotation_is_read() -> None:
    event = WebhookEvent.from_json(sent("webhook_annotation_created"))
    assert (event.action, event.project) == ("ANNOTATION_CREATED", PROJECT)
    assert event.label_config.startswith("<View>")
    (annotation,) = event.annotations
    assert (annotation.id, annotation.was_cancelled) == (3, False)
    assert [(r.from_name, r.by_person) for r in annotation.result] == [("prompt", True), ("tone", True)]
    assert "not-for-the-log" not in repr(event)


def test_annotations_made_in_bulk_are_all_read() -> None:
    event = WebhookEvent.from_json(sent("webhook_annotations_created"))
    assert [(a.id, a.was_cancelled, len(a.result)) for a in event.annotations] == [(10, False, 1), (11, True, 0)]


def test_deleted_annotations_are_told_by_id() -> None:
    event = WebhookEvent.from_json(sent("webhook_annotations_deleted"))
    assert (event.project, event.deleted, event.annotations) == (PROJECT, (10, 11), ())


def test_deleted_tasks_are_told_by_their_ids() -> None:
    event = WebhookEvent.from_json(sent("webhook_tasks_deleted"))
    assert event == WebhookEvent("TASKS_DELETED", PROJECT, "<View/>", deleted_tasks=(41, 42))


@pytest.mark.parametrize("action", ["project_updated", "start_training"])
def test_other_events_carry_their_action_and_project_alone(action: str) -> None:
    event = WebhookEvent.from_json(sent(f"webhook_{action}"))
    assert event == WebhookEvent(action.upper(), PROJECT, "<View/>")


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({}, WebhookEvent("")),
        ({"action": None, "project": None}, WebhookEvent("")),
        ({"action": "ANNOTATION_CREATED", "annotation": None}, WebhookEvent("ANNOTATION_CREATED")),
        ({"action": "ANNOTATION_CREATED", "annotation": "x"}, WebhookEvent("ANNOTATION_CREATED")),
        (
            {"action": "ANNOTATION_CREATED", "annotation": {"id": "3", "result": None}},
            WebhookEvent("ANNOTATION_CREATED", annotations=(Annotation(()),)),
        ),
        ({"action": "ANNOTATIONS_DELETED", "annotations": None}, WebhookEvent("ANNOTATIONS_DELETED")),
        (
            {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 1}, {"id": "2"}, {}, 3, None, {"id": True}]},
            WebhookEvent("ANNOTATIONS_DELETED", deleted=(1,)),
        ),
        ({"action": "PROJECT_UPDATED", "project": {"label_config": 5}}, WebhookEvent("PROJECT_UPDATED")),
    ],
    ids=[
        "nothing",
        "nulls",
        "null annotation",
        "text",
        "annotation without regions",
        "nothing deleted",
        "odd ids",
        "odd project",
    ],
)
def test_a_webhook_of_another_shape_is_read_as_far_as_it_goes(body: JSON, event: WebhookEvent) -> None:
    assert WebhookEvent.from_json(body) == event


@pytest.mark.parametrize(
    ("project", "key"),
    [
        pytest.param({"id": 7, "created_at": "2026-11-20T23:32:30.227997Z"}, PROJECT, id="microseconds, Z"),
        pytest.param({"id": 7, "created_at": "2026-11-20T23:32:30Z"}, PROJECT, id="whole seconds"),
        pytest.param({"id": 7, "created_at": "2026-11-20T23:32:30.999999Z"}, PROJECT, id="never rounded up"),
        pytest.param({"id": 7, "created_at": "2026-11-21T01:32:30.227997+02:00"}, PROJECT, id="another zone"),
        pytest.param({"id": 7, "created_at": "2026-11-20T23:32:30.227997"}, PROJECT, id="no zone: UTC"),
        pytest.param(PROJECT, PROJECT, id="the key itself"),
        pytest.param("", None, id="empty"),
        pytest.param({"id": 7}, None, id="no time"),
        pytest.param({"id": 7, "created_at": None}, None, id="null time"),
        pytest.param({"id": 7, "created_at": "yesterday"}, None, id="no time in words"),
        pytest.param({"id": 7, "created_at": 1795217550}, None, id="time as a number"),
        pytest.param({"created_at": "2026-11-20T23:32:30Z"}, None, id="no id"),
        pytest.param({"id": None, "created_at": "2026-11-20T23:32:30Z"}, None, id="null id"),
        pytest.param(7, None, id="bare number"),
        pytest.param(None, None, id="null"),
    ],
)
def test_the_key_of_setup_is_rebuilt_from_a_webhooks_project(project: JSON, key: str | None) -> None:
    assert project_key(project) == key


def test_the_key_does_not_depend_on_where_the_server_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        key = project_key({"id": 7, "created_at": "2026-11-20T23:32:30"})
    time.tzset()
    assert key == PROJECT


def test_fifty_thousand_tasks_are_read_quickly() -> None:
    tasks = [{"id": number, "data": {"review": "x"}, "annotations": [], "predictions": []} for number in range(50_000)]
    started = time.perf_counter()
    request = PredictRequest.from_json(sent("predict_batch", tasks=tasks))
    assert time.perf_counter() - started < 2
    assert len(request.tasks) == 50_000


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["tasks", "schema", "label_config", "project", "params", "extra_params", "action", "annotation", "annotations"]
INNER = ["id", "data", "drafts", "result", "value", "score", "context", "created_at", "from_name"]


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        ANY | st.dictionaries(st.sampled_from(INNER), ANY) | st.lists(st.dictionaries(st.sampled_from(INNER), ANY)),
    )
)
def test_no_body_fails_otherwise_than_by_a_sentence(body: dict[str, Any]) -> None:
    for kind in (SetupRequest, PredictRequest, WebhookEvent):
        with suppress(RequestError):
            kind.from_json(body)


PROJECT_TOLD = {"id": 1, "created_at": "2026-11-20T23:32:30Z", "label_config": "<View/>"}


def test_a_webhook_tells_the_tasks_of_its_annotations() -> None:
    tasks = [{"id": ident, "data": {"text": str(ident)}} for ident in (1, 2)]
    made = [{"id": 10 + task, "task": task, "result": [], "completed_by": {"id": 4, "email": "a@b"}} for task in (2, 1)]
    bulk = WebhookEvent.from_json(
        {"action": "ANNOTATIONS_CREATED", "annotation": made, "task": tasks, "project": PROJECT_TOLD}
    )
    found = [bulk.task_of(annotation) for annotation in bulk.annotations]
    assert [task.data["text"] if task else None for task in found] == ["2", "1"]
    assert [annotation.by for annotation in bulk.annotations] == ["4", "4"]
    one = WebhookEvent.from_json(
        {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "result": []}, "task": tasks[0]}
    )
    assert one.task_of(one.annotations[0]) == one.tasks[0]
    bare = WebhookEvent.from_json(
        {"action": "ANNOTATION_CREATED", "annotation": {"id": 1, "result": []}, "task": {"id": 1}}
    )
    assert bare.task_of(bare.annotations[0]) is None


@pytest.mark.parametrize(
    ("told", "again"),
    [(4, 4), ("4", 4), ({"id": 4, "email": "a@b"}, 4), ("a@b", {"email": "a@b"}), ({"email": "a@b"}, {"email": "a@b"})],
    ids=repr,
)
def test_who_made_an_annotation_is_told_as_label_studio_imports_it(told: object, again: object) -> None:
    made = Annotation.from_json({"result": [], "completed_by": told})
    raw = made.to_json()
    assert raw["completed_by"] == again
    assert Annotation.from_json(raw) == made


@pytest.mark.parametrize("unknown", [None, "", [], {}], ids=repr)
def test_of_an_annotation_by_nobody_known_nobody_is_told(unknown: object) -> None:
    raw = Annotation.from_json({"result": [], "completed_by": unknown}).to_json()
    assert raw["completed_by"] is None


@pytest.mark.parametrize("odd", [None, "soon", 5, [], "0001-01-01T00:00:00", True], ids=repr)
def test_an_annotation_with_odd_times_and_people_is_read(odd: object) -> None:
    raw = {"id": odd, "created_at": odd, "updated_at": odd, "completed_by": odd, "parent_prediction": odd}
    raw |= {"task": odd, "prediction": odd, "result": odd}
    read = Annotation.from_json(raw)
    assert read.result == ()
    assert read.shown is None
