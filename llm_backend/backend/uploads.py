"""Which datasets were uploaded, how is one of them labelled, and how does it leave with its labels?

The rows lie in files on this server's disk, their labels in the store, as the answers to a run: for as long as these
are kept.
"""

import asyncio
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from llm_backend.adapters.store import Store
from llm_backend.backend.datasets import Dataset, Datasets
from llm_backend.backend.jobs import Jobs
from llm_backend.backend.judging import Judging, Layout, judge_rows, read_examples, read_people, tasks_of
from llm_backend.backend.known import KnownProjects
from llm_backend.core.examples import Correction
from llm_backend.core.judge import Criterion, Rubric, find_criterion, make_rubric
from llm_backend.core.run import Run, Spec
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError, UnknownDataset, UnknownProject, UnknownRun
from llm_backend.interchange.tasks import rows, survey

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
_NAME_MOST = 200


@dataclass(frozen=True, slots=True)
class Labelling:
    """How a dataset is labelled, or was.

    Attributes:
        job: The run that asks, or asked.
        compared: How many rows with a person's label are asked for, too.
    """

    job: str
    criterion: Criterion
    labels: tuple[str, ...]
    label_column: str
    spec: Spec
    compared: int = 0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A dataset that was uploaded.

    Attributes:
        skipped: Rows of the file that cannot be used.
        ids: Whether its rows have an id beside their columns.
        created: Seconds since 1970.
        labelling: None before it was to be labelled.
    """

    id: str
    name: str
    description: str
    ending: str
    columns: tuple[str, ...]
    rows: int
    skipped: int
    ids: bool
    created: float
    labelling: Labelling | None = None

    @property
    def project(self) -> str:
        """The project of its questions and of what it has learned."""
        return f"dataset.{self.id}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a dataset is to be labelled.

    Attributes:
        criterion: One of ours by its name if `named`, else a text.
        labels: 0 and 1 if none are told.
        few_shot: The id of a dataset with labels to learn from; "" for none.
    """

    criterion: str
    named: bool = False
    labels: tuple[str, ...] = ()
    label_column: str = "label"
    few_shot: str = ""


class Uploads:
    """The datasets on this server."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        judging: Judging,
        datasets: Datasets,
        jobs: Jobs,
        known: KnownProjects,
        criteria: Mapping[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            folder: Takes the files; it is made when the first one comes.
            criteria: Ours, by name.
        """
        self._folder = folder
        self._store = store
        self._judging = judging
        self._datasets = datasets
        self._jobs = jobs
        self._known = known
        self._criteria = criteria
        self._clock = clock

    def add(self, name: str, parts: Iterable[bytes], description: str = "") -> Uploaded:
        """Take in a dataset.

        Args:
            name: A file's name, whose ending says what it holds.
            parts: The file, piece by piece.
        Raises:
            RequestError: It cannot be read, or holds no rows that can be used.
        """
        ending = Path(name).suffix.lower()
        if ending not in _ENDINGS:
            raise RequestError(f'A dataset\'s name ends in {", ".join(_ENDINGS)}; found "{name[:_NAME_MOST]}".')
        ident = uuid.uuid4().hex[:12]
        place = self._folder / f"{ident}.new"
        place.mkdir(parents=True)
        try:
            file = place / f"rows{ending}"
            with open(file, "wb") as stream:
                stream.writelines(parts)
            uploaded = self._read(ident, name[:_NAME_MOST], description, file)
            _note(place, uploaded)
            os.rename(place, self._folder / ident)
        except BaseException:  # whatever ends the upload: half a dataset must not stay
            shutil.rmtree(place, ignore_errors=True)
            raise
        return uploaded

    def every(self) -> tuple[Uploaded, ...]:
        """All datasets, the newest first."""
        idents = [place.parent.name for place in self._folder.glob("*/record.json") if place.parent.suffix != ".new"]
        return tuple(sorted(map(self.show, idents), key=lambda one: one.created, reverse=True))

    def show(self, ident: str) -> Uploaded:
        """One dataset.

        Raises:
            UnknownDataset: There is none with that id.
        """
        try:
            if not re.fullmatch(r"[0-9a-f]{12}", ident):
                raise FileNotFoundError
            return _uploaded(json.loads((self._folder / ident / "record.json").read_text("utf-8")))
        except FileNotFoundError as exc:
            raise UnknownDataset(f"There is no dataset {ident[:40]}.") from exc

    async def label(self, ident: str, wanted: Wanted) -> Run:
        """Begin to label a dataset; returns the run that does it. The same again is the same run while it goes on.

        Raises:
            UnknownDataset: There is none with that id, or none to learn from.
            RequestError: The criterion does not fit the dataset, or a label is none of those to choose from.
        """
        uploaded = await asyncio.to_thread(self.show, ident)
        rubric, dataset, compared = await asyncio.to_thread(self._prepared, uploaded, wanted)
        before = self._run(uploaded.labelling)
        if before is not None and before.unfinished:
            if before.spec.version == dataset.spec.version:
                return await self._jobs.retry(before.id) if before.state == "paused" else before
            await self._jobs.cancel(before.id)
        tasks = tasks_of(rows(self._file(uploaded)), rubric, compared)
        run_id = await dataset.begin(tasks)
        labelling = Labelling(run_id, rubric.criterion, rubric.labels, rubric.label_column, dataset.spec, len(compared))
        await asyncio.to_thread(_note, self._folder / ident, replace(uploaded, labelling=labelling))
        return self._jobs.show(run_id)

    def labelled(self, ident: str) -> tuple[list[str], Iterator[dict[str, JSON]]]:
        """The columns and the rows of a dataset, with the labels that it has by now.

        Raises:
            UnknownDataset: There is none with that id.
            RequestError: It was labelled so long ago that its labels are not kept any more.
        """
        uploaded = self.show(ident)
        labelling, file = uploaded.labelling, self._file(uploaded)
        if labelling is None:
            layout = Layout(uploaded.columns, "", uploaded.ids)
            return layout.own, (layout.as_it_was(row) for row in rows(file))
        run = self._run(labelling)
        if run is None:
            raise RequestError(
                f"Dataset {ident} was labelled too long ago: labels are kept as long as KEEP_RESULTS says. "
                "Have it labelled again."
            )
        rubric = _rubric(uploaded, labelling)
        dataset = self._datasets.resume(labelling.spec, run)
        lacking = any(run.counts.get(state) for state in ("failed", "waiting", "cancelled"))
        layout = Layout(uploaded.columns, rubric.label_column, uploaded.ids, lacking)
        reviewed = self._judging.reviewed(uploaded.project, rubric)
        return layout.names, map(layout.plain, judge_rows(rows(file), rubric, dataset.answers, reviewed))

    def run(self, uploaded: Uploaded) -> Run | None:
        """The run that labels a dataset, or did; None where there is none, or no more."""
        return self._run(uploaded.labelling)

    def remove(self, ident: str) -> None:
        """Forget a dataset, its labels and what was learned of it.

        Raises:
            UnknownDataset: There is none with that id.
        """
        uploaded = self.show(ident)
        try:
            self._known.forget(uploaded.project)
        except UnknownProject:
            pass  # it was never labelled
        shutil.rmtree(self._folder / ident, ignore_errors=True)

    def _read(self, ident: str, name: str, description: str, file: Path) -> Uploaded:
        with _named(file, name):
            found = survey(file)
        if not found.rows:
            first = found.faults[0]
            raise RequestError(f"{name} holds no row that can be used. Line {first.line}: {first.sentence}")
        return Uploaded(
            ident, name, description, file.suffix, found.columns, found.rows, found.skipped, found.ids, self._clock()
        )

    def _prepared(self, uploaded: Uploaded, wanted: Wanted) -> tuple[Rubric, Dataset, frozenset[str]]:
        """What is asked of a dataset that has learned what there is to learn."""
        ours = self._criteria if wanted.named else {}
        if wanted.named and wanted.criterion not in ours:
            raise RequestError(f'There is no metric "{wanted.criterion[:60]}"; there are {", ".join(sorted(ours))}.')
        criterion = find_criterion(wanted.criterion, ours)
        rubric = make_rubric(criterion, uploaded.columns, wanted.labels, wanted.label_column)
        with _named(file := self._file(uploaded), uploaded.name):
            people = read_people(str(file), rows(file), rubric)
        examples: tuple[Correction, ...] = ()
        if wanted.few_shot:
            others = self.show(wanted.few_shot)
            with _named(file := self._file(others), others.name):
                examples = read_examples(str(file), rows(file), rubric)
        self._store.save_setup(uploaded.project, "", "", {}, rubric.label_config)
        self._judging.teach(uploaded.project, (*examples, *people.examples))
        return rubric, self._judging.open(uploaded.project, rubric), people.compared

    def _file(self, uploaded: Uploaded) -> Path:
        return self._folder / uploaded.id / f"rows{uploaded.ending}"

    def _run(self, labelling: Labelling | None) -> Run | None:
        try:
            return self._jobs.show(labelling.job) if labelling else None
        except UnknownRun:
            return None


def _rubric(uploaded: Uploaded, labelling: Labelling) -> Rubric:
    return make_rubric(labelling.criterion, uploaded.columns, labelling.labels, labelling.label_column)


@contextmanager
def _named(file: Path, name: str) -> Iterator[None]:
    """Let sentences about a file call it by the name that it was sent under."""
    try:
        yield
    except RequestError as exc:
        raise RequestError(exc.sentence.replace(str(file), name)) from exc


def _note(place: Path, uploaded: Uploaded) -> None:
    """Write down what is known of a dataset, whole or not at all."""
    told = asdict(replace(uploaded, labelling=None))
    if (labelling := uploaded.labelling) is not None:
        told["labelling"] = {**asdict(labelling), "spec": labelling.spec.to_json()}
    begun = place / "record.json.new"
    begun.write_text(json.dumps(told), "utf-8")
    os.replace(begun, place / "record.json")


def _uploaded(told: Mapping[str, JSON]) -> Uploaded:
    raw = told.get("labelling")
    labelling = None
    if raw is not None:
        named = {name: tuple(others) for name, others in raw["criterion"]["columns"].items()}
        criterion = Criterion(**{**raw["criterion"], "columns": named})
        spec = Spec.from_json(raw["spec"])
        labelling = Labelling(raw["job"], criterion, tuple(raw["labels"]), raw["label_column"], spec, raw["compared"])
    return Uploaded(**{**told, "columns": tuple(told["columns"]), "labelling": labelling})
