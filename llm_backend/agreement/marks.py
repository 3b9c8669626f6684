"""Where in what they label do regions lie, and how near is one to another?

Pieces of texts, sounds and series, boxes, ellipses and polygons are held against each other by their intersection over
their union (Jaccard 1912; of areas as PASCAL VOC does, Everingham et al. 2010), points by their distance.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llm_backend.agreement.areas import Corners, corners_of, overlap
from llm_backend.core.controls.quotes import Quotes
from llm_backend.core.controls.time_format import TimeFormat
from llm_backend.core.inputs import Inputs
from llm_backend.core.wire import JSON, Region

Where = tuple[str | int, ...]
"""What a region lies in: the object, and the utterance or the picture of it."""
NEAR = 0.5
"""How near two regions have to be to count as the same place (PASCAL VOC's criterion)."""
REACH = 5.0
"""How far apart two points may be to count as the same place, in percent of the picture."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a text, a sound or a series; `end` exclusive, in characters, seconds or what the object counts in."""

    where: Where
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Stretches:
    """One piece, or several where a region runs over several utterances, or has gaps."""

    pieces: tuple[Stretch, ...]

    def nearness(self, other: "Stretches") -> float:
        """Intersection over union; of two moments whether they are the same."""
        shared = sum(_shared(one, two) for one in self.pieces for two in other.pieces)
        joined = sum(one.end - one.start for side in (self, other) for one in side.pieces) - shared
        return shared / joined if joined else float(self == other)

    def __str__(self) -> str:
        return " + ".join(f"{one.start:g}-{one.end:g}" for one in self.pieces)


@dataclass(frozen=True, slots=True)
class Area:
    """A shape on a picture, in percent of its width and height."""

    where: Where
    corners: Corners

    def nearness(self, other: "Area") -> float:
        """Intersection over union."""
        return overlap(self.corners, other.corners) if self.where == other.where else 0.0

    def __str__(self) -> str:
        across, down = ((min(held), max(held)) for held in zip(*self.corners, strict=True))
        return f"{across[0]:.3g}-{across[1]:.3g} x {down[0]:.3g}-{down[1]:.3g}"


@dataclass(frozen=True, slots=True)
class Point:
    """A point on a picture, in percent of its width and height."""

    where: Where
    x: float
    y: float

    def nearness(self, other: "Point") -> float:
        """1 for the same point, `NEAR` for one that is as far as `REACH`."""
        apart = math.hypot(self.x - other.x, self.y - other.y) if self.where == other.where else math.inf
        return max(0.0, 1 - (1 - NEAR) * apart / REACH)

    def __str__(self) -> str:
        return f"{self.x:.3g} x {self.y:.3g}"


def _shared(one: Stretch, other: Stretch) -> float:
    start, end = max(one.start, other.start), min(one.end, other.end)
    return end - start if start < end and one.where == other.where else 0.0


Form = Stretches | Area | Point


@dataclass(frozen=True, slots=True)
class Mark:
    """A region: where it lies, and what labels of its own it has.

    Attributes:
        id: The region's. What is marked is the same whatever its id.
    """

    form: Form
    labels: tuple[str, ...] = ()
    id: str | None = field(default=None, compare=False)

    @property
    def objects(self) -> Where:
        """What it lies in; marks in other objects are never near."""
        if isinstance(self.form, Stretches):
            return self.form.pieces[0].where[:1]
        return self.form.where

    def nearness(self, other: "Mark") -> float:
        """How near another mark of the same control is, whatever its labels: from 0 to 1."""
        if isinstance(self.form, Stretches) and isinstance(other.form, Stretches):
            return self.form.nearness(other.form)
        if isinstance(self.form, Area) and isinstance(other.form, Area):
            return self.form.nearness(other.form)
        if isinstance(self.form, Point) and isinstance(other.form, Point):
            return self.form.nearness(other.form)
        return 0.0

    def __str__(self) -> str:
        return f"{' + '.join(self.labels) or 'unlabelled'} {self.form}"


Marks = tuple[Mark, ...]


def apart(nearness: float) -> float:
    """How far two points are from each other that are so near, in percent of the picture."""
    return (1 - nearness) * REACH / (1 - NEAR)


def marks_of(regions: Iterable[Region], inputs: Inputs) -> Marks:
    """What regions mark, in order; what has no place that can be told is left out."""
    marked = ((region, _form(region, inputs)) for region in regions)
    marks = (Mark(form, tuple(sorted({*_labels(region)})), region.id) for region, form in marked if form is not None)
    return tuple(sorted(marks, key=lambda mark: (_place(mark.form), mark.labels)))


def _place(form: Form) -> tuple[str, tuple[float, ...]]:
    if isinstance(form, Stretches):
        return str(form.pieces[0].where), tuple(end for one in form.pieces for end in (one.start, one.end))
    if isinstance(form, Area):
        return str(form.where), tuple(number for corner in form.corners for number in corner)
    return str(form.where), (form.x, form.y)


def _labels(region: Region) -> list[str]:
    held = region.value.get(region.type)
    return [str(label) for label in held] if isinstance(held, list) else []


def _form(region: Region, inputs: Inputs) -> Form | None:
    value, kind = region.value, region.type.removesuffix("labels")
    picture: Where = (region.to_name, region.item_index or 0)
    if kind == "keypoint":
        x, y = _number(value.get("x")), _number(value.get("y"))
        return None if x is None or y is None else Point(picture, x, y)
    if kind in ("rectangle", "ellipse", "polygon"):
        corners = corners_of(region)
        return None if corners is None else Area(picture, corners)
    pieces = tuple(Stretch(*found) for found in _pieces(region, inputs))
    return Stretches(pieces) if pieces else None


_Piece = tuple[Where, float, float]


def _pieces(region: Region, inputs: Inputs) -> Iterator[_Piece]:
    """Where a stretch lies; in several pieces where it runs over several utterances."""
    value = region.value
    if region.type == "paragraphlabels":
        yield from _in_utterances(region, inputs)
    elif isinstance(value.get("ranges"), list):  # frames, the last one counted in
        for found in value["ranges"]:
            start, end = (_number(found.get(name)) if isinstance(found, dict) else None for name in ("start", "end"))
            if start is not None and end is not None:
                yield (region.to_name,), start, end + 1
    else:
        piece = _by_offsets(region, inputs) or _by_words(region, inputs)
        if piece is not None:
            yield piece


def _in_utterances(region: Region, inputs: Inputs) -> Iterator[_Piece]:
    told = [_number(region.value.get(name)) for name in ("start", "end", "startOffset", "endOffset")]
    seen = inputs.of(region.to_name)
    if None in told or seen is None:
        return
    first, last, begin, end = (int(number or 0) for number in told)
    for turn in range(first, min(last, len(seen.utterances) - 1) + 1):
        length = len(seen.utterances[turn].text)
        yield (region.to_name, turn), begin if turn == first else 0, end if turn == last else length


def _by_offsets(region: Region, inputs: Inputs) -> _Piece | None:
    """By the offsets told; of a HyperText that a person marked, by those that count from its beginning."""
    told = region.value.get("globalOffsets")
    offsets = told if isinstance(told, dict) else region.value
    seen = inputs.of(region.to_name)
    written = seen.attrs.get("timeformat", "") if seen else ""
    start, end = (_number(offsets.get(name), written) for name in ("start", "end"))
    return None if start is None or end is None else ((region.to_name,), start, end)


def _by_words(region: Region, inputs: Inputs) -> _Piece | None:
    seen, words = inputs.of(region.to_name), region.value.get("text")
    if seen is None or not isinstance(words, str) or not words.strip():
        return None
    found = Quotes(seen.text).next(words, "")
    return ((region.to_name,), *found) if found else ((region.to_name, words), 0, len(words))


def _number(told: JSON, written: str = "") -> float | None:
    """A place on a line: a number, a number in words, or a moment, in seconds.

    Args:
        written: How moments are written that are not in ISO 8601 (`timeFormat`).
    """
    if isinstance(told, bool) or told is None:
        return None
    try:
        number = float(told)
    except (TypeError, ValueError):
        return _moment(told, written) if isinstance(told, str) else None
    return number if math.isfinite(number) else None


def _moment(told: str, written: str) -> float | None:
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        try:
            read = TimeFormat(written).read(told) if written else None
        except ValueError:
            read = None
        if read is None:
            return None
        moment = read
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
