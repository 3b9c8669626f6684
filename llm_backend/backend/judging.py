"""How is a dataset judged? People's labels become examples for the judge, and are what it is held against."""

import heapq
import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_backend.adapters.store import Store
from llm_backend.backend.datasets import Answer, Dataset, Datasets, row_digest
from llm_backend.core.examples import Correction
from llm_backend.core.inputs import as_text
from llm_backend.core.judge import (
    BY_MODEL,
    BY_PERSON,
    EXPLANATION_COLUMN,
    SCORE_COLUMN,
    SOURCE_COLUMN,
    Rubric,
    Verdict,
)
from llm_backend.core.review import spread
from llm_backend.core.wire import JSON, Annotation, Task
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import Row, distinct

ERROR_COLUMN = "error"
_GIVEN, _SHOWN, _REVIEWED = "given-", "shown-", "reviewed-"
# Of people's labels, so many are kept to choose examples from, and so many are also asked for, to see who agrees.
_EXAMPLES_MOST = 2_000
_COMPARED_MOST = 1_000
# No example of such a size would go along with a question; in bytes.
_LARGEST = 100_000
_IDS_MOST = 100_000
_PAGE = 500
_VARIOUS_AMONG = 256


@dataclass(frozen=True, slots=True)
class People:
    """What people already said of a dataset's rows.

    Attributes:
        labelled: How many rows have a person's label.
        examples: Labels to choose examples from: an even share of them where they are many.
        compared: The rows, by their digests, that have a person's label and are judged all the same, to see who agrees.
        twice: How many ids come more than once, among the first hundred thousand.
    """

    labelled: int = 0
    examples: tuple[Correction, ...] = ()
    compared: frozenset[str] = frozenset()
    twice: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with its label.

    Attributes:
        label: As a person wrote it, or as the judge chose it; None where there is none.
        source: Whose it is; "" where there is none.
        person, judge: What each of them said.
        error: Why there is no label.
        lasting: Whether asking the judge again would fail in the same way.
    """

    row: Row
    label: JSON
    source: str = ""
    person: Verdict | None = None
    judge: Verdict | None = None
    error: str = ""
    lasting: bool = False


@dataclass(slots=True)
class Agreement:
    """How often people and judge gave the same label, counted by (person's, judge's)."""

    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, judged: Judged) -> None:
        if judged.person is not None and judged.judge is not None:
            self.pairs[judged.person.label, judged.judge.label] += 1

    @property
    def rows(self) -> int:
        return self.pairs.total()

    @property
    def agreeing(self) -> int:
        return sum(count for (person, judge), count in self.pairs.items() if person == judge)


class Judging:
    """Judges datasets, each a project of its own."""

    def __init__(self, store: Store, datasets: Datasets, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._datasets = datasets
        self._clock = clock

    def teach(self, project: str, examples: Iterable[Correction]) -> None:
        """Let the judge go by these examples, in place of earlier ones, beside what was reviewed.

        Where nothing is new, nothing changes: what was judged by them stands.
        """
        wanted = {one.annotation: one for one in examples}
        known = {one.annotation: one for one in self._store.corrections(project)}
        gone = [name for name in known if name not in wanted and not name.startswith(_REVIEWED)]
        news = [one for name, one in wanted.items() if name not in known or _said(known[name]) != _said(one)]
        if gone:
            self._store.unlearn(project, gone)
        if news:
            self._store.learn(project, news)
        if gone or news:
            self._store.publish(project)

    def open(self, project: str, rubric: Rubric) -> Dataset:
        """The dataset as it is judged now.

        Raises:
            LabelingError: The criterion's labels make no labeling config that works.
        """
        return self._datasets.open_judged(project, rubric.label_config, rubric.prompt)

    def review(self, project: str, rubric: Rubric, task: Task, verdict: Verdict) -> None:
        """Take a person's word on a row. Questions go by it when the review is over."""
        correction = rubric.correction(_REVIEWED + row_digest(task), task.data, verdict, BY_PERSON, self._clock())
        self._store.learn(project, [correction])

    def reviewed(self, project: str, rubric: Rubric) -> dict[str, Verdict]:
        """What was reviewed so far, by the rows' digests."""
        found = {
            one.annotation.removeprefix(_REVIEWED): rubric.learned(one)
            for one in self._store.corrections(project)
            if one.annotation.startswith(_REVIEWED)
        }
        return {digest: verdict for digest, verdict in found.items() if verdict is not None}

    def review_counts(self, project: str) -> int:
        """Of how many reviewed rows questions go by what was said: those of reviews that have ended."""
        known = self._store.corrections(project, published=True)
        return sum(one.annotation.startswith(_REVIEWED) for one in known)

    def end_review(self, project: str) -> None:
        """Let questions go by all that was reviewed."""
        self._store.publish(project)


def read_people(name: str, rows: Iterable[Row], rubric: Rubric) -> People:
    """Look through a dataset for people's labels.

    Args:
        name: What the dataset is called in a sentence.
    Raises:
        RequestError: A label is none of those that the judge chooses from.
    """
    labelled, faulty, fault = 0, 0, ""
    ids: Counter[str] = Counter()
    held: dict[str, Correction] = {}
    for page in _pages(rows):
        for row in page:
            ident = row.task.id if row.task.id is not None else row.task.data.get("id")
            if ident is not None and (len(ids) < _IDS_MOST or str(ident) in ids):
                ids[str(ident)] += 1
            try:
                verdict = given(row, rubric)
            except RequestError as exc:
                fault = fault or f"{name} line {row.line}: {exc.sentence}"
                faulty += 1
                continue
            if verdict is not None:
                labelled += 1
                _hold(held, rubric, row, verdict, _GIVEN)
        held = dict(heapq.nsmallest(_EXAMPLES_MOST, held.items()))
    if faulty:
        more = f" ({faulty:,} rows have such labels)" if faulty > 1 else ""
        raise RequestError(
            f"{fault}{more}. Tell all labels that there are, or which other column people's labels are in."
        )
    compared = frozenset(itertools.islice(held, _COMPARED_MOST))
    return People(labelled, tuple(held.values()), compared, sum(count > 1 for count in ids.values()))


def read_examples(name: str, rows: Iterable[Row], rubric: Rubric) -> tuple[Correction, ...]:
    """The labelled rows of another dataset, to be shown as examples.

    Raises:
        RequestError: It lacks a column, has no label, or one that is none of those that the judge chooses from.
    """
    held: dict[str, Correction] = {}
    for row in rows:
        if lacking := [column for column in rubric.columns.values() if column not in row.task.data]:
            raise RequestError(f'{name} line {row.line} has no "{lacking[0]}", which the criterion uses.')
        try:
            verdict = given(row, rubric)
        except RequestError as exc:
            raise RequestError(f"{name} line {row.line}: {exc.sentence}.") from exc
        if verdict is not None:
            _hold(held, rubric, row, verdict, _SHOWN)
            if len(held) > 2 * _EXAMPLES_MOST:
                held = dict(heapq.nsmallest(_EXAMPLES_MOST, held.items()))
    if not held:
        raise RequestError(
            f'{name} has no label in the column "{rubric.label_column}": there is nothing to learn from.'
        )
    return tuple(one for _, one in heapq.nsmallest(_EXAMPLES_MOST, held.items()))


def given(row: Row, rubric: Rubric) -> Verdict | None:
    """The label that a person gave a row.

    Raises:
        RequestError: It is none of those that the judge chooses from.
    """
    raw = row.annotations if isinstance(row.annotations, list) else ()
    return rubric.given(row.task.data, [Annotation.from_json(one) for one in raw if isinstance(one, Mapping)])


def tasks_of(rows: Iterable[Row], rubric: Rubric, compared: Collection[str]) -> Iterator[Task]:
    """What the judge is asked for: rows without a person's label, and those that are compared."""
    for row in rows:
        task = rubric.task(row.task.data)
        if given(row, rubric) is None or row_digest(task) in compared:
            yield task


def various(rows: Iterable[Row], rubric: Rubric, most: int) -> list[Task]:
    """Rows without a person's label that differ much from one another; of the same dataset always the same."""
    held: dict[str, Task] = {}
    for page in _pages(rows):
        tasks = (rubric.task(row.task.data) for row in page if given(row, rubric) is None)
        held.update((row_digest(task), task) for task in tasks)
        # A digest is as good as a throw of dice, and falls the same way the next time.
        held = dict(heapq.nsmallest(_VARIOUS_AMONG, held.items(), key=lambda one: one[0]))
    tasks_held = list(held.values())
    places = spread([" ".join(map(as_text, task.data.values())) for task in tasks_held], most)
    return [tasks_held[place] for place in places]


def judge_rows(
    rows: Iterable[Row],
    rubric: Rubric,
    answers: Callable[[Sequence[Task]], Iterator[Answer]],
    reviewed: Mapping[str, Verdict],
) -> Iterator[Judged]:
    """The rows with their labels, in order. What a person said stands, whatever the judge said.

    Args:
        answers: What came of tasks, in order.
        reviewed: What people said in a review, by the rows' digests.
    """
    for page in _pages(rows):
        tasks = [rubric.task(row.task.data) for row in page]
        for row, task, answer in zip(page, tasks, answers(tasks), strict=True):
            person, judge = given(row, rubric), rubric.verdict(answer.prediction)
            if person is not None:
                label = row.task.data.get(rubric.label_column)
                yield Judged(row, person.label if label in (None, "") else label, BY_PERSON, person, judge)
            elif (person := reviewed.get(row_digest(task))) is not None:
                yield Judged(row, _plain(person.label), BY_PERSON, person, judge)
            elif judge is not None:
                yield Judged(row, _plain(judge.label), BY_MODEL, None, judge)
            else:
                yield Judged(row, None, error=answer.reason or "The judge gave no label.", lasting=answer.lasting)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a judged dataset are called.

    Attributes:
        ids: Whether its rows have an id beside their columns, which gets one.
        errors: Whether some rows have no label, and tell why.
    """

    columns: tuple[str, ...]
    label_column: str
    ids: bool = False
    errors: bool = False

    @property
    def own(self) -> list[str]:
        """The dataset's own columns. Those that a judge filled before are filled anew."""
        ours = {self.label_column}
        if SOURCE_COLUMN in self.columns:
            ours |= {SOURCE_COLUMN, EXPLANATION_COLUMN, SCORE_COLUMN, ERROR_COLUMN}
        ident = ["id"] if self.ids and "id" not in self.columns else []
        return [*ident, *(name for name in self.columns if name not in ours)]

    @property
    def made(self) -> list[str]:
        """Label, whose it is, explanation, score and, where there are any, errors."""
        added = [SOURCE_COLUMN, EXPLANATION_COLUMN, SCORE_COLUMN, *([ERROR_COLUMN] if self.errors else [])]
        return [self.label_column, *distinct([*self.own, self.label_column], added)]

    @property
    def names(self) -> list[str]:
        return [*self.own, *self.made]

    def plain(self, judged: Judged) -> dict[str, JSON]:
        """A row to be written. An explanation is told only with the label that it explains."""
        stands = judged.person or judged.judge
        explanation = stands.explanation if stands else ""
        if judged.person and judged.judge and not explanation and judged.person.label == judged.judge.label:
            explanation = judged.judge.explanation
        score = judged.judge.score if judged.judge and not judged.person else None
        told = (judged.label, judged.source or None, explanation or None, score, judged.error or None)
        return {**self.as_it_was(judged.row), **dict(zip(self.made, told, strict=False))}

    def as_it_was(self, row: Row) -> dict[str, JSON]:
        """A row's own columns."""
        data = {"id": row.task.id, **row.task.data} if row.task.id is not None else row.task.data
        return {name: data[name] for name in self.own if name in data}


def _hold(held: dict[str, Correction], rubric: Rubric, row: Row, verdict: Verdict, kind: str) -> None:
    """Hold a label as an example under its row's digest, unless no question could take it."""
    digest = row_digest(rubric.task(row.task.data))
    correction = rubric.correction(kind + digest, row.task.data, verdict, BY_PERSON, 0.0)
    if len(json.dumps(correction.to_json(), default=str)) <= _LARGEST:
        held[digest] = correction


def _said(correction: Correction) -> str:
    return json.dumps([correction.data, correction.answers], sort_keys=True, default=str)


def _plain(label: str) -> JSON:
    """A label of digits is written as a number."""
    return int(label) if label.isdecimal() and str(int(label)) == label else label


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    every = iter(rows)
    while page := list(itertools.islice(every, _PAGE)):
        yield page
