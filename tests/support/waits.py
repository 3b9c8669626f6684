"""Time that passes only in pauses, which are written down."""

import asyncio
from collections.abc import Callable


class Pauses:
    """A clock and a sleep that belong together.

    Attributes:
        taken: The seconds of each pause.
        then: Is called in each pause.
    """

    def __init__(self, start: float = 1_000_000.0) -> None:
        self.now = start
        self.taken: list[float] = []
        self.then: Callable[[], object] = lambda: None

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)
        self.now += seconds
        self.then()
        await asyncio.sleep(0)
