"""How far do two agree on stretches of a text, a sound or a series?

By overlap: of what both marked with the same label, counted in characters (seconds, frames), how much is shared; and by
exact matches: same label, same start, same end. Of both, precision, recall and F1, summed over tasks.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from llm_backend.agreement.resampling import Estimate, Numbers, estimate, ratio
from llm_backend.core.controls.quotes import Quotes
from llm_backend.core.inputs import Inputs
from llm_backend.core.wire import JSON, Region


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch with one label.

    Attributes:
        where: What it lies in: the object, or an utterance of it.
        start, end: In characters, seconds or whatever the object counts in; `end` exclusive.
    """

    where: tuple[str | int, ...]
    start: float
    end: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """How much of the model's is the people's (precision), and how much of the people's the model found (recall)."""

    precision: Estimate
    recall: Estimate
    f1: Estimate


def spans_of(regions: Iterable[Region], inputs: Inputs) -> tuple[Span, ...]:
    """The stretches that regions mark, one for each label of each; what has no place that can be told is left out."""
    found = {
        Span(where, start, end, label)
        for region in regions
        for where, start, end in _places(region, inputs)
        for label in _labels(region)
    }
    return tuple(sorted(found, key=lambda span: (str(span.where), span.start, span.end, span.label)))


Marked = Sequence[Span]


def by_overlap(people: Sequence[Sequence[Marked]], model: Sequence[Marked]) -> Match:
    """Agreement by what is shared.

    Args:
        people: For each task, what each person marked; the model is held against every one of them.
    """
    return _match([_summed(_shared, judges, ours) for judges, ours in zip(people, model, strict=True)])


def exactly(people: Sequence[Sequence[Marked]], model: Sequence[Marked]) -> Match:
    """Agreement by stretches that are the same in every respect; arguments as of `by_overlap`."""
    return _match([_summed(_same, judges, ours) for judges, ours in zip(people, model, strict=True)])


def overlap(people: Marked, model: Marked) -> float:
    """The F1 of one task; 1 where neither marked anything."""
    shared, ours, theirs = _shared(people, model)
    return 2 * shared / (ours + theirs) if ours + theirs else float(not people and not model)


def _match(told: Sequence["_Sums"]) -> Match:
    """Precision, recall and F1 from sums, task by task."""
    rows: Numbers = np.array(told, dtype=float).reshape(-1, 3)
    return Match(
        estimate(rows, lambda sums: ratio(sums[:, 0], sums[:, 1])),
        estimate(rows, lambda sums: ratio(sums[:, 0], sums[:, 2])),
        estimate(rows, lambda sums: ratio(2 * sums[:, 0], sums[:, 1] + sums[:, 2])),
    )


_Sums = tuple[float, float, float]
"""What is shared, what the model marked, and what people marked."""


def _summed(compare: Callable[[Marked, Marked], _Sums], judges: Sequence[Marked], ours: Marked) -> _Sums:
    told = [compare(theirs, ours) for theirs in judges]
    shared, model, people = (sum(parts) for parts in zip(*told, strict=True))
    return shared, model, people


def _same(people: Marked, model: Marked) -> _Sums:
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


_Merged = dict[tuple[tuple[str | int, ...], str], list[tuple[float, float]]]


def _merged(spans: Marked) -> _Merged:
    found: defaultdict[tuple[tuple[str | int, ...], str], list[tuple[float, float]]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: span.start):
        held = found[(span.where, span.label)]
        if held and span.start <= held[-1][1]:
            held[-1] = (held[-1][0], max(held[-1][1], span.end))
        else:
            held.append((span.start, span.end))
    return dict(found)


def _length(merged: _Merged) -> float:
    return sum(end - start for stretches in merged.values() for start, end in stretches)


def _labels(region: Region) -> list[str]:
    held = region.value.get(region.type)
    return [str(label) for label in held] if isinstance(held, list) and held else [""]


_Place = tuple[tuple[str | int, ...], float, float]


def _places(region: Region, inputs: Inputs) -> Iterator[_Place]:
    """Where a region lies; in several pieces where it runs over several utterances."""
    value = region.value
    if region.type == "paragraphlabels":
        yield from _in_utterances(region, inputs)
    elif isinstance(value.get("ranges"), list):  # frames, the last one counted in
        for found in value["ranges"]:
            start, end = (_number(found.get(name)) for name in ("start", "end"))
            if start is not None and end is not None:
                yield (region.to_name,), start, end + 1
    else:
        place = _by_offsets(region) or _by_words(region, inputs)
        if place is not None:
            yield place


def _in_utterances(region: Region, inputs: Inputs) -> Iterator[_Place]:
    told = [_number(region.value.get(name)) for name in ("start", "end", "startOffset", "endOffset")]
    seen = inputs.of(region.to_name)
    if None in told or seen is None:
        return
    first, last, begin, end = (int(number or 0) for number in told)
    for turn in range(first, min(last, len(seen.utterances) - 1) + 1):
        length = len(seen.utterances[turn].text)
        yield (region.to_name, turn), begin if turn == first else 0, end if turn == last else length


def _by_offsets(region: Region) -> _Place | None:
    """By the offsets told; of a HyperText that a person marked, by those that count from its beginning."""
    told = region.value.get("globalOffsets")
    offsets = told if isinstance(told, dict) else region.value
    start, end = (_number(offsets.get(name)) for name in ("start", "end"))
    return None if start is None or end is None else ((region.to_name,), start, end)


def _by_words(region: Region, inputs: Inputs) -> _Place | None:
    seen, words = inputs.of(region.to_name), region.value.get("text")
    if seen is None or not isinstance(words, str) or not words.strip():
        return None
    found = Quotes(seen.text).next(words, "")
    return ((region.to_name,), *found) if found else ((region.to_name, words), 0, len(words))


def _number(told: JSON) -> float | None:
    """A place on a line: a number, a number in words, or a moment in ISO 8601, in seconds."""
    if isinstance(told, bool) or told is None:
        return None
    try:
        return float(told)
    except (TypeError, ValueError):
        pass
    try:
        return datetime.fromisoformat(told).timestamp()
    except (TypeError, ValueError):
        return None
