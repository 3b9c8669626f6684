"""Runs in RQ's queues: what jobs hold, who is asked when, what is told to whom, and what a fault leaves behind."""

import asyncio
import json
import time
import uuid
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import redis

from llm_backend.adapters.runs import Question
from llm_backend.adapters.runs.rq import Pace, RqEngine
from llm_backend.adapters.runs.rq.feeding import chunk_size
from llm_backend.adapters.store import Kept, Settled
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.core.chat import Usage
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Run, RunTask, Spec
from llm_backend.core.wire import Task
from llm_backend.errors import KeyRefused, StoreError
from tests.support.redis_server import redis_url  # noqa: F401 - a fixture
from tests.support.rq_workers import QUICK, rq_engine


class World:
    """An engine and its workers over a real store and a real Redis, whose work is a function of the test."""

    engine: RqEngine

    def __init__(self, url: str) -> None:
        self.url = url
        self.store = RedisStore(url)
        self.asked: list[str] = []
        self.answer: Callable[[RunTask], Awaitable[Settled]] = self.fine

    async def ask(self, spec: Spec, task: RunTask) -> Settled:
        self.asked.append(task.digest)
        return await self.answer(task)

    @staticmethod
    async def fine(task: RunTask) -> Settled:
        return Settled(Kept(task.digest, {"result": []}, "", False, time.time()), Usage(2, 1, 1))

    def add(self, *digests: str, project: str = "1.1", text: str = "") -> str:
        spec = Spec(project, "v", "<View/>", Prompt("p", "saved"), Parameters())
        run = Run(uuid.uuid4().hex[:12], spec, "queued", created=time.time())
        tasks = [RunTask(digest, Task(digest, {"text": text or digest})) for digest in digests]
        assert self.store.add_run(run, tasks)
        return run.id

    async def settled(self, *digests: str, project: str = "1.1", seconds: float = 15.0) -> None:
        await self.engine.wait([Question(project, "v", digest) for digest in digests], seconds)

    def run(self, run_id: str) -> Run:
        run = self.store.run(run_id)
        assert run is not None
        return run


Play = Callable[[World], Awaitable[None]]


def played(url: str, play: Play, window: int = 4, *, workers: int = 1, pace: Pace = QUICK) -> None:
    """Play a scene in a world of its own."""

    async def scene() -> None:
        world = World(url)
        try:
            async with rq_engine(url, world.store, world.ask, window, workers=workers, pace=pace) as world.engine:
                await asyncio.wait_for(play(world), 30)
        finally:
            world.store.close()

    asyncio.run(scene())


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(count))


@pytest.mark.parametrize(
    ("tasks", "size"), [(1, 1), (10, 1), (17, 2), (100, 7), (256, 16), (257, 16), (50_000, 16)], ids=str
)
def test_small_runs_are_cut_into_small_chunks(tasks: int, size: int) -> None:
    assert chunk_size(tasks) == size


@pytest.mark.parametrize("workers", [1, 3])
def test_every_task_of_a_run_is_asked_once_and_the_run_completes(redis_url: str, workers: int) -> None:  # noqa: F811
    async def play(world: World) -> None:
        run_id = world.add(*names("t", 600))
        await asyncio.gather(world.engine.start(run_id), world.engine.start(run_id))
        await world.settled(*names("t", 600))
        assert sorted(world.asked) == sorted(names("t", 600))
        run = world.run(run_id)
        assert (run.state, run.counts.get("done"), run.usage) == ("completed", 600, Usage(1200, 600, 600))

    played(redis_url, play, 32, workers=workers)


def test_jobs_are_json_that_names_no_task_and_ends_with_its_work(redis_url: str) -> None:  # noqa: F811
    client = redis.Redis.from_url(redis_url)

    async def unserved() -> None:
        world = World(redis_url)
        world.engine = RqEngine(redis_url, world.store)
        run_id = world.add(*names("t", 300), text="the patient's name")
        await world.engine.start(run_id)
        await world.engine.hurry(run_id, ["t299"])
        await world.engine.close()
        world.store.close()

    asyncio.run(unserved())
    jobs = [client.hgetall(key) for key in client.scan_iter("rq:job:*")]
    assert len(jobs) == 17  # a window of chunks, and the opened task
    for job in jobs:
        assert b"patient" not in b"".join(job.values())
        assert job[b"description"].startswith(b"run ")
        assert (int(job[b"timeout"]), int(job[b"result_ttl"])) == (3600, 0)
        (_, _, _, told) = json.loads(zlib.decompress(job[b"data"]))
        assert set(told) == {"run_id", "first", "size", "total", "digests"}

    async def play(world: World) -> None:
        await world.settled(*names("t", 300))
        await until(lambda: not list(client.scan_iter("rq:job:*")))
        assert sorted(world.asked) == sorted(names("t", 300))
        assert not list(client.scan_iter("rq:execution*"))
        assert not list(client.scan_iter("llm_backend:asking"))

    played(redis_url, play, 64)
    client.close()


def test_no_more_are_asked_at_once_than_the_window_allows(redis_url: str) -> None:  # noqa: F811
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

    played(redis_url, play)


def test_a_small_batch_does_not_wait_for_a_large_one(redis_url: str) -> None:  # noqa: F811
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

    played(redis_url, play, 64)


def test_an_opened_task_is_asked_before_all_others_and_once(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await world.fine(task)

        world.answer = when_told
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await until(lambda: len(world.asked) == 4)
        await world.engine.hurry(run_id, ["t99"])
        client = redis.Redis.from_url(redis_url)
        await until(lambda: client.zscore("llm_backend:asking", f"{run_id} t99"))
        client.close()
        go.set()
        await world.settled(*names("t", 100))
        assert world.asked.index("t99") < 16  # behind those that were under way, whose answers came at once
        assert len(world.asked) == 100

    played(redis_url, play)


def test_a_refused_key_pauses_the_run_and_tells_who_waits(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        async def refuse(_: RunTask) -> Settled:
            raise KeyRefused("The key is refused.")

        world.answer = refuse
        run_id = world.add(*names("t", 100))
        began = time.monotonic()
        await world.engine.start(run_id)
        await world.settled(*names("t", 100))
        assert time.monotonic() - began < 1.5
        run = world.run(run_id)
        assert (run.state, run.reason, run.waiting) == ("paused", "The key is refused.", 100)
        assert len(world.asked) <= 4
        world.answer = world.fine
        await world.engine.start(run_id)
        await world.settled(*names("t", 100))
        assert world.run(run_id).state == "completed"

    played(redis_url, play)


def test_a_cancelled_run_begins_no_further_calls(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await world.fine(task)

        world.answer = when_told
        run_id = world.add(*names("t", 100))
        await world.engine.start(run_id)
        await until(lambda: len(world.asked) == 4)
        world.store.set_run_state(run_id, "cancelled", "by a person")
        await world.engine.stop(run_id)
        await asyncio.sleep(0.1)  # the word is on its way to the worker
        go.set()
        await world.settled("t0", "t99")
        assert len(world.asked) == 4

    played(redis_url, play)


def test_failed_tasks_are_asked_again_on_retry_and_no_others(redis_url: str) -> None:  # noqa: F811
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

    played(redis_url, play, 64)


def test_a_fault_of_ours_fails_the_task_and_not_its_neighbours(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        async def stumble(task: RunTask) -> Settled:
            if task.digest == "t7":
                raise LookupError("a bug")
            return await world.fine(task)

        world.answer = stumble
        run_id = world.add(*names("t", 20))
        await world.engine.start(run_id)
        await world.settled(*names("t", 20))
        assert world.run(run_id).counts.get("done") == 19
        (failed,) = world.store.task_statuses(run_id, ("failed",))
        assert (failed.digest, "fault of this software" in failed.reason) == ("t7", True)

    played(redis_url, play)


def test_a_store_that_was_away_fails_no_task(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        away = [True]

        async def once_away(task: RunTask) -> Settled:
            if away:
                away.clear()
                raise StoreError("Redis is away.")
            return await world.fine(task)

        world.answer = once_away
        run_id = world.add("t0")
        await world.engine.start(run_id)
        await world.settled("t0")
        assert world.run(run_id).counts.get("done") == 1

    played(redis_url, play)


def test_signs_of_life_keep_long_calls_from_being_asked_twice(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        async def slow(task: RunTask) -> Settled:
            await asyncio.sleep(2.5 * QUICK.life)
            return await world.fine(task)

        world.answer = slow
        await world.engine.start(world.add(*names("t", 8)))
        await world.settled(*names("t", 8))
        assert sorted(world.asked) == sorted(names("t", 8))

    played(redis_url, play, workers=2)


def test_a_run_whose_jobs_were_lost_is_started_again(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        run_id = world.add(*names("t", 50))  # nobody starts it: whoever added it died
        spec, created = world.run(run_id).spec, world.run(run_id).created
        assert spec.version == "v"
        await until(lambda: world.run(run_id).state == "completed")
        assert time.time() - created < 15
        assert len(world.asked) == 50

    played(redis_url, play, 32)


def test_waiting_ends_soon_after_the_last_answer(redis_url: str) -> None:  # noqa: F811
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

    played(redis_url, play)


def test_waiting_finds_out_when_no_word_came(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        run_id = world.add("t0", "t1")
        waiting = asyncio.create_task(world.settled("t0", "t1"))
        await asyncio.sleep(0.1)
        world.store.settle(run_id, [await world.fine(RunTask(name, Task(name, {}))) for name in ("t0", "t1")])
        began = time.monotonic()
        await waiting
        assert time.monotonic() - began < 4

    played(redis_url, play)


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_waiting_ends_with_its_time(redis_url: str, seconds: float) -> None:  # noqa: F811
    async def play(world: World) -> None:
        world.add("t0")  # nobody works on it yet
        began = time.monotonic()
        await world.engine.wait([Question("1.1", "v", "t0")], seconds)
        assert seconds <= time.monotonic() - began < seconds + 0.5

    played(redis_url, play)


def test_the_status_names_workers_and_counts_what_waits(redis_url: str) -> None:  # noqa: F811
    async def play(world: World) -> None:
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await world.fine(task)

        world.answer = when_told
        await world.engine.start(world.add(*names("t", 100)))
        await until(lambda: len(world.asked) == 8)
        status = await world.engine.status()
        assert len(status.workers) == 2
        assert status.in_flight is not None
        assert status.in_flight >= 8
        assert status.queued + status.in_flight == 100
        go.set()
        await world.settled(*names("t", 100))

    played(redis_url, play, workers=2)
