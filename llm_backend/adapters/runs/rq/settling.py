"""How do answers get into the store? In small batches, as they come, and again until the store has taken them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from llm_backend.adapters.store import Settled
from llm_backend.core.run import RunState, Spec

_GATHER_SECONDS = 0.015


@dataclass(slots=True)
class Batch:
    """Answers of one run that are settled together, and who waits for it."""

    run_id: str
    spec: Spec
    settled: list[Settled] = field(default_factory=list)
    waiting: "list[asyncio.Future[RunState]]" = field(default_factory=list)


Write = Callable[[list[Batch]], Awaitable[list[RunState]]]
"""Settles batches, whatever it takes; returns the state of each one's run."""


class Settling:
    """Gathers what comes within a moment. One write at a time: what comes meanwhile is the next batch."""

    def __init__(self, write: Write, last: Callable[[], bool]) -> None:
        """
        Args:
            last: Whether no other answer is to come soon: then there is nothing to wait for.
        """
        self._write = write
        self._last = last
        self._come = asyncio.Event()
        self._gathered: dict[str, Batch] = {}
        self._writing: asyncio.Task[None] | None = None

    async def settle(self, run_id: str, spec: Spec, settled: Settled) -> RunState:
        """Hand an answer over; returns when the store has it, with the run's state."""
        batch = self._gathered.setdefault(run_id, Batch(run_id, spec))
        written: asyncio.Future[RunState] = asyncio.get_running_loop().create_future()
        batch.settled.append(settled)
        batch.waiting.append(written)
        if self._last():
            self._come.set()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        return await written

    async def _write_all(self) -> None:
        try:
            while self._gathered:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_GATHER_SECONDS):
                        await self._come.wait()
                self._come.clear()
                batches, self._gathered = list(self._gathered.values()), {}
                await self._write_some(batches)
        finally:
            self._writing = None

    async def _write_some(self, batches: list[Batch]) -> None:
        try:
            states = await self._write(batches)
        except BaseException as exc:  # a fault of ours, or the end: those who wait learn of it
            for batch in batches:
                _answer(batch, error=exc)
            if not isinstance(exc, Exception):
                raise
            return
        for batch, state in zip(batches, states, strict=True):
            _answer(batch, state)


def _answer(batch: Batch, state: RunState = "running", error: BaseException | None = None) -> None:
    for written in batch.waiting:
        if written.done():
            continue
        if error is None:
            written.set_result(state)
        elif isinstance(error, Exception):
            written.set_exception(error)
        else:
            written.cancel()
