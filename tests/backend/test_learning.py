"""What people made of tasks goes along with the next questions, and leaves again; in both homes of the store."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_backend.adapters.store import Learned, Store
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.core.chat import Call
from llm_backend.core.examples import Correction
from llm_backend.core.notices import NOTICE_PREFIX
from llm_backend.errors import StoreError
from tests.adapters.store.homes import HOMES
from tests.support.redis_server import redis_url
from tests.support.scripted import Reply, ScriptedLLM, prefers
from tests.support.serving import CONFIG, GOOD, PROJECT, Caller, chosen, serving, task, typed
from tests.support.stub_model import StubModel
from tests.support.worker import worker

__all__ = ["redis_url"]  # a fixture

CREATED = {"id": 1, "created_at": "2026-11-20T23:32:30.227997Z", "label_config": CONFIG}
Serve = Callable[..., AbstractContextManager[tuple[Caller, ScriptedLLM]]]


@pytest.fixture(params=list(HOMES))
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Opens a backend over each home; opened again, it finds what was learned."""

    @contextmanager
    def opened(**settings: Any) -> Iterator[tuple[Caller, ScriptedLLM]]:
        llm = ScriptedLLM(GOOD)
        store: Store = HOMES[request.param](tmp_path / "store")
        with serving(llm, tmp_path, store, **{"few_shot": 2, **settings}) as host:
            host.setup()
            yield host, llm

    return opened


def corrected(host: Caller, ident: int, text: str, label: str = "Positive", **more: Any) -> None:
    """Annotation `ident` of task `ident`, by hand."""
    host.submitted(chosen(label), ident=ident, task=task(ident, text), **more)


def deleted(host: Caller, *idents: int) -> None:
    gone = [{"id": ident} for ident in idents]
    host.webhook({"action": "ANNOTATIONS_DELETED", "annotations": gone, "project": CREATED})


def trained(host: Caller) -> None:
    host.webhook({"action": "START_TRAINING", "project": CREATED})


def shown(call: Call) -> list[tuple[str, str]]:
    """The examples of a question: what was asked and what was answered."""
    turns = [message.text for message in call.messages[1:-1]]
    return list(zip(turns[::2], turns[1::2], strict=True))


def learned(host: Caller) -> dict[str, Any]:
    told: dict[str, Any] = host.http.get(f"/projects/{PROJECT}").get_json()["learned"]
    return told


def press(host: Caller, text: str = "The parcel came late") -> None:
    assert host.shift_enter(typed("How is it?"), task=task(99, text))


def test_a_correction_goes_along_with_the_next_interactive_question_and_leaves_when_it_is_deleted(serve: Serve) -> None:
    with serve() as (host, llm):
        corrected(host, 1, "The parcel came")
        press(host)
        ((asked, answered),) = shown(llm.calls[-1])
        assert "The parcel came" in asked
        assert json.loads(answered) == {"response": None, "sentiment": "Positive"}
        deleted(host, 1)
        press(host)
        assert shown(llm.calls[-1]) == []


def test_batches_go_by_what_was_published_and_a_deletion_leaves_them_at_once(serve: Serve) -> None:
    with serve() as (host, llm):
        before = host.setup()
        corrected(host, 1, "The parcel came")
        host.batch(task(10, "The parcel is here"))
        assert shown(llm.calls[-1]) == []
        assert host.setup() == before
        trained(host)
        after = host.setup()
        assert after != before
        (answer,) = host.batch(task(10, "The parcel is here"))
        assert answer["model_version"] == after
        assert len(shown(llm.calls[-1])) == 1
        deleted(host, 1)
        host.batch(task(11, "The parcel was here"))
        assert shown(llm.calls[-1]) == []
        assert host.setup() == after


def test_what_was_learned_outlives_the_server(serve: Serve) -> None:
    with serve() as (host, _):
        corrected(host, 1, "The parcel came")
        trained(host)
        before = host.setup()
    with serve() as (host, llm):
        assert host.setup() == before
        press(host)
        host.batch(task(10, "The parcel is here"))
        assert [len(shown(call)) for call in llm.calls] == [1, 1]


def test_a_changed_annotation_replaces_and_a_skipped_or_emptied_one_is_unlearned(serve: Serve) -> None:
    with serve() as (host, llm):
        for ident in (1, 2, 3):
            corrected(host, ident, f"The parcel came {ident}")
        corrected(host, 1, "The parcel came 1", "Negative", action="ANNOTATION_UPDATED")
        corrected(host, 2, "The parcel came 2", action="ANNOTATION_UPDATED", was_cancelled=True)
        host.submitted(ident=3, task=task(3, "The parcel came 3"), action="ANNOTATION_UPDATED")
        press(host)
        ((_, answered),) = shown(llm.calls[-1])
        assert json.loads(answered)["sentiment"] == "Negative"


def test_an_annotation_that_can_no_more_be_read_does_not_stand_as_it_was(serve: Serve) -> None:
    with serve() as (host, _):
        corrected(host, 1, "The parcel came")
        host.submitted(chosen("Negative"), ident=1, action="ANNOTATION_UPDATED")
        assert learned(host)["count"] == 0


def test_many_at_once_are_learned_each_with_its_own_task(serve: Serve) -> None:
    texts = {ident: f"The parcel came {ident}" for ident in range(20)}
    made = [
        {"id": 100 + ident, "task": ident, "result": [chosen("Positive")], "was_cancelled": False} for ident in texts
    ]
    tasks = [task(ident, text) for ident, text in reversed(texts.items())]
    with serve() as (host, llm):
        host.webhook({"action": "ANNOTATIONS_CREATED", "annotation": made, "task": tasks, "project": CREATED})
        assert learned(host)["count"] == 20
        press(host, "The parcel came 7, too")
        assert "came 7" in shown(llm.calls[-1])[-1][0]


def test_a_deleted_task_takes_what_was_learned_of_it_along(serve: Serve) -> None:
    with serve() as (host, _):
        corrected(host, 1, "The parcel came")
        corrected(host, 2, "The parcel went")
        host.webhook({"action": "TASKS_DELETED", "tasks": [{"id": 1}], "project": CREATED})
        assert learned(host)["count"] == 1


def test_the_prompt_and_our_own_notices_are_never_learned(serve: Serve) -> None:
    with serve() as (host, llm):
        notice = typed(f"{NOTICE_PREFIX}Rate limit.", "response")
        host.submitted(typed("How is it?"), notice, ident=1, task=task(1, "The parcel came"))
        assert learned(host)["count"] == 0
        host.submitted(typed("How is it?"), notice, chosen("Positive"), ident=1, task=task(1, "The parcel came"))
        press(host)
        assert json.loads(shown(llm.calls[-1])[0][1]) == {"response": None, "sentiment": "Positive"}


def test_a_models_answer_that_nobody_changed_is_counted_and_teaches_nothing(serve: Serve) -> None:
    with serve() as (host, llm):
        host.submitted(chosen("Negative", "prediction"), ident=1, task=task(1, "The parcel came"), parent_prediction=5)
        told = learned(host)
        assert (told["count"], told["accepted"], told["since"]) == (1, 1, 0)
        press(host)
        assert shown(llm.calls[-1]) == []


PAIR = """
<View>
  <Text name="a" value="$a"/><Text name="b" value="$b"/><TextArea name="prompt" toName="a"/>
  <Pairwise name="better" toName="a,b"/>
</View>"""


@pytest.mark.parametrize(("side", "accepted"), [("left", 1), ("right", 0)])
@pytest.mark.parametrize("asked", ["interactive", "batch"])
def test_a_pairwise_clicked_anew_is_told_by_what_was_answered(
    serve: Serve, side: str, accepted: int, asked: str
) -> None:
    """Its origin stays `prediction` after a person's click."""
    held = {"id": 7, "data": {"a": "one", "b": "two"}}
    project = {**CREATED, "label_config": PAIR}
    with serve() as (host, llm):
        host.setup(PAIR)
        llm._script = [prefers("one")]
        if asked == "batch":
            host.batch(held, config=PAIR)
        else:
            host.shift_enter({**typed("Which?"), "to_name": "a"}, task=held, config=PAIR)
        region = {"from_name": "better", "to_name": "a", "type": "pairwise", "origin": "prediction"}
        more = {"parent_prediction": 3} if asked == "batch" else {}
        host.submitted({**region, "value": {"selected": side}}, ident=1, task=held, project=project, **more)
        assert (learned(host)["count"], learned(host)["accepted"]) == (1, accepted)


def test_every_so_many_corrections_are_published_by_themselves(serve: Serve) -> None:
    with serve(learn_every=2) as (host, llm):
        before = host.setup()
        corrected(host, 1, "The parcel came")
        assert host.setup() == before
        corrected(host, 2, "The parcel went")
        after = host.setup()
        assert after != before
        host.batch(task(10, "The parcel is here"))
        assert len(shown(llm.calls[-1])) == 2


def test_without_examples_a_publication_moves_no_version(serve: Serve) -> None:
    with serve(few_shot=0) as (host, llm):
        before = host.setup()
        corrected(host, 1, "The parcel came")
        trained(host)
        assert host.setup() == before
        press(host)
        host.batch(task(10, "The parcel is here"))
        assert [shown(call) for call in llm.calls] == [[], []]


def test_a_project_says_itself_how_many_examples_go_along(serve: Serve) -> None:
    with serve(few_shot=0) as (host, llm):
        host.setup(extra_params={"few_shot": 1})
        corrected(host, 1, "The parcel came")
        corrected(host, 2, "The parcel went")
        press(host)
        assert len(shown(llm.calls[-1])) == 1
        refused = host.http.post(
            "/setup", json={"project": PROJECT, "schema": CONFIG, "extra_params": {"few_shot": -1}}
        )
        assert (refused.status_code, "few_shot" in refused.get_json()["error"]) == (400, True)


def test_a_publication_ends_the_runs_of_before_and_moves_the_version_at_once(serve: Serve) -> None:
    with serve(batch_deadline=0.1) as (host, llm):
        asked = threading.Event()

        async def never(_: Call) -> Reply:
            asked.set()
            await asyncio.Event().wait()
            raise AssertionError

        llm._script = [never]
        corrected(host, 1, "The parcel came")
        host.batch(task(10, "The parcel is here"), task(11, "The parcel was here"))
        assert asked.wait(10)
        told = host.http.post(f"/projects/{PROJECT}/publish").get_json()
        (run,) = host.http.get("/jobs").get_json()["jobs"]
        assert (run["state"], run["version"] != told["version"]) == ("cancelled", True)
        assert told["version"] == host.setup()


def test_projects_tell_what_was_learned_and_forgetting_drops_it(serve: Serve) -> None:
    with serve() as (host, llm):
        assert learned(host) == {"count": 0, "accepted": 0, "published": 0, "since": 0, "publication": ""}
        corrected(host, 1, "The parcel came")
        host.submitted(chosen("Negative", "prediction"), ident=2, task=task(2, "The parcel went"))
        told = host.http.post(f"/projects/{PROJECT}/publish").get_json()["learned"]
        assert (told["count"], told["accepted"], told["published"], told["since"]) == (2, 1, 1, 0)
        corrected(host, 3, "The parcel stays")
        assert learned(host)["since"] == 1
        assert host.http.delete(f"/projects/{PROJECT}").status_code == 200
        host.setup()
        assert learned(host) == {"count": 0, "accepted": 0, "published": 0, "since": 0, "publication": ""}
        press(host)
        assert shown(llm.calls[-1]) == []


def test_nothing_to_publish_is_no_publication(serve: Serve) -> None:
    with serve() as (host, _):
        before = host.setup()
        assert host.http.post(f"/projects/{PROJECT}/publish").get_json()["version"] == before
        assert host.http.post("/projects/9.9/publish").status_code == 404


def test_a_task_never_sees_its_own_answer(serve: Serve) -> None:
    with serve() as (host, llm):
        corrected(host, 99, "The parcel came late")
        corrected(host, 1, "The parcel came late")
        press(host, "The parcel came late")
        assert shown(llm.calls[-1]) == []


def test_exported_annotations_are_taken_in_and_bad_ones_named(serve: Serve) -> None:
    tasks = [
        {**task(1, "The parcel came"), "annotations": [{"id": 1, "result": [chosen("Positive")], "completed_by": 4}]},
        {**task(2, "x" * 200_000), "annotations": [{"id": 2, "result": [chosen("Positive")]}]},
        {**task(3, "Empty"), "annotations": [{"id": 3, "result": []}, {"id": 4, "was_cancelled": True, "result": []}]},
        {**task(4, "Accepted"), "annotations": [{"id": 5, "result": [chosen("Negative", "prediction")]}]},
    ]
    with serve() as (host, _):
        told = host.http.post(f"/projects/{PROJECT}/corrections", json={"tasks": tasks}).get_json()
        assert (told["learned"], told["accepted"], told["left"]) == (2, 1, 2)
        ((fault),) = told["faults"]
        assert (fault["task"], "too large" in fault["reason"]) == (1, True)
        again = host.http.post(f"/projects/{PROJECT}/corrections", json={"tasks": tasks}).get_json()
        assert again == told
        assert learned(host)["count"] == 2


@pytest.mark.parametrize("body", [{}, {"tasks": 5}, {"tasks": [5]}, {"tasks": [{"id": 1}]}, []], ids=repr)
def test_what_is_no_export_is_refused(tmp_path: Path, body: Any) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup()
        for door in ("corrections", "kept"):
            response = host.http.post(f"/projects/{PROJECT}/{door}", json=body)
            assert (response.status_code, bool(response.get_json()["error"])) == (400, True)


def test_a_webhook_is_answered_though_the_store_is_slow(tmp_path: Path) -> None:
    """The host waits one second, and the annotator with it."""
    go_on, entered = threading.Event(), threading.Event()

    class Slow(SqliteStore):
        def learn(self, key: str, corrections: Sequence[Correction]) -> Learned:
            entered.set()
            assert go_on.wait(20)
            return super().learn(key, corrections)

    with serving(ScriptedLLM(GOOD), tmp_path, Slow(tmp_path / "slow"), few_shot=1) as host:
        host.setup()
        corrected(host, 1, "The parcel came")
        assert entered.wait(10)
        assert learned(host)["count"] == 0
        go_on.set()
        deleted(host, 7)  # taken in after what came before it
        assert learned(host)["count"] == 1


def test_what_a_slow_store_does_not_take_in_at_last_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    go_on, entered = threading.Event(), threading.Event()

    class Failing(SqliteStore):
        def learn(self, key: str, corrections: Sequence[Correction]) -> Learned:
            entered.set()
            assert go_on.wait(20)
            raise StoreError("The disk is full.")

    with serving(ScriptedLLM(GOOD), tmp_path, Failing(tmp_path / "failing"), few_shot=1) as host:
        host.setup()
        corrected(host, 1, "The parcel came")
        assert entered.wait(10)
        go_on.set()
        deleted(host, 7)
    (told,) = [record for record in caplog.records if "ANNOTATION_CREATED" in record.getMessage()]
    assert told.levelname == "WARNING"
    assert told.getMessage() == "webhook ANNOTATION_CREATED was not taken in: The disk is full."


def test_workers_go_by_what_was_published(redis_url: str, tmp_path: Path) -> None:
    with StubModel() as model:
        told = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "test-key"}
        settings = {"redis_url": redis_url, "base_url": model.base_url, "batch_deadline": 30.0}
        with (
            worker(tmp_path, **told),
            serving(None, tmp_path, few_shot=2, **settings) as host,
        ):
            host.setup()
            corrected(host, 1, "The parcel came")
            trained(host)
            host.setup()
            assert all(host.batch(*(task(ident, f"The parcel {ident}") for ident in range(10, 14))))
            assert {len(request.json["messages"]) for request in model.asked} == {4}
            deleted(host, 1)
            assert all(host.batch(task(20, "The parcel 20")))
            assert len(model.asked[-1].json["messages"]) == 2
