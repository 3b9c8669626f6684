"""Whose word counts where several people annotated a task?"""

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import fmean
from typing import Literal, TypeAlias

from llm_backend.core.notices import without_notices
from llm_backend.core.wire import Annotation
from llm_backend.errors import RequestError
from llm_backend.interchange.preferences.records import Reason

Rule: TypeAlias = Literal["all", "latest", "majority", "ground_truth", "agreement"]
Said: TypeAlias = Callable[[Annotation], Mapping[Hashable, Hashable]]
Sifted: TypeAlias = tuple[list[Annotation], Counter[Reason]]
_PLAIN: tuple[Rule, ...] = ("all", "latest", "majority", "ground_truth")
_AGREEMENT = re.compile(r"agreement\s*>=\s*(\d*\.?\d+)(%?)")
_ROUNDING = 1e-9  # a third thrice is one


@dataclass(frozen=True, slots=True)
class Policy:
    """Whose word counts.

    Attributes:
        least: From 0 to 1, how much the annotators of a task must agree (rule `agreement`).
    """

    rule: Rule = "all"
    least: float = 0.0

    @classmethod
    def read(cls, told: str) -> "Policy":
        """
        Raises:
            RequestError: It is none; the sentence says which there are.
        """
        for rule in _PLAIN:
            if told == rule:
                return cls(rule)
        if found := _AGREEMENT.fullmatch(told.strip()):
            least = float(found[1]) / (100 if found[2] else 1)
            if least <= 1:
                return cls("agreement", least)
        raise RequestError(
            f"{told!r} is none of {', '.join(_PLAIN)} or 'agreement>=0.8' (from 0 to 1; in quotes, for a shell takes "
            "> for itself)."
        )

    @property
    def compares(self) -> bool:
        """Whether it asks what annotators answered, for which one control is to be gone by."""
        return self.rule in ("majority", "agreement")


EVERYBODY = Policy()


def refuse_comparing(policy: Policy) -> None:
    """
    Raises:
        RequestError: The policy compares annotators, for which one control is to be gone by.
    """
    if policy.compares:
        raise RequestError(f"--annotators {policy.rule} goes by one control, and this holds all: choose another.")


def agreement(one: Mapping[Hashable, Hashable], other: Mapping[Hashable, Hashable]) -> float:
    """How much two annotations say the same: the share of the questions that either answers, from 0 to 1.

    Two that answer nothing agree: of a Pairwise, both say that it is a tie.
    """
    asked = {*one, *other}
    return len(one.items() & other.items()) / len(asked) if asked else 1.0


def sift(policy: Policy, annotations: Sequence[Annotation]) -> Sifted:
    """The annotations that count whatever they say, without our notices and by their ids, and why the others do not."""
    left: Counter[Reason] = Counter()
    if not annotations:
        left[Reason.UNTOUCHED] += 1
    kept = [
        replace(made, result=without_notices(made.result), shown=made.shown and without_notices(made.shown))
        for made in sorted(annotations, key=lambda made: (made.id is None, made.id or 0))
        if not made.was_cancelled
    ]
    left[Reason.SKIPPED] += len(annotations) - len(kept)
    true = [made for made in kept if made.ground_truth]
    if policy.rule == "ground_truth":
        left[Reason.NO_GROUND_TRUTH] += len(kept) - len(true)
        return true, left
    if true:
        left[Reason.AFTER_GROUND_TRUTH] += len(kept) - len(true)
        kept = true
    if policy.rule == "latest" and kept:
        left[Reason.OLDER] += len(kept) - 1
        kept = [max(kept, key=lambda made: (made.updated or made.created, made.id or 0))]
    return kept, left


def decide(policy: Policy, kept: list[Annotation], said: Said) -> Sifted:
    """Of sifted annotations those that count by what they say, and why the others do not.

    Args:
        said: What an annotation answers, by its questions.
    """
    if policy.rule == "majority":
        return _majority(kept, said)
    if policy.rule == "agreement" and not any(made.ground_truth for made in kept):
        return _agreeing(policy.least, kept, said)
    return kept, Counter()


def _majority(kept: list[Annotation], said: Said) -> Sifted:
    """The first of the annotations that say what most say."""
    votes = [(frozenset(said(made).items()), made) for made in kept]
    counted = Counter(vote for vote, _ in votes if vote)
    if not counted:
        return kept, Counter()  # why it says nothing, whoever reads it tells
    (most, times), *others = counted.most_common(2)
    if others and others[0][1] == times:
        return [], Counter({Reason.EVEN: len(kept)})
    return [next(made for vote, made in votes if vote == most)], Counter({Reason.OUTVOTED: len(kept) - 1})


def _agreeing(least: float, kept: list[Annotation], said: Said) -> Sifted:
    """The annotation that agrees most with the others, where all agree enough on average, two by two."""
    if len(kept) < 2:
        return [], Counter({Reason.ALONE: len(kept)})
    answers = [said(made) for made in kept]
    sums = [0.0] * len(kept)
    for one, other in combinations(range(len(kept)), 2):
        both = agreement(answers[one], answers[other])
        sums[one] += both
        sums[other] += both
    if fmean(sums) / (len(kept) - 1) + _ROUNDING < least:
        return [], Counter({Reason.DISAGREED: len(kept)})
    best = max(range(len(kept)), key=sums.__getitem__)
    for at, total in enumerate(sums):
        if abs(total - sums[best]) < _ROUNDING and not agreement(answers[at], answers[best]):
            return [], Counter({Reason.EVEN: len(kept)})
    return [kept[best]], Counter({Reason.OUTVOTED: len(kept) - 1})
