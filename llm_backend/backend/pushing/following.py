"""Which answers do runs still bring for requests that have gone without them?"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from llm_backend.adapters.runs import Question
from llm_backend.adapters.store import Kept
from llm_backend.backend.push import Sleep
from llm_backend.core.wire import TaskId
from llm_backend.errors import BackendError

log = logging.getLogger(__name__)

# Of what is still to be answered so many are looked for at once, first and at least so often (seconds).
_LOOKED_FOR = 2000
_FIRST_LOOK = 1.0
_LONGEST_LOOK = 10.0


class Answers(Protocol):
    """What of the store is needed here."""

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]: ...

    def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]: ...


class Following:
    """Looks in the store for answers while a run is to bring them, whichever process works on it.

    All methods are called on the event loop.
    """

    def __init__(self, store: Answers, settled: Callable[[Question, int], None], sleep: Sleep) -> None:
        """
        Args:
            settled: Is told of each answer, and of its task.
        """
        self._store = store
        self._settled = settled
        self._sleep = sleep
        self._followed: dict[tuple[str, str], list[dict[str, int]]] = {}
        self._followers: set[asyncio.Task[None]] = set()

    def follow(self, project: str, version: str, tasks: Mapping[str, TaskId | None]) -> None:
        """A request has gone without these answers: tell of each when it is in the store.

        Args:
            tasks: By digest.
        """
        followed = self._followed.get((project, version), [])
        fresh = {
            digest: task
            for digest, task in tasks.items()
            if isinstance(task, int) and not any(digest in one for one in followed)
        }
        if fresh:
            self._followed.setdefault((project, version), followed).append(fresh)
            follower = asyncio.ensure_future(self._follow(project, version, fresh))
            self._followers.add(follower)
            follower.add_done_callback(self._followers.discard)

    @property
    def working(self) -> frozenset[asyncio.Task[None]]:
        """What looks for answers now; each ends when all of its own are there, or no run is to bring them."""
        return frozenset(self._followers)

    async def close(self) -> None:
        """Look for no more. What was not told of is kept by the store."""
        followers = self.working
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)

    async def _follow(self, project: str, version: str, left: dict[str, int]) -> None:
        pause = _FIRST_LOOK
        while left:
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_LOOK)
            some = list(left)[:_LOOKED_FOR]
            try:
                ended, answered = await asyncio.to_thread(self._look, project, version, some)
            except BackendError as exc:
                log.warning("push project=%s: what was answered cannot be seen now: %s", project, exc.logged)
                continue
            for digest in ended:
                task = left.pop(digest)
                if digest in answered:
                    self._settled(Question(project, version, digest), task)
            if ended:
                pause = _FIRST_LOOK
        self._followed[project, version].remove(left)
        if not self._followed[project, version]:
            del self._followed[project, version]

    def _look(self, project: str, version: str, digests: list[str]) -> tuple[list[str], set[str]]:
        """Which of these no run is to bring any more, and which of those were answered."""
        waited_for = self._store.runs_waiting_for(project, version, digests)
        ended = [digest for digest in digests if digest not in waited_for]
        kept = self._store.kept(project, version, ended) if ended else {}
        return ended, {digest for digest, known in kept.items() if known.prediction is not None}
