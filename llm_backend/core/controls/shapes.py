"""How are shapes on a picture asked for, and stored? In percent of its width and height, whatever its size."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from llm_backend.core.controls.base import shown
from llm_backend.core.controls.places import Item, Place, Spot
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.inputs import Seen
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

_ROUNDING = 1e-6  # what sums of percents may be off by
_LEAST_POINTS = 3
_DOT_WIDTH = 2  # of a key point, in percent of the picture's width; the editor's own for a new one
_PERCENT: JSON = {"type": "number", "minimum": 0, "maximum": 100}
_ACROSS = "in percent of the picture's width, from the left (0 to 100)"
_DOWN = "in percent of the picture's height, from the top (0 to 100)"


class Shape(Place):
    """A shape that some numbers tell, each in percent.

    Attributes:
        fields: What each number says, by its name; `{where}` stands for the object.
    """

    drawn: ClassVar[bool] = True
    fields: ClassVar[Mapping[str, str]] = {}

    @property
    def schema(self) -> Mapping[str, JSON]:
        return dict.fromkeys(self.fields, _PERCENT)

    def describe(self, where: str) -> Mapping[str, str]:
        return {name: words.replace("{where}", where) for name, words in self.fields.items()}

    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        return [self._spot(item, seen) for item in items]

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        return {name: region.value.get(name) for name in self.fields}

    @abstractmethod
    def value(self, item: Item) -> Mapping[str, JSON] | None:
        """What is stored of it; None where it is no such shape, or leaves the picture."""

    def _spot(self, item: Item, seen: Seen) -> Spot | AnswerError:
        value = self.value(item)
        if value is not None:
            return Spot(value)
        told = shown({name: item.get(name) for name in self.fields}, 200)
        return AnswerError(f'A place in "{seen.name}" lies within the picture, from 0 to 100 percent; {told} does not.')


class Box(Shape):
    """An upright rectangle, by its top left corner and its size."""

    fields: ClassVar[Mapping[str, str]] = {
        "x": "its left edge in {where}, " + _ACROSS,
        "y": f"its top edge, {_DOWN}",
        "width": "its width, in percent of the picture's width",
        "height": "its height, in percent of the picture's height",
    }

    def value(self, item: Item) -> Mapping[str, JSON] | None:
        numbers = _percents(item, self.fields)
        if numbers is None:
            return None
        x, y, width, height = numbers
        fits = width > 0 and height > 0 and _within(x, x + width) and _within(y, y + height)
        return {"x": x, "y": y, "width": width, "height": height, "rotation": 0} if fits else None


class Oval(Shape):
    """An upright ellipse, by its middle and its radii."""

    fields: ClassVar[Mapping[str, str]] = {
        "x": "its middle in {where}, " + _ACROSS,
        "y": f"its middle, {_DOWN}",
        "radiusX": "half its width, in percent of the picture's width",
        "radiusY": "half its height, in percent of the picture's height",
    }

    def value(self, item: Item) -> Mapping[str, JSON] | None:
        numbers = _percents(item, self.fields)
        if numbers is None:
            return None
        x, y, across, down = numbers
        fits = across > 0 and down > 0 and _within(x - across, x + across) and _within(y - down, y + down)
        return {"x": x, "y": y, "radiusX": across, "radiusY": down, "rotation": 0} if fits else None


class Dot(Shape):
    """A point."""

    fields: ClassVar[Mapping[str, str]] = {"x": "where it is in {where}, " + _ACROSS, "y": f"where it is, {_DOWN}"}

    def value(self, item: Item) -> Mapping[str, JSON] | None:
        numbers = _percents(item, self.fields)
        if numbers is None:
            return None
        x, y = numbers
        return {"x": x, "y": y, "width": _DOT_WIDTH}


class Outline(Shape):
    """A closed polygon, by its corners."""

    fields: ClassVar[Mapping[str, str]] = {
        "points": f"its corners in {{where}}, in order along the outline, at least {_LEAST_POINTS}: "
        f'"x" {_ACROSS}, "y" {_DOWN}'
    }

    @property
    def schema(self) -> Mapping[str, JSON]:
        names = ["x", "y"]
        properties = dict.fromkeys(names, _PERCENT)
        corner = {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
        return {"points": {"type": "array", "items": corner, "minItems": _LEAST_POINTS}}

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        held = region.value.get("points")
        corners = [point for point in held if isinstance(point, list | tuple)] if isinstance(held, list) else []
        return {"points": [dict(zip(("x", "y"), point, strict=False)) for point in corners]}

    def value(self, item: Item) -> Mapping[str, JSON] | None:
        told = item.get("points")
        corners = [_corner(point) for point in told] if isinstance(told, list) else []
        points = [list(corner) for corner in corners if corner is not None]
        if len(points) < len(corners) or len({tuple(point) for point in points}) < _LEAST_POINTS:
            return None
        return {"points": points, "closed": True}


class RectangleLabels(RegionMaker, tags=("RectangleLabels",)):
    """Labelled boxes on a picture."""

    places: ClassVar[Mapping[str, Place]] = {"Image": Box()}


class Rectangle(RegionMaker, tags=("Rectangle",)):
    """Boxes on a picture; what labels they have hangs on them."""

    places: ClassVar[Mapping[str, Place]] = RectangleLabels.places
    labelled: ClassVar[bool] = False


class EllipseLabels(RegionMaker, tags=("EllipseLabels",)):
    """Labelled ellipses on a picture."""

    places: ClassVar[Mapping[str, Place]] = {"Image": Oval()}


class Ellipse(RegionMaker, tags=("Ellipse",)):
    """Ellipses on a picture; what labels they have hangs on them."""

    places: ClassVar[Mapping[str, Place]] = EllipseLabels.places
    labelled: ClassVar[bool] = False


class PolygonLabels(RegionMaker, tags=("PolygonLabels",)):
    """Labelled polygons on a picture."""

    places: ClassVar[Mapping[str, Place]] = {"Image": Outline()}


class Polygon(RegionMaker, tags=("Polygon",)):
    """Polygons on a picture; what labels they have hangs on them."""

    places: ClassVar[Mapping[str, Place]] = PolygonLabels.places
    labelled: ClassVar[bool] = False


class KeyPointLabels(RegionMaker, tags=("KeyPointLabels",)):
    """Labelled points on a picture."""

    places: ClassVar[Mapping[str, Place]] = {"Image": Dot()}


class KeyPoint(RegionMaker, tags=("KeyPoint",)):
    """Points on a picture; what labels they have hangs on them."""

    places: ClassVar[Mapping[str, Place]] = KeyPointLabels.places
    labelled: ClassVar[bool] = False


def _percents(item: Item, names: Sequence[str] | Mapping[str, str]) -> list[float] | None:
    """The numbers of these names, or None where one is missing or out of bounds."""
    numbers: list[float] = []
    for name in names:
        told = item.get(name)
        if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 100:
            return None
        numbers.append(told)
    return numbers


def _corner(point: JSON) -> tuple[float, ...] | None:
    """A corner as `{"x": 1, "y": 2}` or `[1, 2]`."""
    if isinstance(point, list) and len(point) == 2:
        point = dict(zip(("x", "y"), point, strict=True))
    numbers = _percents(point, ("x", "y")) if isinstance(point, Mapping) else None
    return None if numbers is None else tuple(numbers)


def _within(low: float, high: float) -> bool:
    return low >= -_ROUNDING and high <= 100 + _ROUNDING
