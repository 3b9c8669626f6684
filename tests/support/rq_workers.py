"""Workers over a real Redis: on the test's own loop, where work is any function, or processes that can be killed.

async with rq_engine(url, store, work) as engine: ...     the engine, and a worker beside it
with worker_process(url, ledger) as process: ...          `python -m tests.support.rq_workers`, whose work sleeps
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from llm_backend.adapters.runs import Work
from llm_backend.adapters.runs.rq import Pace, RqEngine, RqWorker
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.cli.worker import run_until_told
from llm_backend.core.chat import Usage
from llm_backend.core.run import RunTask, Spec
from llm_backend.loop import Loop

ROOT = Path(__file__).parents[2]
QUICK = Pace(beat=0.2, life=2, drain=5.0)
"""The dead are found within seconds."""


@asynccontextmanager
async def rq_engine(
    url: str, store: Store, work: Work, window: int = 4, *, workers: int = 1, pace: Pace = QUICK
) -> AsyncIterator[RqEngine]:
    """An engine, and workers that ask through `work`, all on this event loop."""
    engine = RqEngine(url, store, pace)
    beside = [RqWorker(url, store, work, lambda: window, pace=pace) for _ in range(workers)]
    running = [asyncio.create_task(worker.run()) for worker in beside]
    try:
        yield engine
    finally:
        for worker in beside:
            worker.drain()
        await asyncio.gather(*running)
        await engine.close()


class Ledger:
    """What was asked and answered, written by many processes: no kill and no restart of Redis takes a line away."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(self, word: str, digest: str) -> None:
        os.write(self._file, f"{word} {os.getpid()} {digest}\n".encode())

    def digests(self, word: str, pid: int | None = None) -> Counter[str]:
        rows = [line.split(" ", 2) for line in self.path.read_text().splitlines()]
        return Counter(digest for told, who, digest in rows if told == word and pid in (None, int(who)))


@contextmanager
def worker_process(
    url: str, ledger: Ledger, *, seconds: float = 0.2, window: int = 16, pace: Pace = QUICK
) -> "Iterator[subprocess.Popen[bytes]]":
    """A worker in a process of its own, whose work takes so long and writes what it does into the ledger."""
    told = (url, str(ledger.path), seconds, window, pace.beat, pace.life, pace.drain)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.rq_workers", *map(str, told)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def main(url: str, path: str, seconds: str, window: str, beat: str, life: str, drain: str) -> None:
    ledger = Ledger(Path(path))

    async def work(spec: Spec, task: RunTask) -> Settled:
        ledger.write("asked", task.digest)
        await asyncio.sleep(float(seconds))
        ledger.write("answered", task.digest)
        return Settled(Kept(task.digest, {"result": [task.digest]}, "", False, time.time()), Usage(2, 1, 1))

    store = RedisStore(url)
    worker = RqWorker(url, store, work, lambda: int(window), pace=Pace(float(beat), int(life), float(drain)))
    loop = Loop()
    run_until_told(worker, loop)
    loop.close()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
