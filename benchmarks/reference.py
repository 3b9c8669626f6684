"""What does a call cost that does nothing else? The bare openai SDK against the stub, in a process of its own.

    python -m benchmarks.reference URL BODY.json CALLS IN_FLIGHT

prints the CPU milliseconds per call. Figures of the server divided by it can be compared between machines.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from openai import AsyncOpenAI, DefaultAioHttpClient


async def _cpu_per_call(url: str, body: dict[str, Any], calls: int, in_flight: int) -> float:
    async with AsyncOpenAI(
        base_url=url, api_key="benchmark", max_retries=0, http_client=DefaultAioHttpClient()
    ) as client:
        places = asyncio.Semaphore(in_flight)

        async def call() -> None:
            async with places:
                await client.chat.completions.create(**body)

        await asyncio.gather(*(call() for _ in range(in_flight)))
        began = time.process_time()
        await asyncio.gather(*(call() for _ in range(calls)))
        return (time.process_time() - began) / calls


def main() -> None:
    url, body, calls, in_flight = sys.argv[1:]
    seconds = asyncio.run(_cpu_per_call(url, json.loads(Path(body).read_text()), int(calls), int(in_flight)))
    print(1000 * seconds)


if __name__ == "__main__":
    main()
