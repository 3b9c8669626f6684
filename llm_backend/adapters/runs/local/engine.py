"""How do runs go on in the server's own process? On its event loop, with the store as memory.

Runs take turns, project by project, so that a small batch does not wait for a large one; tasks that somebody opened go
first. What is asked at once is bounded by a window, a little wider than the places for calls: the next calls are ready
when a place is free, and of the others nothing is held but their place in the store.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from llm_backend.adapters.runs import EngineStatus, Heard, Question, Work, unheard
from llm_backend.adapters.runs.local.waiters import Scope, Waiters
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.core.run import RunTask, Spec
from llm_backend.errors import BackendError, KeyRefused, StoreError, UnknownRun

log = logging.getLogger(__name__)

_READ_AT_ONCE = 256
# Questions that are begun before the loop turns to other calls: an annotator's must not wait until all are made.
_BEGUN_AT_ONCE = 8
_ENDING_SECONDS = 5.0
_OUR_FAULT = "The server failed on a fault of its own; its log says more."
# Between two tries to store what the store did not take: a lock is gone soon, a full disk is not.
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0


@dataclass(slots=True)
class _Active:
    """A run under way: what is read ahead of it, and what is being asked."""

    run_id: str
    spec: Spec
    ahead: deque[RunTask] = field(default_factory=deque)
    place: int = -1
    asking: set[str] = field(default_factory=set)
    read: bool = False

    @property
    def scope(self) -> Scope:
        return self.spec.project, self.spec.version

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
        self._under_way: dict[str, set[str]] = {}
        self._turns: OrderedDict[str, deque[str]] = OrderedDict()
        self._urgent: deque[tuple[str, RunTask]] = deque()
        self._asking: set[asyncio.Task[None]] = set()
        self._waiters = Waiters(store)
        self._unsaved: dict[str, tuple[Spec, list[Settled]]] = {}
        self._held_up: dict[str, str] = {}
        self._saving: asyncio.Task[None] | None = None
        self._closing = False
        self._filling = False

    async def start(self, run_id: str) -> None:
        self._save(run_id)
        run = self._store.run(run_id)
        if run is None or not run.unfinished:
            return
        self._store.set_run_state(run_id, "running", only=("queued", "paused"))
        if (active := self._active.get(run_id)) is not None:
            active.begin_again()
        else:
            # What was begun before the run was stopped may still be under way: it is not asked again.
            self._active[run_id] = _Active(run_id, run.spec, asking=self._under_way.setdefault(run_id, set()))
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

    async def wait(
        self, questions: Collection[Question], seconds: float, heard: Heard = unheard
    ) -> Mapping[Question, Kept]:
        return await self._waiters.wait(questions, seconds, heard)

    async def status(self) -> EngineStatus:
        queued = sum(run.waiting for run in map(self._store.run, tuple(self._active)) if run is not None)
        return EngineStatus(("this server",), max(0, queued - len(self._asking)), len(self._asking))

    def held_up(self) -> Mapping[str, str]:
        return dict(self._held_up)

    async def recover(self) -> None:
        for run in reversed(self._store.runs(("queued", "running"), most=1000)):
            await self.start(run.id)

    async def close(self) -> None:
        self._closing = True
        if self._asking:
            await asyncio.wait(self._asking, timeout=_ENDING_SECONDS)
        for asking in self._asking:
            asking.cancel()
        self._waiters.close()
        if self._saving:
            self._saving.cancel()
        for run_id in tuple(self._unsaved):
            try:
                self._save(run_id)
            except BackendError as exc:
                log.error("run=%s: answers that came in are lost: %s", run_id, exc.logged)

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
            if not self._read_ahead(active):
                return None
            while active.ahead:
                task = active.ahead.popleft()
                if task.digest not in active.asking:
                    return active, task
        return None

    def _read_ahead(self, active: _Active) -> bool:
        """Have the run's next tasks at hand; False if the run is gone, or cannot be read now."""
        if active.ahead or active.read:
            return True
        try:
            found = self._store.waiting_tasks(active.run_id, _READ_AT_ONCE, active.place)
        except BackendError as exc:
            self._not_stored(active, [], exc)
            self._fill_soon()
            return False
        active.ahead.extend(task for _, task in found)
        active.place = found[-1][0] if found else active.place
        active.read = not found
        return True

    async def _ask(self, active: _Active, task: RunTask) -> None:
        unsaved: Kept | None = None
        try:
            settled = await self._work(active.spec, task)
            unsaved = self._settle(active, settled)
        except (KeyRefused, StoreError) as exc:
            self._pause(active, exc)
        # Any fault: a task that nobody settles would keep its run, and whoever waits for it, for ever.
        except Exception:
            log.exception("run=%s task=%s failed on a fault of ours", active.run_id, task.task.id)
            self._settle(active, Settled(Kept(task.digest, None, _OUR_FAULT, False, time.time())))
        finally:
            active.asking.discard(task.digest)
            if not active.asking and active.run_id not in self._active:
                self._under_way.pop(active.run_id, None)
            self._waiters.tell(active.scope, task.digest, unsaved)

    def _settle(self, active: _Active, settled: Settled) -> Kept | None:
        """Store what came of a task; returns it where the store does not take it now."""
        try:
            state = self._store.settle(active.run_id, [settled])
        except BackendError as exc:
            self._not_stored(active, [settled], exc)
            return settled.kept
        if state not in ("queued", "running"):
            self._drop(active.run_id, told=state == "completed")
        return None

    def _not_stored(self, active: _Active, settled: list[Settled], fault: BackendError) -> None:
        """Keep what was paid for until the store takes it; the run asks for nothing meanwhile."""
        if isinstance(fault, UnknownRun):  # its project was forgotten
            self._drop(active.run_id)
            return
        _, held = self._unsaved.setdefault(active.run_id, (active.spec, []))
        held.extend(settled)
        self._held_up[active.run_id] = fault.sentence
        if active.run_id in self._active:
            log.error("run=%s project=%s waits for the store: %s", active.run_id, active.spec.project, fault.logged)
        self._drop(active.run_id)
        if self._saving is None or self._saving.done():
            self._saving = asyncio.ensure_future(self._save_in_time())

    async def _save_in_time(self) -> None:
        pause = _FIRST_PAUSE
        while self._unsaved and not self._closing:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            for run_id in tuple(self._unsaved):
                try:
                    await self.start(run_id)
                except BackendError as exc:
                    self._held_up[run_id] = exc.sentence
                    log.warning("run=%s still waits for the store: %s", run_id, exc.logged)

    def _save(self, run_id: str) -> None:
        """Store what is held of a run.

        Raises:
            StoreError: Not yet.
        """
        if run_id not in self._unsaved:
            return
        spec, held = self._unsaved[run_id]
        try:
            self._store.settle(run_id, held)
        except UnknownRun:  # its project was forgotten
            self._let_pass(run_id)
            return
        self._let_pass(run_id)
        log.warning("run=%s project=%s goes on: the store takes answers again", run_id, spec.project)
        for one in held:
            self._waiters.tell((spec.project, spec.version), one.kept.digest, one.kept)

    def _let_pass(self, run_id: str) -> None:
        """Nothing of a run waits for the store any more."""
        del self._unsaved[run_id]
        self._held_up.pop(run_id, None)

    def _pause(self, active: _Active, fault: BackendError) -> None:
        if active.run_id not in self._active:
            return
        log.error("run=%s project=%s paused: %s", active.run_id, active.spec.project, fault.logged)
        try:
            self._store.set_run_state(active.run_id, "paused", fault.sentence, only=("queued", "running"))
        except BackendError as exc:
            log.error("run=%s: its pause could not be noted: %s", active.run_id, exc.logged)
        self._drop(active.run_id)

    def _drop(self, run_id: str, *, told: bool = False) -> None:
        """Begin nothing more for a run; nobody waits any longer for what it has not begun.

        Args:
            told: All of its tasks are settled, and whoever waits for one knows.
        """
        active = self._active.pop(run_id, None)
        if active is None:
            return
        runs = self._turns[active.spec.project]
        runs.remove(run_id)
        if not runs:
            del self._turns[active.spec.project]
        if not told:
            self._waiters.let_go(active.scope, run_id, active.asking)
