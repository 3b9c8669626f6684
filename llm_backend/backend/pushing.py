"""Which answers are still to be pushed, where to, and who pushes them now?

Answers are gathered for a moment, by project, and pushed by one worker per project. Only their names are held here;
what they say is read from the store when its turn comes.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from llm_backend.adapters.host import Guest, Host, HostError
from llm_backend.adapters.host.predictions import created_at
from llm_backend.adapters.runs import Question
from llm_backend.adapters.store import Kept, Project
from llm_backend.backend.push import PATIENCE, SLICE, Push, PushReport, Sleep, Target, in_vain
from llm_backend.core.wire import Prediction, TaskId, project_key
from llm_backend.errors import BackendError

log = logging.getLogger(__name__)

GATHER = 1.0
"""Seconds for which answers are gathered before they are pushed."""

_MOST_WAITING = 100_000
# What was found about a project at a host stands so long (seconds): tokens and rights are mended by people.
_FINDING_STANDS = 600.0
_MOST_GUESTS = 32
_LONGEST_GATHERING = 30.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# A prediction handed to a request so lately (seconds) may be on its way into the host, which stores those of one answer
# one after the other (seconds for each, on a slow one).
_ON_ITS_WAY = 10.0
_EACH_ON_ITS_WAY = 0.05
_LAST_SLICE = 5.0
# What we are storing now is given to no request of another process that began before this many seconds have passed: it
# knows nothing of our storing, which is rarely over sooner than a request is answered from what is kept.
_STORING = 4.0
# Of what is still to be answered so many are looked for at once, at least so often (seconds).
_LOOKED_FOR = 2000
_LONGEST_LOOK = 10.0


class Memory(Protocol):
    """What of the store is needed here."""

    def project(self, key: str) -> Project: ...

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]: ...

    def give(
        self, project: str, version: str, digests: Iterable[str], asked: float, *, ahead: float = 0.0
    ) -> set[str]: ...

    def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a host said when it was asked for a project, and until when that stands."""

    found: Target | HostError
    ends: float


class Targets:
    """Finds the Label Studio in which a project lives, and whose token opens it.

    That is LABEL_STUDIO_URL with the operator's key; else the hostname of /setup with the token of that /setup. Each
    is asked once for the project, which must be the very one: ids repeat from one Label Studio to the next.
    """

    def __init__(
        self,
        store: Memory,
        own: Host | None = None,
        allowed: Collection[str] = (),
        *,
        guest: Callable[[str, str, Collection[str]], Host] = Guest,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            own: Label Studio at LABEL_STUDIO_URL. Whoever made it closes it.
            allowed: Hosts of /setup, alone or as host:port, that may be private.
            guest: Makes a host of /setup's hostname and token.
        """
        self._store = store
        self._own = own if own and own.has_key else None
        self._allowed = frozenset(allowed) | ({f"{own.url.raw_host}:{own.url.port}"} if own else set())
        self._guest = guest
        self._clock = clock
        self._guests: OrderedDict[tuple[str, str], Host] = OrderedDict()
        self._findings: dict[tuple[Host, str], _Finding] = {}

    async def find(self, project: str) -> Target:
        """Where to store the project's predictions.

        Args:
            project: The whole key, as the host sends it.

        Raises:
            HostError: There is nowhere, and why; or it cannot be asked now.
        """
        refusal = None
        if self._own:
            try:
                return await self._ask(self._own, project)
            except HostError as exc:
                if not in_vain(exc):
                    raise
                refusal = exc
        try:
            return await self._ask(await self._of_setup(project), project)
        except HostError as exc:
            raise (refusal if refusal and in_vain(exc) else exc) from exc

    async def close(self) -> None:
        for host in self._guests.values():
            await host.close()

    async def _of_setup(self, project: str) -> Host:
        known = self._store.project(project)
        if not known.hostname or not known.access_token:
            raise HostError("To push predictions, set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.", lasting=True)
        key = (known.hostname, known.access_token)
        if key not in self._guests:
            self._guests[key] = self._guest(*key, self._allowed)
        self._guests.move_to_end(key)
        if len(self._guests) > _MOST_GUESTS:
            gone = self._guests.popitem(last=False)[1]
            self._findings = {asked: told for asked, told in self._findings.items() if asked[0] is not gone}
            await gone.close()
        return self._guests[key]

    async def _ask(self, host: Host, project: str) -> Target:
        """Look for the project there; an answer that would be the same in a moment is remembered for a while."""
        told = self._findings.get((host, project))
        if told is None or self._clock() >= told.ends:
            told = _Finding(await _look(host, project), self._clock() + _FINDING_STANDS)
            self._findings[host, project] = told
        if isinstance(told.found, HostError):
            raise HostError(told.found.sentence, told.found.lasting, told.found.answered)
        return told.found


async def _look(host: Host, project: str) -> Target | HostError:
    """The project at this host, or why it is not to be had there.

    Raises:
        HostError: The host cannot be asked now.
    """
    ident = project.partition(".")[0]
    if not ident.isdecimal():
        return HostError("The project's key does not begin with a number, so it cannot be found.", lasting=True)
    try:
        made = await created_at(host, int(ident))
    except HostError as exc:
        if in_vain(exc):
            return exc
        raise
    if project_key({"id": int(ident), "created_at": made}) != project:
        return HostError(f"{host.url.origin()} has another project {ident} than the one that asks us.", lasting=True)
    return Target(host, int(ident))


class _Storing:
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
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """
        Args:
            gather: Seconds to wait for more before a push.
            most: Answers pushed at once; so many do not wait for more.
            patience: Seconds for which a host that is down is looked for.
            clock: Seconds since 1970, as the store counts them.
            call_later: Calls something in so many seconds; the running loop does, unless another is given.
        """
        self._store = store
        self._targets = targets
        self._push = push or Push(sleep=sleep)
        self._gather = gather
        self._most = most
        self._patience = patience
        self._clock = clock
        self._sleep = sleep
        self._waiting: dict[str, dict[str, Group]] = {}
        self._workers: dict[str, asyncio.Task[None]] = {}
        self._reports: dict[str, PushReport] = {}
        self._storing = _Storing()
        self._followed: dict[tuple[str, str], list[dict[str, int]]] = {}
        self._followers: set[asyncio.Task[None]] = set()
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
        call_later(_ON_ITS_WAY + _EACH_ON_ITS_WAY * len(answers), look)

    def follow(self, project: str, version: str, tasks: Mapping[str, TaskId | None]) -> None:
        """A request has gone without these answers: push each when it is in the store, while a run is to bring it.

        Whichever process works on the run, the store tells.

        Args:
            tasks: By digest.
        """
        followed = self._followed.get((project, version), [])
        fresh = {
            digest: task
            for digest, task in tasks.items()
            if isinstance(task, int) and not any(digest in one for one in followed)
        }
        if fresh and not self._closing:
            self._followed.setdefault((project, version), followed).append(fresh)
            follower = asyncio.ensure_future(self._follow(project, version, fresh))
            self._followers.add(follower)
            follower.add_done_callback(self._followers.discard)

    async def wait(self, questions: Collection[Question], seconds: float) -> None:
        """Return when none of these is being stored at this moment, or when the time is up.

        A request waits here before it is given answers, so that the host gets each from one of us alone.
        """
        await self._storing.wait(questions, seconds)

    async def idle(self) -> None:
        """Return when nothing is followed, waits to be pushed, or is being pushed."""
        while working := [*self._followers, *self._workers.values()]:
            await asyncio.wait(working, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Take no more, let what is being stored end, and go. What was not pushed is kept by the store."""
        self._closing = True
        for follower in self._followers:
            follower.cancel()
        for project, worker in self._workers.items():
            if project not in self._storing.projects:
                worker.cancel()
        workers = [*self._followers, *self._workers.values()]
        if workers:
            await asyncio.wait(workers, timeout=_LAST_SLICE)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        # One that was cancelled before it began has cleared nothing up.
        self._workers.clear()
        self._waiting.clear()

    async def _follow(self, project: str, version: str, left: dict[str, int]) -> None:
        pause = _FIRST_PAUSE
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
                    self.settled(Question(project, version, digest), task)
            if ended:
                pause = _FIRST_PAUSE
        self._followed[project, version].remove(left)
        if not self._followed[project, version]:
            del self._followed[project, version]

    def _look(self, project: str, version: str, digests: list[str]) -> tuple[list[str], set[str]]:
        """Which of these no run is to bring any more, and which of those were answered."""
        waited_for = self._store.runs_waiting_for(project, version, digests)
        ended = [digest for digest in digests if digest not in waited_for]
        kept = self._store.kept(project, version, ended) if ended else {}
        return ended, {digest for digest, known in kept.items() if known.prediction is not None}

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
            report = await self._pushed(project, version, tasks)
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

    async def _pushed(self, project: str, version: str, tasks: Group) -> PushReport:
        deadline = min(waiting.since for waiting in tasks.values()) + self._patience
        target = await self._found(project, deadline)
        digests = {task: waiting.digest for task, waiting in tasks.items()}
        kept = await asyncio.to_thread(self._store.kept, project, version, digests.values())
        predictions = [
            (task, Prediction.from_json(known.prediction))
            for task, digest in digests.items()
            if (known := kept.get(digest)) is not None and known.prediction is not None
        ]
        claim = _StoreClaim(self._store, self._storing, project, version, digests, self._clock)
        return await self._push.push(target, version, predictions, claim, max(0.0, deadline - self._clock()))

    async def _found(self, project: str, deadline: float) -> Target:
        """Where to push, though the host be down for a while."""
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._targets.find(project)
            except HostError as exc:
                if in_vain(exc) or self._clock() + pause > deadline:
                    raise
                log.warning("push project=%s waits for %g s: %s", project, pause, exc.logged)
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

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


class _StoreClaim:
    """A claim that requests and other processes see: to push an answer counts in the store as to hand it over."""

    def __init__(
        self,
        store: Memory,
        storing: _Storing,
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
            given = await self._give(self._taken - self._ours, self._clock() - _ON_ITS_WAY, _STORING)
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
