"""Which tasks are asked at once in a worker? As many as its window holds now, by rank."""

import asyncio
import heapq
import itertools
from collections.abc import Callable


class Gate:
    """Lets so many in. Of those who wait, the lowest rank goes first, and of one rank whoever came first."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._inside = 0
        self._arrivals = itertools.count()
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def empty(self) -> bool:
        return not self._inside

    async def enter(self, rank: int = 0) -> None:
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (rank, next(self._arrivals), ticket))
        self.admit()
        try:
            await ticket
        except asyncio.CancelledError:
            if not ticket.cancelled():
                self.leave()  # let in, in the same turn of the loop as the cancellation
            raise

    def leave(self) -> None:
        self._inside -= 1
        self.admit()

    def admit(self) -> None:
        while self._waiting and self._inside < self._most():
            _, _, ticket = heapq.heappop(self._waiting)
            if not ticket.done():
                self._inside += 1
                ticket.set_result(None)
