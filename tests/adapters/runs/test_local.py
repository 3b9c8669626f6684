"""Runs in the server's own process: whose turn it is, what the next process takes up, and what a full disk costs."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from llm_backend.adapters.runs import Question
from llm_backend.adapters.runs.local import LocalEngine
from llm_backend.adapters.store import Settled
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.core.run import RunState, RunTask
from llm_backend.errors import StoreError
from tests.adapters.runs.engines import Local, World, names, played


def test_more_than_is_read_at_once_is_asked_through_a_small_window(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        run_id = world.add(*names("t", 600))
        await world.engine.start(run_id)
        await world.engine.start(run_id)
        await world.settled(*names("t", 600))
        assert sorted(world.asked) == sorted(names("t", 600))
        assert world.run(run_id).state == "completed"

    played(Local(tmp_path), play)


def test_projects_take_turns(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        await world.engine.start(world.add(*names("large", 200)))
        await world.engine.start(world.add(*names("small", 10), project="2.2"))
        await world.settled(*names("small", 10), project="2.2")
        assert len(world.asked) < 50

    played(Local(tmp_path), play)


def test_an_opened_task_is_asked_next_though_the_window_is_not_full_yet(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await world.engine.hurry(run_id, ["t99"])
        go.set()
        await world.settled(*names("t", 100))
        assert world.asked.index("t99") == 4  # behind those that were under way
        assert len(world.asked) == 100

    played(Local(tmp_path), play)


def test_a_run_that_the_store_knows_as_cancelled_begins_no_further_calls(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await asyncio.sleep(0)
        world.store.set_run_state(run_id, "cancelled", "by a person")
        go.set()
        await world.settled("t0", "t99")
        assert len(world.asked) == 4

    played(Local(tmp_path), play)


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
        assert isinstance(world.engine, LocalEngine)
        world.engine._closing = True  # the process is gone: nothing more is settled
        for task in tuple(world.engine._asking):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def taken_up(world: World) -> None:
        await world.engine.recover()
        await world.settled(*names("t", 10))
        assert sorted(world.asked) == sorted(names("t", 10)[2:])

    played(Local(tmp_path), left)
    played(Local(tmp_path), taken_up)


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
        assert world.run(run_id).state == "completed"
        assert sorted(world.asked) == sorted(digests)

    played(Local(tmp_path, Filling), play)


def test_whoever_waits_is_told_at_the_end_and_finds_the_answers_in_the_store(tmp_path: Path) -> None:
    async def play(world: World) -> None:
        large = names("large", 100)
        await world.engine.start(world.add(*large))
        assert await world.engine.wait([Question("1.1", "v", digest) for digest in large], 5) == {}
        assert len(world.store.kept("1.1", "v", large)) == 100

    played(Local(tmp_path), play)
