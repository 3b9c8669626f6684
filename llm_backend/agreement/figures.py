"""What does one control's agreement come to, by its kind?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, median_low
from typing import Final

from llm_backend.agreement.labels import Cell, LabelFigures, accuracy, alpha, by_label, confusion, kappa
from llm_backend.agreement.numbers import Errors, errors
from llm_backend.agreement.pairs import Judgement, Kind, Pair, Value
from llm_backend.agreement.resampling import Estimate
from llm_backend.agreement.spans import Match, by_overlap, exactly, overlap

UNDECIDED: Final[Value] = object()
"""What people answered to a task, where they are of several minds."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What people did with the model's texts; texts are not scored.

    Attributes:
        untouched, edited: Of those that were made from the model's.
        own: Written without the model's.
    """

    untouched: int
    edited: int
    own: int


@dataclass(frozen=True, slots=True)
class Figures:
    """How well people and the model agree; what does not apply to the kind of control is None or empty.

    Attributes:
        tasks: Those that are compared.
        undecided: Tasks on which as many people say one thing as another; they are not compared.
        empty: Numbers that one side left empty; they are not compared.
        accuracy: The share of tasks on which the model says what people say (Wilson's interval).
        kappa: Cohen's, between people's word and the model's; for stars with quadratic weights.
        alpha: Krippendorff's, the model being one more judge beside each person; for stars on the interval scale.
        people_alpha: The same among people alone, where tasks have several.
    """

    tasks: int
    undecided: int = 0
    empty: int = 0
    accuracy: Estimate | None = None
    kappa: Estimate | None = None
    alpha: Estimate | None = None
    people_alpha: Estimate | None = None
    labels: tuple[LabelFigures, ...] = ()
    confusion: tuple[Cell, ...] = ()
    error: Errors | None = None
    overlap: Match | None = None
    exact: Match | None = None
    texts: Texts | None = None


def figures(kind: Kind, pairs: Sequence[Pair]) -> Figures:
    """Measure one control's pairs."""
    if kind == "text":
        told = [one for pair in pairs for one in pair.people]
        untouched, edited = sum(one.accepted for one in told), sum(one.edited for one in told)
        return Figures(len(pairs), texts=Texts(untouched, edited, len(told) - untouched - edited))
    if kind == "spans":
        people = [[one.value for one in _deciding(pair.people)] for pair in pairs]
        model = [pair.model for pair in pairs]
        right = accuracy([True] * len(pairs), [quality(kind, pair) == 1 for pair in pairs])
        return Figures(len(pairs), accuracy=right, overlap=by_overlap(people, model), exact=exactly(people, model))
    return _numbers(pairs) if kind == "number" else _labels(kind, pairs)


def reference(kind: Kind, people: Sequence[Judgement]) -> Value:
    """What people say together: what is marked as ground truth, else the median of numbers, else most people's word."""
    told = [one.value for one in _deciding(people)]
    if kind in ("stars", "number"):
        given = [value for value in told if value is not None]
        if 2 * len(given) <= len(told):
            return None
        return (median_low(value[0] for value in given),) if kind == "stars" else median(given)
    (first, count), *others = Counter(told).most_common(2)
    return UNDECIDED if others and others[0][1] == count else first


def quality(kind: Kind, pair: Pair) -> float | None:
    """How good the model's answer to one task is: 1 or 0, the overlap of stretches, the absolute error of a number.

    None where that cannot be said.
    """
    if kind == "text":
        return None
    if kind == "spans":
        told = [overlap(one.value, pair.model) for one in _deciding(pair.people)]
        return sum(told) / len(told)
    said = reference(kind, pair.people)
    if said is UNDECIDED:
        return None
    if kind == "number":
        return None if said is None or pair.model is None else abs(pair.model - said)
    return float(said == pair.model)


def right(kind: Kind, pair: Pair) -> bool | None:
    """Whether the model's answer to one task is people's; None where that cannot be said."""
    found = quality(kind, pair)
    return None if found is None else found == (0.0 if kind == "number" else 1.0)


def _deciding(people: Sequence[Judgement]) -> Sequence[Judgement]:
    return [one for one in people if one.deciding] or people


def _labels(kind: Kind, pairs: Sequence[Pair]) -> Figures:
    told = [(pair, reference(kind, pair.people)) for pair in pairs]
    settled = [(pair, said) for pair, said in told if said is not UNDECIDED]
    people = [_filled(said) for _, said in settled]
    model = [_filled(pair.model) for pair, _ in settled]
    undecided = len(told) - len(settled)
    if kind == "exact":
        return Figures(len(settled), undecided, accuracy=accuracy(people, model))
    stars = kind == "stars"
    given = [(pair, said) for pair, said in settled if not stars or None not in (pair.model, said)]
    units = [[_filled(one.value) for one in pair.people if not stars or one.value] for pair in pairs]
    others = [[_filled(pair.model)] if not stars or pair.model else [] for pair in pairs]
    several = any(len(unit) > 1 for unit in units)
    return Figures(
        tasks=len(settled),
        undecided=undecided,
        empty=len(settled) - len(given),
        accuracy=accuracy(people, model),
        kappa=kappa([_filled(said) for _, said in given], [_filled(pair.model) for pair, _ in given], weighted=stars),
        alpha=alpha([[*unit, *other] for unit, other in zip(units, others, strict=True)], interval=stars),
        people_alpha=alpha(units, interval=stars) if several else None,
        labels=by_label(people, model),
        confusion=confusion(people, model),
        error=errors([said[0] for _, said in given], [pair.model[0] for pair, _ in given]) if stars else None,
    )


def _numbers(pairs: Sequence[Pair]) -> Figures:
    told = [(reference("number", pair.people), pair.model) for pair in pairs]
    given = [(said, model) for said, model in told if said is not None and model is not None]
    people, model = [said for said, _ in given], [value for _, value in given]
    return Figures(
        len(given), empty=len(told) - len(given), accuracy=accuracy(people, model), error=errors(people, model)
    )


def _filled(value: Value) -> Value:
    """Labels, of which an empty answer is one of its own."""
    return (None,) if value is None else value
