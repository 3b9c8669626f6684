"""How many tasks are asked at once in a worker? As many as its window holds now; opened ones pass the others."""

import asyncio
from collections import deque
from collections.abc import Callable


class Gate:
    """Lets so many in. Of those who wait, whoever is urgent goes first."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, urgent: bool = False) -> None:
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if urgent else self._waiting.append)(ticket)
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
            ticket = self._waiting.popleft()
            if not ticket.done():
                self._inside += 1
                ticket.set_result(None)
