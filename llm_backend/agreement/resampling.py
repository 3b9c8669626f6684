"""How far may a figure be off, given how few tasks it was seen on?

The percentile bootstrap (Efron and Tibshirani 1993, chapter 13): tasks are drawn again with replacement, and the
figure taken anew each time. All figures here depend on sums over tasks, so what is drawn is how often each kind of task
occurs.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

Numbers: TypeAlias = NDArray[np.float64]
Statistic: TypeAlias = Callable[[Numbers], Numbers]
"""Takes sums over tasks, a row for each drawing, and gives the figure for each row; NaN where it is undefined."""

_RESAMPLES = 1000
_RESAMPLES_LEAST = 200
_DRAWS = 10_000_000
"""With more to draw than this, fewer drawings do: the interval is narrow then, and its ends matter less."""
LEVEL = 0.95
_SEED = 20_240_607
_CELLS = 2_000_000
# With more of the drawings undefined than this, what is left would not be a fair sample.
_UNDEFINED = 0.05


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval; all None where it is undefined, the bounds None where one task is all there is."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """How much of the model's is the people's (precision), and how much of the people's the model found (recall)."""

    precision: Estimate
    recall: Estimate
    f1: Estimate


Groups: TypeAlias = Sequence[Hashable] | None
"""The task of each row, where tasks have several that are not independent: tasks are what is drawn. None: one each."""


def estimate(
    rows: Numbers,
    statistic: Statistic,
    value: float | None = None,
    counts: Numbers | None = None,
    groups: Groups = None,
) -> Estimate:
    """A figure and its 95 % interval.

    Args:
        rows: What each task adds to the sums, (tasks, sums).
        value: The figure itself, where a library gave it; None takes it by `statistic`.
        counts: How many tasks are like each row; one each by default. Not with `groups`.
    """
    if groups is not None:
        rows = _by_group(rows, groups)
    if not len(rows):
        return Estimate()
    if counts is None:
        rows, found = np.unique(rows, axis=0, return_counts=True)
        counts = found.astype(float)
    if value is None:
        value = _finite(float(statistic((counts @ rows)[np.newaxis])[0]))
    if value is None or counts.sum() < 2:
        return Estimate(value)
    drawn = _drawings(rows, statistic, counts)
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < (1 - _UNDEFINED) * len(drawn):
        return Estimate(value)
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def ratio(over: Numbers, under: Numbers) -> Numbers:
    """Divide; NaN where there is nothing to divide by."""
    undefined = np.full(np.broadcast(over, under).shape, np.nan)
    return np.asarray(np.divide(over, under, out=undefined, where=under != 0))


def share(hits: int, tasks: int) -> Estimate:
    """A share with Wilson's interval (1927), which unlike the bootstrap's has some width where all or none are hits."""
    if tasks < 2:
        return Estimate(hits / tasks if tasks else None)
    bounds = binomtest(hits, tasks).proportion_ci(LEVEL, method="wilson")
    return Estimate(hits / tasks, float(bounds.low), float(bounds.high))


def share_in(hits: Sequence[bool], groups: Groups) -> Estimate:
    """`share`; of several hits and misses in a task, with the interval of the bootstrap over tasks.

    Where all or none are hits, it has the width that so many tasks would have.
    """
    found = share(sum(hits), len(hits))
    if groups is None or not hits:
        return found
    if all(hits) or not any(hits):
        tasks = len({*groups})
        return share(tasks if hits[0] else 0, tasks)
    return mean(np.array(hits, dtype=float), groups)


@dataclass(frozen=True, slots=True)
class Differing:
    """How many units differ of so many, in so many tasks, and how much they would on average by chance alone.

    Attributes:
        chance: In multiples of the least that a unit can differ by; asked only where none differs.
    """

    count: int
    units: int
    tasks: int
    chance: Callable[[], float]


def beyond_chance(found: Estimate, seen: Differing) -> Estimate:
    """An agreement corrected for chance, its interval widened to what the share of units that differ may be off by.

    Where few differ, or chance does most, hardly any drawing holds what was not seen: of intervals that are drawn alone
    far too many miss. Such an agreement is 1 less a multiple of the share that differs, whose interval is Wilson's; the
    multiple is taken as it is.
    """
    if found.value is None or seen.tasks < 2:
        return found
    differ = seen.count / seen.units
    span = share(max(round(differ * seen.tasks), min(1, seen.count)), seen.tasks)
    multiple = (1 - found.value) / differ if differ else 1 / seen.chance()
    low, high = (1 - multiple * (end if end is not None else differ) for end in (span.high, span.low))
    drawn = [end for end in (found.low, found.high) if end is not None]
    return Estimate(found.value, max(-1.0, min(low, *drawn, found.value)), min(1.0, max(high, *drawn, found.value)))


def mean(values: Numbers, groups: Groups = None) -> Estimate:
    """The mean of one number per task, or of several."""
    rows = np.column_stack([values, np.ones(len(values))])
    return estimate(rows, lambda sums: ratio(sums[:, 0], sums[:, 1]), groups=groups)


def match(told: Sequence[tuple[float, float, float]]) -> Match:
    """Precision, recall and F1, of what is shared, what the model has and what people have, task by task."""
    rows: Numbers = np.array(told, dtype=float).reshape(-1, 3)
    shared, model, people = rows.T
    return Match(_part(shared, model), _part(shared, people), _part(2 * shared, model + people))


def _part(over: Numbers, under: Numbers) -> Estimate:
    """A share of what all tasks have; where it is all or nothing, it has the width that so many tasks would have."""
    found = estimate(np.column_stack([over, under]), lambda sums: ratio(sums[:, 0], sums[:, 1]))
    tasks = int((under > 0).sum())
    return share(int(found.value) * tasks, tasks) if found.value in (0.0, 1.0) else found


def _by_group(rows: Numbers, groups: Sequence[Hashable]) -> Numbers:
    places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
    summed = np.zeros((len(places), rows.shape[1]))
    np.add.at(summed, np.array([places[group] for group in groups], dtype=int), rows)
    return summed


def _drawings(rows: Numbers, statistic: Statistic, counts: Numbers) -> Numbers:
    rng = np.random.default_rng(_SEED)
    tasks = int(counts.sum())
    at_once = max(1, _CELLS // len(rows))
    often = min(_RESAMPLES, max(_RESAMPLES_LEAST, _DRAWS // len(rows)))
    parts = [min(at_once, often - done) for done in range(0, often, at_once)]
    drawn = (rng.multinomial(tasks, counts / tasks, size=part).astype(float) @ rows for part in parts)
    return np.concatenate([statistic(sums) for sums in drawn])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
