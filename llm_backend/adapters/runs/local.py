"""How do runs go on in the server's own process? On its event loop, with the store as memory.

Runs take turns, project by project, so that a small batch does not wait for a large one; tasks that somebody opened go
first. What is asked at once is bounded by a window, a little wider than the places for calls: the next calls are ready
when a place is free, and of the others nothing is held but their place in the store.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from llm_backend.adapters.runs import EngineStatus, Question, Work
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.core.run import RunTask, Spec
from llm_backend.errors import BackendError, KeyRefused

log = logging.getLogger(__name__)

_READ_AT_ONCE = 256
# Questions that are begun before the loop turns to other calls: an annotator's must not wait until all are made.
_BEGUN_AT_ONCE = 8
_ENDING_SECONDS = 5.0


@dataclass(slots=True)
class _Active:
    """A run under way: what is read ahead of it, and what is being asked."""

    run_id: str
    spec: Spec
    ahead: deque[RunTask] = field(default_factory=deque)
    place: int = -1
    asking: set[str] = field(default_factory=set)
    read: bool = False

    def begin_again(self) -> None:
        """Read the run from its first task: some that were settled wait again."""
        self.ahead.clear()
        self.place, self.read = -1, False


class LocalEngine:
    """An `Engine` in one process."""

    def __init__(self, store: Store, work: Work, window: int) -> None:
        """
        Args:
            window: How many tasks may be asked at once.
        """
        self._store = store
        self._work = work
        self._window = window
        self._active: dict[str, _Active] = {}
        self._turns: OrderedDict[str, deque[str]] = OrderedDict()
        self._urgent: deque[tuple[str, RunTask]] = deque()
        self._asking: set[asyncio.Task[None]] = set()
        self._waiting: dict[Question, set[asyncio.Future[Kept | None]]] = {}
        self._closing = False
        self._filling = False

    async def start(self, run_id: str) -> None:
        run = self._store.run(run_id)
        if run is None or not run.unfinished:
            return
        self._store.set_run_state(run_id, "running", only=("queued", "paused"))
        if (active := self._active.get(run_id)) is not None:
            active.begin_again()
        else:
            self._active[run_id] = _Active(run_id, run.spec)
            self._turns.setdefault(run.spec.project, deque()).append(run_id)
        self._fill()

    async def hurry(self, run_id: str, digests: Collection[str]) -> None:
        active = self._active.get(run_id)
        if active is None:
            return
        wanted = {digest for digest in digests if digest not in active.asking}
        active.ahead = deque(task for task in active.ahead if task.digest not in wanted)
        self._urgent.extend((run_id, task) for task in self._store.waiting_among(run_id, wanted))
        self._fill()

    async def stop(self, run_id: str) -> None:
        self._drop(run_id)
        self._fill()

    async def wait(self, questions: Collection[Question], seconds: float) -> Mapping[Question, Kept]:
        tickets = {question: self._ticket(question) for question in questions}
        try:
            await asyncio.wait(tickets.values(), timeout=max(0.0, seconds)) if tickets else None
        finally:
            for question, ticket in tickets.items():
                self._tear_up(question, ticket)
        return {
            question: kept
            for question, ticket in tickets.items()
            if ticket.done() and not ticket.cancelled() and (kept := ticket.result()) is not None
        }

    async def status(self) -> EngineStatus:
        queued = sum(run.waiting for run in map(self._store.run, tuple(self._active)) if run is not None)
        return EngineStatus(("this server",), max(0, queued - len(self._asking)), len(self._asking))

    async def recover(self) -> None:
        for run in reversed(self._store.runs(("queued", "running"), most=1000)):
            await self.start(run.id)

    async def close(self) -> None:
        self._closing = True
        if self._asking:
            await asyncio.wait(self._asking, timeout=_ENDING_SECONDS)
        for asking in self._asking:
            asking.cancel()

    def _fill(self) -> None:
        """Begin to ask, a few at a time, until the window is full or nothing is left."""
        self._filling = False
        for _ in range(_BEGUN_AT_ONCE):
            if self._closing or len(self._asking) >= self._window or (begun := self._next()) is None:
                return
            active, task = begun
            active.asking.add(task.digest)
            asking = asyncio.ensure_future(self._ask(active, task))
            self._asking.add(asking)
            asking.add_done_callback(self._asked)
        self._fill_soon()

    def _fill_soon(self) -> None:
        if not self._filling:
            self._filling = True
            asyncio.get_running_loop().call_soon(self._fill)

    def _asked(self, asking: "asyncio.Task[None]") -> None:
        self._asking.discard(asking)
        if not asking.cancelled() and (bug := asking.exception()) is not None:
            log.error("a task failed on a fault of ours", exc_info=bug)
        self._fill_soon()

    def _next(self) -> tuple[_Active, RunTask] | None:
        """The next task to ask: an urgent one, else one of the project whose turn it is."""
        while self._urgent:
            run_id, task = self._urgent.popleft()
            active = self._active.get(run_id)
            if active is not None and task.digest not in active.asking:
                return active, task
        for _ in range(len(self._turns)):
            project, runs = next(iter(self._turns.items()))
            self._turns.move_to_end(project)
            found = self._next_of(runs)
            if found is not None:
                return found
        return None

    def _next_of(self, runs: deque[str]) -> tuple[_Active, RunTask] | None:
        for _ in range(len(runs)):
            runs.rotate(-1)
            active = self._active[runs[-1]]
            self._read_ahead(active)
            while active.ahead:
                task = active.ahead.popleft()
                if task.digest not in active.asking:
                    return active, task
        return None

    def _read_ahead(self, active: _Active) -> None:
        if active.ahead or active.read:
            return
        found = self._store.waiting_tasks(active.run_id, _READ_AT_ONCE, active.place)
        active.ahead.extend(task for _, task in found)
        active.place = found[-1][0] if found else active.place
        active.read = not found

    async def _ask(self, active: _Active, task: RunTask) -> None:
        kept: Kept | None = None
        try:
            settled = await self._work(active.spec, task)
            kept = settled.kept
            self._settle(active, settled)
        except KeyRefused as exc:
            self._pause(active, exc)
        finally:
            active.asking.discard(task.digest)
            self._tell(active.spec, [task.digest], kept)

    def _settle(self, active: _Active, settled: Settled) -> None:
        try:
            state = self._store.settle(active.run_id, [settled])
        except BackendError as exc:  # a full disk, say: the answer at hand is still given to whoever waits for it
            self._pause(active, exc)
            return
        if state not in ("queued", "running"):
            self._drop(active.run_id)

    def _pause(self, active: _Active, fault: BackendError) -> None:
        if active.run_id not in self._active:
            return
        log.error("run=%s project=%s paused: %s", active.run_id, active.spec.project, fault.logged)
        try:
            self._store.set_run_state(active.run_id, "paused", fault.sentence, only=("queued", "running"))
        except BackendError as exc:
            log.error("run=%s: its pause could not be noted: %s", active.run_id, exc.logged)
        self._drop(active.run_id)

    def _drop(self, run_id: str) -> None:
        """Begin nothing more for a run; nobody waits any longer for what it has not begun."""
        active = self._active.pop(run_id, None)
        if active is None:
            return
        runs = self._turns[active.spec.project]
        runs.remove(run_id)
        if not runs:
            del self._turns[active.spec.project]
        spec = active.spec
        of_this = [q for q in self._waiting if (q.project, q.version) == (spec.project, spec.version)]
        self._tell(spec, [question.digest for question in of_this if question.digest not in active.asking], None)

    def _tell(self, spec: Spec, digests: Iterable[str], kept: Kept | None) -> None:
        for digest in digests:
            for ticket in self._waiting.get(Question(spec.project, spec.version, digest), ()):
                if not ticket.done():
                    ticket.set_result(kept)

    def _ticket(self, question: Question) -> "asyncio.Future[Kept | None]":
        ticket: asyncio.Future[Kept | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(question, set()).add(ticket)
        return ticket

    def _tear_up(self, question: Question, ticket: "asyncio.Future[Kept | None]") -> None:
        tickets = self._waiting.get(question, set())
        tickets.discard(ticket)
        if not tickets:
            self._waiting.pop(question, None)
