"""Who waits for which questions, and what are they told?"""

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping

from llm_backend.adapters.runs import Heard, Question
from llm_backend.adapters.store import Kept, Store
from llm_backend.errors import BackendError

log = logging.getLogger(__name__)

_LOOKED_UP_AT_ONCE = 2000

Scope = tuple[str, str]
"""A project and a version."""


class _Waiter:
    """Somebody who waits for questions: which are open, and what came in that the store does not hold.

    A request may wait for fifty thousand, so that nothing is made for each.
    """

    def __init__(self, questions: Iterable[Question], heard: Heard) -> None:
        self.open: dict[Scope, set[str]] = {}
        self.answered: dict[Question, Kept] = {}
        self.over = asyncio.Event()
        self._heard = heard
        for question in questions:
            self.open.setdefault((question.project, question.version), set()).add(question.digest)

    def tell(self, scope: Scope, digest: str, kept: Kept | None) -> None:
        """A question was answered, or nobody is to answer it any more."""
        digests = self.open.get(scope, set())
        if digest not in digests:
            return
        digests.discard(digest)
        self._heard(digest)
        if kept is not None:
            self.answered[Question(*scope, digest)] = kept
        if not any(self.open.values()):
            self.over.set()


class Waiters:
    """All who wait, on one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[Scope, set[_Waiter]] = {}
        self._letting_go: set[asyncio.Task[None]] = set()

    async def wait(self, questions: Collection[Question], seconds: float, heard: Heard) -> Mapping[Question, Kept]:
        """Return when every question is over, or the time is up: the answers that the store does not hold."""
        waiter = _Waiter(questions, heard)
        for scope in waiter.open:
            self._waiting.setdefault(scope, set()).add(waiter)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                for scope in waiter.open:
                    await self._tell_what_is_over(waiter, scope)
                await waiter.over.wait() if questions else None
        except TimeoutError:
            pass
        finally:
            for scope in waiter.open:
                self._leave(scope, waiter)
        return waiter.answered

    def tell(self, scope: Scope, digest: str, kept: Kept | None) -> None:
        """A question was answered, or nobody is to answer it any more.

        Args:
            kept: The answer, where the store does not hold it.
        """
        for waiter in tuple(self._waiting.get(scope, ())):
            waiter.tell(scope, digest, kept)

    def let_go(self, scope: Scope, run_id: str, asking: Collection[str]) -> None:
        """A run asks no more; tell those who wait for it, though other runs of the same version may go on.

        Args:
            asking: What it asks at this moment, which is still to be told.
        """
        if scope in self._waiting:
            letting_go = asyncio.ensure_future(self._let_go(scope, run_id, asking))
            self._letting_go.add(letting_go)
            letting_go.add_done_callback(self._letting_go.discard)

    def close(self) -> None:
        for task in self._letting_go:
            task.cancel()

    async def _let_go(self, scope: Scope, run_id: str, asking: Collection[str]) -> None:
        for waiter in tuple(self._waiting.get(scope, ())):
            await self._tell_what_is_over(waiter, scope, run_id, asking)

    async def _tell_what_is_over(
        self, waiter: _Waiter, scope: Scope, dropped: str = "", asking: Collection[str] = ()
    ) -> None:
        """Tell of questions that no run is to answer any more: some were settled just before somebody came to wait."""
        digests = tuple(waiter.open[scope])
        for first in range(0, len(digests), _LOOKED_UP_AT_ONCE):
            some = digests[first : first + _LOOKED_UP_AT_ONCE]
            try:
                waited_for = await asyncio.to_thread(self._store.runs_waiting_for, *scope, some)
            except BackendError as exc:
                log.warning("project=%s: what waits cannot be seen now: %s", scope[0], exc.logged)
                return
            for digest in some:
                run_id = waited_for.get(digest)
                if digest not in asking and (run_id is None or run_id == dropped):
                    waiter.tell(scope, digest, None)

    def _leave(self, scope: Scope, waiter: _Waiter) -> None:
        waiters = self._waiting.get(scope, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiting.pop(scope, None)
