"""What every engine promises: who is asked when, what is told to whom, and what a fault leaves behind."""

import asyncio
import time

import pytest

from llm_backend.adapters.runs import Question
from llm_backend.adapters.store import Kept, Settled
from llm_backend.core.chat import Usage
from llm_backend.core.run import RunTask
from llm_backend.errors import KeyRefused
from tests.adapters.runs.engines import Home, World, names, played, until


@pytest.mark.parametrize("home", ["local", "rq", "rq, 3 workers"], indirect=True)
def test_every_task_of_a_run_is_asked_once_and_the_run_completes(home: Home) -> None:
    async def play(world: World) -> None:
        run_id = world.add(*names("t", 600))
        await asyncio.gather(world.engine.start(run_id), world.engine.start(run_id))
        await world.settled(*names("t", 600))
        assert sorted(world.asked) == sorted(names("t", 600))
        run = world.run(run_id)
        assert (run.state, run.counts.get("done"), run.usage) == ("completed", 600, Usage(1200, 600, 600))
        assert 0 < run.started <= run.finished

    played(home, play, 32)


def test_no_more_are_asked_at_once_than_the_window_allows(home: Home) -> None:
    async def play(world: World) -> None:
        at_once, most = 0, 0

        async def count(task: RunTask) -> Settled:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.005)
            at_once -= 1
            return await world.fine(task)

        world.answer = count
        await world.engine.start(world.add(*names("t", 100)))
        await world.settled(*names("t", 100))
        assert most == 4

    played(home, play)


def test_a_small_batch_does_not_wait_for_a_large_one(home: Home) -> None:
    async def play(world: World) -> None:
        async def slow(task: RunTask) -> Settled:
            await asyncio.sleep(0.2)
            return await world.fine(task)

        world.answer = slow
        await world.engine.start(world.add(*names("large", 1000)))
        await until(lambda: len(world.asked) > 100)
        before = len(world.asked)
        await world.engine.start(world.add(*names("small", 10), project="2.2"))
        await world.settled(*names("small", 10), project="2.2")
        assert len(world.asked) - before < 3 * 64  # a window per latency

    played(home, play, 64)


def test_an_opened_task_is_asked_before_all_others_and_once(home: Home) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await until(lambda: len(world.asked) == 4)
        await world.engine.hurry(run_id, ["t99"])
        await home.arrived(run_id, "t99")
        go.set()
        await world.settled(*names("t", 100))
        assert world.asked.index("t99") <= 4 + home.ahead
        assert len(world.asked) == 100

    played(home, play)


def test_a_refused_key_pauses_the_run_and_tells_who_waits(home: Home) -> None:
    async def play(world: World) -> None:
        async def refuse(_: RunTask) -> Settled:
            raise KeyRefused("The key is refused.")

        world.answer = refuse
        run_id = world.add(*names("t", 100))
        async with asyncio.timeout(1.5):  # by word, not by looking now and then
            await world.engine.start(run_id)
            await world.settled(*names("t", 100))
        run = world.run(run_id)
        assert (run.state, run.reason, run.waiting) == ("paused", "The key is refused.", 100)
        assert len(world.asked) <= 4
        world.answer = world.fine
        await world.engine.start(run_id)
        await world.settled(*names("t", 100))
        assert world.run(run_id).state == "completed"

    played(home, play)


def test_a_cancelled_run_begins_no_further_calls(home: Home) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await until(lambda: len(world.asked) == 4)
        world.store.set_run_state(run_id, "cancelled", "by a person")
        await world.engine.stop(run_id)
        await asyncio.sleep(0.1)  # the word is on its way to a worker
        go.set()
        await world.settled("t0", "t99")
        assert len(world.asked) == 4

    played(home, play)


def test_failed_tasks_are_asked_again_on_retry_and_no_others(home: Home) -> None:
    async def play(world: World) -> None:
        odd = {f"t{number}" for number in range(1, 1000, 200)}

        async def fail_some(task: RunTask) -> Settled:
            if task.digest in odd:
                return Settled(Kept(task.digest, None, "The model declined.", True, time.time()), Usage(1, 0, 1))
            return await world.fine(task)

        world.answer = fail_some
        run_id = world.add(*names("t", 1000))
        await world.engine.start(run_id)
        await world.settled(*names("t", 1000))
        world.answer, world.asked = world.fine, []
        assert world.store.retry_run(run_id) == 5
        await world.engine.start(run_id)
        await world.settled(*odd)
        assert sorted(world.asked) == sorted(odd)
        assert world.run(run_id).counts.get("done") == 1000

    played(home, play, 64)


def test_a_fault_of_ours_fails_its_task_and_no_other(home: Home) -> None:
    async def play(world: World) -> None:
        async def stumble(task: RunTask) -> Settled:
            if task.digest == "t7":
                raise LookupError("a bug")
            return await world.fine(task)

        world.answer = stumble
        run_id = world.add(*names("t", 20))
        await world.engine.start(run_id)
        await world.settled(*names("t", 20))
        run = world.run(run_id)
        assert (run.state, run.counts.get("done"), run.counts.get("failed")) == ("completed", 19, 1)
        (failed,) = world.store.task_statuses(run_id, ("failed",))
        assert (failed.digest, "its log says more" in failed.reason) == ("t7", True)
        assert "a bug" not in failed.reason

    played(home, play)


def test_what_was_under_way_when_a_run_was_stopped_is_not_asked_again_when_it_goes_on(home: Home) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        run_id = world.add(*names("t", 10))
        await world.engine.start(run_id)
        await until(lambda: len(world.asked) == 4)
        world.store.set_run_state(run_id, "cancelled")
        await world.engine.stop(run_id)
        assert world.store.retry_run(run_id) == 10
        await world.engine.start(run_id)
        await asyncio.sleep(0)
        go.set()
        await world.settled(*names("t", 10))
        assert sorted(world.asked) == sorted(names("t", 10))

    played(home, play)


def test_a_project_that_is_forgotten_stops_its_run_and_no_other(home: Home) -> None:
    async def play(world: World) -> None:
        world.store.save_setup("1.1", "", "", {})
        go = world.hold()
        await world.engine.start(world.add(*names("gone", 1000)))
        await world.engine.start(world.add(*names("t", 300), project="2.2"))
        await until(lambda: len(world.asked) == 4)
        world.store.forget("1.1")
        go.set()
        await world.settled(*names("t", 300), project="2.2")
        assert set(names("t", 300)) <= set(world.asked)
        assert len(world.asked) < 400

    played(home, play)


def test_a_small_run_that_ends_lets_others_wait_on_for_a_large_one_of_its_version(home: Home) -> None:
    async def play(world: World) -> None:
        large, small = names("large", 100), names("small", 5)
        await world.engine.start(world.add(*large))
        waiting = asyncio.ensure_future(world.settled(*large))
        await world.engine.start(world.add(*small))
        await world.settled(*small)
        await waiting
        assert len(world.store.kept("1.1", "v", large)) == 100

    played(home, play)


def test_waiting_ends_soon_after_the_last_answer(home: Home) -> None:
    async def play(world: World) -> None:
        told: list[float] = []

        async def tell(task: RunTask) -> Settled:
            await asyncio.sleep(0.5)
            told.append(time.monotonic())
            return await world.fine(task)

        world.answer = tell
        run_id = world.add(*names("t", 3))
        await world.engine.start(run_id)
        await world.settled(*names("t", 3))
        assert time.monotonic() - told[-1] < 0.5
        assert world.run(run_id).state == "completed"

    played(home, play)


def test_whoever_waits_hears_of_each_answer_as_it_comes(home: Home) -> None:
    async def play(world: World) -> None:
        go, heard = asyncio.Event(), list[str]()

        async def last_when_told(task: RunTask) -> Settled:
            if task.digest == "last":
                await go.wait()
            return await world.fine(task)

        world.answer = last_when_told
        await world.engine.start(world.add("t0", "t1", "last"))
        questions = [Question("1.1", "v", name) for name in ("t0", "t1", "last")]
        waiting = asyncio.create_task(world.engine.wait(questions, 60, heard.append))
        await until(lambda: len(heard) == 2)
        assert sorted(heard) == ["t0", "t1"]
        assert set(world.store.kept("1.1", "v", heard)) == {"t0", "t1"}
        go.set()
        await waiting
        assert heard[2:] == ["last"]

    played(home, play)


def test_waiting_for_what_was_settled_before_ends_at_once(home: Home) -> None:
    async def play(world: World) -> None:
        await world.engine.start(world.add("t0"))
        await world.settled("t0")
        await asyncio.wait_for(world.settled("t0"), 5)

    played(home, play)


def test_nobody_waits_for_what_is_asked_by_no_run(home: Home) -> None:
    async def play(world: World) -> None:
        await asyncio.wait_for(world.settled("t0"), 5)

    played(home, play)


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_waiting_ends_with_its_time(home: Home, seconds: float) -> None:
    async def play(world: World) -> None:
        world.add("t0")  # nobody works on it yet
        began = time.monotonic()
        assert await asyncio.wait_for(world.engine.wait([Question("1.1", "v", "t0")], seconds), 10) == {}
        assert time.monotonic() - began >= seconds

    played(home, play)


@pytest.mark.parametrize("home", ["local", "rq, 2 workers"], indirect=True)
def test_the_status_names_workers_and_counts_what_waits(home: Home) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        await world.engine.start(world.add(*names("t", 100)))
        await until(lambda: len(world.asked) == 4 * home.workers)
        status = await world.engine.status()
        assert len(status.workers) == home.workers
        assert status.in_flight is not None
        assert status.in_flight >= 4 * home.workers
        assert status.queued + status.in_flight == 100
        go.set()
        await world.settled(*names("t", 100))

    played(home, play)
