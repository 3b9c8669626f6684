"""Which annotations of a task count, and which of their records are worth learning from?"""

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from llm_backend.core.notices import NOTICE_PREFIX, without_notices
from llm_backend.core.wire import Annotation, Task
from llm_backend.interchange.preferences.finding import Kind
from llm_backend.interchange.preferences.records import (
    Preference,
    Reason,
    Record,
    as_demonstrations,
    as_it_is,
    as_rated,
    texts_of,
)
from llm_backend.interchange.preferences.way import Way

Policy: TypeAlias = Literal["all", "latest", "majority", "ground_truth"]
Sifted: TypeAlias = tuple[list[Annotation], Counter[Reason]]
_ASKING = ("user", "tool")
_AS_KIND: Mapping[Kind, Callable[[Record], Iterator[Record]]] = {
    "pairs": as_it_is,
    "demonstrations": as_demonstrations,
    "rated": as_rated,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A record and the annotation that it comes from."""

    record: Record
    annotation: Annotation


class Counting:
    """Finds the annotations of a task that count."""

    def __init__(self, policy: Policy, vote: Callable[[Annotation], Hashable]) -> None:
        """
        Args:
            vote: What an annotation says, where a majority is to be found.
        """
        self._policy = policy
        self._vote = vote

    def of(self, annotations: Sequence[Annotation]) -> Sifted:
        """The annotations that count, without our notices and by their ids, and why the others do not."""
        left: Counter[Reason] = Counter()
        if not annotations:
            left[Reason.UNTOUCHED] += 1
        kept = [
            replace(made, result=without_notices(made.result), shown=made.shown and without_notices(made.shown))
            for made in sorted(annotations, key=lambda made: (made.id is None, made.id or 0))
            if not made.was_cancelled
        ]
        left[Reason.SKIPPED] += len(annotations) - len(kept)
        true = [made for made in kept if made.ground_truth]
        if self._policy == "ground_truth":
            left[Reason.NO_GROUND_TRUTH] += len(kept) - len(true)
            return true, left
        if true:
            left[Reason.AFTER_GROUND_TRUTH] += len(kept) - len(true)
            kept = true
        if self._policy == "latest" and kept:
            left[Reason.OLDER] += len(kept) - 1
            kept = [max(kept, key=lambda made: (made.updated or made.created, made.id or 0))]
        elif self._policy == "majority":
            kept = self._majority(kept, left)
        return kept, left

    def _majority(self, kept: list[Annotation], left: Counter[Reason]) -> list[Annotation]:
        """The first of the annotations that say what most say."""
        votes = [(self._vote(made), made) for made in kept]
        said = Counter(vote for vote, _ in votes if vote is not None)
        if not said:
            return kept  # why it says nothing, whoever reads it tells
        (most, times), *others = said.most_common(2)
        if others and others[0][1] == times:
            left[Reason.EVEN] += len(kept)
            return []
        left[Reason.OUTVOTED] += len(kept) - 1
        return [next(made for vote, made in votes if vote == most)]


class Taking:
    """Takes records out of tasks, one after the other, and counts why others are left.

    Attributes:
        left: How many annotations, or records of theirs, were left for which reason.
    """

    def __init__(self, way: Way, kind: Kind, policy: Policy = "all", *, repeats: bool = False) -> None:
        """
        Args:
            kind: What records are wanted; a way may yield pairs, which stand for other kinds as well.
            repeats: Keep records that say the same as an earlier one.
        """
        self._way = way
        self._as_kind = _AS_KIND[kind]
        self._counting = Counting(policy, way.vote)
        self._repeats = repeats
        self._seen: set[int] = set()
        self.left: Counter[Reason] = Counter()

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[Taken]:
        """The records of a task, by its annotations in the order of their ids.

        Raises:
            TaskError: The task's data is not what the labeling config shows; nothing of it was taken then.
        """
        counting, left = self._counting.of(annotations)
        taken: list[Taken] = []
        for annotation in counting:
            made: dict[Record, None] = {}
            for record in self._way.records(task, annotation):
                fault = record if isinstance(record, Reason) else unfit(record)
                if fault is not None:
                    left[fault] += 1
                elif not isinstance(record, Reason):
                    made |= dict.fromkeys(self._as_kind(record))
            taken += (Taken(record, annotation) for record in made)
        self.left += left
        return [one for one in taken if self._repeats or self._new(one.record)]

    def _new(self, record: Record) -> bool:
        digest = hashlib.blake2b(repr(record).encode("utf-8", "surrogatepass"), digest_size=8).digest()
        known = int.from_bytes(digest)  # of a hundred thousand, a few megabytes
        if known in self._seen:
            self.left[Reason.DUPLICATE] += 1
            return False
        self._seen.add(known)
        return True


def unfit(record: Record) -> Reason | None:
    """Why a record is not worth learning from, or None."""
    answers = list(texts_of(record))
    every = [*answers, *(turn.content for turn in record.prompt[-1:])]
    if not record.prompt or not all(text.strip() for text in every):
        return Reason.BLANK
    if any(text.startswith(NOTICE_PREFIX) for text in every):
        return Reason.NOTICE
    if record.prompt[-1].role not in _ASKING:
        return Reason.NOT_THEIR_TURN
    if isinstance(record, Preference) and record.chosen.strip() == record.rejected.strip():
        return Reason.IDENTICAL
    return None
