"""What do comparisons come to that are asked in both orders?"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

from llm_backend.core.answers import Reading
from llm_backend.core.controls.base import Control
from llm_backend.core.controls.comparing import Comparison
from llm_backend.core.scores import over_orders
from llm_backend.errors import TaskError

Again = tuple[Mapping[str, Control], Awaitable[Reading]]
"""The comparisons that are asked in another order, by the key of their field, and the asking."""


async def in_all_orders(asking: Awaitable[Reading], again: Sequence[Again]) -> Reading:
    """Ask in all orders at once, and hold the answer against the others.

    Where another order brings no answer for good (a refusal, say), what it was asked for is as good as not answered.

    Raises:
        BackendError: What became of the question itself, or a fault of the others that may pass.
    """
    found = await asyncio.gather(asking, *(other for _, other in again), return_exceptions=True)
    reading, *others = found
    for one in found:
        if isinstance(one, BaseException) and (one is reading or not (isinstance(one, TaskError) and one.lasting)):
            raise one
    assert isinstance(reading, Reading)
    for (asked, _), other in zip(again, others, strict=True):
        for key, control in asked.items():
            if isinstance(control, Comparison):
                _weigh(reading, key, control, other)
    return reading


def _weigh(reading: Reading, key: str, control: Comparison, other: Reading | BaseException) -> None:
    """Settle a comparison. What was not answered in the first order has its fault already."""
    answer = reading.answer(key)
    if answer is None:
        return
    again = other.answer(key) if isinstance(other, Reading) else None
    if again is None:
        why = other.faults.get(key, "") if isinstance(other, Reading) else str(other)
        reading.settle(
            key, [], None, f'"{control.name}" stays empty, for the other order brought no answer. {why}'.strip()
        )
        return
    verdict = control.weigh(answer[0], again[0])
    reading.settle(key, verdict.regions, over_orders((answer[1], again[1]), verdict.share), verdict.sentence)
