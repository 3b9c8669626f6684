"""Does a judge of pairs lean towards a place, or towards length?

Tested by McNemar's test (1947) on the pairs that tell: a binomial test of whether they split evenly, in the mid-p form
that Fagerland, Lydersen and Laake (2013) recommend, since the exact one is too cautious where few pairs tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from scipy.stats import binom, binomtest

Side = Literal["left", "right"]
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class Lean:
    """How a judge's answers split, where an unbiased judge's would split evenly.

    Attributes:
        pairs: All that were looked at.
        towards: Answers that lean the way that is asked about: first place, left, longer.
        away: Answers that lean the other way.
        p: Of a split at least as uneven, if there were no bias (two-sided, mid-p).
        biased: Whether the split is too uneven for chance, at 5 %.
    """

    pairs: int
    towards: int
    away: int
    p: float
    biased: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A pair as people and the model judged it.

    Attributes:
        left, right: What was compared.
        context: What else the task shows, which a pair in both orders has in common.
    """

    left: str
    right: str
    model: Side
    people: Side | None = None
    context: str = ""

    @property
    def longer(self) -> Side | None:
        """Which side is longer; None where neither is."""
        if len(self.left) == len(self.right):
            return None
        return "left" if len(self.left) > len(self.right) else "right"


def lean(pairs: int, towards: int, away: int) -> Lean:
    """Test a split."""
    p = mid_p(towards, away)
    return Lean(pairs, towards, away, p, p < SIGNIFICANT)


def mid_p(towards: int, away: int) -> float:
    """How likely a split at least as uneven is by chance; 1 where it is even, or there is nothing to split."""
    told = towards + away
    if towards == away:
        return 1.0
    return float(binomtest(towards, told).pvalue - binom.pmf(towards, told, 0.5))


def by_swapping(answers: Sequence[tuple[Side, Side]]) -> Lean:
    """Position bias, of pairs that were judged in both orders.

    A judge without it names the same text both times, so the other side. Naming the first place twice leans towards it,
    naming the second place twice away from it.

    Args:
        answers: For each pair, the side named in one order, and in the other.
    """
    first = sum(1 for answer in answers if answer == ("left", "left"))
    return lean(len(answers), first, sum(1 for answer in answers if answer == ("right", "right")))


def swapped(judged: Sequence[Judged]) -> list[tuple[Side, Side]]:
    """The answers to pairs that stand in the material in both orders; each is used once."""
    waiting: dict[tuple[str, str, str], list[Side]] = {}
    found: list[tuple[Side, Side]] = []
    for one in judged:
        if one.left == one.right:
            continue
        if others := waiting.get((one.right, one.left, one.context)):
            found.append((others.pop(), one.model))
        else:
            waiting.setdefault((one.left, one.right, one.context), []).append(one.model)
    return found


def against_people(judged: Sequence[Judged]) -> Lean:
    """Whether the model names the left side more often than people do of the same pairs."""
    differ = [one for one in judged if one.people is not None and one.people != one.model]
    left = sum(1 for one in differ if one.model == "left")
    return lean(sum(1 for one in judged if one.people is not None), left, len(differ) - left)


def by_length(judged: Sequence[Judged]) -> Lean:
    """Whether the model names the longer text more often than people do of the same pairs (verbosity bias)."""
    told = [one for one in judged if one.people is not None and one.longer is not None]
    differ = [one for one in told if one.people != one.model]
    longer = sum(1 for one in differ if one.model == one.longer)
    return lean(len(told), longer, len(differ) - longer)
