"""What does the whole report say?"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from llm_backend.agreement.biases import Judged, Lean, against_people, by_length, by_swapping, mid_p, swapped
from llm_backend.agreement.calibration import Case, Certainty, certainty
from llm_backend.agreement.figures import GRADED, Figures, figures, is_best, quality, reference, right
from llm_backend.agreement.pairs import Material, Pair, Unit, kept
from llm_backend.agreement.reading import Kind, Link, Value
from llm_backend.agreement.resampling import Estimate, mean
from llm_backend.core.wire import JSON, TaskId

MOST_TOLD = 500
"""Disagreements that are told of each control and version; all are counted."""
_MOST_WORDS = 200
_MOST_COMPARED = 5


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A task on which people and the model differ.

    Attributes:
        link: Where it is opened in Label Studio; "" where its address is not known.
        quality: 0 where they simply differ, the absolute error of a number; of places and links, how far they agree.
        part: Which region or item of the task; "" for all of it.
    """

    task: TaskId
    link: str
    people: str
    model: str
    quality: float
    part: str = ""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """Regions that only one side marked, on which what hangs on them is not compared.

    Attributes:
        people, model: Marked by people, or by the model, only; the model's are held against each person's.
    """

    people: int
    model: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """People against one version of the model, on one control.

    Attributes:
        people: How many.
        agreements: Single judgements that are the model's answer.
        accepted: Of these, those that are nothing but the model's answer left as it was shown.
        all: Figures over all judgements.
        unaccepted: Without the accepted ones. What was shown and corrected stays in, so that this errs on the low side,
            as the former does on the high one.
        blind: Over what people answered without being shown the model's answer, since it was kept back or made only
            afterwards; the fair measure, where there is enough of it.
        shown: Over all else.
        apart: Without tasks that nearly repeat one which people had answered before the model did: it may have been
            shown their answer among its examples. None where there are no such tasks.
        differing: How many tasks people and the model differ on; `disagreements` are the first of them.
        unit: What is compared and counted: tasks, or regions or items of them.
        unmatched: For what hangs on regions only.
    """

    control: str
    kind: Kind
    version: str
    people: int
    agreements: int
    accepted: int
    all: Figures
    unaccepted: Figures
    blind: Figures
    shown: Figures
    differing: int
    disagreements: tuple[Disagreement, ...]
    unit: Unit = "task"
    unmatched: Unmatched | None = None
    apart: Figures | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Two versions on the same tasks.

    Attributes:
        measure: `accuracy`, `overlap` (of pieces of texts), `F1` (of other places and of links), all better if higher,
            or `absolute error` (better if lower). Of regions and items it is a task's mean.
        difference: New less old, paired by task.
        p: Of such a difference by chance, for accuracy (McNemar, mid-p); None for the others.
    """

    control: str
    measure: str
    old: str
    new: str
    tasks: int
    old_value: float
    new_value: float
    difference: Estimate
    p: float | None


@dataclass(frozen=True, slots=True)
class Biases:
    """Of a control that judges pairs, and one version.

    Attributes:
        position: Over pairs that stand in the material in both orders; None where none do.
        side: Towards the left, against people's word on the same pairs.
        length: Towards the longer text, against people's word on the same pairs.
    """

    control: str
    version: str
    position: Lean | None
    side: Lean
    length: Lean


@dataclass(frozen=True, slots=True)
class Sureness:
    """What a version's scores are worth. An answer is right if all its controls but free text are.

    Attributes:
        certainty: By all that people say; what was shown and left as it was counts as right.
        blind: By what people answered without being shown the model's answer; None where nobody did.
    """

    version: str
    certainty: Certainty
    blind: Certainty | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """How well people and the model agree.

    Attributes:
        versions: The oldest first.
        unpredicted: Annotated tasks without a prediction.
        skipped: Annotations by which a task was skipped.
        unread: Annotated tasks that are not what the labeling config shows.
        outside: Answers that the labeling config does not offer (any more), by control; they are left out.
        unmeasured: Why some controls are not measured, as sentences.
    """

    source: str
    tasks: int
    annotated: int
    unpredicted: int
    skipped: int
    unread: int
    people: int
    versions: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    changes: tuple[Change, ...]
    certainties: tuple[Sureness, ...]
    biases: tuple[Biases, ...]
    outside: dict[str, int]
    unmeasured: tuple[str, ...]

    def to_json(self) -> dict[str, JSON]:
        """As JSON holds it: nothing in it is NaN; what is undefined is null."""
        return asdict(self)


def make_report(found: Material, source: str, url: str = "") -> Report:
    """Measure all there is.

    Args:
        source: What was read, as the reader is told.
        url: Where Label Studio is, for links; "" makes none.
    """
    versions = sorted({pair.version for pair in found.pairs}, key=lambda name: (found.versions[name], name))
    by_key: defaultdict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in found.pairs:
        by_key[(pair.control, pair.version)].append(pair)
    keys = [(name, version) for name in found.kinds for version in versions if (name, version) in by_key]
    return Report(
        source=source,
        tasks=found.tasks,
        annotated=found.annotated,
        unpredicted=found.unpredicted,
        skipped=found.skipped,
        unread=found.unread,
        people=len(found.people),
        versions=tuple(versions),
        comparisons=tuple(_comparison(found, by_key[key], url) for key in keys),
        changes=tuple(_changes(found, by_key, versions)),
        certainties=tuple(_certainties(found, versions)),
        biases=tuple(_biases(found, by_key)),
        outside=dict(found.outside),
        unmeasured=tuple(found.unmeasured.values()),
    )


def latest_calibration(report: Report) -> Certainty | None:
    """What the scores of the latest version are worth that has any; by blind answers alone, where these are enough."""
    if not report.certainties:
        return None
    latest = report.certainties[-1]
    return latest.blind if latest.blind and latest.blind.calibration else latest.certainty


def _comparison(found: Material, pairs: Sequence[Pair], url: str) -> Comparison:
    name, version = pairs[0].control, pairs[0].version
    kind, unmatched = found.kinds[name], found.unmatched.get((name, version))
    told = [(pair, one) for pair in pairs for one in pair.people]
    apart = [pair for pair in pairs if not _repeats(found, pair)]
    agreeing = [one for pair, one in told if one.value == pair.model]
    worst_last = -1 if kind == "number" else 1
    rated = [(quality(kind, pair), pair) for pair in pairs]
    differing = [(value, pair) for value, pair in rated if value is not None and not is_best(kind, value)]
    differing.sort(key=lambda one: worst_last * one[0])
    return Comparison(
        control=name,
        kind=kind,
        version=version,
        people=len({one.by for _, one in told}),
        agreements=len(agreeing),
        accepted=sum(one.accepted for one in agreeing),
        all=figures(kind, pairs),
        unaccepted=figures(kind, kept(pairs, lambda one: not one.accepted)),
        blind=figures(kind, kept(pairs, lambda one: one.blind)),
        shown=figures(kind, kept(pairs, lambda one: not one.blind)),
        differing=len(differing),
        disagreements=tuple(_disagreement(kind, pair, value, url) for value, pair in differing[:MOST_TOLD]),
        unit=found.units.get(name, "task"),
        unmatched=None if unmatched is None else Unmatched(*unmatched),
        apart=figures(kind, apart) if len(apart) < len(pairs) else None,
    )


def _repeats(found: Material, pair: Pair) -> bool:
    """Whether people may have answered a near-duplicate of the task before the model answered it."""
    first = found.repeats.get(pair.task)
    return first is not None and (not pair.answered or first < pair.answered)


def _disagreement(kind: Kind, pair: Pair, found: float, url: str) -> Disagreement:
    if kind in GRADED:
        said = " | ".join(dict.fromkeys(_words(one.value) for one in pair.people))
    else:
        said = _words(reference(kind, pair.people))
    link = ""
    if url and pair.project is not None and isinstance(pair.task, int):
        link = f"{url.rstrip('/')}/projects/{pair.project}/data?task={pair.task}"
    return Disagreement(pair.task, link, said, _words(pair.model), found, pair.part)


def _words(value: Value) -> str:
    """A value as a reader takes it in; "" for none."""
    if not isinstance(value, tuple):
        return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
    words = ", ".join(_arrow(one) if isinstance(one, Link) else str(one) for one in value)
    return words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 1] + "…"


def _arrow(link: Link) -> str:
    labels = f" ({' + '.join(link.labels)})" if link.labels else ""
    return f"{link.start} {'<->' if link.both else '->'} {link.end}{labels}"


_MEASURES: dict[Kind, str] = {**dict.fromkeys(GRADED, "F1"), "spans": "overlap", "number": "absolute error"}


def _changes(found: Material, by_key: dict[tuple[str, str], list[Pair]], versions: Sequence[str]) -> Iterator[Change]:
    """The newest version against those before it."""
    if len(versions) < 2:
        return
    *others, new = versions
    for name, kind in found.kinds.items():
        qualities = {version: _qualities(kind, by_key.get((name, version), [])) for version in versions}
        for old in reversed(others[-_MOST_COMPARED:]):
            tasks = [task for task in qualities[new] if task in qualities[old]]
            if tasks:
                first = np.array([qualities[old][task] for task in tasks])
                second = np.array([qualities[new][task] for task in tasks])
                measure = _MEASURES.get(kind, "accuracy")
                p = mid_p(int((second > first).sum()), int((second < first).sum())) if measure == "accuracy" else None
                means = float(first.mean()), float(second.mean())
                yield Change(name, measure, old, new, len(tasks), *means, mean(second - first), p)


def _qualities(kind: Kind, pairs: Sequence[Pair]) -> dict[TaskId, float]:
    told: defaultdict[TaskId, list[float]] = defaultdict(list)
    for pair in pairs:
        if (value := quality(kind, pair)) is not None:
            told[pair.task].append(value)
    return {task: sum(values) / len(values) for task, values in told.items()}


def _certainties(found: Material, versions: Sequence[str]) -> Iterator[Sureness]:
    scored = {(one.task, one.version): one.score for one in found.scored}
    every = _cases(found, scored, found.pairs)
    blind = _cases(found, scored, kept(found.pairs, lambda one: one.blind))
    for version in versions:
        if (measured := certainty(every[version])) is not None:
            yield Sureness(version, measured, certainty(blind[version]))


def _cases(
    found: Material, scored: Mapping[tuple[TaskId, str], float], pairs: Iterable[Pair]
) -> defaultdict[str, list[Case]]:
    """Answers with a score that people have judged, by version."""
    rights: defaultdict[tuple[TaskId, str], list[bool | None]] = defaultdict(list)
    for pair in pairs:
        if found.kinds[pair.control] != "text":
            rights[pair.task, pair.version].append(right(found.kinds[pair.control], pair))
    cases: defaultdict[str, list[Case]] = defaultdict(list)
    for (task, version), score in scored.items():
        parts = rights.get((task, version), [])
        if parts and None not in parts:
            cases[version].append(Case(score, all(parts)))
    return cases


def _biases(found: Material, by_key: dict[tuple[str, str], list[Pair]]) -> Iterator[Biases]:
    judges = {name for _, name in found.shown}
    for (name, version), pairs in by_key.items():
        if name not in judges:
            continue
        judged = []
        for pair in pairs:
            shown, said = found.shown[(pair.task, name)], reference("labels", pair.people)
            if pair.model is not None:
                people = said[0] if isinstance(said, tuple) and said else None
                judged.append(Judged(shown.left, shown.right, pair.model[0], people, shown.context))
        both = swapped(judged)
        position = by_swapping(both) if both else None
        yield Biases(name, version, position, against_people(judged), by_length(judged))
