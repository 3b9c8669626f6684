"""How do predictions get into Label Studio when it did not wait for them?

What is stored already is never stored twice: before each slice the host is asked which tasks have a prediction of this
version, and a slice whose fate is unknown (no answer came) is looked for before it is sent again.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_backend.adapters.host import Host, HostError
from llm_backend.adapters.host.predictions import import_predictions, store_prediction, tasks_there, tasks_with
from llm_backend.core.wire import JSON, Prediction, TaskId

log = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

PATIENCE = 900.0
"""Seconds for which a host that is down is tried again."""

UNSURE_PAUSE = 15.0
"""Seconds for which a host that gave no answer may be storing still."""

SLICE = 500
# Below what a proxy takes by default (1 MB).
_SLICE_BYTES = 700_000
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
# So long after another one was handed a prediction the host shows it (seconds).
_OTHERS_PAUSE = 3.0


@dataclass(frozen=True, slots=True)
class Target:
    """A project of a Label Studio that lets us store predictions."""

    host: Host
    project: int


@dataclass(frozen=True, slots=True)
class PushReport:
    """What became of predictions.

    Attributes:
        stored: Are in Label Studio now, through us.
        singly: How many of the stored its import had left out or refuses, so that they went one by one.
        already_there: Had one of this version: the host took it from an answer, or somebody else stored it.
        gone: Their tasks were deleted.
        dropped: Label Studio refuses them, or left them out and shows none.
        refused: Were not stored for another reason, such as rights, or a host that stayed down. They are kept, and
            handed over when the host asks.
        reason: One sentence on the last that were dropped or refused; empty if there are none.
    """

    stored: int = 0
    singly: int = 0
    already_there: int = 0
    gone: int = 0
    dropped: int = 0
    refused: int = 0
    reason: str = ""

    def __add__(self, other: "PushReport") -> "PushReport":
        return PushReport(
            self.stored + other.stored,
            self.singly + other.singly,
            self.already_there + other.already_there,
            self.gone + other.gone,
            self.dropped + other.dropped,
            self.refused + other.refused,
            other.reason or self.reason,
        )


class Claim(Protocol):
    """Who may store a task's prediction now, when several could: one of us, or a request that is given it."""

    async def take(self, tasks: Collection[int]) -> set[int]:
        """Which of these are ours until `release`; what is not was given to another a moment ago."""
        ...

    async def release(self, stored: Collection[int], unsure: Collection[int] = ()) -> None:
        """Let go of all that was taken; `stored` are in Label Studio now.

        Args:
            unsure: May be in there soon: Label Studio was sent them and gave no answer.
        """
        ...


class Unclaimed:
    """No other would store them."""

    async def take(self, tasks: Collection[int]) -> set[int]:
        return set(tasks)

    async def release(self, stored: Collection[int], unsure: Collection[int] = ()) -> None:
        pass


class Push:
    """Stores predictions in Label Studio, in slices, and tries again while it is down."""

    def __init__(
        self,
        *,
        patience: float = PATIENCE,
        slice_size: int = SLICE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """
        Args:
            patience: Seconds for which a push is tried.
            slice_size: Predictions sent at once.
        """
        self._patience = patience
        self._slice_size = slice_size
        self._clock = clock
        self._sleep = sleep

    async def push(
        self,
        target: Target,
        version: str,
        predictions: Sequence[tuple[TaskId, Prediction]],
        claim: Claim | None = None,
        patience: float | None = None,
    ) -> PushReport:
        """Store predictions for tasks for which the host shows none of this version.

        Args:
            patience: Seconds for which it is tried this time, where that is less than usual.

        Returns:
            What became of each; errors are in there as sentences.
        """
        report = PushReport()
        by_task = {task: _item(task, version, made) for task, made in predictions if isinstance(task, int)}
        if strange := len({task for task, _ in predictions}) - len(by_task):
            report += PushReport(refused=strange, reason="A task without a number is none of Label Studio's.")
        deadline = self._clock() + (self._patience if patience is None else patience)
        for items in _slices(by_task, self._slice_size):
            work = _Slice(target, version, items, claim or Unclaimed())
            await self._persist(work, deadline)
            report += work.report
        return report

    async def _persist(self, work: "_Slice", deadline: float) -> None:
        """Work on a slice until nothing of it is left, or it is in vain."""
        pause = _FIRST_PAUSE
        while work.left:
            try:
                await work.attempt()
                wait, reason = _OTHERS_PAUSE, "Others kept taking these predictions; the host shows none."
            except HostError as exc:
                wait, reason = max(pause, UNSURE_PAUSE if exc.unsure else 0.0), exc.sentence
                pause = min(2 * pause, _LONGEST_PAUSE)
                if in_vain(exc):
                    wait = float("inf")
            if work.left and self._clock() + wait > deadline:
                work.give_up(reason)
            elif work.left:
                log.info("push project=%d: %d wait for %g s: %s", work.target.project, len(work.left), wait, reason)
                await self._sleep(wait)


@dataclass(slots=True)
class _Slice:
    """Predictions that are stored together.

    Attributes:
        left: What is still to be stored, by task.
        sent: What was sent to the host without learning what became of it.
    """

    target: Target
    version: str
    left: dict[int, JSON]
    claim: Claim
    sent: set[int] = field(default_factory=set)
    report: PushReport = PushReport()

    async def attempt(self) -> None:
        """Store what may be stored now; the rest stays left.

        Raises:
            HostError: Label Studio cannot be asked now, or refuses all of it.
        """
        await self._leave_out_what_is_there()
        # The claim comes after the look: what another was handed before it shows, or cannot be taken.
        mine = await self.claim.take(tuple(self.left)) if self.left else set()
        before, answered = set(self.left), False
        try:
            if mine:
                await self._store(mine)
            answered = True
        except HostError as exc:
            answered = not exc.unsure
            raise
        finally:
            left = set(self.left)
            await self.claim.release(before - left, () if answered else left & self.sent)

    def give_up(self, reason: str) -> None:
        self.report += PushReport(refused=len(self.left), reason=reason)
        self.left.clear()

    async def _leave_out_what_is_there(self) -> None:
        there = await tasks_with(self.target.host, self.target.project, self.version, self.left)
        ours = len(there & self.sent)
        self._settle(there, PushReport(stored=ours, already_there=len(there) - ours))

    async def _store(self, mine: set[int]) -> None:
        singly = {task for task in mine if _import_refuses(self.left[task])}
        singly |= await self._import(mine - singly)
        for task in sorted(singly):
            await self._store_one(task)

    async def _import(self, tasks: set[int]) -> set[int]:
        """Store many at once; returns those that did not go this way."""
        if not tasks:
            return set()
        try:
            created = await self._send(tasks)
        except HostError as exc:
            if exc.answered != 400:
                raise
            # One task that was deleted since refuses the whole list; so does a host that is strict about shapes.
            there = await self._leave_out_the_gone(tasks)
            return there if there == tasks else await self._import(there)
        if created < len(tasks):
            return await self._left_out(tasks, created)
        self._settle(tasks, PushReport(stored=len(tasks)))
        return set()

    async def _send(self, tasks: set[int]) -> int:
        self.sent |= tasks
        return await import_predictions(self.target.host, self.target.project, [self.left[task] for task in tasks])

    async def _left_out(self, tasks: set[int], created: int) -> set[int]:
        """The host leaves out without a word what does not pass its checker: find which they are."""
        there = await tasks_with(self.target.host, self.target.project, self.version, tasks)
        self._settle(there, PushReport(stored=len(there)))
        log.info("push project=%d: import stored %d of %d; now singly", self.target.project, created, len(tasks))
        return tasks - there

    async def _store_one(self, task: int) -> None:
        self.sent.add(task)
        try:
            await store_prediction(self.target.host, self.left[task])
        except HostError as exc:
            if exc.answered not in (400, 404):
                raise
            if await self._leave_out_the_gone({task}):
                self._settle({task}, PushReport(dropped=1, reason=_DROPPED))
            return
        self._settle({task}, PushReport(stored=1, singly=1))

    async def _leave_out_the_gone(self, tasks: set[int]) -> set[int]:
        """Those of the tasks that exist still."""
        there = await tasks_there(self.target.host, self.target.project, tasks)
        self._settle(tasks - there, PushReport(gone=len(tasks - there)))
        return there

    def _settle(self, tasks: Collection[int], report: PushReport) -> None:
        for task in tasks:
            del self.left[task]
        self.report += report


_DROPPED = (
    "Label Studio does not take predictions of this shape for the project's labeling config; "
    "the config may have changed since they were made."
)


def in_vain(exc: HostError) -> bool:
    """Whether asking again in a moment would fare no better: rights, credentials, or what is no Label Studio."""
    return exc.lasting or exc.answered == 401


def _item(task: int, version: str, prediction: Prediction) -> JSON:
    return {**prediction.to_json(), "task": task, "model_version": version}


def _import_refuses(item: JSON) -> bool:
    """Whether the host's import would leave this out, though the editor shows it: nested choices, which are paths.

    There are more such shapes, which only the host's checker can tell; those it leaves out, and then they go singly.
    """
    choices = (region["value"].get("choices") for region in item["result"] if region["type"] == "choices")
    return any(isinstance(entry, list) for entries in choices if isinstance(entries, list) for entry in entries)


def _slices(items: dict[int, JSON], size: int) -> Iterator[dict[int, JSON]]:
    """Pieces that are bounded in number and in bytes."""
    piece: dict[int, JSON] = {}
    weight = 0
    for task, item in items.items():
        heavy = len(json.dumps(item))
        if piece and (len(piece) >= size or weight + heavy > _SLICE_BYTES):
            yield piece
            piece, weight = {}, 0
        piece[task] = item
        weight += heavy
    if piece:
        yield piece
