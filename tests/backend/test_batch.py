"""Retrieve Predictions, and opening a task."""

import asyncio
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from llm_backend.adapters.store import Kept
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.core.chat import Call
from llm_backend.core.run import digest_of
from llm_backend.core.wire import PredictRequest, Task
from llm_backend.errors import Busy, KeyRefused, ProviderRefused
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import CONFIG, GOOD, PROJECT, by_name, serving, task, typed


def answer_or_fail(call: Call) -> Reply:
    """Fail for the task that says so, in the way it says."""
    said = call.messages[1].text
    if "poison" in said:
        return ProviderRefused("The model declined.")
    if "nonsense" in said:
        return "I would rather not."
    if "busy" in said:
        return Busy("Rate limit.")
    return GOOD


def test_every_task_is_answered_in_order_with_the_current_version(tmp_path: Path) -> None:
    def echo(call: Call) -> dict[str, str]:
        return {"response": call.messages[1].text.splitlines()[0], "sentiment": "Positive"}

    with serving(ScriptedLLM(echo), tmp_path) as host:
        version = host.setup()
        results = host.batch(*(task(number, f"text {number}") for number in range(50)))
    for number, result in enumerate(results):
        assert by_name(result["result"])["response"] == [f"Source Text: text {number}"]
        assert result["model_version"] == version
        assert result["score"] is None


def test_tasks_are_asked_together_not_one_after_the_other(tmp_path: Path) -> None:
    met = asyncio.Barrier(20)

    async def together(_: Call) -> dict[str, str]:
        await asyncio.wait_for(met.wait(), 10)
        return GOOD

    with serving(ScriptedLLM(together), tmp_path) as host:
        assert all(host.batch(*(task(number) for number in range(20))))


def test_answers_are_read_while_others_are_waited_for(tmp_path: Path) -> None:
    read = threading.Event()
    seen: list[str] = []

    class Watched(SqliteStore):
        def kept(self, project: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
            found = super().kept(project, version, digests)
            seen.extend(found)
            if len(found) >= 100:
                read.set()
            return found

    async def last_when_the_others_are_read(call: Call) -> dict[str, str]:
        if "last" in call.messages[1].text:
            assert await asyncio.to_thread(read.wait, 10)
        return GOOD

    texts = [f"text {number}" for number in range(150)]
    with serving(ScriptedLLM(last_when_the_others_are_read), tmp_path, Watched(tmp_path / "store")) as host:
        results = host.batch(*(task(number, text) for number, text in enumerate([*texts, "last"])))
    assert all(result["result"] for result in results)
    assert len(seen) == len(set(seen)) == 151


def test_an_annotator_is_asked_for_before_a_batch_has_begun_all_of_its_tasks(tmp_path: Path) -> None:
    params = {"context": {"result": [typed("Say why.")]}}
    body = {"tasks": [task(0)], "label_config": CONFIG, "project": PROJECT, "params": params}
    pressed: list[asyncio.Task[object]] = []

    def press_once(_: Call) -> dict[str, str]:
        if not pressed:
            pressed.append(asyncio.ensure_future(host.services.backend.predict(PredictRequest.from_json(body))))
        return GOOD

    with serving(llm := ScriptedLLM(press_once), tmp_path) as host:
        assert all(host.batch(*(task(number, f"text {number}") for number in range(1, 201))))
    assert "interactive" in [call.lane for call in llm.calls[:50]]


def test_one_bad_task_never_spoils_the_others(tmp_path: Path) -> None:
    tasks = [task(1), task(2, "poison"), task(3, "nonsense"), None, "a string", {"id": 6}, task(7, "busy"), task(8)]
    with serving(ScriptedLLM(answer_or_fail), tmp_path) as host:
        results = host.batch(*tasks)
    assert [bool(result) for result in results] == [True, False, False, False, False, False, False, True]
    assert [result for result in results if not result] == [[]] * 6


def test_what_is_not_done_at_the_deadline_is_empty_goes_on_and_is_there_next_time(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slow_ones_wait(call: Call) -> dict[str, str]:
        if "slow" in call.messages[1].text:
            await release.wait()
        return GOOD

    llm = ScriptedLLM(slow_ones_wait)
    tasks = [task(1), task(2, "slow"), task(3)]
    with serving(llm, tmp_path, batch_deadline=0.3) as host:
        assert [bool(result) for result in host.batch(*tasks)] == [True, False, True]
        host.services.loop.run(_set(release))
        assert [bool(result) for result in host.batch(*tasks)] == [True, True, True]
    assert len(llm.calls) == 3


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_many_predictions_are_the_hosts_for_as_long_as_it_stores_them(tmp_path: Path) -> None:
    ahead = 0.0
    store = SqliteStore(tmp_path / "store", clock=lambda: time.time() + ahead)
    with serving(ScriptedLLM(GOOD), tmp_path, store) as host:
        (few,) = host.batch(task(1))
        many = host.batch(*(task(number, f"text {number}") for number in range(2, 102)))
        version = few["model_version"]
        assert all(many)
        digests = [digest_of(Task(1, task(1)["data"])), digest_of(Task(2, task(2, "text 2")["data"]))]
        assert store.hold(PROJECT, version, digests, "a push", 60.0) == set()
        ahead = 12.0
        assert store.hold(PROJECT, version, digests, "a push", 60.0) == set(digests[:1])


def test_a_lasting_failure_costs_nothing_when_asked_again_and_a_passing_one_is_tried_again(tmp_path: Path) -> None:
    llm = ScriptedLLM(answer_or_fail)
    with serving(llm, tmp_path) as host:
        assert host.batch(task(1, "poison"), task(2, "busy")) == [[], []]
        assert host.batch(task(1, "poison"), task(2, "busy")) == [[], []]
        asked = [call.messages[1].text for call in llm.calls]
        assert sum("poison" in said for said in asked) == 1
        assert sum("busy" in said for said in asked) == 2


def test_answers_outlive_the_server(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        (first,) = host.batch(task(1))
    again = ScriptedLLM(GOOD)
    with serving(again, tmp_path) as host:
        assert host.batch(task(1)) == [first]
    assert not again.calls


def test_a_wrong_key_stops_the_batch_instead_of_being_tried_for_every_task(tmp_path: Path) -> None:
    llm = ScriptedLLM(KeyRefused("The key is refused."))
    with serving(llm, tmp_path, llm_concurrency=2) as host:
        assert host.batch(*(task(number) for number in range(500))) == [[]] * 500
    assert len(llm.calls) <= 4  # those under way at once


def test_a_task_opened_twice_at_once_is_asked_once_and_given_once(tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path) as host:
        host.setup()
        results: list[object] = []
        together = threading.Barrier(2)

        def open_task() -> None:
            together.wait()
            results.extend(host.batch(task(1)))

        openers = [threading.Thread(target=open_task) for _ in range(2)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join()
    assert sorted(map(bool, results)) == [False, True]
    assert len(llm.calls) == 1


def test_the_same_task_asked_again_later_is_given_its_kept_answer(tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path) as host:
        assert host.batch(task(1)) == host.batch(task(1)) != [[]]
    assert len(llm.calls) == 1


def test_nothing_applies_is_an_empty_prediction_not_a_missing_one(tmp_path: Path) -> None:
    with serving(ScriptedLLM({"response": None, "sentiment": None}), tmp_path) as host:
        (answer,) = host.batch(task(1))
    assert answer["result"] == []
    assert answer["model_version"]


@pytest.mark.parametrize(
    "config", ["<View>", '<View><Text name="text" value="$text"/></View>'], ids=["broken", "no control"]
)
def test_a_config_that_cannot_work_answers_nothing_for_each_task(tmp_path: Path, config: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.batch(task(1), task(2), config=config) == [[], []]
