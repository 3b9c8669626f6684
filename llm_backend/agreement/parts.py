"""What of people's answers stands against what of the model's? Whole answers, and those to regions, items and links.

What is said of a region is held against what is said of the region that is the same (`matching`); a link against one
between the same regions with the same labels. Links are named by the model's places, or by people's where the model
has none.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from llm_backend.agreement.matching import Matching, matched
from llm_backend.agreement.reading import MARKED, OUTSIDE, Kind, Link, Said, Value
from llm_backend.core.controls.base import Control
from llm_backend.core.controls.per_item import PerItem
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.predictor import Plan


@dataclass(frozen=True, slots=True)
class Row:
    """What the model answered, and what each person did.

    Attributes:
        people: By their number among all who answered the task; without those who did not answer this, or off the
            labeling config.
        part: Which region or item it is about; "" for the whole task.
        matchings: For places, which of a person's are the model's.
    """

    control: str
    model: Value
    people: Mapping[int, Value]
    part: str = ""
    matchings: Mapping[int, Matching] | None = None


@dataclass(frozen=True)
class Sides:
    """One version's result against those of people."""

    plan: Plan
    kinds: Mapping[str, Kind]
    model: Said
    people: Sequence[Said]

    def rows(self) -> Iterator[Row]:
        """All that is compared, in the order of the labeling config."""
        for control in self.plan.controls:
            if control.name in self.model.values:
                yield self._whole(control.name)
            if isinstance(control, PerItem):
                yield from self._of_items(control)
            if control.name in self.model.links:
                yield from self._linked(control.name)
            for hung in control.hanging:
                yield from self._of_regions(control, hung)

    def unmatched(self) -> Iterator[tuple[str, int, int]]:
        """For each control that hangs on regions, how many regions of people and of the model have no match."""
        for control in self.plan.controls:
            for hung in control.hanging:
                held = [held[control.name] for held in self._matchings if control.name in held]
                people = sum(len(one.people) - len(one.same) for one in held)
                yield hung.name, people, sum(len(one.model) - len(one.same) for one in held)

    @cached_property
    def _matchings(self) -> list[dict[str, Matching]]:
        """For each person, which of their places are the model's, by control."""
        names = [name for name in self.model.values if self.kinds[name] in MARKED]
        return [
            {name: matched(said.values[name], self.model.values[name]) for name in names if name in said.values}
            for said in self.people
        ]

    def _whole(self, name: str) -> Row:
        told = {at: said.values[name] for at, said in enumerate(self.people) if name in said.values}
        matchings = {at: held[name] for at, held in enumerate(self._matchings) if name in held}
        return Row(name, self.model.values[name], told, matchings=matchings or None)

    def _of_items(self, control: PerItem) -> Iterator[Row]:
        sides = [said.parts.get(control.name, {}) for said in (self.model, *self.people)]
        for place in sorted({place for side in sides for place in side}):
            model, *people = (side.get(place) for side in sides)
            told = {at: value for at, value in enumerate(people) if value is not OUTSIDE}
            if model is not OUTSIDE:
                yield Row(control.name, model, told, f"item {int(place) + 1}")

    def _of_regions(self, maker: Control, hung: Control) -> Iterator[Row]:
        model = self.model.parts.get(hung.name, {})
        people = [self._by_mark(person, maker.name, hung.name) for person in range(len(self.people))]
        for at, mark in enumerate(self.model.values.get(maker.name, ())):
            value = model.get(mark.id or "", OUTSIDE)
            told = {person: held[at] for person, held in enumerate(people) if held.get(at, OUTSIDE) is not OUTSIDE}
            if value is not OUTSIDE:
                yield Row(hung.name, value, told, str(mark))

    def _by_mark(self, person: int, maker: str, hung: str) -> dict[int, Value]:
        """What a person says of the regions that are the model's, by their numbers there."""
        matching = self._matchings[person].get(maker)
        said = self.people[person].parts.get(hung, {})
        if matching is None:
            return {}
        return {pair.model: said.get(matching.people[pair.people].id or "", OUTSIDE) for pair in matching.same}

    def _linked(self, name: str) -> Iterator[Row]:
        """Nothing where nobody linked anything."""
        names = {
            mark.id: str(mark)
            for control in self.plan.controls
            if isinstance(control, RegionMaker)
            for mark in self.model.values.get(control.name, ())
        }
        told = {
            at: _between(said.links.get(name, ()), self._places(said, held, names))
            for at, (said, held) in enumerate(zip(self.people, self._matchings, strict=True))
        }
        model = _between(self.model.links[name], names)
        if model or any(told.values()):
            yield Row(name, model, told)

    def _places(
        self, said: Said, held: Mapping[str, Matching], names: Mapping[str | None, str]
    ) -> dict[str | None, str]:
        """A person's regions by the names of the model's that are the same, or by their own."""
        found = {mark.id: str(mark) for name in held for mark in said.values[name]}
        for one in held.values():
            found |= {one.people[pair.people].id: names[one.model[pair.model].id] for pair in one.same}
        return found


def _between(links: Sequence[Link], names: Mapping[str | None, str]) -> tuple[Link, ...]:
    """Links by the names of what they link; without those to something that is not compared."""
    named = (
        replace(link, start=names[link.start], end=names[link.end])
        for link in links
        if link.start in names and link.end in names
    )
    return tuple(sorted({*map(_in_order, named)}, key=lambda link: (link.start, link.end, link.labels, link.both)))


def _in_order(link: Link) -> Link:
    start, end = sorted((link.start, link.end)) if link.both else (link.start, link.end)
    return replace(link, start=start, end=end)
