"""What do all ways have in common in which an annotation becomes records?"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from llm_backend.core.prompts import entries_of
from llm_backend.core.wire import JSON, Annotation, Region, Task
from llm_backend.interchange.preferences.records import Reason, Record

Made: TypeAlias = Iterator[Record | Reason]


class Way(Protocol):
    """One way to make records of annotations, found in a labeling config."""

    @property
    def told(self) -> str:
        """What it goes by, as a person is told."""

    @property
    def dialogue(self) -> bool:
        """Whether prompts are conversations, not single texts."""

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        """What an annotation answers, question by question, by which a majority and agreement are found."""

    def records(self, task: Task, annotation: Annotation) -> Made:
        """The records that an annotation makes, and why others are not made.

        Raises:
            TaskError: The task's data is not what the labeling config shows.
        """


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which values of a control say that an answer is good, and which that it is bad."""

    good: frozenset[str] = frozenset()
    bad: frozenset[str] = frozenset()

    def of(self, values: Iterable[str]) -> bool | None:
        """None where the values say neither, or both."""
        said = set(values)
        good, bad = bool(said & self.good), bool(said & self.bad)
        return None if good == bad else good


def values_of(regions: Iterable[Region], name: str, key: str) -> list[JSON]:
    """What a control's regions hold under a key of their values."""
    return [region.value[key] for region in regions if region.from_name == name and key in region.value]


def numbers_of(regions: Sequence[Region], name: str) -> Iterator[float]:
    """What a Rating or Number says."""
    for value in (*values_of(regions, name, "rating"), *values_of(regions, name, "number")):
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield float(value)


def entries(regions: Iterable[Region], name: str) -> tuple[str, ...]:
    """The entries of a text box."""
    return tuple(entry for region in regions if region.from_name == name for entry in entries_of(region))
