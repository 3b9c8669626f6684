"""How does the process that takes requests work on runs? It queues them for workers, and hears what was settled."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llm_backend.adapters.runs import EngineStatus, Heard, Question, unheard
from llm_backend.adapters.runs.rq import feeding
from llm_backend.adapters.runs.rq.jobs import Jobs, Pace, connect, told
from llm_backend.adapters.runs.rq.news import SETTLED, STOPPED, Listener, tell_stopped
from llm_backend.adapters.store import Kept, Store
from llm_backend.core.wire import JSON
from llm_backend.errors import StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

_LOOK_SECONDS = 2.0
_LOOKED_UP_PER_SECOND = 5000


@dataclass(eq=False, slots=True)
class _Waiter:
    """One request that waits: for which questions, who is told of each, and whether to look at the store again."""

    open: set[Question]
    heard: Heard
    stirred: asyncio.Event = field(default_factory=asyncio.Event)


class RqEngine:
    """An `Engine` whose work is done by `RqWorker`s. Open it in the process that uses it, after any fork."""

    def __init__(self, redis_url: str, store: Store, pace: Pace = Pace()) -> None:  # noqa: B008 - it is frozen
        self._store = store
        self._jobs = Jobs(connect(redis_url), pace)
        self._threads = ThreadPoolExecutor(4, "engine")
        self._waiting: dict[Question, set[_Waiter]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listener: Listener | None = None

    async def start(self, run_id: str) -> None:
        await self._in_thread(feeding.start, self._store, self._jobs, run_id)

    async def hurry(self, run_id: str, digests: Collection[str]) -> None:
        if digests:
            await self._in_thread(feeding.hurry, self._jobs, run_id, list(digests))

    async def stop(self, run_id: str) -> None:
        await self._in_thread(tell_stopped, self._jobs.redis, run_id)

    async def wait(
        self, questions: Collection[Question], seconds: float, heard: Heard = unheard
    ) -> Mapping[Question, Kept]:
        """Return when all of these are settled or stopped being waited for; what came in is in the store."""
        if not questions or seconds <= 0:
            return {}
        self._listen()
        waiter = _Waiter(set(questions), heard)
        for question in waiter.open:
            self._waiting.setdefault(question, set()).add(waiter)
        try:
            async with asyncio.timeout(seconds):
                await self._all_settled(waiter)
        except TimeoutError:
            pass
        finally:
            for question in questions:
                self._leave(question, waiter)
        return {}

    async def status(self) -> EngineStatus:
        return await self._in_thread(self._status)

    def held_up(self) -> Mapping[str, str]:
        """None that this process knows of: answers are the workers', and the store says that Redis is away."""
        return {}

    async def recover(self) -> None:
        await self._in_thread(feeding.take_up, self._store, self._jobs)

    async def close(self) -> None:
        """Stop listening. Runs go on: they are the workers'."""
        if self._listener is not None:
            await self._in_thread(self._listener.close)
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._jobs.redis.close()

    async def _all_settled(self, waiter: _Waiter) -> None:
        while waiter.open:
            waiter.stirred.clear()
            await self._look(waiter)
            if not waiter.open:
                return
            # News are told at once; looking now and then is for those that got lost, and dear for many questions.
            patience = _LOOK_SECONDS + len(waiter.open) / _LOOKED_UP_PER_SECOND
            try:
                await asyncio.wait_for(waiter.stirred.wait(), patience)
            except TimeoutError:
                pass

    async def _look(self, waiter: _Waiter) -> None:
        """Cross out what nobody works on any more."""
        by_version: dict[tuple[str, str], list[str]] = {}
        for question in waiter.open:
            by_version.setdefault((question.project, question.version), []).append(question.digest)
        for (project, version), digests in by_version.items():
            try:
                worked_on = await self._in_thread(self._worked_on, project, version, digests)
            except StoreError as exc:
                log.debug("%s", exc.logged)
                return
            for digest in digests:
                if digest not in worked_on:
                    self._leave(Question(project, version, digest), waiter)

    def _worked_on(self, project: str, version: str, digests: Collection[str]) -> set[str]:
        by_digest = self._store.runs_waiting_for(project, version, digests)
        runs = {run_id: self._store.run(run_id) for run_id in set(by_digest.values())}
        under_way = {run_id for run_id, run in runs.items() if run is not None and run.state in feeding.UNDER_WAY}
        return {digest for digest, run_id in by_digest.items() if run_id in under_way}

    def _status(self) -> EngineStatus:
        in_flight = self._jobs.asking()
        waiting = sum(run.waiting for run in self._store.runs(feeding.UNDER_WAY, most=1000))
        return EngineStatus(self._jobs.workers(), max(0, waiting - in_flight), in_flight)

    def _listen(self) -> None:
        """Begin to hear what workers tell, with the first who waits."""
        if self._listener is None:
            self._loop = asyncio.get_running_loop()
            on_loop = self._loop.call_soon_threadsafe
            self._listener = Listener(
                self._jobs.redis,
                {
                    SETTLED: lambda news: on_loop(self._settled, news),
                    STOPPED: lambda _: on_loop(self._stir),
                },
                missed=lambda: on_loop(self._stir),
            )

    def _settled(self, news: JSON) -> None:
        project, version, digests = news
        for digest in digests:
            question = Question(project, version, digest)
            for waiter in tuple(self._waiting.get(question, ())):
                waiter.heard(digest)
                self._leave(question, waiter)

    def _stir(self) -> None:
        for waiter in {waiter for waiters in self._waiting.values() for waiter in waiters}:
            waiter.stirred.set()

    def _leave(self, question: Question, waiter: _Waiter) -> None:
        waiter.open.discard(question)
        if not waiter.open:
            waiter.stirred.set()
        waiters = self._waiting.get(question, set())
        waiters.discard(waiter)
        if not waiters:
            self._waiting.pop(question, None)

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        def called() -> T:
            with told(self._jobs.redis):
                return call(*args)

        return await asyncio.get_running_loop().run_in_executor(self._threads, called)
