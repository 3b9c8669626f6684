"""Who hands an answer to the host now: we, by pushing it, or a request that is given it?"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from llm_backend.adapters.runs import Question

ON_ITS_WAY = 10.0
"""Seconds for which a prediction that a request was given may be on its way into the host."""

# What we are storing now is given to no request of another process that began before this many seconds have passed: it
# knows nothing of our storing, which is rarely over sooner than a request is answered from what is kept.
_STORING = 4.0


class HandingOver(Protocol):
    """What of the store is needed here."""

    def give(
        self, project: str, version: str, digests: Iterable[str], asked: float, *, ahead: float = 0.0
    ) -> set[str]: ...


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
    """A claim that requests and other processes see: to push an answer counts in the store as to hand it over."""

    def __init__(
        self,
        store: HandingOver,
        storing: Storing,
        project: str,
        version: str,
        digests: Mapping[int, str],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._storing = storing
        self._project = project
        self._version = version
        self._digests = digests
        self._clock = clock
        self._taken: set[int] = set()
        self._ours: set[int] = set()
        self._ours_at = 0.0

    async def take(self, tasks: Collection[int]) -> set[int]:
        # Requests of this process that come now wait; those of all processes that wait already are given nothing.
        self._taken = set(tasks)
        self._storing.begin(self._questions(self._taken))
        try:
            # An earlier claim of our own, on a slice that did not get through, is no obstacle.
            given = await self._give(self._taken - self._ours, self._clock() - ON_ITS_WAY, _STORING)
            given |= await self._give(self._taken & self._ours, self._ours_at, _STORING)
        except BaseException:
            await self._let_go(self._taken)
            raise
        self._ours, self._ours_at = given, self._clock() + _STORING
        await self._let_go(self._taken - given)
        return given

    async def release(self, stored: Collection[int]) -> None:
        try:
            # Requests that began meanwhile are given nothing: the host has it.
            await self._give(stored, self._clock())
        finally:
            await self._let_go(self._taken)

    async def _let_go(self, tasks: set[int]) -> None:
        self._taken = self._taken - tasks
        await self._storing.end(self._questions(tasks))

    async def _give(self, tasks: Collection[int], asked: float, ahead: float = 0.0) -> set[int]:
        if not tasks:
            return set()
        by_digest = {self._digests[task]: task for task in tasks}
        given = await asyncio.to_thread(
            self._store.give, self._project, self._version, list(by_digest), asked, ahead=ahead
        )
        return {by_digest[digest] for digest in given}

    def _questions(self, tasks: Collection[int]) -> set[Question]:
        return {Question(self._project, self._version, self._digests[task]) for task in tasks}
