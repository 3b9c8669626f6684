"""Which human answers may go along with a project's questions?

Interactive calls learn from all that is known at this moment, batches from what was published last. A pool of these is
built beside the event loop, and held while they stay the same.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_backend.adapters.store import Learned
from llm_backend.backend.projects import Bound
from llm_backend.core.corrections import pool_of
from llm_backend.core.examples import Correction, Lessons, Pool, TokenMeter
from llm_backend.core.predictor import Plan
from llm_backend.core.run import Spec
from llm_backend.errors import BackendError

log = logging.getLogger(__name__)

_MOST_POOLS = 16
# A pool of fewer corrections is built in a moment, and always whole.
_LARGE = 300
_MOST_METERS = 256


class Memory(Protocol):
    """What of the store is needed here."""

    def learned(self, key: str) -> Learned: ...

    def corrections(self, key: str, *, published: bool = False) -> tuple[Correction, ...]: ...


class Superseded(BackendError):
    """What a run goes by was published anew: its answers would not be those of its version."""


@dataclass(frozen=True, slots=True)
class _View:
    """What goes along at this moment, or its making, and what it was made of.

    Attributes:
        pool: With whether corrections are known that are not in it yet.
    """

    stamp: str
    config: str
    pool: asyncio.Future[tuple[Pool, bool]]


@dataclass(frozen=True, slots=True)
class _Base:
    """A pool as it was built, of all corrections that were known then, by annotation."""

    config: str
    known: Mapping[str, Correction]
    pool: Pool


class Pools:
    """Makes lessons of what projects have learned. Its methods are called on the event loop."""

    def __init__(self, store: Memory, *, apart: bool = False) -> None:
        """
        Args:
            apart: Whether near-duplicates of a task are left out, so that trying a prompt out stays honest.
        """
        self._store = store
        self._apart = apart
        self._views: OrderedDict[tuple[str, bool], _View] = OrderedDict()
        self._bases: dict[tuple[str, bool], _Base] = {}
        self._building: dict[tuple[str, bool], asyncio.Task[None]] = {}
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
        return Lessons(pool, self._meter(bound.key, plan.parameters.model or bound.llm.model), self._apart)

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
        return Lessons(pool, self._meter(spec.project, plan.parameters.model or model), self._apart)

    async def _pool(self, key: str, plan: Plan, stamp: str, *, published: bool) -> Pool:
        """What goes along now. What was unlearned is never in it; of a large pool, what is new may come a little later.

        To build a pool of thousands takes a second or two: an annotator does not wait for that after each submission.
        """
        where = (key, published)
        view = self._views.get(where)
        if view is None or (view.stamp, view.config) != (stamp, plan.config.digest):
            making = asyncio.ensure_future(asyncio.to_thread(self._make, key, plan, published))
            view = self._views[where] = _View(stamp, plan.config.digest, making)
        self._views.move_to_end(where)
        while len(self._views) > _MOST_POOLS:
            self._bases.pop(self._views.popitem(last=False)[0], None)
        try:
            # Many wait for it at once: one of them may go, and the others wait on.
            pool, behind = await asyncio.shield(view.pool)
        except BackendError:
            if self._views.get(where) is view:
                del self._views[where]
            raise
        if behind and where not in self._building:
            self._building[where] = asyncio.ensure_future(self._catch_up(key, plan, published))
        return pool

    def _make(self, key: str, plan: Plan, published: bool) -> tuple[Pool, bool]:
        """What was built, without what was unlearned since; else built anew."""
        corrections = self._store.corrections(key, published=published)
        base = self._bases.get((key, published))
        if base is None or base.config != plan.config.digest:
            return self._build(key, plan, published, corrections), False
        now = {one.annotation: one for one in corrections}
        gone = [name for name, one in base.known.items() if now.get(name) != one]
        news = any(base.known.get(name) != one for name, one in now.items())
        if (news and published) or ((news or gone) and len(base.known) < _LARGE):
            return self._build(key, plan, published, corrections), False
        return base.pool.without(gone) if gone else base.pool, news

    def _build(self, key: str, plan: Plan, published: bool, corrections: Sequence[Correction]) -> Pool:
        pool = pool_of(plan, corrections)
        known = {one.annotation: one for one in corrections}
        self._bases[key, published] = _Base(plan.config.digest, known, pool)
        return pool

    async def _catch_up(self, key: str, plan: Plan, published: bool) -> None:
        """Build a large pool beside the questions; the next one after that goes by it."""
        try:
            corrections = await asyncio.to_thread(self._store.corrections, key, published=published)
            await asyncio.to_thread(self._build, key, plan, published, corrections)
            self._views.pop((key, published), None)
        except BackendError as exc:
            log.warning("project=%s: what was learned cannot be read now: %s", key, exc.logged)
        finally:
            del self._building[key, published]

    def _meter(self, key: str, model: str) -> TokenMeter:
        meter = self._meters.setdefault((key, model), TokenMeter())
        self._meters.move_to_end((key, model))
        while len(self._meters) > _MOST_METERS:
            self._meters.popitem(last=False)
        return meter
