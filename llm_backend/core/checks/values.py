"""What must the value of a region look like, for each type?"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from llm_backend.core.controls.options import filled
from llm_backend.core.inputs import Inputs, resolve
from llm_backend.core.labeling import Choice, Output
from llm_backend.core.wire import JSON, Region

Value = Mapping[str, JSON]
Path = tuple[str, ...]
_WHOLE = 100.0
_ROUNDING = 1e-6
_DEEPEST = 50  # levels of options in a task's data


def flaw(region: Region, output: Output, inputs: Inputs) -> str:
    """What is wrong with a region's value, as the end of a sentence on its control; "" if nothing is."""
    check = _CHECKS.get(region.type)
    if check is None:
        return "is not among what can be checked"
    return check(region, output, inputs)


def _choices(region: Region, output: Output, inputs: Inputs) -> str:
    entries = region.value.get("choices")
    nested = output.flag("allownested")
    known = {path for path, leaf in _paths(output, inputs) if leaf or not nested}
    if not isinstance(entries, list) or not entries:
        return "holds no list of choices"
    told = [_path(entry if nested else [entry]) for entry in entries]
    if not all(path in known for path in told):
        return "holds a choice that it does not offer"
    if output.attrs.get("choice") != "multiple" and len(entries) > 1:
        return "holds several choices and takes one"
    return _repeated(entries)


def _taxonomy(region: Region, output: Output, inputs: Inputs) -> str:
    entries = region.value.get("taxonomy")
    known = dict(_paths(output, inputs))
    if not isinstance(entries, list) or not entries:
        return "holds no list of paths"
    found = [known.get(path) if (path := _path(entry)) else None for entry in entries]
    if None in found:
        return "holds a path that it does not offer"
    if output.flag("leafsonly") and not all(found):
        return "holds a path that does not end at a leaf"
    most = output.whole("maxusages")
    if most and len(entries) > most:
        return f"holds {len(entries)} paths and takes {most}"
    return _repeated(entries)


def _textarea(region: Region, output: Output, inputs: Inputs) -> str:
    entries = region.value.get("text")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, str) for entry in entries):
        return "holds no list of texts"
    most = output.whole("maxsubmissions")
    return f"holds {len(entries)} texts and takes {most}" if most and len(entries) > most else ""


def _rating(region: Region, output: Output, inputs: Inputs) -> str:
    stars, most = region.value.get("rating"), output.whole("maxrating") or 5
    return "" if type(stars) is int and 1 <= stars <= most else f"holds no number of stars from 1 to {most}"


def _number(region: Region, output: Output, inputs: Inputs) -> str:
    number: JSON = region.value.get("number")
    if not _is_number(number):
        return "holds no number"
    least, most = output.number("min"), output.number("max")
    inside = (least is None or least <= number) and (most is None or number <= most)
    return "" if inside else "holds a number out of its bounds"


def _datetime(region: Region, output: Output, inputs: Inputs) -> str:
    moment = region.value.get("datetime")
    return "" if isinstance(moment, str) and moment.strip() else "holds no text that tells a time"


def _pairwise(region: Region, output: Output, inputs: Inputs) -> str:
    return "" if region.value.get("selected") in ("left", "right") else "holds neither left nor right"


def _ranker(region: Region, output: Output, inputs: Inputs) -> str:
    lists = region.value.get("ranker")
    names = {choice.value for choice in output.choices} | {"_"} if output.choices else {output.name}
    if not isinstance(lists, Mapping) or not lists or not set(lists) <= names:
        return f"holds no object of lists by {sorted(names)}"
    if not all(isinstance(ids, list) for ids in lists.values()):
        return "holds something else than lists of ids"
    placed = [ident for ids in lists.values() for ident in ids]
    seen = inputs.of(region.to_name)
    known = {item.id for item in seen.items} if seen else set()
    if not all(isinstance(ident, str) and ident in known for ident in placed):
        return "holds an id that no item has"
    return _repeated(placed)


def _span(region: Region, output: Output, inputs: Inputs) -> str:
    """Labels on a text, a stretch of a recording, or beside a shape."""
    value, seen = region.value, inputs.of(region.to_name)
    if seen is not None and seen.tag in ("Text", "HyperText"):
        where = _piece(value, seen.shown or seen.text)
    elif seen is not None and seen.tag == "Paragraphs":
        return _paragraph(region, output, inputs)
    elif "start" in value:
        where = _stretch(value, lambda bound: _is_number(bound) and bound >= 0)
    elif "points" in value:
        where = _polygon_place(value)
    elif "radiusX" in value:
        where = _ellipse_place(value)
    elif "height" not in value:
        where = _point_place(value)
    else:
        where = _box(value)
    return where or _labels(region, output, inputs)


def _paragraph(region: Region, output: Output, inputs: Inputs) -> str:
    value, seen = region.value, inputs.of(region.to_name)
    turns = [turn.text for turn in seen.utterances] if seen else []
    ends = [_index(value.get(key), len(turns)) for key in ("start", "end")]
    offsets: list[JSON] = [value.get(key) for key in ("startOffset", "endOffset")]
    first, last = ends
    if first is None or last is None or first > last:
        return "holds no turns, told by their numbers as texts"
    if not all(type(offset) is int and offset >= 0 for offset in offsets):
        return "holds no offsets within its turns"
    begin, end = offsets
    if end > _units(turns[last]) or begin > _units(turns[first]) or (first == last and begin >= end):
        return "reaches beyond its turn"
    if first == last and "text" in value and value["text"] != _cut(turns[first], begin, end):
        return "holds another text than stands between its offsets"
    return _labels(region, output, inputs)


def _rectangle(region: Region, output: Output, inputs: Inputs) -> str:
    return _box(region.value) or _labels(region, output, inputs)


def _ellipse(region: Region, output: Output, inputs: Inputs) -> str:
    return _ellipse_place(region.value) or _labels(region, output, inputs)


def _keypoint(region: Region, output: Output, inputs: Inputs) -> str:
    return _point_place(region.value) or _labels(region, output, inputs)


def _polygon(region: Region, output: Output, inputs: Inputs) -> str:
    return _polygon_place(region.value) or _labels(region, output, inputs)


def _timeline(region: Region, output: Output, inputs: Inputs) -> str:
    ranges = region.value.get("ranges")
    fine = isinstance(ranges, list) and bool(ranges)
    frames = all(
        isinstance(part, Mapping) and not _stretch(part, lambda bound: type(bound) is int and bound >= 1, still=True)
        for part in ranges or ()
    )
    return _labels(region, output, inputs) if fine and frames else "holds no ranges of frames, counted from 1"


def _series(region: Region, output: Output, inputs: Inputs) -> str:
    if type(region.value.get("instant")) is not bool:
        return "does not say whether it is an instant"
    bounds = _stretch(region.value, lambda bound: _is_number(bound) or isinstance(bound, str), still=True)
    return bounds or _labels(region, output, inputs)


_CHECKS: Mapping[str, Callable[[Region, Output, Inputs], str]] = {
    "choices": _choices,
    "taxonomy": _taxonomy,
    "textarea": _textarea,
    "rating": _rating,
    "number": _number,
    "datetime": _datetime,
    "pairwise": _pairwise,
    "ranker": _ranker,
    "labels": _span,
    "hypertextlabels": _span,
    "paragraphlabels": _paragraph,
    "rectangle": _rectangle,
    "rectanglelabels": _rectangle,
    "ellipse": _ellipse,
    "ellipselabels": _ellipse,
    "keypoint": _keypoint,
    "keypointlabels": _keypoint,
    "polygon": _polygon,
    "polygonlabels": _polygon,
    "timelinelabels": _timeline,
    "timeserieslabels": _series,
}


# Places


def _piece(value: Value, text: str) -> str:
    """What is wrong with a piece of a text, told in code points."""
    start: JSON = value.get("start")
    end: JSON = value.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        return "holds no piece of its text"
    other = "text" in value and isinstance(value["text"], str) and value["text"] != text[start:end]
    return "holds another text than stands between its offsets" if other else ""


def _stretch(value: Value, holds: Callable[[JSON], bool], *, still: bool = False) -> str:
    """What is wrong with a stretch of time.

    Args:
        holds: What its two ends must be.
        still: Whether it may begin and end at once.
    """
    start: JSON = value.get("start")
    end: JSON = value.get("end")
    if not holds(start) or not holds(end) or isinstance(start, str) != isinstance(end, str):
        return "holds no stretch of time"
    backwards = not isinstance(start, str) and (start > end or (start == end and not still))
    return "ends before it begins" if backwards else ""


def _box(value: Value) -> str:
    sides: list[JSON] = [value.get(key) for key in ("x", "y", "width", "height")]
    turned = value.get("rotation", 0)
    if not all(_is_number(side) and 0 <= side <= _WHOLE for side in sides) or not _is_turn(turned):
        return "holds no rectangle in percent of its picture"
    x, y, width, height = sides
    if width <= 0 or height <= 0 or (not turned and max(x + width, y + height) > _WHOLE + _ROUNDING):
        return "holds a rectangle that is empty or reaches beyond its picture"
    return ""


def _ellipse_place(value: Value) -> str:
    middle = all(_is_number(value.get(key)) and 0 <= value[key] <= _WHOLE for key in ("x", "y"))
    radii = all(_is_number(value.get(key)) and 0 < value[key] <= _WHOLE / 2 for key in ("radiusX", "radiusY"))
    fine = middle and radii and _is_turn(value.get("rotation", 0))
    return "" if fine else "holds no ellipse within its picture"


def _point_place(value: Value) -> str:
    """The editor draws no key point without a `width`."""
    inside = all(_is_number(value.get(key)) and 0 <= value[key] <= _WHOLE for key in ("x", "y"))
    width: JSON = value.get("width")
    return "" if inside and _is_number(width) and width > 0 else "holds no point within its picture"


def _is_turn(angle: JSON) -> bool:
    return _is_number(angle) and angle <= 360


def _polygon_place(value: Value) -> str:
    points = value.get("points")
    fine = isinstance(points, list) and len(points) > 2 and all(_is_point(point) for point in points)
    return "" if fine else "holds no polygon within its picture"


def _is_point(point: JSON) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(_is_number(n) and 0 <= n <= _WHOLE for n in point)


# Labels and options


def _labels(region: Region, output: Output, inputs: Inputs) -> str:
    """What is wrong with the labels of a region whose control has some."""
    if not region.type.endswith("labels"):
        return ""
    held = region.value.get(region.type)
    known = {path[-1] for path, _ in _paths(output, inputs)}
    if not isinstance(held, list) or not held or not all(isinstance(label, str) and label in known for label in held):
        return "has no label, or one that it does not offer"
    several = output.attrs.get("choice", "").strip().lower() == "multiple"
    return "has several labels and takes one" if len(held) > 1 and not several else _repeated(held)


def _paths(output: Output, inputs: Inputs) -> Iterator[tuple[Path, bool]]:
    """The path of every option as results spell it, and whether nothing stands below it."""
    reference = output.attrs.get("value", "")
    offered = resolve(reference, inputs.data) if "$" in reference else None
    given = tuple(_of_data(offered, 1)) if isinstance(offered, list) else ()
    choices = (*output.choices, *given)
    return _below(filled(choices, inputs.data) if output.tag == "Choices" else choices, ())


def _below(choices: Iterable[Choice], above: Path) -> Iterator[tuple[Path, bool]]:
    for choice in choices:
        path = (*above, choice.result)
        yield path, not choice.children
        yield from _below(choice.children, path)


def _of_data(entries: Sequence[JSON], level: int) -> Iterator[Choice]:
    for entry in entries:
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if isinstance(value, str) and level <= _DEEPEST:
            alias, below = entry.get("alias"), entry.get("children")
            children = tuple(_of_data(below, level + 1)) if isinstance(below, list) else ()
            yield Choice(value, alias if isinstance(alias, str) else None, "", children)


def _path(entry: JSON) -> Path | None:
    """A path as results spell it; None if it is none."""
    fine = isinstance(entry, list) and bool(entry) and all(isinstance(name, str) for name in entry)
    return tuple(entry) if fine else None


def _repeated(entries: Sequence[JSON]) -> str:
    told = [tuple(entry) if isinstance(entry, list) else entry for entry in entries]
    return "holds something twice" if len(set(told)) < len(told) else ""


# Numbers and texts


def _is_number(value: JSON) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _index(value: JSON, count: int) -> int | None:
    """The number of a turn, which results hold as a text."""
    fine = isinstance(value, str) and value.isascii() and value.isdigit() and int(value[:9]) < count
    return int(value[:9]) if fine else None


def _units(text: str) -> int:
    """The length of a text as the browser counts it, in units of UTF-16."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _cut(text: str, start: int, end: int) -> str:
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")
