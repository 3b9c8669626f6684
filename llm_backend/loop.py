"""Where does everything asynchronous run? On one event loop per process, in a thread of its own."""

import asyncio
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
    """Lets one connection a round go on, of those that are ready; none again before all of them had their turn.

    A loop runs all that is ready before it looks for more. Where fifty answers come in one moment, and each takes some
    steps until its successor is asked, the first would be done only a step before the fiftieth. In turn, half of them
    are done in half of the time, and whatever else wants the loop waits for one step and not for fifty.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ready: dict[int, tuple[selectors.SelectorKey, int]] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if not self._ready:
            self._ready = {event[0].fd: event for event in super().select(timeout)}
        first = next(iter(self._ready), None)
        return [] if first is None else [self._ready.pop(first)]

    # What was ready is looked at anew where the loop now waits for something else, or for nothing: a number that was
    # given back may be another connection's by the time its turn comes.

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = super().modify(fileobj, events, data)
        self._ready.pop(key.fd, None)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        key = super().unregister(fileobj)
        self._ready.pop(key.fd, None)
        return key


async def _cancel_all() -> None:
    running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
