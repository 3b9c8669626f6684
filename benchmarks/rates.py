"""What does a provider's rate limit cost? `python -m benchmarks.rates`: 300 tasks, 50 requests a second, a burst of 10.

The stub turns away what is too much, with an honest Retry-After in whole seconds. Once the limit is told (RPM=3000),
once it must be found out; by one process, and by two that share it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.__main__ import table
from benchmarks.measures import Row
from benchmarks.processes import ROOT, Served, _process
from llm_backend.adapters.limits import Limits
from llm_backend.adapters.providers import Endpoint, connect
from llm_backend.core.chat import Call, Completion, Message
from llm_backend.settings import Settings

TASKS, PER_SECOND, BURST, IN_FLIGHT, LATENCY = 300, 50, 10, 128, 0.1
IDEAL = (TASKS - BURST) / PER_SECOND


def rates(share: float = 1.0) -> list[Row]:
    """The time against the ideal, requests turned away, tasks lost."""
    return [
        row
        for rpm, what, slowest, refused in (
            (60 * PER_SECOND, f"RPM={60 * PER_SECOND}", 1.15, 5.0),
            (0, "limit not told", 2.0, None),
        )
        for processes in (1, 2)
        for row in _rows(rpm, processes, f"{TASKS} tasks, {PER_SECOND}/s, {what}, by {processes}", slowest, refused)
    ]


def _rows(rpm: int, processes: int, what: str, slowest: float, refused: float | None) -> list[Row]:
    with _limited_stub() as stub, ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        list(pool.map(_ready, range(processes)))
        parts = [(stub.port, rpm, processes, TASKS // processes) for _ in range(processes)]
        done = list(pool.map(_asked, parts))
        seen = _seen(stub)
    wall = max(end for _, end, _ in done) - min(start for start, _, _ in done)
    share = 100 * seen["refused"] / (seen["refused"] + seen["taken"])
    return [
        Row(f"{what}: time / ideal ({IDEAL:g} s)", wall / IDEAL, "x", slowest, 2),
        Row(f"{what}: requests turned away", share, "%", refused),
        Row(f"{what}: tasks lost", TASKS - sum(answered for _, _, answered in done), "", 0, 0),
    ]


def _ready(_: int) -> None:
    """Import everything before the clock runs."""
    time.sleep(0.5)


def _asked(part: tuple[int, int, int, int]) -> tuple[float, float, int]:
    return asyncio.run(_ask(*part))


async def _ask(port: int, rpm: int, processes: int, count: int) -> tuple[float, float, int]:
    """When it began, when it ended, and how many tasks were answered."""
    settings = replace(Settings(), base_url=f"http://127.0.0.1:{port}/v1", api_key="benchmark")
    limits = Limits(IN_FLIGHT, rpm=rpm, processes=lambda: processes)
    provider = connect(Endpoint.from_settings(settings), settings, limits)
    began = time.time()
    calls = [Call((Message.of("user", f"Task {number}."),), patience=120.0) for number in range(count)]
    results = await asyncio.gather(*map(provider.complete, calls), return_exceptions=True)
    ended = time.time()
    await provider.close()
    return began, ended, sum(isinstance(result, Completion) for result in results)


@contextmanager
def _limited_stub() -> Iterator[Served]:
    options = ["--latency", str(LATENCY), "--per-second", str(PER_SECOND), "--burst", str(BURST)]
    with TemporaryDirectory(prefix="llm-backend-bench-") as name:
        command = ["-m", "tests.support.stub_model", *options]
        with _process(command, "/v1/models", Path(name), "stub", cwd=ROOT) as stub:
            yield stub


def _seen(stub: Served) -> dict[str, int]:
    connection = HTTPConnection("127.0.0.1", stub.port, timeout=10)
    connection.request("GET", "/")
    seen: dict[str, int] = json.loads(connection.getresponse().read())
    connection.close()
    return seen


if __name__ == "__main__":
    sys.stdout.write(table(rates()) + "\n")
