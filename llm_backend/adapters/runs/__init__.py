"""What goes on after the request has ended? One protocol, `Engine`, and two engines: `local` and `rq`.

An engine is handed its work: how one task is asked. It decides when and where, and keeps the store informed.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_backend.adapters.store import Kept, Settled
from llm_backend.core.run import RunTask, Spec

Work = Callable[[Spec, RunTask], Awaitable[Settled]]
"""Asks for one task. A failure of the task is a `Settled` with its reason.

Raises:
    KeyRefused: Key, rights, quota or model: no task of the run would fare better.
"""

Heard = Callable[[str], None]
"""Is told the digest of a question that is settled, as soon as it is; on the event loop."""


def unheard(digest: str) -> None:
    """For who wants to know nothing before the end."""


@dataclass(frozen=True, slots=True)
class Question:
    """A task's data under a version: what is asked once, whoever asks."""

    project: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class Questions(Collection[Question]):
    """Many questions of one version, each made when it is looked at: a request may wait for fifty thousand."""

    project: str
    version: str
    digests: Collection[str]

    def __len__(self) -> int:
        return len(self.digests)

    def __iter__(self) -> Iterator[Question]:
        return (Question(self.project, self.version, digest) for digest in self.digests)

    def __contains__(self, question: object) -> bool:
        return (
            isinstance(question, Question)
            and (question.project, question.version) == (self.project, self.version)
            and question.digest in self.digests
        )


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """What the status page says of an engine.

    Attributes:
        workers: Names of the processes that work on runs.
        queued: Tasks, or chunks of them, that wait for a worker.
        in_flight: Calls under way, where it is known.
    """

    workers: tuple[str, ...]
    queued: int
    in_flight: int | None = None


class Engine(Protocol):
    """Works on runs that the store holds. Every method is called on the event loop."""

    async def start(self, run_id: str) -> None:
        """Work on a run that was added, retried or resumed. Starting one that is under way does no harm."""
        ...

    async def hurry(self, run_id: str, digests: Collection[str]) -> None:
        """Ask for these tasks before all others: somebody opened them."""
        ...

    async def stop(self, run_id: str) -> None:
        """Begin no further calls for a run; the store already says that it is cancelled or paused."""
        ...

    async def wait(
        self, questions: Collection[Question], seconds: float, heard: Heard = unheard
    ) -> Mapping[Question, Kept]:
        """Return when all of these are settled or stopped being waited for, or when the time is up.

        Args:
            heard: Is told what is settled meanwhile; not all of it, where news got lost.
        Returns:
            What came in meanwhile and the store could not take; the store has the rest.
        """
        ...

    async def status(self) -> EngineStatus: ...

    def held_up(self) -> Mapping[str, str]:
        """Runs that wait for the store to take their answers, and its sentence. Any thread may ask."""
        ...

    async def recover(self) -> None:
        """Take up the unfinished runs that a process left behind; paused ones stay so."""
        ...

    async def close(self) -> None:
        """Begin no further calls, let those under way end for a moment, and go."""
        ...
