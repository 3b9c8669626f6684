"""What Label Studio, the operator and the model's server get to see of comparisons, which are asked in both orders."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from llm_backend.adapters.store import Store
from llm_backend.core.notices import NOTICE_PREFIX
from tests.support.scripted import ScriptedLLM, prefers
from tests.support.serving import PROJECT, Caller, by_name, serving, typed
from tests.support.strict import refusals
from tests.support.stub_model import JSON, Reply, StubModel, fails, says

OBJECTS = '<Text name="a" value="$a"/><Text name="b" value="$b"/><TextArea name="prompt" toName="a"/>'
PAIR = '<Pairwise name="better" toName="a,b"/>'
ALONE = f"<View>{OBJECTS}{PAIR}</View>"
BOTH = f'<View>{OBJECTS}<TextArea name="why" toName="a"/>{PAIR}</View>'
TASK: dict[str, Any] = {"id": 7, "data": {"a": "A dog.", "b": "A cat."}}
TOLD = 'Asked again with "a" and "b" exchanged, the model took the one on the left again: "better" stays empty.'
PROMPT = {**typed("Which?"), "to_name": "a"}


def failures(host: Caller) -> list[str]:
    (job,) = host.http.get("/jobs").get_json()["jobs"]
    tasks: list[dict[str, Any]] = host.http.get(f"/jobs/{job['id']}").get_json()["tasks"]
    return [task["reason"] for task in tasks]


def metrics(host: Caller) -> str:
    text: str = host.http.get("/metrics").get_data(as_text=True)
    return text


def test_a_batch_hands_over_what_both_orders_bear_out(tmp_path: Path) -> None:
    with serving(ScriptedLLM(prefers("A cat.")), tmp_path) as host:
        (answer,) = host.batch(TASK, config=ALONE)
        (job,) = host.http.get("/jobs").get_json()["jobs"]
        assert "comparisons_unconfirmed_total{" not in metrics(host)
    assert by_name(answer["result"]) == {"better": "right"}
    assert (job["calls"], job["prompt_tokens"], job["completion_tokens"]) == (2, 20, 10)


def test_a_task_of_which_nothing_is_borne_out_has_no_prediction_and_says_why(tmp_path: Path) -> None:
    """An empty prediction would mean that the model found nothing to be better."""
    llm = ScriptedLLM({"better": "left"})
    with serving(llm, tmp_path) as host:
        assert host.batch(TASK, config=ALONE) == [[]]
        assert failures(host) == [TOLD]
        assert 'task_failures_total{lane="batch",reason="Unconfirmed"} 1.0' in metrics(host)
        assert 'comparisons_unconfirmed_total{lane="batch"} 1.0' in metrics(host)
        assert host.batch(TASK, config=ALONE) == [[]]
    assert len(llm.calls) == 2  # asking again costs nothing until somebody retries


def test_the_rest_of_a_task_is_handed_over_and_the_reason_kept_beside_it(tmp_path: Path) -> None:
    llm = ScriptedLLM({"why": "So.", "better": "left"})
    with serving(llm, tmp_path) as host:
        (answer,) = host.batch(TASK, config=BOTH)
        kept = kept_reasons(host.services.store, answer["model_version"])
        assert 'comparisons_unconfirmed_total{lane="batch"} 1.0' in metrics(host)
    assert by_name(answer["result"]) == {"why": ["So."]}
    assert kept == [TOLD]


def kept_reasons(store: Store, version: str) -> list[str]:
    (run,) = store.runs()
    digests = [task.digest for task in store.task_statuses(run.id)]
    return [kept.reason for kept in store.kept(PROJECT, version, digests).values()]


def test_an_annotator_is_told_after_the_answer(tmp_path: Path) -> None:
    with serving(ScriptedLLM({"why": "So.", "better": "left"}), tmp_path) as host:
        regions = host.shift_enter(PROMPT, task=TASK, config=BOTH)
        assert 'comparisons_unconfirmed_total{lane="interactive"} 1.0' in metrics(host)
    assert by_name(regions) == {"why": ["So.", NOTICE_PREFIX + TOLD]}


def test_the_log_tells_no_text_of_a_task(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with serving(ScriptedLLM({"why": "So.", "better": "left"}), tmp_path) as host:
        host.batch(TASK, config=BOTH)
    assert "batch: 1 comparisons of a task were not confirmed by the other order" in caplog.text
    assert "dog" not in caplog.text


# Over HTTP, with schemas that strict structured outputs take

LIST = '<List name="list" value="$items"/><Ranker name="order" toName="list"/>'
ITEMS = [{"id": name, "title": f"Item {name}"} for name in "abcd"]


def content_of(request: JSON) -> str:
    (*_, said) = (message["content"] for message in request["messages"] if message["role"] == "user")
    return said if isinstance(said, str) else "\n".join(part.get("text", "") for part in said)


def strictly(request: JSON, n_th: int) -> Reply:
    """Takes no schema but a sound one; likes dogs, and the first letters of the alphabet."""
    form = request["response_format"]["json_schema"]
    if not form["strict"] or refusals(form["schema"]):
        return fails(400, f"Invalid schema: {refusals(form['schema'])}", None, "invalid_request_error")
    content = content_of(request)
    liked = {"better": "left" if content.index("dog") < content.index("cat") else "right", "order": list("abcd")}
    return says(json.dumps({key: liked.get(key, "So.") for key in form["schema"]["properties"]}))


def by_place(request: JSON, n_th: int) -> Reply:
    """Takes what stands first, whatever it is."""
    firsts = {"better": "left", "order": re.findall(r"\[(\w)\]", content_of(request)), "why": "So."}
    keys = request["response_format"]["json_schema"]["schema"]["properties"]
    return says(json.dumps({key: firsts[key] for key in keys}))


@pytest.mark.parametrize(
    ("responder", "filled"),
    [(strictly, {"why": ["So."], "better": "left", "order": {"order": list("abcd")}}), (by_place, {"why": ["So."]})],
    ids=["by content", "by place"],
)
def test_pairs_and_rankings_over_http(tmp_path: Path, responder: Any, filled: dict[str, Any]) -> None:
    config = f'<View>{OBJECTS}<TextArea name="why" toName="a"/>{PAIR}{LIST}</View>'
    task = {"id": 7, "data": {**TASK["data"], "items": ITEMS}}
    with StubModel(responder) as stub, serving(None, tmp_path, base_url=stub.base_url) as host:
        (answer,) = host.batch(task, config=config)
        assert by_name(answer["result"]) == filled
        bodies = stub.bodies
    assert [list(body["response_format"]["json_schema"]["schema"]["properties"]) for body in bodies] in (
        [["why", "better", "order"], ["better", "order"]],
        [["better", "order"], ["why", "better", "order"]],  # they go at the same time
    )
