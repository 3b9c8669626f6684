"""What do calls cost that do nothing else? The bare openai SDK against the stub, in processes of its own.

Figures of the server divided by these can be compared between machines. Each process is

    python -m benchmarks.reference URL BODY.json CALLS IN_FLIGHT

which opens its connections, says `ready`, waits for a line, calls, and says its CPU seconds.
"""

import asyncio
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from openai import AsyncOpenAI, DefaultAioHttpClient

from benchmarks.processes import ROOT, DidNotStart, Served, environment


@dataclass(frozen=True, slots=True)
class Bare:
    """What bare calls took, in seconds: the CPU of one, and the wall's clock for all."""

    cpu: float
    wall: float


def bare_calls(stub: Served, question: bytes, calls: int, in_flight: int, processes: int = 1) -> Bare:
    """Ask the stub so often, the calls and the places for them shared evenly among processes."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        asked = Path(folder) / "question.json"
        asked.write_bytes(question)
        told = [f"http://127.0.0.1:{stub.port}/v1", str(asked), str(calls // processes), str(in_flight // processes)]
        callers = [stack.enter_context(_process(told)) for _ in range(processes)]
        for caller in callers:
            _told(caller)
        began = time.perf_counter()
        for caller in callers:
            _tell(caller)
        cpu = sum(float(_told(caller)) for caller in callers)
        return Bare(cpu / calls, time.perf_counter() - began)


def _process(told: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.reference", *told],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _tell(caller: "subprocess.Popen[str]") -> None:
    assert caller.stdin is not None
    caller.stdin.write("go\n")
    caller.stdin.flush()


def _told(caller: "subprocess.Popen[str]") -> str:
    assert caller.stdout is not None
    line = caller.stdout.readline()
    if not line:
        raise DidNotStart("The process that was to make bare calls ended; what it said stands above.")
    return line


async def _called(url: str, body: dict[str, Any], calls: int, in_flight: int) -> float:
    async with AsyncOpenAI(
        base_url=url, api_key="benchmark", max_retries=0, http_client=DefaultAioHttpClient()
    ) as client:
        places = asyncio.Semaphore(in_flight)

        async def call() -> None:
            async with places:
                await client.chat.completions.create(**body)

        await asyncio.gather(*(call() for _ in range(in_flight)))
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.process_time()
        await asyncio.gather(*(call() for _ in range(calls)))
        return time.process_time() - began


def main() -> None:
    url, body, calls, in_flight = sys.argv[1:]
    print(asyncio.run(_called(url, json.loads(Path(body).read_text()), int(calls), int(in_flight))), flush=True)


if __name__ == "__main__":
    main()
