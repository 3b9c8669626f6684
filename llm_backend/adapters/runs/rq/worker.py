"""What does a worker do? It takes chunks from the queues and asks for their tasks, many at once over one event loop."""

import asyncio
import logging
import math
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import RedisError
from rq.executions import Execution
from rq.job import Job

from llm_backend.adapters.runs import Work
from llm_backend.adapters.runs.rq import feeding
from llm_backend.adapters.runs.rq.gate import Gate
from llm_backend.adapters.runs.rq.jobs import BATCH, FIRST, OPENED, Jobs, Pace, Piece, claim_of, connect
from llm_backend.adapters.runs.rq.news import STOPPED, Listener, tell_settled, tell_stopped
from llm_backend.adapters.runs.rq.presence import Headcount, Presence
from llm_backend.adapters.runs.rq.settling import Batch, Settling
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.core.run import Run, RunState, RunTask, Spec
from llm_backend.core.wire import JSON
from llm_backend.errors import KeyRefused, StoreError, UnknownRun

log = logging.getLogger(__name__)
T = TypeVar("T")

_TAKE_SECONDS = 1
_RETRY_FIRST, _RETRY_LAST = 0.1, 2.0
_HELD = {OPENED: math.inf, FIRST: 2.0, BATCH: 1.5}
"""The queues, by whose tasks go first. From each is taken while fewer tasks are held than so many windows."""
_RANKS = {queue: rank for rank, queue in enumerate(_HELD)}
_BEATS_BEFORE_SWEEPING = 2
"""After Redis was away, everybody gives a sign of life before anybody looks for the dead."""
_THREADS = 11
_OUR_FAULT = "The task could not be asked, on a fault of this software: its log says more."


@dataclass(eq=False, slots=True)
class _Open:
    """A piece under way: its job, what was claimed for it, and what of that was not settled."""

    job: Job
    piece: Piece
    execution: Execution | None = None
    claims: set[str] = field(default_factory=set)
    held: int = 0
    empty: bool = False


class RqWorker:
    """One process's worker. `run` on an event loop until `drain` is called; `work` is asked on that loop."""

    def __init__(
        self,
        redis_url: str,
        store: Store,
        work: Work,
        window: Callable[[], int],
        *,
        headcount: Headcount | None = None,
        pace: Pace = Pace(),  # noqa: B008 - it is frozen
    ) -> None:
        """
        Args:
            window: How many tasks this worker may ask at once now: its part of the places for calls. Half as many
                are held beside them, so that the next are at hand when places come free; as many again of runs that
                have just begun, so that a small one does not wait behind them.
            headcount: Is kept up to date while the worker runs.
        """
        self._store = store
        self._work = work
        self._window = window
        self._headcount = headcount or Headcount()
        self._pace = pace
        self._jobs = Jobs(connect(redis_url), pace)
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:4]}"
        self._gate = Gate(window)
        self._settling = Settling(self._settle_all, lambda: self._gate.empty)
        self._threads = ThreadPoolExecutor(_THREADS, "worker")
        self._open: dict[_Open, asyncio.Task[None]] = {}
        self._runs: Counter[str] = Counter()
        self._stopped: set[str] = set()
        self._pausing: set[str] = set()
        self._draining = asyncio.Event()
        self._room = asyncio.Event()
        self._present = asyncio.Event()
        self._presence: Presence | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beats = 0
        self._told_to_end = False

    def drain(self) -> None:
        """Begin nothing more, and end. May be called from any thread or signal handler, and before `run`."""
        self._told_to_end = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._draining.set)

    async def run(self) -> None:
        """Work until told to drain; calls under way then may end, and what was not begun goes back."""
        self._loop = asyncio.get_running_loop()
        if self._told_to_end:
            return
        listener = Listener(self._jobs.redis, {STOPPED: lambda run: self._on_loop(self._stop, run)})
        beating = asyncio.create_task(self._beat_always())
        taking = [asyncio.create_task(self._take_always(queue)) for queue in _HELD]
        try:
            await self._draining.wait()
            await self._end(taking)
        finally:
            beating.cancel()
            await self._try(listener.close)
            if self._presence is not None:
                await self._try(self._presence.leave)
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._jobs.redis.close()
            log.info("worker=%s has ended", self.name)

    async def _end(self, taking: "list[asyncio.Task[None]]") -> None:
        log.info("worker=%s ends: calls under way have %.0f s", self.name, self._pace.drain)
        for waited_for in (self._present, self._room):
            waited_for.set()
        await asyncio.wait(taking, timeout=self._pace.drain)
        under_way = list(self._open.values())
        if under_way:
            _, late = await asyncio.wait(under_way, timeout=self._pace.drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # Taking

    async def _take_always(self, queue: str) -> None:
        await self._present.wait()  # before that, it is not known with how many workers places are shared
        while not self._draining.is_set():
            if self._room_for(queue) <= 0:
                self._room.clear()
                await self._room.wait()
                continue
            taken = await self._try(self._jobs.take, queue, _TAKE_SECONDS)
            if taken is not None:
                job, piece = taken
                if queue == BATCH and piece.size > (free := self._room_for(queue)):
                    piece = await self._try(self._jobs.leave_to_others, piece, max(1, int(free))) or piece
                opened = _Open(job, piece, held=piece.size)
                self._runs[piece.run_id] += 1
                self._open[opened] = asyncio.create_task(self._work_on(opened))

    def _room_for(self, queue: str) -> float:
        """How many more tasks may be held if they come from this queue."""
        return _HELD[queue] * self._window() - sum(opened.held for opened in self._open)

    async def _work_on(self, opened: _Open) -> None:
        """Ask for a piece's tasks, then queue what follows it; whatever happens, the job is not lost."""
        run_id = opened.piece.run_id
        try:
            async with asyncio.timeout(opened.job.timeout):
                await self._ask_all(opened)
            await self._surely(self._finish, opened)
        except (asyncio.CancelledError, TimeoutError):
            log.warning("job=%s goes back: its calls did not end in time", opened.job.id)
            await self._try(self._give_back, opened)
        except Exception:  # the job is taken up again when its sign of life is missed
            log.exception("job=%s failed on a fault of ours", opened.job.id)
        finally:
            del self._open[opened]
            self._runs[run_id] -= 1
            if not self._runs[run_id]:
                del self._runs[run_id]
                self._stopped.discard(run_id)
            self._room.set()

    async def _ask_all(self, opened: _Open) -> None:
        try:
            run = await self._begin(opened)
            tasks = await self._surely(self._claim, opened, run.spec) if run is not None else []
        except UnknownRun:  # its project was forgotten meanwhile
            self._stop(opened.piece.run_id)
            run, tasks = None, []
        opened.held = len(tasks)
        self._room.set()
        if run is not None:
            asking = [asyncio.create_task(self._ask(opened, run, task)) for task in tasks]
            try:
                await asyncio.gather(*asking)
            finally:
                for task in asking:
                    task.cancel()

    async def _begin(self, opened: _Open) -> Run | None:
        """Begin the job; its run, if it goes on."""
        run_id = opened.piece.run_id
        stopped_before = run_id in self._stopped
        run = await self._surely(self._note_begin, opened)
        if run is None or run.state not in feeding.UNDER_WAY or run_id in self._pausing:
            self._stop(run_id)
            return None
        if stopped_before:  # and resumed since
            self._stopped.discard(run_id)
        return run

    def _note_begin(self, opened: _Open) -> Run | None:
        if opened.execution is None:
            opened.execution = self._jobs.begin(opened.job, self.name)
        return self._store.run(opened.piece.run_id)

    def _claim(self, opened: _Open, spec: Spec) -> list[RunTask]:
        """Those tasks of the piece that wait and that nobody else asks for.

        It is asked again whether they wait after they were claimed: what another worker settled up to then does not.
        """
        run_id = opened.piece.run_id
        waiting = {claim_of(run_id, task.digest): task for task in self._waiting(opened.piece)}
        opened.empty = not waiting
        claims = self._jobs.claim(waiting.keys() - opened.claims)
        opened.claims = opened.claims.union(claims)  # another set: the loop may be going through the one before
        mine = [task for claim, task in waiting.items() if claim in opened.claims]
        still = self._store.runs_waiting_for(spec.project, spec.version, (task.digest for task in mine))
        return [task for task in mine if still.get(task.digest) == run_id]

    def _waiting(self, piece: Piece) -> Iterable[RunTask]:
        if piece.opened:
            return self._store.waiting_among(piece.run_id, piece.digests)
        found = self._store.waiting_tasks(piece.run_id, piece.size, after=piece.first - 1)
        return (task for place, task in found if place < piece.first + piece.size)

    # Asking

    async def _ask(self, opened: _Open, run: Run, task: RunTask) -> None:
        try:
            await self._gate.enter(_RANKS[opened.job.origin])
            try:
                settled = await self._answer(run, task)
            finally:
                self._gate.leave()
        finally:
            opened.held -= 1
            self._room.set()
        if settled is not None:
            state = await self._settling.settle(run.id, run.spec, settled)
            opened.claims.discard(claim_of(run.id, task.digest))
            if state not in feeding.UNDER_WAY:
                self._stop(run.id)

    async def _answer(self, run: Run, task: RunTask) -> Settled | None:
        """The task's answer; None if it is not to be asked any more."""
        while run.id not in self._stopped and not self._draining.is_set():
            try:
                return await self._work(run.spec, task)
            except KeyRefused as exc:
                await self._pause(run, exc)
            except StoreError as exc:  # not the task's fault
                log.warning("run=%s: %s", run.id, exc.logged)
                await asyncio.sleep(_RETRY_LAST)
            except Exception:
                log.exception("run=%s: a task failed on a fault of ours", run.id)
                return Settled(Kept(task.digest, None, _OUR_FAULT, False, time.time()))
        return None

    async def _pause(self, run: Run, fault: KeyRefused) -> None:
        if run.id in self._stopped:
            return
        self._stop(run.id)
        self._pausing.add(run.id)
        log.error("run=%s project=%s paused: %s", run.id, run.spec.project, fault.logged)
        try:
            await self._surely(self._note_pause, run, fault.sentence)
        finally:
            self._pausing.discard(run.id)

    def _note_pause(self, run: Run, sentence: str) -> None:
        self._store.set_run_state(run.id, "paused", sentence, only=feeding.UNDER_WAY)
        tell_stopped(self._jobs.redis, run.id)

    def _stop(self, run_id: JSON) -> None:
        """Begin no further calls of a run."""
        if run_id in self._runs:
            self._stopped.add(run_id)

    # Settling and ending

    async def _settle_all(self, batches: list[Batch]) -> list[RunState]:
        return await self._surely(self._settle_now, batches)

    def _settle_now(self, batches: list[Batch]) -> list[RunState]:
        states = [self._settle_one(batch) for batch in batches]
        with self._jobs.redis.pipeline(transaction=False) as pipe:
            for batch in batches:
                digests = [settled.kept.digest for settled in batch.settled]
                self._jobs.release((claim_of(batch.run_id, digest) for digest in digests), pipe)
                tell_settled(pipe, batch.spec.project, batch.spec.version, digests)
            pipe.execute()
        return states

    def _settle_one(self, batch: Batch) -> RunState:
        try:
            return self._store.settle(batch.run_id, batch.settled)
        except UnknownRun:  # its project was forgotten meanwhile
            return "cancelled"

    def _finish(self, opened: _Open) -> None:
        """End the job, and queue the run's next chunk. What was claimed and not asked goes back."""
        piece, stopped = Piece.of(opened.job), opened.piece.run_id in self._stopped
        if opened.claims and not stopped and self._draining.is_set():
            self._give_back(opened)
            return
        following = None
        if stopped:
            feeding.forget(self._store, self._jobs, piece.run_id)
        else:
            following = feeding.following(self._store, self._jobs, piece, opened.empty)
        self._jobs.release(opened.claims)
        if opened.execution is not None:
            self._jobs.end(opened.job, opened.execution, following)

    def _give_back(self, opened: _Open) -> None:
        self._jobs.release(opened.claims)
        self._jobs.give_back(opened.job, opened.execution)

    # Signs of life

    async def _beat_always(self) -> None:
        while True:
            try:
                await self._beat()
            except (RedisError, StoreError) as exc:
                self._beats = 0
                log.warning("worker=%s cannot give a sign of life: %s", self.name, type(exc).__name__)
            except Exception:
                log.exception("worker=%s failed on a fault of ours; it goes on", self.name)
            self._gate.admit()
            self._room.set()
            await asyncio.sleep(self._pace.beat)

    async def _beat(self) -> None:
        if self._presence is None:
            self._presence = await self._in_thread(Presence, self._jobs, self.name, self._headcount)
        under_way = [(opened.job, opened.execution) for opened in self._open if opened.execution is not None]
        claims = [claim for opened in self._open for claim in opened.claims]
        await self._in_thread(self._presence.beat, under_way, claims)
        if not self._present.is_set():
            self._present.set()
            log.info("worker=%s takes chunks of runs", self.name)
        self._beats += 1
        if self._beats > _BEATS_BEFORE_SWEEPING and await self._in_thread(self._jobs.may_sweep):
            await self._in_thread(feeding.sweep, self._store, self._jobs)

    # Threads and patience

    def _on_loop(self, call: Callable[..., object], *args: Any) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *args)

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    async def _surely(self, call: Callable[..., T], *args: Any) -> T:
        """Do it, as often as it takes: Redis may be away for a while, and nothing at hand is lost meanwhile."""
        pause = _RETRY_FIRST
        while True:
            try:
                return await self._in_thread(call, *args)
            except (RedisError, StoreError) as exc:
                log.warning("worker=%s waits for Redis: %s", self.name, type(exc).__name__)
                await asyncio.sleep(pause)
                pause = min(_RETRY_LAST, 2 * pause)

    async def _try(self, call: Callable[..., T], *args: Any) -> T | None:
        """Do it if Redis answers; if not, breathe."""
        try:
            return await self._in_thread(call, *args)
        except (RedisError, StoreError) as exc:
            log.warning("worker=%s: Redis does not answer (%s)", self.name, type(exc).__name__)
            await asyncio.sleep(_RETRY_FIRST)
            return None
