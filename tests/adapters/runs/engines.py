"""Both engines, each over its own home of the store, and scenes that are played with one of them."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import redis

from llm_backend.adapters.runs import Engine, Question, Work
from llm_backend.adapters.runs.local import LocalEngine
from llm_backend.adapters.runs.rq import Pace
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.core.chat import Usage
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Run, RunTask, Spec
from llm_backend.core.wire import Task
from tests.support.rq_workers import QUICK, rq_engine

_SCENE_SECONDS = 30.0
_FOR_EVER = 60.0
"""Longer than a scene: a wait that nobody ends fails the test."""


class Home(Protocol):
    """Where a scene is played.

    Attributes:
        workers: How many work on runs, each with a window of its own.
        ahead: Tasks that may have been taken up beside those being asked, so that an opened one comes behind them.
    """

    @property
    def workers(self) -> int: ...
    @property
    def ahead(self) -> int: ...
    def store(self) -> Store: ...
    def engine(self, store: Store, work: Work, window: int) -> AbstractAsyncContextManager[Engine]: ...

    async def arrived(self, run_id: str, digest: str) -> None:
        """Wait until a task that was opened has come to whoever asks."""
        ...


@dataclass(frozen=True)
class Local:
    """In one process, over a file."""

    folder: Path
    opens: Callable[[Path], SqliteStore] = SqliteStore
    workers: ClassVar[int] = 1
    ahead: ClassVar[int] = 0

    def store(self) -> SqliteStore:
        return self.opens(self.folder)

    @asynccontextmanager
    async def engine(self, store: Store, work: Work, window: int) -> AsyncIterator[LocalEngine]:
        engine = LocalEngine(store, work, window)
        try:
            yield engine
        finally:
            await engine.close()

    async def arrived(self, run_id: str, digest: str) -> None:
        """It has when `hurry` returns."""


@dataclass(frozen=True)
class Shared:
    """In workers, over a real Redis."""

    url: str
    workers: int = 1
    pace: Pace = QUICK
    ahead: ClassVar[int] = 11

    def store(self) -> RedisStore:
        return RedisStore(self.url)

    def engine(self, store: Store, work: Work, window: int) -> AbstractAsyncContextManager[Engine]:
        return rq_engine(self.url, store, work, window, workers=self.workers, pace=self.pace)

    async def arrived(self, run_id: str, digest: str) -> None:
        with redis.Redis.from_url(self.url) as client:
            await until(lambda: client.zscore("llm_backend:asking", f"{run_id} {digest}"))


class World:
    """An engine over a real store, whose work is a function of the test, and a ledger of what was asked."""

    engine: Engine

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[str] = []
        self.answer: Callable[[RunTask], Awaitable[Settled]] = self.fine

    async def ask(self, spec: Spec, task: RunTask) -> Settled:
        self.asked.append(task.digest)
        return await self.answer(task)

    @staticmethod
    async def fine(task: RunTask) -> Settled:
        await asyncio.sleep(0)
        return Settled(Kept(task.digest, {"result": []}, "", False, time.time()), Usage(2, 1, 1))

    def hold(self) -> asyncio.Event:
        """Answer nothing before the event is set."""
        go = asyncio.Event()

        async def when_told(task: RunTask) -> Settled:
            await go.wait()
            return await self.fine(task)

        self.answer = when_told
        return go

    def add(self, *digests: str, project: str = "1.1", text: str = "") -> str:
        spec = Spec(project, "v", "<View/>", Prompt("p", "saved"), Parameters())
        run = Run(uuid.uuid4().hex[:12], spec, "queued", created=time.time())
        tasks = [RunTask(digest, Task(digest, {"text": text or digest})) for digest in digests]
        assert self.store.add_run(run, tasks)
        return run.id

    async def settled(self, *digests: str, project: str = "1.1") -> None:
        """Wait until nobody is to answer these any more."""
        await self.engine.wait([Question(project, "v", digest) for digest in digests], _FOR_EVER)

    def run(self, run_id: str) -> Run:
        run = self.store.run(run_id)
        assert run is not None
        return run


def played(home: Home, play: Callable[[World], Awaitable[None]], window: int = 4) -> None:
    """Play a scene in a world of its own.

    Args:
        window: How many tasks each worker may ask at once.
    """

    async def scene() -> None:
        store = home.store()
        world = World(store)
        try:
            async with home.engine(store, world.ask, window) as world.engine:
                await asyncio.wait_for(play(world), _SCENE_SECONDS)
        finally:
            store.close()

    asyncio.run(scene())


async def until(condition: Callable[[], Any]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def names(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{number}" for number in range(count))
