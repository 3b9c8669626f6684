"""What do all controls that compare share: the question in the other order, and what two answers come to?

Language models lean towards a place, the first, say, whatever stands there (Wang et al. 2023, "Large Language Models
are not Fair Evaluators"). What is compared is therefore asked twice, and a preference is what holds in both orders, as
Zheng et al. (2023, "Judging LLM-as-a-Judge") have it.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from llm_backend.core.controls.base import Control, Regions
from llm_backend.core.inputs import Turn
from llm_backend.core.labeling import Source
from llm_backend.core.wire import JSON, Region


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers to both orders come to.

    Attributes:
        share: How much of the answer both say, from 0 to 1.
        sentence: What they do not both say, and what was made of it; "" where they say the same.
    """

    regions: list[Region]
    share: float = 1.0
    sentence: str = ""


class Comparison(Control):
    """A control that compares things which stand in an order that should not matter."""

    @abstractmethod
    def turn(self, sources: Mapping[str, Source]) -> Turn | None:
        """What changes places in the other order; None where nothing can.

        Args:
            sources: What the config shows, by name.
        """

    @abstractmethod
    def turned(self, answer: JSON) -> JSON:
        """What an answer says once what it compares stands in the other order."""

    @abstractmethod
    def weigh(self, first: Regions, other: Regions) -> Verdict:
        """Hold the answer against the one to the other order.

        Args:
            first, other: What the answers make, each as it was given. Both may say that nothing applies.
        """
