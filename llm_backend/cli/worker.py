"""How is a worker started? It asks for the tasks of runs that servers with the same REDIS_URL have queued."""

import gc
import logging
import signal
import sys
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Protocol

import click

from llm_backend.cli.options import takes_settings
from llm_backend.errors import SettingsError
from llm_backend.settings import Settings


class Worker(Protocol):
    async def run(self) -> None: ...

    def drain(self) -> None: ...


class Loop(Protocol):
    def run(self, work: Coroutine[Any, Any, None]) -> None: ...


@click.command(short_help="Asks the model for queued runs; as many as wanted, on any machine.")
@takes_settings()
def worker(settings: Settings) -> None:
    """Ask for the tasks of runs that servers have queued in Redis, until a signal ends it.

    Start as many as wanted, on any machine that reaches Redis and the model, with the settings of the server. They
    share LLM_CONCURRENCY, RPM and TPM. Told to stop (SIGTERM, Ctrl-C), a worker lets its calls under way end, for 25 s
    at most, and gives the rest back; told so twice, it stops at once, and the others take up what it had within a
    minute.

    \b
    Examples:
      REDIS_URL=redis://localhost:6379/0 OPENAI_API_KEY=... llm-backend worker
      llm-backend worker --set REDIS_URL=redis://queue.internal:6379/0 --set LOG_LEVEL=debug
    """
    if not settings.redis_url:
        raise SettingsError(
            "REDIS_URL is not set: a worker finds its work in Redis. Set it, for the server as well, or do without "
            "workers: with no REDIS_URL the server works on runs itself."
        )
    # With these come the model's client and Redis's: only now.
    from llm_backend.metrics import Metrics, count_alone, reporting
    from llm_backend.services import open_worker

    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("llm_backend").setLevel(settings.log_level)
    count_alone()  # what a worker counts comes to the server through Redis, wherever it runs
    metrics = Metrics()
    services = open_worker(settings, counts=metrics)
    try:
        gc.collect()
        gc.freeze()  # what stands now stands to the end: no collection needs to look through it
        with reporting(metrics, services.store, services.worker.name):
            run_until_told(services.worker, services.loop)
    finally:
        services.close()


def run_until_told(worker: Worker, loop: Loop) -> None:
    """Run a worker on a loop of another thread; the first signal lets it end, the second ends it at once."""

    def told(number: int, frame: FrameType | None) -> None:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, signal.SIG_DFL)
        worker.drain()

    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, told)
    loop.run(worker.run())
