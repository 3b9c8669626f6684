"""What does a result say, in a form in which it can be compared, control by control?

Both sides go through the control's `encode`, so that aliases, orders and spellings make no difference; regions go by
their places, for an answer tells them by their words.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from llm_backend.agreement.marks import marks_of
from llm_backend.core.controls import shown_regions
from llm_backend.core.controls.base import Control
from llm_backend.core.controls.chooser import Chooser
from llm_backend.core.controls.number import Number
from llm_backend.core.controls.pairwise import Pairwise
from llm_backend.core.controls.per_item import PerItem
from llm_backend.core.controls.rating import Rating
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.corrections import answers_of
from llm_backend.core.inputs import Inputs
from llm_backend.core.notices import without_notices
from llm_backend.core.predictor import Plan
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import InputError

Kind = Literal["labels", "stars", "number", "spans", "segments", "shapes", "points", "links", "text", "exact"]
"""How a control is measured: label by label, as stars, by error; pieces of texts, stretches of time, areas and points
by their places, links by what they link; texts not at all, and all else as same or not."""
MARKED: Final = frozenset[Kind](("spans", "segments", "shapes", "points"))
"""Those that mark places."""
Value = JSON
"""An answer as it is compared: a tuple of labels, a number, a tuple of marks or links, the words of a text; None if
empty."""
OUTSIDE: Final[Value] = object()
"""An answer that the labeling config does not offer (any more)."""
_LINES = frozenset(("start", "end"))


@dataclass(frozen=True, slots=True)
class Link:
    """A link between two regions, by their ids."""

    start: str
    end: str
    labels: tuple[str, ...] = ()
    both: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a result says.

    Attributes:
        values: By control.
        parts: What is said of each region, by its id, or of each item, by its place; by control.
        links: By control.
    """

    values: Mapping[str, Value]
    parts: Mapping[str, Mapping[str | int, Value]]
    links: Mapping[str, tuple[Link, ...]]


@dataclass(slots=True)
class Reading:
    """Reads one task's results.

    Attributes:
        kinds: How each control that was met is measured; added to.
        outside: Answers that the labeling config does not offer, by control; added to.
    """

    plan: Plan
    inputs: Inputs
    kinds: dict[str, Kind] = field(default_factory=dict)
    outside: Counter[str] = field(default_factory=Counter)

    def said(self, result: Sequence[Region]) -> Said:
        """What a result says; a control whose answer is not on offer is missing, and counted."""
        answers = answers_of(self.plan, self.inputs, result)
        regions = without_notices(result)
        shown = shown_regions(self.plan.controls, regions)
        values: dict[str, Value] = {}
        parts: dict[str, dict[str | int, Value]] = {}
        links: dict[str, tuple[Link, ...]] = {}
        for control in self.plan.controls:
            kind = self.kinds[control.name] = kind_of(control)
            if isinstance(control, PerItem):
                parts[control.name] = self._of_items(control, shown)
            elif kind == "links":
                links[control.name] = tuple(_links(control.own(regions)))
            elif (value := self._value(kind, control, answers.get(control.name), regions)) is not OUTSIDE:
                values[control.name] = value
            for hung in control.hanging:
                self.kinds[hung.name] = kind_of(hung)
                parts.setdefault(hung.name, {}).update(self._of_regions(control, hung, regions))
        return Said(values, parts, links)

    def _of_regions(self, maker: Control, hung: Control, regions: Sequence[Region]) -> dict[str | int, Value]:
        """What a control says of each region that another one made."""
        together: defaultdict[str | None, list[Region]] = defaultdict(list)
        for region in regions:
            together[region.id].append(region)
        idents = (region.id for region in maker.own(regions) if region.id is not None)
        return {ident: self._part(hung, together[ident]) for ident in idents}

    def _of_items(self, control: PerItem, regions: Sequence[Region]) -> dict[str | int, Value]:
        """What a control says of each item."""
        together: defaultdict[int, list[Region]] = defaultdict(list)
        for region in control.own(regions):
            together[region.item_index or 0].append(region)
        return {place: self._part(control.each, own) for place, own in together.items()}

    def _part(self, control: Control, regions: Sequence[Region]) -> Value:
        try:
            answer = control.encode(regions, self.inputs)
        except InputError:  # what it offers comes from the task, which does not have it
            answer = None
        return self._value(kind_of(control), control, answer, regions)

    def _value(self, kind: Kind, control: Control, answer: JSON, regions: Sequence[Region]) -> Value:
        own = control.own(regions)
        value = OUTSIDE if _outside(control, own, answer, self.inputs) else _value(kind, control, answer)
        if kind in MARKED:
            marks = marks_of(own, self.inputs)
            value = marks if len(marks) == len(own) else OUTSIDE
        if value is OUTSIDE:
            self.outside[control.name] += 1
        return value


def kind_of(control: Control) -> Kind:
    """How a control is measured; one that is answered for each item as it is for one."""
    if isinstance(control, PerItem):
        return kind_of(control.each)
    if control.textual:
        return "text"
    if isinstance(control, Rating):
        return "stars"
    if isinstance(control, Number):
        return "number"
    if isinstance(control, RegionMaker):
        return _kind_of_places(control)
    if control.links:
        return "links"
    return "labels" if isinstance(control, Chooser | Pairwise) else "exact"


def _kind_of_places(control: RegionMaker) -> Kind:
    if not control.place.drawn:
        return "spans"
    fields = {*control.place.schema}
    return "segments" if fields <= _LINES else "points" if fields == {"x", "y"} else "shapes"


def _value(kind: Kind, control: Control, answer: JSON) -> Value:
    if kind == "labels" and isinstance(control, Chooser) and control.multiple:
        return tuple(sorted(answer or ()))
    if answer is None or kind == "number":
        return answer
    if kind in ("labels", "stars"):
        return (answer,)
    if kind == "text":
        return tuple([answer] if isinstance(answer, str) else answer)
    return (json.dumps(answer, sort_keys=True, ensure_ascii=False),)


def _links(regions: Sequence[Region]) -> Iterator[Link]:
    for region in regions:
        start, end, direction, labels = map(region.value.get, ("from_id", "to_id", "direction", "labels"))
        if isinstance(start, str) and isinstance(end, str):
            if direction == "left":
                start, end = end, start
            named = tuple(sorted(map(str, labels))) if isinstance(labels, list) else ()
            yield Link(start, end, named, direction == "bi")


def _outside(control: Control, own: Sequence[Region], answer: JSON, inputs: Inputs) -> bool:
    """Whether regions say something that the control does not offer."""
    if not isinstance(control, Chooser):
        return bool(own) and answer is None and not control.textual
    try:
        options = control.options(inputs)
    except InputError:
        return bool(own)
    held = (entry for region in own for entry in _entries(region.value.get(control.output.type)))
    return any(options.name_of(entry) is None for entry in held)


def _entries(held: JSON) -> list[JSON]:
    return held if isinstance(held, list) else [held]
