"""How is it told, and stored, where in an object a region lies?"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from llm_backend.core.inputs import Seen
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

Item = Mapping[str, JSON]
"""One entry of an answer: the fields of its place, of its label, and of what hangs on it."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a region lies, as its `value` stores it."""

    value: Mapping[str, JSON]


class Place(ABC):
    """How regions of one kind of object are placed.

    Attributes:
        drawn: Whether it is a shape or a stretch of time, which most models misplace: made only where that is wanted.
    """

    drawn: ClassVar[bool] = False

    @property
    @abstractmethod
    def schema(self) -> Mapping[str, JSON]:
        """The fields that say where a region lies: JSON Schemas by name, in OpenAI's strict subset."""

    @abstractmethod
    def describe(self, where: str) -> Mapping[str, str]:
        """The same fields in words; `where` names the object."""

    @abstractmethod
    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        """Where each item's region lies in what the object shows, or what is wrong with it, in the items' order."""

    @abstractmethod
    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        """The fields that a person's region stands for."""
