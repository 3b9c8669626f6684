"""What goes on after the request has ended, as the manager sees it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.chat import Call
from llm_backend.core.run import SUPERSEDED, Run
from llm_backend.errors import KeyRefused, ProviderRefused, RequestError, UnknownRun
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import CONFIG, GOOD, PROJECT, Caller, serving, task, typed

SIX = [task(number, f"text {number}") for number in range(6)]


class Gate:
    """A model that answers when the test says so."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self.reply: Reply = GOOD

    async def __call__(self, _: Call) -> Reply:
        await self._open.wait()
        return self.reply

    def open(self, host: Caller) -> None:
        async def opened() -> None:
            self._open.set()

        host.services.loop.run(opened())


@contextmanager
def gated(folder: Path, **settings: Any) -> Iterator[tuple[Caller, Gate, ScriptedLLM]]:
    gate = Gate()
    llm = ScriptedLLM(gate)
    with serving(llm, folder, batch_deadline=0.1, open_task_deadline=0.1, **settings) as host:
        yield host, gate, llm


def only(host: Caller) -> Run:
    (run,) = host.services.backend.jobs.list()
    return run


def finished(host: Caller) -> Run:
    """The only run, when nothing of it waits any more."""
    host.services.loop.run(_finished(host))
    return only(host)


async def _finished(host: Caller) -> None:
    async with asyncio.timeout(10):
        while only(host).unfinished:
            await asyncio.sleep(0.01)


def test_a_batch_is_a_run_that_knows_what_became_of_each_task(tmp_path: Path) -> None:
    def refuse_one(call: Call) -> Reply:
        return ProviderRefused("The model declined.") if "text 3" in call.messages[1].text else GOOD

    with serving(ScriptedLLM(refuse_one), tmp_path) as host:
        version = host.setup()
        host.batch(*SIX)
        run = finished(host)
        (failed,) = host.services.backend.jobs.tasks(run.id, ("failed",))
    assert (run.state, run.spec.project, run.spec.version) == ("completed", PROJECT, version)
    assert {state: count for state, count in run.counts.items() if count} == {"done": 5, "failed": 1}
    assert (failed.task_id, failed.reason) == (3, "The model declined.")
    assert run.usage.calls == 5
    assert 0 < run.started <= run.finished


def test_a_run_goes_on_after_its_request_and_the_next_request_takes_the_answers(tmp_path: Path) -> None:
    with gated(tmp_path) as (host, gate, llm):
        assert host.batch(*SIX) == [[]] * 6
        assert only(host).state == "running"
        gate.open(host)
        finished(host)
        assert all(host.batch(*SIX))
        assert only(host).total == 6  # the second request made no run
    assert len(llm.calls) == 6


def test_what_another_run_waits_for_is_not_asked_again(tmp_path: Path) -> None:
    with gated(tmp_path) as (host, gate, llm):
        host.batch(*SIX[:4])
        host.batch(*SIX)
        assert sorted(run.total for run in host.services.backend.jobs.list()) == [2, 4]
        gate.open(host)
        assert all(host.batch(*SIX))
    assert len(llm.calls) == 6


def test_a_new_prompt_supersedes_the_runs_of_the_old_one(tmp_path: Path) -> None:
    with gated(tmp_path, llm_concurrency=1) as (host, gate, llm):
        host.setup()
        host.batch(*SIX)
        host.submitted(typed("Another prompt"))
        host.setup()
        run = only(host)
        assert (run.state, run.reason) == ("cancelled", SUPERSEDED)
        under_way = len(llm.calls)
        gate.open(host)
        assert all(host.batch(*SIX))
    assert len(llm.calls) == under_way + 6
    assert under_way <= 2


def test_a_refused_key_pauses_the_run_and_asking_again_goes_on_with_it(tmp_path: Path) -> None:
    llm = ScriptedLLM(KeyRefused("The key is refused."))
    with serving(llm, tmp_path, llm_concurrency=1) as host:
        assert host.batch(*SIX) == [[]] * 6
        run = only(host)
        assert (run.state, run.reason, run.waiting) == ("paused", "The key is refused.", 6)
        llm._script = [GOOD]
        assert all(host.batch(*SIX))
        assert (only(host).id, only(host).state) == (run.id, "completed")


def test_a_cancelled_run_keeps_what_is_answered_and_can_be_taken_up_again(tmp_path: Path) -> None:
    with gated(tmp_path, llm_concurrency=1) as (host, gate, _):
        host.batch(*SIX)
        run, jobs, loop = only(host), host.services.backend.jobs, host.services.loop
        assert loop.run(jobs.cancel(run.id)).state == "cancelled"
        with pytest.raises(RequestError, match="nothing to cancel"):
            loop.run(jobs.cancel(run.id))
        gate.open(host)
        assert loop.run(jobs.retry(run.id)).state in ("queued", "running", "completed")
        assert finished(host).counts.get("done") == 6


def test_only_failed_tasks_are_retried(tmp_path: Path) -> None:
    def refuse_one(call: Call) -> Reply:
        return ProviderRefused("The model declined.") if "text 3" in call.messages[1].text else GOOD

    llm = ScriptedLLM(refuse_one)
    with serving(llm, tmp_path) as host:
        host.batch(*SIX)
        run, jobs, loop = finished(host), host.services.backend.jobs, host.services.loop
        llm._script, llm.calls = [GOOD], []
        loop.run(jobs.retry(run.id))
        assert finished(host).counts.get("done") == 6
        assert len(llm.calls) == 1
        with pytest.raises(RequestError, match="nothing to retry"):
            loop.run(jobs.retry(run.id))
        assert all(host.batch(*SIX))


def test_an_unknown_run_is_said_to_be_unknown(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        jobs, loop = host.services.backend.jobs, host.services.loop
        for ask in (
            lambda: jobs.show("nope"),
            lambda: loop.run(jobs.cancel("nope")),
            lambda: loop.run(jobs.retry("nope")),
        ):
            with pytest.raises(UnknownRun, match="no run nope"):
                ask()


def test_the_next_server_finishes_what_the_last_one_left(tmp_path: Path) -> None:
    with gated(tmp_path) as (host, _, _):
        host.setup()
        host.batch(*SIX)
    again = ScriptedLLM(GOOD)
    with serving(again, tmp_path) as host:
        assert finished(host).counts.get("done") == 6
        assert all(host.batch(*SIX))
    assert len(again.calls) == 6


def test_two_runs_over_the_same_tasks_with_different_prompts_do_not_mix(tmp_path: Path) -> None:
    def echo(call: Call) -> Reply:
        return {"response": "first" if "First" in call.messages[1].text else "second", "sentiment": "Positive"}

    with serving(ScriptedLLM(echo), tmp_path) as host:
        host.setup(extra_params={"prompt": "First {text}"})
        first = host.batch(*SIX)
        host.setup(extra_params={"prompt": "Second {text}"})
        second = host.batch(*SIX)
    told = [[answer["result"][0]["value"]["text"] for answer in answers] for answers in (first, second)]
    assert told == [[["first"]] * 6, [["second"]] * 6]


def test_an_opened_task_is_answered_while_its_batch_runs(tmp_path: Path) -> None:
    tasks = [task(number, f"text {number}") for number in range(40)]

    async def slowly(_: Call) -> Reply:
        await asyncio.sleep(0.05)
        return GOOD

    with serving(ScriptedLLM(slowly), tmp_path, llm_concurrency=1, batch_deadline=0.1) as host:
        host.batch(*tasks)
        (opened,) = host.batch(tasks[39])
        assert opened
        assert only(host).waiting > 20


def test_forgetting_a_project_forgets_its_runs(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup(CONFIG)
        host.batch(*SIX)
        finished(host)
        host.services.backend.known.forget(PROJECT)
        assert host.services.backend.jobs.list() == ()


def test_a_project_can_be_forgotten_while_its_run_is_under_way_and_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with gated(tmp_path, llm_concurrency=1) as (host, gate, _):
        host.setup()
        host.batch(*SIX)
        host.setup(project="2.1795217999")
        host.batch(*SIX, project="2.1795217999")
        host.services.backend.known.forget(PROJECT)
        gate.open(host)
        assert finished(host).spec.project == "2.1795217999"
    assert "paused" not in caplog.text
