"""Where does everything asynchronous run? On one event loop per process, in a thread of its own."""

import asyncio
import itertools
import selectors
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Loop:
    """The process's one event loop, in a thread of its own, which other threads cross into here."""

    def __init__(self) -> None:
        self._loop = asyncio.SelectorEventLoop(InTurn())
        self._thread = threading.Thread(target=self._loop.run_forever, name="event-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for what it returns or raises."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def close(self) -> None:
        """End what still runs, then the loop. Closing twice does no harm."""
        if self._loop.is_closed():
            return
        self.run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class InTurn(selectors.DefaultSelector):
    """Lets one connection a round go on: of those that are ready, the one whose turn is longest ago.

    A loop runs all that is ready before it looks for more. Where fifty answers come in one moment, and each takes some
    steps until its successor is asked, the first would be done only a step before the fiftieth. In turn, half of them
    are done in half of the time, and whatever else wants the loop waits for one step and not for fifty.
    """

    def __init__(self) -> None:
        super().__init__()
        self._turns = itertools.count(1)
        self._last: dict[int, int] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout)
        if len(ready) > 1:
            ready = [min(ready, key=lambda event: self._last.get(event[0].fd, 0))]
        for key, _ in ready:
            self._last[key.fd] = next(self._turns)
        return ready


async def _cancel_all() -> None:
    running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
