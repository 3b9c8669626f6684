"""Which of the model's regions is which of a person's, and how many did each mark that the other did not?

One to one, so that all together are as near as they can be (the assignment problem, solved by SciPy); a pair counts if
it is near enough (`marks.NEAR`) and has the same labels. What is left then is matched once more by place alone: that
tells which label was taken for which.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from llm_backend.agreement.labels import Cell, LabelFigures
from llm_backend.agreement.marks import NEAR, Mark, Marks, Stretches, apart
from llm_backend.agreement.resampling import Estimate, Match, match, mean
from llm_backend.agreement.spans import Lines, Sums, lines


@dataclass(frozen=True, slots=True)
class Pairing:
    """One of a person's marks and one of the model's, by their places in order, and how near they are."""

    people: int
    model: int
    nearness: float


@dataclass(frozen=True, slots=True)
class Matching:
    """What a person marked against what the model did, in one task.

    Attributes:
        same: The same place with the same labels.
        relabelled: The same place with other labels.
        lines: How far they agree on stretches; None for marks on pictures.
    """

    people: Marks
    model: Marks
    same: tuple[Pairing, ...]
    relabelled: tuple[Pairing, ...]
    lines: Lines | None = None

    @property
    def quality(self) -> float:
        """The F1 of the task: 1 where all is matched, or neither marked anything."""
        return _sums([self]).f1


@dataclass(frozen=True, slots=True)
class Places:
    """How far people and the model mark the same places.

    Attributes:
        people, model: How many places each marked; the model's are held against each person's.
        matched: How many of them are the same, one to one.
        found: Precision, recall and F1 by these counts.
        iou: Mean intersection over union of what is matched; None for points.
        distance: Mean distance of matched points in percent of the picture; None for all else.
    """

    people: int
    model: int
    matched: int
    found: Match
    iou: Estimate | None = None
    distance: Estimate | None = None


def matched(people: Marks, model: Marks) -> Matching:
    """Match one control's marks of one task."""
    same = _assigned(people, model, lambda mark: (mark.objects, mark.labels))
    taken, used = {pair.people for pair in same}, {pair.model for pair in same}
    others = _assigned(people, model, lambda mark: mark.objects, taken, used)
    on_lines = all(isinstance(mark.form, Stretches) for mark in (*people, *model))
    return Matching(people, model, tuple(same), tuple(others), lines(people, model) if on_lines else None)


def places(tasks: Sequence[Sequence[Matching]], points: bool = False) -> Places:
    """Sum up what was matched.

    Args:
        tasks: For each task, the model's marks against each person's.
        points: Whether marks are points.
    """
    rows = [_sums(held) for held in tasks]
    both, model, people = (int(sum(column)) for column in zip(*rows, strict=True)) if rows else (0, 0, 0)
    near = [(task, pair.nearness) for task, held in enumerate(tasks) for one in held for pair in one.same]
    told = np.array([apart(nearness) if points else nearness for _, nearness in near])
    measured = mean(told, [task for task, _ in near])
    return Places(
        people,
        model,
        both,
        match(rows),
        iou=None if points else measured,
        distance=measured if points else None,
    )


def by_label(tasks: Iterable[Sequence[Matching]]) -> tuple[LabelFigures, ...]:
    """Precision, recall and F1 of every label that was given, over places, the most frequent first."""
    held = [one for task in tasks for one in task]
    people = Counter(label for one in held for mark in one.people for label in mark.labels)
    model = Counter(label for one in held for mark in one.model for label in mark.labels)
    pairs = ((one, pair) for one in held for pair in (*one.same, *one.relabelled))
    both = Counter(
        label
        for one, pair in pairs
        for label in one.model[pair.model].labels
        if label in one.people[pair.people].labels
    )
    names = sorted({*people, *model}, key=lambda label: (-people[label], label))
    return tuple(
        LabelFigures(
            label,
            _share(both[label], model[label]),
            _share(both[label], people[label]),
            _share(2 * both[label], people[label] + model[label]),
            people[label],
            model[label],
        )
        for label in names
    )


def confusion(tasks: Iterable[Sequence[Matching]]) -> tuple[Cell, ...]:
    """Which label people and the model gave to the same places; None where one of them marked nothing there."""
    counted: Counter[tuple[str | None, str | None]] = Counter()
    for one in (one for task in tasks for one in task):
        met = (*one.same, *one.relabelled)
        ours, theirs = {pair.model for pair in met}, {pair.people for pair in met}
        counted.update((_label(one.people[pair.people]), _label(one.model[pair.model])) for pair in met)
        counted.update((_label(mark), None) for at, mark in enumerate(one.people) if at not in theirs)
        counted.update((None, _label(mark)) for at, mark in enumerate(one.model) if at not in ours)
    return tuple(Cell(people, model, count) for (people, model), count in counted.most_common())


def _assigned(
    people: Marks,
    model: Marks,
    key: Callable[[Mark], Hashable],
    taken: Iterable[int] = (),
    used: Iterable[int] = (),
) -> list[Pairing]:
    """The best pairs of marks with the same key, but for those that are taken."""
    theirs, ours = _grouped(people, key, {*taken}), _grouped(model, key, {*used})
    found: list[Pairing] = []
    for name in theirs.keys() & ours.keys():
        first, second = theirs[name], ours[name]
        nearness = np.array([[people[one].nearness(model[two]) for two in second] for one in first])
        nearness[nearness < NEAR] = 0
        rows, columns = linear_sum_assignment(nearness, maximize=True)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        found += [Pairing(first[r], second[c], float(nearness[r, c])) for r, c in pairs if nearness[r, c]]
    return sorted(found, key=lambda pair: pair.model)


def _grouped(marks: Marks, key: Callable[[Mark], Hashable], without: set[int]) -> dict[Hashable, list[int]]:
    found: defaultdict[Hashable, list[int]] = defaultdict(list)
    for at, mark in enumerate(marks):
        if at not in without:
            found[key(mark)].append(at)
    return found


def _sums(held: Sequence[Matching]) -> Sums:
    return Sums(
        float(sum(len(one.same) for one in held)),
        float(sum(len(one.model) for one in held)),
        float(sum(len(one.people) for one in held)),
    )


def _label(mark: Mark) -> str:
    return " + ".join(mark.labels)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
