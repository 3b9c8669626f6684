"""Who hands an answer to the host now: we, by pushing it, or a request that is given it?"""

import asyncio
import logging
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from llm_backend.adapters.runs import Question
from llm_backend.backend.push import UNSURE_PAUSE
from llm_backend.errors import StoreError

log = logging.getLogger(__name__)

# A prediction that was handed over may be on its way for so long; and the host stores those of one answer one after the
# other, and may show them all at the end (seconds for each, on a slow one).
_ON_ITS_WAY = 10.0
_EACH_ON_ITS_WAY = 0.05

LEASE = 15.0
"""Seconds after which what a dead process was storing is free. A living one renews its claim thrice in that time."""

# What was sent to a host that gave no answer is nobody's until it has been looked for.
_UNSURE = UNSURE_PAUSE + 5.0


class HandingOver(Protocol):
    """What of the store is needed here."""

    def hold(self, project: str, version: str, digests: Iterable[str], holder: str, seconds: float) -> set[str]: ...

    def let_go(
        self, project: str, version: str, digests: Iterable[str], holder: str, *, shown_within: float | None = None
    ) -> None: ...


def shown_within(count: int) -> float:
    """Seconds in which the host shows so many predictions that it was handed at once."""
    return _ON_ITS_WAY + _EACH_ON_ITS_WAY * count


class Storing:
    """Which answers are on their way into the host by our own hand, at this moment."""

    def __init__(self) -> None:
        self._questions: set[Question] = set()
        self._changed = asyncio.Condition()

    @property
    def projects(self) -> set[str]:
        return {question.project for question in self._questions}

    def begin(self, questions: Collection[Question]) -> None:
        self._questions |= set(questions)

    async def end(self, questions: Collection[Question]) -> None:
        async with self._changed:
            self._questions -= set(questions)
            self._changed.notify_all()

    async def wait(self, questions: Collection[Question], seconds: float) -> None:
        """Return when none of these is on its way, or when the time is up."""
        if self._questions.isdisjoint(questions):
            return
        wanted = frozenset(questions)
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: wanted.isdisjoint(self._questions))
        except TimeoutError:
            pass


class StoreClaim:
    """A claim that requests and other processes see: the store holds what is being pushed for as long as that takes."""

    def __init__(
        self,
        store: HandingOver,
        storing: Storing,
        project: str,
        version: str,
        digests: Mapping[int, str],
        lease: float = LEASE,
    ) -> None:
        """
        Args:
            digests: By task.
            lease: Seconds after which the claim ends if this process dies.
        """
        self._store = store
        self._storing = storing
        self._project = project
        self._version = version
        self._digests = digests
        self._lease = lease
        self._holder = secrets.token_hex(8)
        self._taken: set[int] = set()
        self._released = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

    async def take(self, tasks: Collection[int]) -> set[int]:
        # Requests of this process that come now wait; those of all processes are given nothing.
        self._taken = set(tasks)
        self._storing.begin(self._questions(self._taken))
        try:
            held = await self._hold(self._taken, self._lease)
        except BaseException:  # also when we are cancelled: requests would wait for nothing
            await self._end(self._taken)
            raise
        await self._end(self._taken - held)
        if held:
            self._released.clear()
            self._renewing = asyncio.ensure_future(self._renew(frozenset(held)))
        return held

    async def release(self, stored: Collection[int], unsure: Collection[int] = ()) -> None:
        self._released.set()
        try:
            if self._renewing:
                await self._renewing  # it may be renewing at this moment, which must not come after our letting go
            # Requests that began meanwhile are given nothing: the host has it.
            await self._let_go(stored, shown_within=_ON_ITS_WAY)
            await self._hold(unsure, _UNSURE)
            await self._let_go(self._taken - set(stored) - set(unsure))
        except StoreError as exc:
            log.warning("push project=%s: a claim ends by itself in %g s: %s", self._project, self._lease, exc.logged)
        finally:
            await self._end(self._taken)

    async def _renew(self, tasks: Collection[int]) -> None:
        """Hold them anew, over and over, for the host may take minutes."""
        while not await self._released_within(self._lease / 3):
            try:
                await self._hold(tasks, self._lease)
            except StoreError as exc:
                log.warning("push project=%s: a claim was not renewed: %s", self._project, exc.logged)

    async def _released_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._released.wait()
        except TimeoutError:
            return False

    async def _hold(self, tasks: Collection[int], seconds: float) -> set[int]:
        by_digest = {self._digests[task]: task for task in tasks}
        about = (self._project, self._version, list(by_digest), self._holder, seconds)
        held = await asyncio.to_thread(self._store.hold, *about) if by_digest else set()
        return {by_digest[digest] for digest in held}

    async def _let_go(self, tasks: Collection[int], *, shown_within: float | None = None) -> None:
        digests = [self._digests[task] for task in tasks]
        if digests:
            about = (self._project, self._version, digests, self._holder)
            await asyncio.to_thread(self._store.let_go, *about, shown_within=shown_within)

    async def _end(self, tasks: set[int]) -> None:
        self._taken = self._taken - tasks
        await self._storing.end(self._questions(tasks))

    def _questions(self, tasks: Collection[int]) -> set[Question]:
        return {Question(self._project, self._version, self._digests[task]) for task in tasks}
