"""How far do two agree on stretches of a text, a sound or a series?

By overlap: of what both marked with the same label, counted in characters (seconds, frames), how much is shared; and by
exact matches: same label, same start, same end. Of both, precision, recall and F1, summed over tasks.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from llm_backend.agreement.marks import Mark, Stretches, Where


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch with one label.

    Attributes:
        where: What it lies in: the object, or an utterance of it.
        start, end: In characters, seconds or whatever the object counts in; `end` exclusive.
    """

    where: Where
    start: float
    end: float
    label: str = ""


def spans_of(marks: Iterable[Mark]) -> tuple[Span, ...]:
    """The stretches that are marked, one for each label of each piece; what is no stretch is left out."""
    found = (
        Span(piece.where, piece.start, piece.end, label)
        for mark in marks
        if isinstance(mark.form, Stretches)
        for piece in mark.form.pieces
        for label in mark.labels or ("",)
    )
    return tuple(dict.fromkeys(found))


Marked = Sequence[Span]


class Sums(NamedTuple):
    """What is shared, what the model has, and what people have; of one task or of several, and of several people."""

    shared: float
    model: float
    people: float

    @property
    def f1(self) -> float:
        """1 where neither has anything."""
        held = self.model + self.people
        return 2 * self.shared / held if held else 1.0


@dataclass(frozen=True, slots=True)
class Lines:
    """How far two agree on the stretches of one task: by length, and by those that are the same in every respect."""

    overlap: Sums
    exact: Sums


def lines(people: Iterable[Mark], model: Iterable[Mark]) -> Lines:
    """Hold what the model marked against what a person did."""
    theirs, ours = spans_of(people), spans_of(model)
    return Lines(by_length(theirs, ours), same(theirs, ours))


def summed(told: Iterable[Sums]) -> Sums:
    """Of several people: the model is held against every one of them."""
    return Sums(*map(sum, zip(*told, strict=True)))


def same(people: Collection[Hashable], model: Collection[Hashable]) -> Sums:
    """How many are the same in every respect."""
    return Sums(float(len({*people} & {*model})), float(len(model)), float(len(people)))


def by_length(people: Marked, model: Marked) -> Sums:
    """How long the shared stretches are, the model's, and the people's; what one marks twice counts once."""
    theirs, ours = _merged(people), _merged(model)
    shared = sum(_common(stretches, theirs.get(key, [])) for key, stretches in ours.items())
    return Sums(shared, _length(ours), _length(theirs))


_Stretches = list[tuple[float, float]]
"""From the left, apart from each other."""
_Merged = dict[tuple[Where, str], _Stretches]


def _common(ours: _Stretches, theirs: _Stretches) -> float:
    at = other = 0
    shared = 0.0
    while at < len(ours) and other < len(theirs):
        (start, end), (other_start, other_end) = ours[at], theirs[other]
        shared += max(0.0, min(end, other_end) - max(start, other_start))
        if end < other_end:
            at += 1
        else:
            other += 1
    return shared


def _merged(spans: Marked) -> _Merged:
    found: defaultdict[tuple[Where, str], list[tuple[float, float]]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        held = found[(span.where, span.label)]
        if held and span.start <= held[-1][1]:
            held[-1] = (held[-1][0], max(held[-1][1], span.end))
        else:
            held.append((span.start, span.end))
    return dict(found)


def _length(merged: _Merged) -> float:
    return sum(end - start for stretches in merged.values() for start, end in stretches)
