"""When are answers written, and who is told?"""

import asyncio
import time
from collections.abc import Callable

from llm_backend.adapters.runs.rq.settling import Batch, Settling
from llm_backend.adapters.store import Kept, Settled
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import RunState, Spec

_SPEC = Spec("1.1", "v", "<View/>", Prompt("p", "saved"), Parameters())
_ROUNDS = 30
"""Of the event loop: more than any step takes that waits for no time to pass."""


def _played(count: int, last: Callable[[int], bool]) -> tuple[list[int], list[str]]:
    """Let answers come in one moment; how many were in each write of that moment, and what those were told who came.

    Args:
        last: Whether the one that came as this number is the last.
    """
    written: list[int] = []
    come = 0

    async def write(batches: list[Batch]) -> list[RunState]:
        written.extend(len(batch.settled) for batch in batches)
        return ["running" for _ in batches]

    async def play() -> list[str]:
        nonlocal come
        settling, told = Settling(write, lambda: last(come)), list[str]()

        async def settle(number: int) -> None:
            nonlocal come
            come = number
            settled = Settled(Kept(f"t{number}", {"result": []}, "", False, time.time()))
            told.append(await settling.settle("run", _SPEC, settled))

        coming = [asyncio.create_task(settle(number)) for number in range(count)]
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
        now = list(told)
        await asyncio.gather(*coming)
        assert len(told) == count
        return now

    now = asyncio.run(play())
    return written, now


def test_answers_of_a_moment_are_written_together() -> None:
    written, now = _played(5, lambda number: False)
    assert written == [5]
    assert now == []


def test_where_no_other_is_to_come_nothing_is_waited_for() -> None:
    written, now = _played(5, lambda number: number == 4)
    assert written == [5]
    assert now == ["running"] * 5
