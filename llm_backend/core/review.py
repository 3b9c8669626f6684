"""Which rows of a dataset should a person look at? Those that differ most, and of which the judge is least sure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from llm_backend.core.examples import Index


@dataclass(frozen=True, slots=True)
class Candidate:
    """A row that was judged.

    Attributes:
        name: Stands for the row.
        score: How sure the model is of the label, from 0 to 1; None where that cannot be told.
    """

    name: str
    label: str
    score: float | None = None


def spread(texts: Sequence[str], most: int) -> list[int]:
    """The places of texts that differ: each time the one that is farthest from those chosen so far.

    Farthest-point traversal (Gonzalez 1985); two texts are as far apart as they share few words.
    """
    index = Index(texts)
    nearness = dict.fromkeys(range(len(texts)), 0.0)
    chosen: list[int] = []
    while nearness and len(chosen) < most:
        at = min(nearness, key=lambda place: (nearness[place], place))
        chosen.append(at)
        del nearness[at]
        for place, near in index.nearest(texts[at]):
            if place in nearness and near > nearness[place]:
                nearness[place] = near
    return chosen


def informative(candidates: Sequence[Candidate], most: int) -> list[Candidate]:
    """The rows to look at: of every label in turn the one that is least sure; where none is, in the order given."""
    by_label: defaultdict[str, list[Candidate]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda one: 1.0 if one.score is None else one.score):
        by_label[candidate.label].append(candidate)
    ranked = [(rank, one) for held in by_label.values() for rank, one in enumerate(held)]
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])[:most]]
