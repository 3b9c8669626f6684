"""How much of two areas on a picture is shared? Their intersection over their union, exactly, whatever their corners.

Areas are in percent of the picture's width and height. That picture may be wide or high: stretching both sides alike
changes no share.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence

import shapely

from llm_backend.core.wire import JSON, Region

Corners = tuple[tuple[float, float], ...]
"""The corners of a polygon, in order along its outline, as (x, y)."""
# Of a polygon that stands for an ellipse. With its corners as far out as makes the area right, hardly anything is off.
_ROUND = 64
_LEAST_CORNERS = 3
# Each is held against all of another's; as many are kept ready as the pictures of some tasks hold.
_MOST_SHAPES = 10_000


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

    Where an outline crosses itself, what it goes round twice is outside (even-odd).
    """
    if first == second:
        return 1.0
    ours, theirs = _shape(first), _shape(second)
    shared = shapely.intersection(ours, theirs).area
    joined = ours.area + theirs.area - shared
    return float(shared / joined) if joined else 0.0


@functools.lru_cache(maxsize=_MOST_SHAPES)
def _shape(corners: Corners) -> shapely.Geometry:
    return shapely.make_valid(shapely.Polygon(corners), method="linework")


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
