"""How far do two agree on stretches of a text, a sound or a series?

By overlap: of what both marked with the same label, counted in characters (seconds, frames), how much is shared; and by
exact matches: same label, same start, same end. Of both, precision, recall and F1, summed over tasks.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from llm_backend.agreement.marks import Mark, Stretches, Where
from llm_backend.agreement.resampling import Match, match


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


def by_overlap(people: Sequence[Sequence[Marked]], model: Sequence[Marked]) -> Match:
    """Agreement by what is shared.

    Args:
        people: For each task, what each person marked; the model is held against every one of them.
    """
    told = zip(people, model, strict=True)
    return match([_summed(_shared(theirs, ours) for theirs in judges) for judges, ours in told])


def exactly(people: Sequence[Sequence[Sequence[Hashable]]], model: Sequence[Sequence[Hashable]]) -> Match:
    """Agreement by stretches, or links, that are the same in every respect; arguments as of `by_overlap`."""
    told = zip(people, model, strict=True)
    return match([_summed(_same(theirs, ours) for theirs in judges) for judges, ours in told])


def overlap(people: Marked, model: Marked) -> float:
    """The F1 of one task; 1 where neither marked anything."""
    shared, ours, theirs = _shared(people, model)
    return 2 * shared / (ours + theirs) if ours + theirs else float(not people and not model)


_Sums = tuple[float, float, float]
"""What is shared, what the model marked, and what people marked."""


def _summed(told: Iterable[_Sums]) -> _Sums:
    shared, model, people = (sum(parts) for parts in zip(*told, strict=True))
    return shared, model, people


def _same(people: Sequence[Hashable], model: Sequence[Hashable]) -> _Sums:
    return float(len({*people} & {*model})), float(len(model)), float(len(people))


def _shared(people: Marked, model: Marked) -> _Sums:
    """How long the shared stretches are, the model's, and the people's; what one marks twice counts once."""
    theirs, ours = _merged(people), _merged(model)
    shared = sum(
        max(0.0, min(end, other_end) - max(start, other_start))
        for key, stretches in ours.items()
        for start, end in stretches
        for other_start, other_end in theirs.get(key, ())
    )
    return shared, _length(ours), _length(theirs)


_Merged = dict[tuple[Where, str], list[tuple[float, float]]]


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
