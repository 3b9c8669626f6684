"""What happens on Retrieve Predictions, and when a task is opened?

A request waits for its deadline at most. What is to be asked is a run, which goes on after it; answers are kept, so
that what the host did not get is there when it asks again; and a question is asked once, however many wait for it.
"""

import asyncio
import itertools
import json
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field

from llm_backend.adapters.runs import Engine, Question, Questions
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.backend.blind import is_blind
from llm_backend.backend.projects import Projects
from llm_backend.backend.pushing import Pushing, shown_within
from llm_backend.core.run import PAUSED, SUPERSEDED, UNFINISHED, WAITING, Run, RunTask, Spec, digest_of
from llm_backend.core.wire import NOTHING, PredictRequest, Task, TaskId
from llm_backend.errors import BackendError
from llm_backend.settings import Settings

log = logging.getLogger(__name__)

# The host asks twice at once when a task is opened, and would store both answers. A request for one task is held this
# long (seconds), so that its twin meets it here even when the answer is known at once.
_TWINS_MEET = 0.3
# The twin's page must not be built before the host has stored what the first was given (seconds).
_HOST_STORES = 0.5
# A prediction that we are storing in the host at this moment is waited for so long (seconds), and then not given again.
_OURS_STORED = 5.0
_LOOKED_UP_AT_ONCE = 500
_READ_EARLY = 100


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a request's tasks; `answers` grows as they come in.

    Of the tasks it holds names alone, and of the answers their JSON: many requests may wait, each for fifty thousand.

    Attributes:
        digests: In the request's order; None for what is no task.
        idents: The tasks' ids, in the same order.
        blind: The tasks whose answers are kept, and handed to nobody.
        answers: Predictions in JSON, by digest; None for a task that failed.
    """

    spec: Spec
    digests: Sequence[str | None]
    idents: Sequence[TaskId | None]
    blind: frozenset[str]
    answers: dict[str, str | None] = field(default_factory=dict)

    @property
    def missing(self) -> set[str]:
        """The tasks without a known answer."""
        return {digest for digest in self.digests if digest and digest not in self.answers}

    @property
    def predicted(self) -> set[str]:
        """The tasks that have a prediction."""
        return {digest for digest, answer in self.answers.items() if answer is not None}

    def look_up(self, store: Store, digests: Iterable[str]) -> None:
        """Take in what the store holds of these, some at a time: an answer's objects take more than its JSON."""
        rest = iter(digests)
        while some := list(itertools.islice(rest, _LOOKED_UP_AT_ONCE)):
            self.take(store.kept(self.spec.project, self.spec.version, some).values())

    def take(self, kept: Iterable[Kept]) -> None:
        """Take in answers."""
        self.answers.update((one.digest, _written(one, self.spec.version)) for one in kept)

    @property
    def questions(self) -> Questions:
        """What the request is to be answered."""
        wanted = tuple(digest for digest in self.digests if digest and digest not in self.blind)
        return Questions(self.spec.project, self.spec.version, wanted)

    @property
    def alone(self) -> bool:
        """Whether somebody may be waiting for this one task's page."""
        return len(self.digests) == 1


class _Arriving:
    """Reads answers while others are still waited for: of a thousand at the end, most are known by then."""

    def __init__(self, known: _Known, store: Store) -> None:
        self._known = known
        self._store = store
        self._heard: list[str] = []
        self._reading: asyncio.Task[None] | None = None

    def heard(self, digest: str) -> None:
        """This one is in the store."""
        self._heard.append(digest)
        if self._reading is None and len(self._heard) >= _READ_EARLY:
            self._reading = asyncio.create_task(self._read())

    async def all_of(self, digests: Set[str]) -> None:
        """Read what is not known yet. A failure is looked at again: it may have been asked once more."""
        if self._reading is not None:
            await self._reading
        await asyncio.to_thread(self._known.look_up, self._store, digests - self._known.predicted)

    async def _read(self) -> None:
        try:
            while len(self._heard) >= _READ_EARLY:
                some, self._heard = self._heard, []
                await asyncio.to_thread(self._known.look_up, self._store, some)
        except BackendError as exc:  # they are read at the end
            log.info("batch project=%s: answers are not read early: %s", self._known.spec.project, exc.logged)
        finally:
            self._reading = None


class Batch:
    """Answers requests without an annotator's context."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        projects: Projects,
        engine: Engine,
        pushing: Pushing,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._store = store
        self._projects = projects
        self._engine = engine
        self._pushing = pushing
        self._clock = clock

    async def answer(self, request: PredictRequest) -> list[str]:
        """An entry of the reply for each task, in order, in JSON: its prediction, or `NOTHING` now."""
        began, project, total = self._clock(), request.project, len(request.tasks)
        try:
            # In a thread: what is done for ten thousand tasks at once must not hold up the loop.
            known = await asyncio.to_thread(self._look_up, request)
            missing = known.missing
            if missing:
                await self._have_asked(known, missing, request.tasks)
            del request  # the store has its tasks
            await self._wait(known, missing - known.blind, began)
            await self._pushing.wait(known.questions, _OURS_STORED)
            given = await asyncio.to_thread(self._give, known, began)
        except BackendError as exc:
            log.warning("batch project=%s tasks=%d: %s", project, total, exc.logged)
            return [NOTHING] * total
        log.info(
            "batch project=%s version=%s tasks=%d answered=%d seconds=%.2f",
            known.spec.project,
            known.spec.version,
            total,
            len(given),
            self._clock() - began,
        )
        self._push_later(known, given)
        return [known.answers[digest] or NOTHING if digest in given else NOTHING for digest in known.digests]

    def recover(self) -> None:
        """Go on looking for the answers of the host's batches that a process left behind, to push them."""
        for run in self._store.runs(UNFINISHED, most=1000):
            if run.spec.source == "predict":
                project, share = run.spec.project, self._settings.blind_share
                tasks = self._store.task_statuses(run.id, WAITING, most=run.total)
                shown = {task.digest: task.task_id for task in tasks if not is_blind(project, task.task_id, share)}
                self._pushing.follow(project, run.spec.version, shown)

    def supersede(self, project: str, version: str) -> None:
        """Begin no further calls for the host's batches that a newer version of their project has overtaken."""
        for run in self._store.runs(UNFINISHED):
            if run.spec.project == project and run.spec.source != "label" and run.spec.version != version:
                self._store.set_run_state(run.id, "cancelled", SUPERSEDED, only=UNFINISHED)
                log.info("run=%s project=%s cancelled: superseded", run.id, project)

    def _look_up(self, request: PredictRequest) -> _Known:
        """What is known of the request's tasks before a model is asked."""
        bound = self._projects.bind(request.project, request.label_config)
        spec = bound.spec(request.label_config, bound.prompt())
        digests: list[str | None] = []
        idents: list[TaskId | None] = []
        for task in request.tasks:
            digests.append(digest_of(task) if task else None)
            idents.append(task.id if task else None)
        share = self._settings.blind_share
        named = zip(digests, idents, strict=True)
        blind = frozenset(digest for digest, ident in named if digest and is_blind(spec.project, ident, share))
        known = _Known(spec, digests, idents, blind)
        known.look_up(self._store, filter(None, digests))
        return known

    async def _wait(self, known: _Known, missing: Set[str], began: float) -> None:
        """Add what is answered before the deadline."""
        if missing:
            patience = self._settings.open_task_deadline if known.alone else self._settings.batch_deadline
            questions = Questions(known.spec.project, known.spec.version, missing)
            arriving = _Arriving(known, self._store)
            at_hand = await self._engine.wait(questions, patience - (self._clock() - began), arriving.heard)
            await arriving.all_of(missing)
            known.take(at_hand.values())
        if known.alone:
            await asyncio.sleep(max(0.0, _TWINS_MEET - (self._clock() - began)))
            (digest,) = known.digests
            if digest and self._store.given_since(known.spec.project, known.spec.version, digest, began):
                await asyncio.sleep(_HOST_STORES)

    async def _have_asked(self, known: _Known, missing: set[str], tasks: Sequence[Task | None]) -> None:
        """Put the missing tasks into a run, but for those that another run waits for; that one is woken."""
        run = Run(uuid.uuid4().hex[:12], known.spec, "queued", created=self._clock())
        mine = await asyncio.to_thread(self._add, run, known, missing, tasks)
        others = await asyncio.to_thread(self._others, known.spec, missing - mine - known.answers.keys())
        if mine:
            await self._engine.start(run.id)
        for run_id in others:
            await self._wake(run_id)
        if known.alone:
            for run_id, digests in {**others, run.id: mine}.items():
                await self._engine.hurry(run_id, digests)

    def _add(self, run: Run, known: _Known, missing: set[str], tasks: Sequence[Task | None]) -> set[str]:
        """Add the run; returns the digests that it is to ask for.

        What another run answered between our look and now is settled from its answer, and not asked again.
        """
        named = zip(known.digests, tasks, strict=True)
        mine = set(
            self._store.add_run(
                run, (RunTask(digest, task) for digest, task in named if digest in missing and digest and task)
            )
        )
        answered = self._store.kept(known.spec.project, known.spec.version, mine)
        if answered:
            self._store.settle(run.id, [Settled(kept) for kept in answered.values()])
            known.take(answered.values())
        return mine - answered.keys()

    def _others(self, spec: Spec, digests: Collection[str]) -> dict[str, set[str]]:
        """The tasks that other runs wait for, by run."""
        by_run: dict[str, set[str]] = {}
        if digests:
            for digest, run_id in self._store.runs_waiting_for(spec.project, spec.version, digests).items():
                by_run.setdefault(run_id, set()).add(digest)
        return by_run

    async def _wake(self, run_id: str) -> None:
        """A run that was paused is tried again when its tasks are asked for again."""
        run = await asyncio.to_thread(self._store.run, run_id)
        if run is not None and run.state == "paused":
            await asyncio.to_thread(lambda: self._store.set_run_state(run_id, "queued", only=PAUSED))
            await self._engine.start(run_id)

    def _push_later(self, known: _Known, given: Collection[str]) -> None:
        """What the host did not get is pushed when it comes; what it got is looked for, since it may have hung up."""
        spec, predicted = known.spec, known.predicted
        handed: list[tuple[Question, TaskId | None]] = []
        left: dict[str, TaskId | None] = {}
        for digest, ident in zip(known.digests, known.idents, strict=True):
            if digest in given and digest:
                handed.append((Question(spec.project, spec.version, digest), ident))
            elif digest and digest not in predicted and digest not in known.blind:
                left[digest] = ident
        if handed:
            self._pushing.handed(handed)
        if left:
            self._pushing.follow(spec.project, spec.version, left)

    def _give(self, known: _Known, began: float) -> set[str]:
        """The predictions to hand over: all but those that another request which waited for them was given."""
        spec, predicted = known.spec, known.predicted - known.blind
        return self._store.give(spec.project, spec.version, predicted, began, shown_within=shown_within(len(predicted)))


def _written(kept: Kept, version: str) -> str | None:
    """A prediction as the host stores it, in JSON; None for a failure."""
    return None if kept.prediction is None else json.dumps({**kept.prediction, "model_version": version})
