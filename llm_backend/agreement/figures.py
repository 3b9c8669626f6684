"""What does one control's agreement come to, by its kind?"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, median_low
from typing import Final

from llm_backend.agreement.labels import Cell, LabelFigures, accuracy, alpha, by_label, confusion, kappa
from llm_backend.agreement.matching import Places, places
from llm_backend.agreement.matching import by_label as by_label_of_places
from llm_backend.agreement.matching import confusion as confusion_of_places
from llm_backend.agreement.numbers import Errors, errors
from llm_backend.agreement.pairs import Judgement, Pair
from llm_backend.agreement.reading import MARKED, Kind, Value
from llm_backend.agreement.resampling import Estimate, Groups, Match, match
from llm_backend.agreement.spans import same, summed

GRADED: Final = MARKED | frozenset[Kind](("links",))
"""Kinds of which a task may be right in part."""
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

    Of answers to regions or items there are several in a task, which are not independent: their intervals are drawn
    from tasks.

    Attributes:
        tasks: Those that are compared; of answers to regions or items, how many of these.
        undecided: Tasks on which as many people say one thing as another; they are not compared.
        empty: Numbers that one side left empty; they are not compared.
        accuracy: The share of tasks on which the model says what people say (Wilson's interval).
        kappa: Cohen's, between people's word and the model's; for stars with quadratic weights.
        alpha: Krippendorff's, the model being one more judge beside each person; for stars on the interval scale.
        people_alpha: The same among people alone, where tasks have several.
        labels, confusion: Of places, those of the regions; a place that only one side marked has no label on the other.
        overlap: Of pieces of texts and stretches of time: by what both marked with the same label.
        exact: The same by stretches, or links, that are the same in every respect.
        places: Regions matched one to one, by place and labels.
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
    places: Places | None = None


def figures(kind: Kind, pairs: Sequence[Pair]) -> Figures:
    """Measure one control's pairs."""
    if kind == "text":
        told = [one for pair in pairs for one in pair.people]
        untouched, edited = sum(one.accepted for one in told), sum(one.edited for one in told)
        return Figures(len(pairs), texts=Texts(untouched, edited, len(told) - untouched - edited))
    if kind in MARKED:
        return _marks(kind, pairs)
    if kind == "links":
        linked = [summed(same(one.value, pair.model) for one in _deciding(pair.people)) for pair in pairs]
        return Figures(len(pairs), accuracy=_right(kind, pairs), exact=match(linked))
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
    """How good the model's answer to one task is: 1 or 0, or the absolute error of a number.

    Of pieces of texts, the F1 of the characters; of other places and of links, the F1 of those that are matched; on
    average over people. None where that cannot be said.
    """
    if kind == "text":
        return None
    if kind in GRADED:
        told = [_f1(kind, one, pair.model) for one in _deciding(pair.people)]
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
    return None if found is None else is_best(kind, found)


def is_best(kind: Kind, found: float) -> bool:
    """Whether a quality is that of a right answer."""
    return found == (0.0 if kind == "number" else 1.0)


def _f1(kind: Kind, one: Judgement, model: Value) -> float:
    if one.matching is None:
        return same(one.value, model).f1
    lines = one.matching.lines if kind == "spans" else None
    return lines.overlap.f1 if lines else one.matching.quality


def _right(kind: Kind, pairs: Sequence[Pair]) -> Estimate:
    """The share of tasks that are all right."""
    return accuracy([True] * len(pairs), [bool(right(kind, pair)) for pair in pairs])


def _marks(kind: Kind, pairs: Sequence[Pair]) -> Figures:
    told = [_deciding(pair.people) for pair in pairs]
    held = [[one.matching for one in people if one.matching] for people in told]
    lines = [[one.lines for one in judges if one.lines] for judges in held]
    on_lines = kind in ("spans", "segments")
    return Figures(
        len(pairs),
        accuracy=_right(kind, pairs),
        overlap=match([summed(one.overlap for one in judges) for judges in lines]) if on_lines else None,
        exact=match([summed(one.exact for one in judges) for judges in lines]) if on_lines else None,
        labels=by_label_of_places(held),
        confusion=confusion_of_places(held),
        places=places(held, points=kind == "points"),
    )


def _groups(pairs: Sequence[Pair]) -> Groups:
    """The task of each answer, where a task has several."""
    return [pair.task for pair in pairs] if any(pair.part for pair in pairs) else None


def _deciding(people: Sequence[Judgement]) -> Sequence[Judgement]:
    return [one for one in people if one.deciding] or people


def _labels(kind: Kind, pairs: Sequence[Pair]) -> Figures:
    told = [(pair, reference(kind, pair.people)) for pair in pairs]
    settled = [(pair, said) for pair, said in told if said is not UNDECIDED]
    people = [_filled(said) for _, said in settled]
    model = [_filled(pair.model) for pair, _ in settled]
    undecided = len(told) - len(settled)
    groups = _groups([pair for pair, _ in settled])
    if kind == "exact":
        return Figures(len(settled), undecided, accuracy=accuracy(people, model, groups))
    stars = kind == "stars"
    given = [(pair, said) for pair, said in settled if not stars or None not in (pair.model, said)]
    ours, theirs = [_filled(pair.model) for pair, _ in given], [_filled(said) for _, said in given]
    apart = _groups([pair for pair, _ in given])
    units = [[_filled(one.value) for one in pair.people if not stars or one.value] for pair in pairs]
    others = [[_filled(pair.model)] if not stars or pair.model else [] for pair in pairs]
    every = _groups(pairs)
    several = any(len(unit) > 1 for unit in units)
    return Figures(
        tasks=len(settled),
        undecided=undecided,
        empty=len(settled) - len(given),
        accuracy=accuracy(people, model, groups),
        kappa=kappa(theirs, ours, weighted=stars, groups=apart),
        alpha=alpha([[*unit, *other] for unit, other in zip(units, others, strict=True)], stars, groups=every),
        people_alpha=alpha(units, stars, groups=every) if several else None,
        labels=by_label(people, model),
        confusion=confusion(people, model),
        error=errors([said[0] for said in theirs], [said[0] for said in ours], apart) if stars else None,
    )


def _numbers(pairs: Sequence[Pair]) -> Figures:
    told = [(pair, reference("number", pair.people)) for pair in pairs]
    given = [(pair, said) for pair, said in told if said is not None and pair.model is not None]
    people, model = [said for _, said in given], [pair.model for pair, _ in given]
    groups = _groups([pair for pair, _ in given])
    return Figures(
        len(given),
        empty=len(told) - len(given),
        accuracy=accuracy(people, model, groups),
        error=errors(people, model, groups),
    )


def _filled(value: Value) -> Value:
    """Labels, of which an empty answer is one of its own."""
    return (None,) if value is None else value
