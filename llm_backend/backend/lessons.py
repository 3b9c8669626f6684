"""Which human answers may go along with a project's questions?

Interactive calls learn from all that is known at this moment, batches from what was published last. A pool of these is
made once, beside the event loop, and held until they change.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from llm_backend.adapters.store import Learned
from llm_backend.backend.projects import Bound
from llm_backend.core.corrections import pool_of
from llm_backend.core.examples import Correction, Lessons, Pool, TokenMeter
from llm_backend.core.predictor import Plan
from llm_backend.core.run import Spec
from llm_backend.errors import BackendError

_MOST_POOLS = 16
_MOST_METERS = 256


class Memory(Protocol):
    """What of the store is needed here."""

    def learned(self, key: str) -> Learned: ...

    def corrections(self, key: str, *, published: bool = False) -> tuple[Correction, ...]: ...


class Superseded(BackendError):
    """What a run goes by was published anew: its answers would not be those of its version."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A pool, or its making, and what it was made of."""

    stamp: str
    config: str
    pool: asyncio.Future[Pool]


class Pools:
    """Makes lessons of what projects have learned. Its methods are called on the event loop."""

    def __init__(self, store: Memory) -> None:
        self._store = store
        self._held: OrderedDict[tuple[str, bool], _Held] = OrderedDict()
        self._meters: OrderedDict[tuple[str, str], TokenMeter] = OrderedDict()

    async def live(self, bound: Bound) -> Lessons | None:
        """What goes along with an annotator's question; None where nothing does.

        Raises:
            StoreError: It cannot be read now.
        """
        plan = bound.plan
        if not plan.parameters.few_shot or not bound.learned.count:
            return None
        pool = await self._pool(bound.key, plan, bound.learned.stamp, published=False)
        return Lessons(pool, self._meter(bound.key, plan.parameters.model or bound.llm.model))

    async def published(self, spec: Spec, plan: Plan, model: str) -> Lessons | None:
        """What goes along with the questions of a run; None where nothing does.

        Raises:
            Superseded: Something else was published since the run was made.
            StoreError: It cannot be read now.
        """
        if not spec.publication or not plan.parameters.few_shot:
            return None
        learned = self._store.learned(spec.project)
        if learned.publication != spec.publication:
            raise Superseded("What the run goes by was published anew meanwhile; ask again.")
        pool = await self._pool(spec.project, plan, learned.stamp, published=True)
        return Lessons(pool, self._meter(spec.project, plan.parameters.model or model))

    async def _pool(self, key: str, plan: Plan, stamp: str, *, published: bool) -> Pool:
        held = self._held.get((key, published))
        if held is None or (held.stamp, held.config) != (stamp, plan.config.digest):
            making = asyncio.ensure_future(asyncio.to_thread(self._make, key, plan, published))
            held = self._held[key, published] = _Held(stamp, plan.config.digest, making)
        self._held.move_to_end((key, published))
        while len(self._held) > _MOST_POOLS:
            self._held.popitem(last=False)
        try:
            # Many wait for it at once: one of them may go, and the others wait on.
            return await asyncio.shield(held.pool)
        except BackendError:
            if self._held.get((key, published)) is held:
                del self._held[key, published]
            raise

    def _make(self, key: str, plan: Plan, published: bool) -> Pool:
        return pool_of(plan, self._store.corrections(key, published=published))

    def _meter(self, key: str, model: str) -> TokenMeter:
        meter = self._meters.setdefault((key, model), TokenMeter())
        self._meters.move_to_end((key, model))
        while len(self._meters) > _MOST_METERS:
            self._meters.popitem(last=False)
        return meter
