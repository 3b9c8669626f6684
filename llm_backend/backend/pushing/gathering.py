"""Which answers are still to be pushed, and when does each go?

Answers are gathered for a moment, by project, and pushed by one worker per project. Only their names are held here;
what they say is read from the store when its turn comes.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_backend.adapters.host import HostError
from llm_backend.adapters.runs import Question
from llm_backend.backend.push import PATIENCE, SLICE, Push, PushReport, Sleep, in_vain
from llm_backend.backend.pushing.claims import LEASE, HandingOver, StoreClaim, Storing, shown_within
from llm_backend.backend.pushing.following import Answers, Following
from llm_backend.backend.pushing.targets import Targets
from llm_backend.core.wire import Prediction, TaskId
from llm_backend.errors import BackendError, StoreError

log = logging.getLogger(__name__)

GATHER = 1.0
"""Seconds for which answers are gathered before they are pushed."""

_MOST_WAITING = 100_000
_LONGEST_GATHERING = 30.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
_LAST_SLICE = 5.0


class Memory(Answers, HandingOver, Protocol):
    """What of the store is needed here."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An answer that is still to be pushed, since when (seconds since 1970)."""

    digest: str
    since: float


Group = dict[int, _Waiting]
"""What is still to be pushed of one version, by task."""


class Pushing:
    """Gathers answers and pushes them, project by project. All methods are called on the event loop."""

    def __init__(
        self,
        store: Memory,
        targets: Targets,
        push: Push | None = None,
        *,
        gather: float = GATHER,
        most: int = SLICE,
        patience: float = PATIENCE,
        lease: float = LEASE,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """
        Args:
            gather: Seconds to wait for more before a push.
            most: Answers pushed at once; so many do not wait for more.
            patience: Seconds for which a host or a store that is away is tried again.
            lease: Seconds after which what this process was storing is free, if it dies.
            clock: Seconds since 1970, as the store counts them.
            call_later: Calls something in so many seconds; the running loop does, unless another is given.
        """
        self._store = store
        self._targets = targets
        self._push = push or Push(sleep=sleep)
        self._gather = gather
        self._most = most
        self._patience = patience
        self._lease = lease
        self._clock = clock
        self._sleep = sleep
        self._waiting: dict[str, dict[str, Group]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._reports: dict[str, PushReport] = {}
        self._storing = Storing()
        self._following = Following(store, self.settled, sleep)
        self._call_later = call_later
        self._closing = False

    @property
    def reports(self) -> Mapping[str, PushReport]:
        """What became of the answers so far, by project."""
        return self._reports

    def waiting(self, project: str) -> int:
        """How many answers of a project are still to be pushed."""
        return sum(len(group) for group in self._waiting.get(project, {}).values())

    def settled(self, question: Question, task: TaskId | None) -> None:
        """An answer is in the store, and no request waits for it: push it, unless the host has it."""
        if self._closing or not isinstance(task, int):
            return
        project = question.project
        if self.waiting(project) >= _MOST_WAITING:
            self._note(project, PushReport(refused=1, reason="Too many predictions wait to be pushed."))
            return
        group = self._waiting.setdefault(project, {}).setdefault(question.version, {})
        group[task] = _Waiting(question.digest, self._clock())
        if project not in self._workers:
            self._workers[project] = asyncio.ensure_future(self._work(project))

    def handed(self, answers: Collection[tuple[Question, TaskId | None]]) -> None:
        """A request was given these answers. Whether the host took them is looked at when it has had time to.

        A host that hung up before is told in no other way.
        """

        def look() -> None:
            for question, task in answers:
                self.settled(question, task)

        call_later = self._call_later or asyncio.get_running_loop().call_later
        call_later(shown_within(len(answers)), look)

    def follow(self, project: str, version: str, tasks: Mapping[str, TaskId | None]) -> None:
        """A request has gone without these answers: push each when it is in the store, while a run is to bring it.

        Whichever process works on the run, the store tells.

        Args:
            tasks: By digest.
        """
        if not self._closing:
            self._following.follow(project, version, tasks)

    async def wait(self, questions: Collection[Question], seconds: float) -> None:
        """Return when none of these is being stored at this moment, or when the time is up.

        A request waits here before it is given answers, so that the host gets each from one of us alone.
        """
        await self._storing.wait(questions, seconds)

    async def idle(self) -> None:
        """Return when nothing is followed, waits to be pushed, or is being pushed."""
        while working := [*self._following.working, *self._workers.values()]:
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Take no more, let what is being stored end, and go. What was not pushed is kept by the store."""
        self._closing = True
        await self._following.close()
        for project, worker in self._workers.items():
            if project not in self._storing.projects:
                worker.cancel()
        workers = [*self._workers.values()]
        if workers:
            await asyncio.wait(workers, timeout=_LAST_SLICE)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        # One that was cancelled before it began has cleared nothing up.
        self._workers.clear()
        self._waiting.clear()

    async def _work(self, project: str) -> None:
        """Push what waits for a project until nothing does."""
        try:
            took = 0.0
            while self.waiting(project) and not self._closing:
                if self.waiting(project) < self._most:
                    # A host that is slow to store gets as much time to itself as we took of it.
                    await self._sleep(min(max(self._gather, took), _LONGEST_GATHERING))
                began = self._clock()
                await self._push_some(project)
                took = self._clock() - began
        finally:
            self._waiting.pop(project, None)
            self._workers.pop(project, None)

    async def _push_some(self, project: str) -> None:
        version, tasks = self._next(project)
        try:
            report = await self._push_in_time(project, version, tasks)
        except BackendError as exc:
            report = PushReport(refused=len(tasks), reason=exc.sentence)
        # Any fault: it would end the project's worker without a word, and with it every push that waits.
        except Exception:
            log.exception("push project=%s: a fault of ours", project)
            report = PushReport(refused=len(tasks), reason="A fault of ours; the log has it.")
        self._note(project, report)

    def _next(self, project: str) -> tuple[str, Group]:
        """Take what is pushed next, from the version that waits longest."""
        groups = self._waiting[project]
        version, group = next(iter(groups.items()))
        tasks = {task: group.pop(task) for task in list(group)[: self._most]}
        if not group:
            del groups[version]
        return version, tasks

    async def _push_in_time(self, project: str, version: str, tasks: Group) -> PushReport:
        """Push, though the host or the store be away for a while."""
        deadline = min(waiting.since for waiting in tasks.values()) + self._patience
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._pushed(project, version, tasks, deadline)
            except (HostError, StoreError) as exc:
                if (isinstance(exc, HostError) and in_vain(exc)) or self._clock() + pause > deadline:
                    raise
                log.warning("push project=%s waits for %g s: %s", project, pause, exc.logged)
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _pushed(self, project: str, version: str, tasks: Group, deadline: float) -> PushReport:
        target = await self._targets.find(project)
        digests = {task: waiting.digest for task, waiting in tasks.items()}
        kept = await asyncio.to_thread(self._store.kept, project, version, digests.values())
        predictions = [
            (task, Prediction.from_json(known.prediction))
            for task, digest in digests.items()
            if (known := kept.get(digest)) is not None and known.prediction is not None
        ]
        claim = StoreClaim(self._store, self._storing, project, version, digests, self._lease)
        return await self._push.push(target, version, predictions, claim, max(0.0, deadline - self._clock()))

    def _note(self, project: str, report: PushReport) -> None:
        before = self._reports.get(project, PushReport())
        self._reports[project] = before + report
        level = logging.WARNING if report.reason and report.reason != before.reason else logging.INFO
        if report == PushReport(refused=report.refused, reason=before.reason):
            level = logging.DEBUG  # the same refusal again
        log.log(
            level,
            "push project=%s stored=%d singly=%d there=%d gone=%d dropped=%d refused=%d %s",
            project,
            report.stored,
            report.singly,
            report.already_there,
            report.gone,
            report.dropped,
            report.refused,
            report.reason,
        )
