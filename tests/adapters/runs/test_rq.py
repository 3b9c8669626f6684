"""Runs in RQ's queues: what jobs hold, and how they go on when a worker, a word or a job is lost."""

import asyncio
import json
import threading
import time
import zlib
from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import pytest
import redis

from llm_backend.adapters.runs.rq import RqEngine
from llm_backend.adapters.runs.rq.feeding import chunk_size
from llm_backend.adapters.store import Settled
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.core.run import RunTask
from llm_backend.core.wire import Task
from llm_backend.errors import StoreError
from tests.adapters.runs.engines import Shared, World, names, played, until
from tests.support.redis_server import RedisServer
from tests.support.rq_workers import QUICK


@pytest.mark.parametrize(
    ("tasks", "size"), [(1, 1), (10, 1), (17, 2), (100, 7), (256, 16), (257, 16), (50_000, 16)], ids=str
)
def test_small_runs_are_cut_into_small_chunks(tasks: int, size: int) -> None:
    assert chunk_size(tasks) == size


def test_jobs_are_json_that_names_no_task_and_ends_with_its_work(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    left_behind = ("rq:job:*", "rq:execution:*", "llm_backend:asking")

    async def unserved() -> None:
        world = World(Shared(redis_url).store())
        world.engine = engine = RqEngine(redis_url, world.store)
        run_id = world.add(*names("t", 300), text="the patient's name")
        await world.engine.start(run_id)
        await world.engine.hurry(run_id, ["t299"])
        await engine.close()
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
        assert sorted(world.asked) == sorted(names("t", 300))
        await until(lambda: not [key for kind in left_behind for key in client.scan_iter(kind)])
        # A sign of life that crosses a job's end leaves the list of its executions, which RQ lets go in a minute.
        assert all(client.ttl(key) != -1 for key in client.scan_iter("rq:executions:*"))

    played(Shared(redis_url), play, 64)
    client.close()


def test_the_next_tasks_are_at_hand_before_a_place_is_free(redis_url: str) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        await world.engine.start(world.add(*names("t", 200)))
        with redis.Redis.from_url(redis_url) as client:
            await until(lambda: len(world.asked) == 32 and int(client.zcard("llm_backend:asking")) >= 48)
        go.set()
        await world.settled(*names("t", 200))

    played(Shared(redis_url, pace=replace(QUICK, life=30)), play, 32)  # a slow machine lets no claim lapse


def test_one_run_can_take_all_places(redis_url: str) -> None:
    async def play(world: World) -> None:
        go = world.hold()
        await world.engine.start(world.add(*names("t", 600)))
        await until(lambda: len(world.asked) == 400)
        go.set()
        await world.settled(*names("t", 600))

    played(Shared(redis_url, pace=replace(QUICK, ahead=1200)), play, 400)


def test_a_store_that_was_away_fails_no_task(redis_url: str) -> None:
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

    played(Shared(redis_url), play)


def test_keys_and_channels_of_two_prefixes_are_all_that_a_user_needs(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        rights = [f"{kind}{prefix}:*" for kind in "~&" for prefix in ("llm_backend", "rq")]
        client.execute_command("ACL", "SETUSER", "app", "reset", "resetchannels", "on", ">s3cret", "+@all", *rights)

    async def play(world: World) -> None:
        run_id = world.add(*names("t", 20))
        await world.engine.start(run_id)
        await world.settled(*names("t", 20))
        assert world.run(run_id).state == "completed"

    played(Shared(own_redis.url.replace("//", "//app:s3cret@")), play)


def test_signs_of_life_keep_long_calls_from_being_asked_twice(redis_url: str) -> None:
    async def play(world: World) -> None:
        async def slow(task: RunTask) -> Settled:
            await asyncio.sleep(2.5 * QUICK.life)
            return await world.fine(task)

        world.answer = slow
        await world.engine.start(world.add(*names("t", 8)))
        await world.settled(*names("t", 8))
        assert sorted(world.asked) == sorted(names("t", 8))

    played(Shared(redis_url, workers=2), play)


def test_a_small_run_does_not_wait_behind_what_a_worker_holds_of_a_large_one(redis_url: str) -> None:
    home, asked_at_once, held = Shared(redis_url), 64, 96  # of the large one at most 16 go before the small one

    async def play(world: World) -> None:
        turns = asyncio.Semaphore(0)

        async def in_turn(task: RunTask) -> Settled:
            await turns.acquire()
            return await world.fine(task)

        world.answer = in_turn
        large, small = names("large", 300), names("small", 4)
        run_id = world.add(*large)
        await world.engine.start(run_id)
        for digest in large[:held]:
            await home.arrived(run_id, digest)
        await until(lambda: len(world.asked) == asked_at_once)
        run_id = world.add(*small, project="2.1")
        await world.engine.start(run_id)
        for digest in small:
            await home.arrived(run_id, digest)
        for asked in range(asked_at_once + 1, held):  # fewer than are held of the large one
            turns.release()
            await until(partial(_reached, world, asked))
        assert set(small) <= set(world.asked)
        for _ in (*large, *small):
            turns.release()
        await world.settled(*small, project="2.1")
        await world.settled(*large)

    played(home, play, asked_at_once)


def _reached(world: World, asked: int) -> bool:
    return len(world.asked) >= asked


def test_a_run_whose_jobs_were_lost_is_started_again(redis_url: str) -> None:
    async def play(world: World) -> None:
        run_id = world.add(*names("t", 50))  # nobody starts it: whoever added it died
        spec, created = world.run(run_id).spec, world.run(run_id).created
        assert spec.version == "v"
        await until(lambda: world.run(run_id).state == "completed")
        assert time.time() - created < 15
        assert len(world.asked) == 50

    played(Shared(redis_url), play, 32)


def test_waiting_finds_out_when_no_word_came(redis_url: str) -> None:
    async def play(world: World) -> None:
        run_id = world.add("t0", "t1")
        waiting = asyncio.create_task(world.settled("t0", "t1"))
        await asyncio.sleep(0.1)
        world.store.settle(run_id, [await world.fine(RunTask(name, Task(name, {}))) for name in ("t0", "t1")])
        began = time.monotonic()
        await waiting
        assert time.monotonic() - began < 4

    played(Shared(redis_url), play)


def test_tasks_that_were_claimed_before_the_store_went_away_are_asked_when_it_is_back(redis_url: str) -> None:
    away: list[str] = []

    class Faltering(RedisStore):
        def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]:
            if threading.current_thread().name.startswith("worker") and len(away) < 3:
                away.append(version)
                raise StoreError("Redis is away.")
            return super().runs_waiting_for(project, version, digests)

    class Home(Shared):
        def store(self) -> RedisStore:
            return Faltering(self.url)

    async def play(world: World) -> None:
        await world.engine.start(world.add(*names("t", 20)))
        await world.settled(*names("t", 20))
        assert len(away) == 3
        assert sorted(world.asked) == sorted(names("t", 20))

    # Nobody looks for what was left within the scene's time.
    played(Home(redis_url, pace=replace(QUICK, beat=60.0, life=180)), play)
