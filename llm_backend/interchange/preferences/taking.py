"""Which records of a task are worth learning from?"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.notices import NOTICE_PREFIX
from llm_backend.core.wire import Annotation, Task
from llm_backend.interchange.preferences.counting import EVERYBODY, Policy, decide, sift
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
from llm_backend.interchange.preferences.ways import Ways

_ASKING = ("user", "tool")
_AS_KIND: Mapping[Kind, Callable[[Record], Iterator[Record]]] = {
    "pairs": as_it_is,
    "demonstrations": as_demonstrations,
    "rated": as_rated,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A record and the annotation that it comes from.

    Attributes:
        entry: Of what the labeling config repeats, the entry that it is of, by its numbers; the outermost first.
    """

    record: Record
    annotation: Annotation
    entry: tuple[int | str, ...] = ()


class Taking:
    """Takes records out of tasks, one after the other, and counts why others are left.

    Attributes:
        left: How many annotations, or records of theirs, were left for which reason.
    """

    def __init__(self, ways: Ways, kind: Kind, policy: Policy = EVERYBODY) -> None:
        """
        Args:
            kind: The one that the ways were looked for; a way may yield pairs, which stand for other kinds as well.
        """
        self._ways = ways
        self._as_kind = _AS_KIND[kind]
        self._policy = policy
        self.left: Counter[Reason] = Counter()

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[Taken]:
        """The records of a task, by its annotations in the order of their ids.

        Raises:
            TaskError: The task's data is not what the labeling config shows; nothing of it was taken then.
        """
        kept, left = sift(self._policy, annotations)
        ways = list(self._ways.of(task.data))
        if not ways:
            left[Reason.NO_ENTRY] += len(kept)
        decided = [decide(self._policy, kept, way.said) for _, way in ways]
        taken: list[Taken] = []
        for annotation in kept:
            for (entry, way), (counting, _) in zip(ways, decided, strict=True):
                records = self._records(way, task, annotation, left) if annotation in counting else ()
                taken += (Taken(record, annotation, tuple(number for _, number in entry.flags)) for record in records)
        self.left += sum((undecided for _, undecided in decided), left)
        return taken

    def _records(self, way: Way, task: Task, annotation: Annotation, left: Counter[Reason]) -> Iterable[Record]:
        """What an annotation makes in one way; why else it makes nothing is added to what is left."""
        made: dict[Record, None] = {}
        for record in way.records(task, annotation):
            fault = record if isinstance(record, Reason) else unfit(record)
            if fault is not None:
                left[fault] += 1
            elif not isinstance(record, Reason):
                made |= dict.fromkeys(self._as_kind(record))
        return made


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
