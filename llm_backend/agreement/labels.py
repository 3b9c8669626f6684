"""How well do two, or several, agree on labels?

Accuracy, precision, recall and F1 as usual; Cohen's kappa (1960), for stars with quadratic weights (1968);
Krippendorff's alpha (2011), nominal, for stars on the interval scale. A set of labels counts as one label of its own in
accuracy, kappa and alpha, and label by label in precision, recall and F1.
"""

import warnings
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import krippendorff
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import cohen_kappa_score, precision_recall_fscore_support
from sklearn.preprocessing import MultiLabelBinarizer

from llm_backend.agreement.resampling import (
    Differing,
    Estimate,
    Groups,
    Numbers,
    beyond_chance,
    estimate,
    ratio,
    share_in,
)

Label = str | int | None
"""None stands for an answer left empty."""
Labels = tuple[Label, ...]
"""What was chosen: one label, or a set in order."""

_LIBRARY_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How one label fared.

    Attributes:
        precision: Of the model's, the share that people gave, too; None where the model never gave it.
        recall: Of the people's, the share that the model gave, too; None where people never gave it.
        people, model: How often each gave it.
    """

    label: Label
    precision: float | None
    recall: float | None
    f1: float | None
    people: int
    model: int


@dataclass(frozen=True, slots=True)
class Cell:
    """How often people said one thing and the model another (or the same)."""

    people: Label
    model: Label
    count: int


def accuracy(people: Sequence[Hashable], model: Sequence[Hashable], groups: Groups = None) -> Estimate:
    """The share of tasks on which both say the same."""
    return share_in([one == other for one, other in zip(people, model, strict=True)], groups)


def kappa(people: Sequence[Labels], model: Sequence[Labels], weighted: bool = False, groups: Groups = None) -> Estimate:
    """Cohen's kappa; undefined where both give one and the same label throughout.

    Args:
        weighted: Whether labels are whole numbers, and far ones are worse than near ones (quadratic weights).
    """
    if not people:
        return Estimate()
    codes = {label: code for code, label in enumerate(dict.fromkeys((*people, *model)))}
    first = np.array([codes[label] for label in people])
    second = np.array([codes[label] for label in model])
    if len(codes) < 2:
        return Estimate()
    if weighted:
        stars = [np.array([float(str(label[0])) for label in side]) for side in (people, model)]
        value = _kappa([int(one) for one in stars[0]], [int(one) for one in stars[1]], weighted=True)
        found = estimate(_distances(*stars), _weighted_kappa, value, groups=groups)
        return beyond_chance(found, _differing([*zip(people, model, strict=True)], groups, stars=True))
    cells, counts = _like(np.stack([first, second], axis=1), groups)
    one_hot = np.eye(len(codes))
    agreed = (cells[:, 0] == cells[:, 1]).astype(float)
    rows = np.column_stack([agreed, one_hot[cells[:, 0]], one_hot[cells[:, 1]]])
    found = estimate(rows, _nominal_kappa, _kappa(first.tolist(), second.tolist()), counts, groups)
    return beyond_chance(found, _differing([*zip(people, model, strict=True)], groups))


def alpha(
    units: Sequence[Sequence[Labels]],
    interval: bool = False,
    library: int = _LIBRARY_CELLS,
    groups: Groups = None,
) -> Estimate:
    """Krippendorff's alpha; undefined where nobody differs because everybody gave the same label throughout.

    Args:
        units: For each task, what each of its judges said; tasks with one judge do not count.
        interval: Whether labels are numbers, and far ones are worse than near ones.
        library: Up to which size the library is asked, which holds a square of the labels for each task; the same
            figure is made of sums beyond.
    """
    compared = [unit for unit in units if len(unit) > 1]
    held = [Counter(unit) for unit in compared]
    domain = list(dict.fromkeys(label for unit in held for label in unit))
    if len(domain) < 2:
        return Estimate()
    if interval:
        domain.sort(key=lambda label: float(str(label[0])))
    at = {label: column for column, label in enumerate(domain)}
    table = np.zeros((len(held), len(domain)))
    for row, unit in enumerate(held):
        for label, count in unit.items():
            table[row, at[label]] = count
    scale = np.array([float(str(label[0])) for label in domain]) if interval else None
    value = None
    if table.size * len(domain) <= library:
        value = _alpha(table, scale)
    patterns, counts = _like(table, groups)
    if groups is not None:
        groups = [group for group, unit in zip(groups, units, strict=True) if len(unit) > 1]
    disagreed = _disagreements(patterns, scale)
    rows = np.column_stack([disagreed, patterns])
    found = estimate(rows, lambda sums: _alpha_of_sums(sums, scale), value, counts, groups)
    return beyond_chance(found, _differing(compared, groups, stars=interval))


def by_label(people: Sequence[Labels], model: Sequence[Labels]) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of every label that was given, the most frequent first; stars in their order."""
    if not people:
        return ()
    given = Counter(label for side in people for label in side)
    others = Counter(label for side in model for label in side)
    names = sorted({*given, *others}, key=lambda label: (label if type(label) is int else -given[label], str(label)))
    codes = {label: code for code, label in enumerate(names)}
    # A table with a single column would not be taken for one of sets.
    binary = MultiLabelBinarizer(classes=range(max(2, len(names))), sparse_output=True)
    first, second = (binary.fit_transform([[codes[one] for one in told] for told in side]) for side in (people, model))
    precision, recall, f1, _ = precision_recall_fscore_support(first, second, average=None, zero_division=np.nan)
    return tuple(
        LabelFigures(
            label,
            _or_none(precision[code]) if others[label] else None,
            _or_none(recall[code]) if given[label] else None,
            _or_none(f1[code]),
            given[label],
            others[label],
        )
        for label, code in codes.items()
    )


def confusion(people: Sequence[Labels], model: Sequence[Labels]) -> tuple[Cell, ...]:
    """Who said what, how often; nothing where sets were chosen, which make no square."""
    if any(len(labels) != 1 for labels in (*people, *model)):
        return ()
    counted = Counter((one[0], other[0]) for one, other in zip(people, model, strict=True))
    return tuple(Cell(one, other, count) for (one, other), count in counted.most_common())


def _differing(units: Sequence[Sequence[Labels]], groups: Groups, stars: bool = False) -> Differing:
    """How many units differ whose judges gave these labels; of several in a task, as if it had that share of one."""

    def chance() -> float:
        given = Counter(label for unit in units for label in unit)
        shares = np.array(list(given.values())) / given.total()
        if not stars:
            return float(1 - (shares**2).sum())
        scale = np.array([float(str(label[0])) for label in given])
        return float(2 * (shares @ scale**2 - (shares @ scale) ** 2))

    tasks = len(units) if groups is None else len({*groups})
    return Differing(sum(len({*unit}) > 1 for unit in units), len(units), tasks, chance)


def _like(rows: NDArray[Any], groups: Groups) -> tuple[NDArray[Any], Numbers | None]:
    """The rows, each once with how often it occurs; those that belong to groups as they are."""
    if groups is not None:
        return rows, None
    found, counts = np.unique(rows, axis=0, return_counts=True)
    return found, counts.astype(float)


def _kappa(people: Sequence[int], model: Sequence[int], weighted: bool = False) -> float | None:
    labels = range(min(*people, *model), max(*people, *model) + 1) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is undefined is told by its being None
        value = cohen_kappa_score(people, model, labels=labels, weights="quadratic" if weighted else None)
    return _or_none(value)


def _alpha(table: Numbers, scale: Numbers | None) -> float | None:
    if scale is None:
        return _or_none(krippendorff.alpha(value_counts=table, level_of_measurement="nominal"))
    return _or_none(krippendorff.alpha(value_counts=table, value_domain=scale, level_of_measurement="interval"))


def _nominal_kappa(sums: Numbers) -> Numbers:
    labels = (sums.shape[1] - 1) // 2
    first, second = sums[:, 1 : 1 + labels], sums[:, 1 + labels :]
    tasks = first.sum(axis=1)
    expected = (first * second).sum(axis=1) / tasks**2
    return ratio(sums[:, 0] / tasks - expected, 1 - expected)


def _distances(first: Numbers, second: Numbers) -> Numbers:
    """What each task adds to the sums that weighted kappa is made of."""
    return np.column_stack([(first - second) ** 2, first, second, first**2, second**2, np.ones(len(first))])


def _weighted_kappa(sums: Numbers) -> Numbers:
    seen, first, second, first_squared, second_squared = (sums[:, :5] / sums[:, 5:6]).T
    return 1 - ratio(seen, first_squared + second_squared - 2 * first * second)


def _disagreements(table: Numbers, scale: Numbers | None) -> Numbers:
    """How far each task's judges are apart, summed over pairs of them and shared out as alpha does."""
    judges = table.sum(axis=1)
    if scale is None:
        apart = (table * (judges[:, np.newaxis] - table)).sum(axis=1)
    else:
        apart = 2 * judges * (table @ scale**2) - 2 * (table @ scale) ** 2
    return np.asarray(apart / (judges - 1))


def _alpha_of_sums(sums: Numbers, scale: Numbers | None) -> Numbers:
    apart, given = sums[:, 0], sums[:, 1:]
    every = given.sum(axis=1)
    if scale is None:
        expected = every**2 - (given**2).sum(axis=1)
    else:
        expected = 2 * every * (given @ scale**2) - 2 * (given @ scale) ** 2
    return 1 - ratio((every - 1) * apart, expected)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
