"""May this call go now? (lane, concurrency)"""

import asyncio
from collections import deque
from types import TracebackType

from llm_backend.core.chat import Lane


class Limits:
    """Places for model calls: batch calls wait for one, first come first served; interactive calls never wait.

    An interactive call still takes a place, so that batch calls make room for it. Made anywhere, used in one event
    loop and only there, which is why no lock is needed.

    Attributes:
        concurrency: Calls in flight at which batch calls begin to wait.
        in_flight: Calls that hold a place now.
    """

    def __init__(self, concurrency: int) -> None:
        self.concurrency = concurrency
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Batch calls that wait for a place now."""
        return sum(not ticket.done() for ticket in self._waiting)

    def place(self, lane: Lane) -> "Place":
        """A place for one call: `async with limits.place("batch"): ...`"""
        return Place(self, lane)

    async def _take(self, lane: Lane) -> None:
        # A free place means that nobody waits: places that come free are given to those who do, at once.
        if lane == "interactive" or self.in_flight < self.concurrency:
            self.in_flight += 1
            return
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(ticket)
        try:
            await ticket
        except asyncio.CancelledError:
            if not ticket.cancelled():
                self._give_back()  # the place came in the same turn of the loop as the cancellation
            raise

    def _give_back(self) -> None:
        self.in_flight -= 1
        # The place is taken here, not when the waiting call wakes: nobody can slip in between.
        while self._waiting and self.in_flight < self.concurrency:
            ticket = self._waiting.popleft()
            if not ticket.done():  # whoever gave up stays in the queue until now: leaving from the middle is slow
                self.in_flight += 1
                ticket.set_result(None)


class Place:
    """One call's place, held while the `async with` block runs."""

    __slots__ = ("_lane", "_limits")

    def __init__(self, limits: Limits, lane: Lane) -> None:
        self._limits = limits
        self._lane = lane

    async def __aenter__(self) -> None:
        await self._limits._take(self._lane)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limits._give_back()
