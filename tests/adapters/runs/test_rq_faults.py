"""Workers killed or told to stop, Redis stopped, whoever added a run gone: runs go on, and nobody is paid twice."""

import asyncio
import random
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from llm_backend.adapters.runs import Question
from llm_backend.adapters.runs.rq import Pace, RqEngine
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Run, RunTask, Spec
from llm_backend.core.wire import Task
from tests.support.redis_server import RedisServer, own_redis, redis_url  # noqa: F401 - fixtures
from tests.support.rq_workers import QUICK, Ledger, worker_process

PATIENT = Pace(beat=0.5, life=10, drain=5.0)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger")


def start(url: str, count: int) -> str:
    """Add and start a run, and be gone: the rest is the workers'."""

    async def begin() -> str:
        store = RedisStore(url)
        engine = RqEngine(url, store)
        run = Run(uuid.uuid4().hex[:12], spec, "queued", created=time.time())
        store.add_run(run, [RunTask(digest, Task(digest, {"text": digest})) for digest in names(count)])
        await engine.start(run.id)
        await engine.close()
        store.close()
        return run.id

    spec = Spec("1.1", "v", "<View/>", Prompt("p", "saved"), Parameters())
    return asyncio.run(begin())


def names(count: int) -> list[str]:
    return [f"t{number}" for number in range(count)]


def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def completed(url: str, run_id: str) -> Callable[[], bool]:
    def look() -> bool:
        store = RedisStore(url)
        try:
            run = store.run(run_id)
        finally:
            store.close()
        return run is not None and run.state == "completed"

    return look


def asked_twice(ledger: Ledger) -> set[str]:
    return {digest for digest, times in ledger.digests("asked").items() if times > 1}


def test_a_killed_workers_tasks_are_asked_again_and_no_others(redis_url: str, ledger: Ledger) -> None:  # noqa: F811
    with worker_process(redis_url, ledger) as killed, worker_process(redis_url, ledger):
        run_id = start(redis_url, 400)
        until(lambda: ledger.digests("answered", killed.pid).total() > random.Random(7).randint(20, 60))
        killed.kill()
        killed.wait()
        until(completed(redis_url, run_id))
    assert set(ledger.digests("asked")) == set(names(400))
    # What it had answered a moment before its end may not have been settled: those calls count as in flight.
    assert asked_twice(ledger) <= set(ledger.digests("asked", killed.pid))
    assert 0 < len(asked_twice(ledger)) <= 2 * 16


def test_a_worker_that_comes_after_a_killed_one_goes_on(redis_url: str, ledger: Ledger) -> None:  # noqa: F811
    with worker_process(redis_url, ledger) as killed:
        run_id = start(redis_url, 100)
        until(lambda: ledger.digests("asked").total() > 20)
        killed.kill()
        killed.wait()
    with worker_process(redis_url, ledger):
        until(completed(redis_url, run_id))
    assert set(ledger.digests("answered")) == set(names(100))
    assert len(asked_twice(ledger)) <= 2 * 16


def test_a_worker_told_to_stop_ends_its_calls_and_leaves_the_rest(redis_url: str, ledger: Ledger) -> None:  # noqa: F811
    with worker_process(redis_url, ledger, seconds=0.5) as stopped:
        run_id = start(redis_url, 200)
        until(lambda: ledger.digests("answered").total() >= 16)
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(timeout=10) == 0
    told_to_stop = ledger.digests("answered")
    assert told_to_stop == ledger.digests("asked")
    assert told_to_stop.total() < 100
    with worker_process(redis_url, ledger, seconds=0.01):
        until(completed(redis_url, run_id))
    assert asked_twice(ledger) == set()


def test_calls_that_outlast_the_drain_go_back(redis_url: str, ledger: Ledger) -> None:  # noqa: F811
    hasty = Pace(beat=QUICK.beat, life=QUICK.life, drain=0.5)
    with worker_process(redis_url, ledger, seconds=60, pace=hasty) as stopped:
        run_id = start(redis_url, 20)
        until(lambda: ledger.digests("asked").total() == 16)
        stopped.send_signal(signal.SIGTERM)
        assert stopped.wait(timeout=10) == 0
    with worker_process(redis_url, ledger, seconds=0.01) as other:
        began = time.monotonic()
        until(completed(redis_url, run_id))
        assert time.monotonic() - began < 10
    assert ledger.digests("answered", other.pid).total() == 20


def test_redis_may_be_away_for_a_while(own_redis: RedisServer, ledger: Ledger) -> None:  # noqa: F811
    url = own_redis.url
    with worker_process(url, ledger, pace=PATIENT), worker_process(url, ledger, pace=PATIENT):
        run_id = start(url, 400)
        until(lambda: ledger.digests("answered").total() > random.Random(11).randint(40, 120))
        own_redis.stop()
        time.sleep(4)
        own_redis.start()
        until(completed(url, run_id))
    assert set(ledger.digests("answered")) == set(names(400))
    assert asked_twice(ledger) == set()


def test_lost_queues_are_filled_again_from_the_store(redis_url: str, ledger: Ledger) -> None:  # noqa: F811
    with worker_process(redis_url, ledger, seconds=0.3):
        run_id = start(redis_url, 400)
        until(lambda: ledger.digests("answered").total() > 32)
        with redis.Redis.from_url(redis_url) as client:
            client.delete(*client.scan_iter("rq:queue:*"), *client.scan_iter("rq:job:*"))
        until(completed(redis_url, run_id))
    assert set(ledger.digests("answered")) == set(names(400))


def test_an_engine_hears_again_when_redis_is_back(own_redis: RedisServer, ledger: Ledger) -> None:  # noqa: F811
    async def wait(run_id: str, store: RedisStore) -> float:
        engine = RqEngine(own_redis.url, store)
        waiting = asyncio.create_task(engine.wait([Question("1.1", "v", name) for name in names(100)], 60))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(own_redis.restart)
        await waiting
        ended = time.monotonic()
        run = store.run(run_id)
        assert run is not None
        assert run.state == "completed"
        await engine.close()
        return ended

    with worker_process(own_redis.url, ledger, pace=PATIENT):
        run_id = start(own_redis.url, 100)
        store = RedisStore(own_redis.url)
        asyncio.run(wait(run_id, store))
        store.close()
    assert asked_twice(ledger) == set()
