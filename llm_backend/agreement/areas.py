"""How much of two areas on a picture is shared? Their intersection over their union, exactly, whatever their corners.

Areas are in percent of the picture's width and height. That picture may be wide or high: stretching both sides alike
changes no share.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from llm_backend.agreement.resampling import Numbers
from llm_backend.core.wire import JSON, Region

Corners = tuple[tuple[float, float], ...]
"""The corners of a polygon, in order along its outline, as (x, y)."""
# Of a polygon that stands for an ellipse. With its corners as far out as makes the area right, hardly anything is off.
_ROUND = 64
_LEAST_CORNERS = 3
_FAR = 1e9


def corners_of(region: Region) -> Corners | None:
    """The outline of a box, an ellipse or a polygon; None where the region has none.

    What is turned is turned in the picture's pixels: clockwise, a box about its first corner, an ellipse about its
    middle. A picture whose proportions are not told is taken for a square.
    """
    value = region.value
    if isinstance(points := value.get("points"), list):
        corners = tuple(point for told in points if (point := _point(told)) is not None)
        return corners if len(corners) == len(points) and len({*corners}) >= _LEAST_CORNERS else None
    if box := _numbers(value, ("x", "y", "width", "height")):
        x, y, width, height = box
        offsets = [(0.0, 0.0), (width, 0.0), (width, height), (0.0, height)]
        return _turned((x, y), offsets, region) if width > 0 and height > 0 else None
    if oval := _numbers(value, ("x", "y", "radiusX", "radiusY")):
        x, y, across, down = oval
        return _turned((x, y), list(_round(across, down)), region) if across > 0 and down > 0 else None
    return None


def overlap(first: Corners, second: Corners) -> float:
    """Intersection over union (Jaccard 1912), from 0 to 1.

    The plane is cut at the height of every corner and of every crossing of edges. Within such a strip no edge begins,
    ends or meets another, so that widths change evenly, and the area of a strip is its height times its width half-way.
    What an outline goes round twice counts as inside once (even-odd).
    """
    if first == second:
        return 1.0
    if _apart(first, second):
        return 0.0
    sides = [_edges(corners) for corners in (first, second)]
    heights = np.unique(_heights(np.concatenate(sides)))
    ours, theirs = (_inside(side, (heights[:-1] + heights[1:]) / 2) for side in sides)
    shared = _common(ours, theirs)
    joined = ours.width + theirs.width - shared
    over, under = (float(np.diff(heights) @ widths) for widths in (shared, joined))
    return over / under if under else 0.0


def _apart(first: Corners, second: Corners) -> bool:
    """Whether the boxes around them do not meet, which is soon said."""
    sides = [(min(held), max(held)) for corners in (first, second) for held in zip(*corners, strict=True)]
    across, down, other_across, other_down = sides
    return _aside(across, other_across) or _aside(down, other_down)


def _aside(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[1] <= other[0] or other[1] <= one[0]


def _edges(corners: Corners) -> Numbers:
    """A row for each edge: where it begins, and where it ends."""
    held = np.array(corners, dtype=float)
    return np.hstack([held, np.roll(held, -1, axis=0)])


def _heights(edges: Numbers) -> Numbers:
    """The heights at which edges begin, end or cross."""
    begin, step = edges[:, :2], edges[:, 2:] - edges[:, :2]
    between = begin[np.newaxis] - begin[:, np.newaxis]
    turn = _cross(step[:, np.newaxis], step[np.newaxis])
    with np.errstate(divide="ignore", invalid="ignore"):  # parallel edges, which do not cross
        along = _cross(between, step[np.newaxis]) / turn
        across = _cross(between, step[:, np.newaxis]) / turn
    crossing = (turn != 0) & (along >= 0) & (along <= 1) & (across >= 0) & (across <= 1)
    at = begin[:, np.newaxis, 1] + np.where(crossing, along, 0) * step[:, np.newaxis, 1]
    return np.concatenate([edges[:, 1], at[crossing]])


def _cross(one: Numbers, other: Numbers) -> Numbers:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0])


@dataclass(frozen=True, slots=True)
class _Levels:
    """What of some levels lies inside an outline: stretches from `start` to `end`, (levels, stretches)."""

    start: Numbers
    end: Numbers

    @property
    def width(self) -> Numbers:
        return np.asarray((self.end - self.start).sum(axis=1))


def _inside(edges: Numbers, heights: Numbers) -> _Levels:
    level = heights[:, np.newaxis]
    meets = (edges[:, 1] < level) != (edges[:, 3] < level)
    with np.errstate(divide="ignore", invalid="ignore"):  # level edges, which no level between corners meets
        share = (level - edges[:, 1]) / (edges[:, 3] - edges[:, 1])
    # What is not met stands far off, in pairs: an outline meets a level an even number of times.
    met = np.sort(np.where(meets, edges[:, 0] + share * (edges[:, 2] - edges[:, 0]), _FAR), axis=1)
    most = int(meets.sum(axis=1).max(initial=0))
    return _Levels(met[:, :most:2], met[:, 1:most:2])


def _common(ours: _Levels, theirs: _Levels) -> Numbers:
    start = np.maximum(ours.start[:, :, np.newaxis], theirs.start[:, np.newaxis])
    end = np.minimum(ours.end[:, :, np.newaxis], theirs.end[:, np.newaxis])
    return np.asarray(np.maximum(end - start, 0).sum(axis=(1, 2)))


def _round(across: float, down: float) -> Iterator[tuple[float, float]]:
    angle = 2 * math.pi / _ROUND
    out = math.sqrt(angle / math.sin(angle))  # as far as makes the polygon as large as the ellipse
    for number in range(_ROUND):
        yield out * across * math.cos(number * angle), out * down * math.sin(number * angle)


def _turned(at: tuple[float, float], offsets: Sequence[tuple[float, float]], region: Region) -> Corners:
    (x, y), proportions = at, region.proportions or 1.0
    (told,) = _numbers(region.value, ("rotation",)) or (0.0,)
    cosine, sine = math.cos(math.radians(told)), math.sin(math.radians(told))
    if not told:
        return tuple((x + right, y + down) for right, down in offsets)
    return tuple(
        (x + right * cosine - down * sine / proportions, y + right * sine * proportions + down * cosine)
        for right, down in offsets
    )


def _point(told: JSON) -> tuple[float, float] | None:
    found = _numbers(dict(zip("xy", told, strict=False)), "xy") if isinstance(told, list | tuple) else None
    return None if found is None else (found[0], found[1])


def _numbers(held: Mapping[str, JSON], names: Sequence[str]) -> list[float] | None:
    """The finite numbers of these names; None where one is missing."""
    told = [held.get(name) for name in names]
    fine = all(isinstance(one, int | float) and not isinstance(one, bool) and math.isfinite(one) for one in told)
    return [float(one) for one in told if one is not None] if fine else None
