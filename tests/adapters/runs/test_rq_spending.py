"""Do workers make room for what annotators ask of the server? Over a real Redis."""

import asyncio
from pathlib import Path

from llm_backend.adapters.runs.rq import Hearing, Spending
from tests.support.redis_server import RedisServer, own_redis, redis_url
from tests.support.serve import until
from tests.support.serving import serving, task, typed
from tests.support.stub_model import StubModel
from tests.support.worker import worker

__all__ = ["own_redis", "redis_url"]  # fixtures


async def until_heard(spending: Spending, heard: asyncio.Queue[tuple[int, float]]) -> None:
    """Spend a little until it is heard: whoever has just begun to listen may have missed the first of it."""
    while heard.empty():
        spending.spent(0, 1.0)
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.1)
    while not heard.empty():
        heard.get_nowait()


def test_every_process_hears_what_another_spent_also_after_redis_was_away(own_redis: RedisServer) -> None:
    async def inside() -> None:
        queues = [asyncio.Queue[tuple[int, float]]() for _ in range(2)]
        spending = Spending(own_redis.url)
        hearing = [Hearing(own_redis.url, lambda *news, queue=queue: queue.put_nowait(news)) for queue in queues]
        try:
            for one in hearing:
                await one.listen()
            for absence in (False, True):
                if absence:
                    await asyncio.to_thread(own_redis.stop)
                    spending.spent(7, 700.0)  # nobody is told
                    await asyncio.to_thread(own_redis.start)
                async with asyncio.timeout(20):
                    for queue in queues:
                        await until_heard(spending, queue)
                    for _ in range(50):
                        spending.spent(1, 20.5)
                    for queue in queues:
                        requests, tokens = 0, 0.0
                        while requests < 50:
                            more, further = await queue.get()
                            requests, tokens = requests + more, tokens + further
                        assert requests == 50
                        assert 1025 <= tokens < 1025 + 50  # some of what was spent to find out who listens
        finally:
            for part in (spending, *hearing):
                await part.close()

    asyncio.run(inside())


def test_a_worker_waits_for_its_turn_after_an_annotators_call(redis_url: str, tmp_path: Path) -> None:
    with StubModel() as model:
        told = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "test-key", "RPM": "1"}
        settings = {"redis_url": redis_url, "base_url": model.base_url, "batch_deadline": 3.0, "rpm": 1}
        with serving(None, tmp_path, **settings) as host, worker(tmp_path, **told):
            until(lambda: len(host.services.loop.run(host.services.backend.jobs.engine()).workers) == 1, 20)
            host.shift_enter(typed("Say why."))
            assert host.batch(task(1), task(2)) == [[], []]
            assert len(model.asked) == 1
