"""Is one prompt better than another? Both are held against people, on the same tasks."""

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from llm_backend.agreement.biases import mid_p
from llm_backend.agreement.figures import GRADED, quality, right
from llm_backend.agreement.pairs import Material, Pair
from llm_backend.agreement.reading import Kind
from llm_backend.agreement.resampling import Estimate, Numbers, mean, share
from llm_backend.core.wire import TaskId

Verdict = Literal["better", "worse", "unclear"]
_CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class Trial:
    """How two versions fare on the same tasks.

    What is measured is the share of a task's controls that a version answers as people do; of places and links, how far
    they agree, and of regions and items the share of them.

    Attributes:
        tasks: Those that are compared.
        difference: New less old, paired by task; without an interval where it is the same for all of them.
        better, worse: On how many tasks the new one is.
        p: Of such a difference by chance (McNemar's, mid-p).
    """

    tasks: int
    old: Estimate
    new: Estimate
    difference: Estimate
    better: int
    worse: int
    p: float

    @property
    def verdict(self) -> Verdict:
        """Whether the new one is better: chance alone makes such a difference less than once in twenty times."""
        if self.p >= _CHANCE or not self.difference.value:
            return "unclear"
        return "better" if self.difference.value > 0 else "worse"


def trial(found: Material, old: str, new: str) -> Trial:
    """Hold two versions against people; tasks that only one of them answered do not count."""
    first, second = (_by_task(found, version) for version in (old, new))
    tasks = [task for task in first if task in second]
    before = np.array([first[task] for task in tasks])
    after = np.array([second[task] for task in tasks])
    better, worse = int((after > before).sum()), int((after < before).sum())
    p = mid_p(better, worse)
    return Trial(len(tasks), _mean(before), _mean(after), _difference(after - before), better, worse, p)


def _by_task(found: Material, version: str) -> dict[TaskId, float]:
    told: defaultdict[TaskId, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for pair in found.pairs:
        if pair.version == version and (value := _value(found.kinds[pair.control], pair)) is not None:
            told[pair.task][pair.control].append(value)
    return {task: fmean(map(fmean, controls.values())) for task, controls in told.items()}


def _value(kind: Kind, pair: Pair) -> float | None:
    if kind in GRADED:
        return quality(kind, pair)
    found = right(kind, pair)
    return None if found is None else float(found)


def _difference(values: Numbers) -> Estimate:
    """Drawn again from tasks that are all alike, a mean would seem to be certain."""
    return Estimate(float(values[0])) if len(values) and (values == values[0]).all() else mean(values)


def _mean(values: Numbers) -> Estimate:
    """A mean; where all is right or wrong it is a share, whose interval has some width even at its ends."""
    if np.isin(values, (0.0, 1.0)).all():
        return share(int(values.sum()), len(values))
    return mean(values)
