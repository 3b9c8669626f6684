"""How does a task look with what is compared in the other order?

As it would if it had been imported so: what one object shows stands in the data where the other's did, and the items of
a list stand the other way round. So a prompt that names the objects' fields, and every other tag that shows them, is
turned with them, and only where things stand is another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from llm_backend.core.inputs.values import referred, replaced
from llm_backend.core.labeling import REFERENCE, LabelingConfig, Source, references
from llm_backend.core.wire import JSON

_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True)
class Turn:
    """What changes places.

    Attributes:
        moved: References to what does.
        swapped: Pairs of references that exchange their values.
        reversed_: References whose lists are turned round.
        shown_as: Pairs of objects that exchange the way in which they show what they show, since it goes with it.
        whole: Those of these pairs that exchange all that they show, since it cannot be told apart in the data.
    """

    moved: frozenset[str] = frozenset()
    swapped: tuple[tuple[str, str], ...] = ()
    reversed_: tuple[str, ...] = ()
    shown_as: tuple[tuple[str, str], ...] = ()
    whole: tuple[tuple[str, str], ...] = ()

    @classmethod
    def exchange(cls, one: Source, other: Source) -> "Turn":
        """Two objects show what the other did. What both refer to stays: the question of both answers, say."""
        one, other = sorted((one, other), key=lambda source: source.name)
        ours, theirs = _references(one.value), _references(other.value)
        own = [reference for reference in ours if reference not in theirs]
        others = [reference for reference in theirs if reference not in ours]
        names = ((one.name, other.name),)
        if not own or len(own) != len(others):
            return cls(_moved(one.value) | _moved(other.value), whole=names)
        return cls(frozenset((*own, *others)), tuple(zip(own, others, strict=True)), shown_as=names)

    @classmethod
    def turn_round(cls, source: Source) -> "Turn":
        """The items of a list stand the other way round."""
        return cls(_moved(source.value), reversed_=(source.value,))

    def goes_with(self, other: "Turn") -> bool:
        """Whether one question can be turned in both ways: this is part of it already, or they meet nowhere."""
        apart = not any(_meet(one, another) for one in self.moved for another in other.moved)
        return apart or (self | other) == self

    def __or__(self, other: "Turn") -> "Turn":
        return Turn(
            self.moved | other.moved,
            _all(self.swapped, other.swapped),
            _all(self.reversed_, other.reversed_),
            _all(self.shown_as, other.shown_as),
            _all(self.whole, other.whole),
        )

    def data(self, data: Mapping[str, JSON]) -> Mapping[str, JSON]:
        """A task's data, turned."""
        for one, other in self.swapped:
            first, second = referred(one, data), referred(other, data)
            data = replaced(other, replaced(one, data, second), first)
        for reference in self.reversed_:
            if isinstance(held := referred(reference, data), list):
                data = replaced(reference, data, held[::-1])
        return data

    def config(self, config: LabelingConfig) -> LabelingConfig:
        """The config that shows turned data."""
        places = {source.name: source for source in config.sources}
        for one, other in self.shown_as:
            first, second = places[one], places[other]
            places[one] = replace(second, name=one, value=first.value)
            places[other] = replace(first, name=other, value=second.value)
        for one, other in self.whole:
            places[one], places[other] = replace(places[other], name=one), replace(places[one], name=other)
        sources = (places[source.name] if source.name else source for source in config.sources)
        return replace(config, sources=tuple(sources))


def _all(some: tuple[_Entry, ...], others: tuple[_Entry, ...]) -> tuple[_Entry, ...]:
    return tuple(dict.fromkeys((*some, *others)))


def _references(value: str) -> tuple[str, ...]:
    """The references of a `value`; none where it names a field by words that only a task's data can tell."""
    return references(value) if REFERENCE.fullmatch(value) or not value.startswith("$") else ()


def _moved(value: str) -> frozenset[str]:
    return frozenset(_references(value) or (value,))


def _meet(one: str, other: str) -> bool:
    """Whether two references lead to the same, or one into what the other leads to."""
    short, long = sorted((one, other), key=len)
    return long == short or long.startswith((f"{short}.", f"{short}["))
