"""Runs in the server's own process: who is asked when, what is told to whom, and what a fault leaves behind."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from llm_backend.adapters.runs import Question
from llm_backend.adapters.runs.local import LocalEngine
from llm_backend.adapters.store import Kept, Settled
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.core.chat import Usage
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Run, RunState, RunTask, Spec
from llm_backend.core.wire import Task
from llm_backend.errors import KeyRefused, StoreError


class World:
    """An engine over a real store, whose work is a function of the test, and a ledger of what was asked."""

    def __init__(self, folder: Path, window: int = 4, store: Callable[[Path], SqliteStore] = SqliteStore) -> None:
        self.store = store(folder)
        self.engine = LocalEngine(self.store, self._ask, window)
        self.asked: list[str] = []
        self.answer: Callable[[RunTask], Awaitable[Settled]] = self.fine

    async def _ask(self, spec: Spec, task: RunTask) -> Settled:
        self.asked.append(task.digest)
        return await self.answer(task)

    @staticmethod
    async def fine(task: RunTask) -> Settled:
        await asyncio.sleep(0)
        return Settled(Kept(task.digest, {"result": []}, "", False, 1.0), Usage(2, 1, 1))

    def add(self, *digests: str, project: str = "1.1", version: str = "v") -> str:
        spec = Spec(project, version, "<View/>", Prompt("p", "saved"), Parameters())
        run = Run(uuid.uuid4().hex[:12], spec, "queued", created=1.0)
        assert self.store.add_run(run, [RunTask(digest, Task(digest, {"text": digest})) for digest in digests])
        return run.id

    async def settled(self, *digests: str, project: str = "1.1", seconds: float = 5.0) -> None:
        known = self.store.kept(project, "v", digests)
        await self.engine.wait([Question(project, "v", digest) for digest in digests if digest not in known], seconds)

    async def close(self) -> None:
        await self.engine.close()
        self.store.close()


def played(
    folder: Path,
    play: Callable[[World], Awaitable[None]],
    window: int = 4,
    store: Callable[[Path], SqliteStore] = SqliteStore,
) -> None:
    """Play a scene in a world of its own."""

    async def scene() -> None:
        world = World(folder, window, store)
        try:
            await asyncio.wait_for(play(world), 20)
        finally:
            await world.close()

    asyncio.run(scene())


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(count))


def test_every_task_of_a_run_is_asked_once_and_the_run_completes(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        run_id = world.add(*names("t", 600))
        await world.engine.start(run_id)
        await world.engine.start(run_id)
        await world.settled(*names("t", 600))
        assert sorted(world.asked) == sorted(names("t", 600))
        run = world.store.run(run_id)
        assert run is not None
        assert (run.state, run.counts.get("done"), run.usage) == ("completed", 600, Usage(1200, 600, 600))
        assert 0 < run.started <= run.finished

    played(tmp_path, play)


def test_no_more_are_asked_at_once_than_the_window_allows(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        at_once, most = 0, 0

        async def count(task: RunTask) -> Settled:
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.001)
            at_once -= 1
            return await world.fine(task)

        world.answer = count
        await world.engine.start(world.add(*names("t", 50)))
        await world.settled(*names("t", 50))
        assert most == 4

    played(tmp_path, play)


def test_a_small_batch_takes_turns_with_a_large_one_of_another_project(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.engine.start(world.add(*names("large", 200)))
        await world.engine.start(world.add(*names("small", 10), project="2.2"))
        await world.settled(*names("small", 10), project="2.2")
        assert len(world.asked) < 50

    played(tmp_path, play)


def test_an_opened_task_is_asked_before_all_others_and_once(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await world.fine(task)

        world.answer = when_told
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await world.engine.hurry(run_id, ["t99"])
        go.set()
        await world.settled(*names("t", 100))
        assert world.asked.index("t99") == 4  # behind those that were under way
        assert len(world.asked) == 100

    played(tmp_path, play)


def test_a_refused_key_pauses_the_run_and_tells_who_waits(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        async def refuse(_: RunTask) -> Settled:
            raise KeyRefused("The key is refused.")

        world.answer = refuse
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await world.settled(*names("t", 100))  # returns long before its time is up
        run = world.store.run(run_id)
        assert run is not None
        assert (run.state, run.reason, run.waiting) == ("paused", "The key is refused.", 100)
        assert len(world.asked) <= 4
        world.answer = world.fine
        await world.engine.start(run_id)
        await world.settled(*names("t", 100))
        assert world.store.run(run_id).state == "completed"  # type: ignore[union-attr]

    played(tmp_path, play)


def test_a_cancelled_run_begins_no_further_calls(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await world.fine(task)

        world.answer = when_told
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await asyncio.sleep(0)
        world.store.set_run_state(run_id, "cancelled", "by a person")
        go.set()
        await world.settled("t0", "t99")
        assert len(world.asked) == 4

    played(tmp_path, play)


def test_failed_tasks_are_asked_again_on_retry_and_no_others(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        async def fail_odd(task: RunTask) -> Settled:
            if int(task.digest[1:]) % 2:
                return Settled(Kept(task.digest, None, "The model declined.", True, 1.0), Usage(1, 0, 1))
            return await world.fine(task)

        world.answer = fail_odd
        run_id = world.add(*names("t", 10))
        await world.engine.start(run_id)
        await world.settled(*names("t", 10))
        world.answer, world.asked = world.fine, []
        assert world.store.retry_run(run_id) == 5
        await world.engine.start(run_id)
        await world.settled("t1", "t3", "t5", "t7", "t9")
        assert sorted(world.asked) == ["t1", "t3", "t5", "t7", "t9"]
        assert world.store.run(run_id).counts.get("done") == 10  # type: ignore[union-attr]

    played(tmp_path, play)


def test_what_a_closed_server_left_behind_is_taken_up_by_the_next(tmp_path: Path) -> None:
    async def left(world: World) -> None:
        async def never(task: RunTask) -> Settled:
            if task.digest in ("t0", "t1"):
                return await world.fine(task)
            await asyncio.Event().wait()
            raise AssertionError

        world.answer = never
        await world.engine.start(world.add(*names("t", 10)))
        await world.settled("t0", "t1")
        world.engine._closing = True  # the process is gone: nothing more is settled
        for task in tuple(world.engine._asking):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def taken_up(world: World) -> None:
        await world.engine.recover()
        await world.settled(*names("t", 10))
        assert sorted(world.asked) == sorted(names("t", 10)[2:])

    played(tmp_path, left)
    played(tmp_path, taken_up)


def test_a_full_disk_costs_neither_the_answer_at_hand_nor_the_run(tmp_path: Path) -> None:
    class Filling(SqliteStore):
        full = True

        def settle(self, run_id: str, settled: Sequence[Settled]) -> RunState:
            if self.full:
                raise StoreError("The disk is full.")
            return super().settle(run_id, settled)

    async def play(world: World) -> None:
        assert isinstance(world.store, Filling)
        digests = names("t", 100)
        run_id = world.add(*digests)
        waiting = asyncio.ensure_future(world.engine.wait([Question("1.1", "v", digest) for digest in digests], 5))
        await asyncio.sleep(0)
        await world.engine.start(run_id)
        at_hand = await waiting
        assert at_hand
        assert all(kept.prediction == {"result": []} for kept in at_hand.values())
        asked = len(world.asked)
        assert asked <= 8  # nothing more is begun that could not be stored
        with pytest.raises(StoreError):
            await world.engine.start(run_id)
        world.store.full = False
        await world.settled(*digests)
        run = world.store.run(run_id)
        assert run is not None
        assert run.state == "completed"
        assert sorted(world.asked) == sorted(digests)

    played(tmp_path, play, store=Filling)


def test_what_was_under_way_when_a_run_was_stopped_is_not_asked_again_when_it_goes_on(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await world.fine(task)

        world.answer = when_told
        run_id = world.add(*names("t", 10))
        await world.engine.start(run_id)
        while len(world.asked) < 4:
            await asyncio.sleep(0)
        world.store.set_run_state(run_id, "cancelled")
        await world.engine.stop(run_id)
        assert world.store.retry_run(run_id) == 10
        await world.engine.start(run_id)
        await asyncio.sleep(0)
        go.set()
        await world.settled(*names("t", 10))
        assert sorted(world.asked) == sorted(names("t", 10))

    played(tmp_path, play)


def test_a_fault_of_ours_fails_its_task_and_no_other(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        async def stumble(task: RunTask) -> Settled:
            if task.digest == "t3":
                raise ZeroDivisionError
            return await world.fine(task)

        world.answer = stumble
        run_id = world.add(*names("t", 10))
        await world.engine.start(run_id)
        await world.settled(*names("t", 10))
        run = world.store.run(run_id)
        assert run is not None
        assert (run.state, run.counts["done"], run.counts["failed"]) == ("completed", 9, 1)
        (failed,) = world.store.task_statuses(run_id, ("failed",))
        assert "fault of its own" in failed.reason

    played(tmp_path, play)


def test_a_project_that_is_forgotten_stops_its_run_and_no_other(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        world.store.save_setup("1.1", "", "", {})
        await world.engine.start(world.add(*names("gone", 1000)))
        await world.engine.start(world.add(*names("t", 300), project="2.2"))
        await asyncio.sleep(0.01)
        world.store.forget("1.1")
        await world.settled(*names("t", 300), project="2.2")
        assert {"t0", "t299"} <= set(world.asked)
        assert len(world.asked) < 1000

    played(tmp_path, play)


def test_a_small_run_that_ends_lets_others_wait_on_for_a_large_one_of_its_version(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        large, small = names("large", 100), names("small", 5)
        await world.engine.start(world.add(*large))
        waiting = asyncio.ensure_future(world.engine.wait([Question("1.1", "v", digest) for digest in large], 5))
        await world.engine.start(world.add(*small))
        await world.settled(*small)
        assert len(await waiting) == 100

    played(tmp_path, play)


def test_waiting_for_what_was_settled_before_ends_at_once(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.engine.start(world.add("t0"))
        await world.settled("t0")
        await asyncio.wait_for(world.engine.wait([Question("1.1", "v", "t0")], 60), 5)

    played(tmp_path, play)


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_waiting_ends_with_its_time(tmp_path: Path, seconds: float) -> None:
    async def play(world: World) -> None:
        assert await world.engine.wait([Question("1.1", "v", "nobody asks")], seconds) == {}

    played(tmp_path, play)
