"""How is a whole dataset labelled? Its rows become runs, part by part; its answers are read out of the store.

What is kept of a row's data under a version is not asked again, so a dataset that was interrupted goes on where it
stopped. Neither the rows nor their answers are ever in memory all at once.
"""

import asyncio
import hashlib
import itertools
import json
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from llm_backend.adapters.runs import Engine
from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.backend.projects import Bound, Projects
from llm_backend.core.chat import Usage
from llm_backend.core.conversation import CONFIG
from llm_backend.core.inputs import fields_of
from llm_backend.core.predictor import Parameters, Plan
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import UNFINISHED, Run, RunTask, Spec, TaskState
from llm_backend.core.wire import Prediction, Task
from llm_backend.errors import LabelingError, RequestError

PROJECT = "dataset"
"""The project that a dataset's questions belong to: its store knows no other."""
PART = 5_000
"""Rows per run. The next part is added while as many still wait, so that the model is never idle in between."""
EXAMPLES = 8
"""How many of people's labels go along with a question of a judge, unless FEW_SHOT says otherwise."""
_LOOK_SECONDS = 0.1
_PAGE = 1_000
_STOPPED = "stopped"
_FAILED: tuple[TaskState, ...] = ("failed",)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a row.

    Attributes:
        reason: Why there is no prediction; beside one, why some of its fields are empty.
        lasting: Whether asking the same again would fail in the same way.
    """

    prediction: Prediction | None
    reason: str = ""
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a dataset is.

    Attributes:
        answered, failed: Rows; those that share their data with an earlier row count as answered at once.
        asked: How many of these the model was asked for this time.
        usage: Tokens and calls of this time.
        halted: Why no further call is made, though rows are left; empty where that is not so.
    """

    answered: int = 0
    failed: int = 0
    asked: int = 0
    usage: Usage = field(default_factory=Usage)
    halted: str = ""

    def __add__(self, other: "Progress") -> "Progress":
        """Of several datasets together."""
        return Progress(
            self.answered + other.answered,
            self.failed + other.failed,
            self.asked + other.asked,
            self.usage + other.usage,
            self.halted or other.halted,
        )


class Datasets:
    """Labels datasets."""

    def __init__(
        self, store: Store, projects: Projects, engine: Engine, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._projects = projects
        self._engine = engine
        self._clock = clock

    def open(self, label_config: str, prompt: str | None = None, part: int = PART) -> "Dataset":
        """A dataset to be labelled by this config.

        Args:
            prompt: What the annotator would type.
            part: Rows per run.
        Raises:
            LabelingError: The config cannot work, or is empty.
        """
        bound = self._projects.bind(PROJECT, label_config)
        if not bound.plan.controls:
            raise LabelingError("The labeling config is empty: there is nothing to fill.")
        return self._opened(bound, label_config, bound.prompt((prompt, "annotator")), part)

    @property
    def model(self) -> str:
        """Who is asked where no other model is named."""
        return self._projects.bind(PROJECT, CONFIG).llm.model

    def converse(
        self, system: str, *, model: str | None = None, temperature: float | None = None, answers: int = 1
    ) -> "Dataset":
        """A dataset of conversations (`core.conversation`) that a model goes on with, as it would anywhere else.

        Args:
            system: All that the model is told beforehand; "" for nothing, and nothing takes its place.
            model, temperature: None for those of the settings.
            answers: How many are wanted to each; those that repeat another to the letter are one.
        """
        bound = self._projects.bind(PROJECT, CONFIG)
        parameters = replace(bound.plan.parameters, converse=True, num_responses=answers)
        if model is not None:
            parameters = replace(parameters, model=model)
        if temperature is not None:
            parameters = replace(parameters, temperature=temperature)
        return self._opened(_asking(bound, parameters), CONFIG, Prompt(system, "annotator"), PART)

    def open_judged(self, project: str, label_config: str, prompt: str) -> "Dataset":
        """A dataset to be judged: what was published for its project goes along, and the model is asked how sure it is.

        Raises:
            LabelingError: The config cannot work.
        """
        bound = self._projects.bind(project, label_config)
        few_shot = bound.plan.parameters.few_shot or EXAMPLES
        bound = _asking(bound, replace(bound.plan.parameters, few_shot=few_shot, logprobs=True))
        bound = replace(bound, learned=self._store.learned(project))
        return self._opened(bound, label_config, bound.prompt((prompt, "annotator")), PART)

    def resume(self, spec: Spec, run: Run) -> "Dataset":
        """A dataset that was opened before, as it was then, with what came of a run that it had begun."""
        plan, _, _ = self._projects.rebuild(spec)
        dataset = Dataset(spec, plan, self._store, self._engine, self._clock, PART)
        dataset.look_at(run)
        return dataset

    def _opened(self, bound: Bound, label_config: str, prompt: Prompt, part: int) -> "Dataset":
        spec = bound.spec(label_config, prompt, "label")
        return Dataset(spec, bound.plan, self._store, self._engine, self._clock, part)


class Dataset:
    """One dataset under one version.

    Attributes:
        spec: What is asked.
        plan: How; its controls are those that are filled.
    """

    def __init__(
        self, spec: Spec, plan: Plan, store: Store, engine: Engine, clock: Callable[[], float], part: int
    ) -> None:
        self.spec = spec
        self.plan = plan
        self._store = store
        self._engine = engine
        self._clock = clock
        self._part = part
        self._known = Progress()
        self._runs: dict[str, Run] = {}
        self._reasons: dict[str, str] = {}
        self._unasked = "It was not asked: the dataset changed while it was being labelled."

    def lacking(self, columns: Collection[str]) -> tuple[str, ...]:
        """What the config's controls are about and a dataset with these columns cannot show, such as `$text`."""
        wanted = {name for control in self.plan.controls for name in control.output.to_names}
        return tuple(
            source.value
            for source in self.plan.config.sources
            if source.name in wanted and fields_of(source.value) and not _shows(source.value, columns)
        )

    async def ask(self, tasks: Iterable[Task], tell: Callable[[Progress], None], *, again: bool = False) -> Progress:
        """Have asked what is not known; returns when all is settled, or nothing further can be had now.

        Args:
            tell: Told of the progress, again and again.
            again: Ask anew for what failed before in a way that asking would not change.
        """
        rest = iter(tasks)
        while part := await asyncio.to_thread(lambda: list(itertools.islice(rest, self._part))):
            await self._begin(part, again)
            if (progress := await self._until(self._part, tell)).halted:
                return progress
        progress = await self._until(0, tell)
        await asyncio.to_thread(self._gather_reasons)
        return progress

    async def begin(self, tasks: Iterable[Task]) -> str:
        """Have all asked in one run, and do not wait for it; returns its id.

        What is known counts as answered at once. Where another run asks for all of them already, it is that one's.

        Raises:
            RequestError: That other run has ended in between.
        """
        run_id = await asyncio.to_thread(self._add_all, tasks)
        await self._engine.start(run_id)
        return run_id

    def look_at(self, run: Run) -> None:
        """Take in what came of a run."""
        self._runs[run.id] = run
        if run.unfinished:
            self._unasked = "It was not asked yet."
        elif run.state != "completed":
            self._unasked = f"It was not asked: the job was {run.state}."
        self._gather_reasons()

    def answers(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """What came of these rows, in order."""
        digests = [row_digest(task) for task in tasks]
        kept = self._store.kept(self.spec.project, self.spec.version, digests)
        return (self._answer(digest, kept.get(digest)) for digest in digests)

    def _answer(self, digest: str, kept: Kept | None) -> Answer:
        if kept is None:
            return Answer(None, self._reasons.get(digest, self._unasked))
        if kept.prediction is None:
            return Answer(None, kept.reason, lasting=True)
        prediction = Prediction.from_json({**kept.prediction, "model_version": self.spec.version})
        return Answer(prediction, kept.reason)

    async def _begin(self, tasks: Sequence[Task], again: bool) -> None:
        run = await asyncio.to_thread(self._add, tasks, again)
        if run is not None:
            await self._engine.start(run.id)

    def _add(self, tasks: Sequence[Task], again: bool) -> Run | None:
        """Make a run of those rows that are not known; None if all are."""
        rows = [RunTask(row_digest(task), task) for task in tasks]
        distinct = {row.digest: row for row in rows}
        kept = self._kept(distinct, again)
        run = Run(uuid.uuid4().hex[:12], self.spec, "queued", created=self._clock())
        mine = self._store.add_run(run, [row for digest, row in distinct.items() if digest not in kept])
        if mine:
            self._runs[run.id] = run
        # What a part before this one answered between our look and now is not asked again.
        late = self._store.kept(self.spec.project, self.spec.version, mine)
        if late:
            self._store.settle(run.id, [Settled(one) for one in late.values()])
        failed = sum(row.digest in kept and kept[row.digest].prediction is None for row in rows)
        self._known = Progress(self._known.answered + len(rows) - len(mine) - failed, self._known.failed + failed)
        return run if mine else None

    def _add_all(self, tasks: Iterable[Task]) -> str:
        run = Run(uuid.uuid4().hex[:12], self.spec, "queued", created=self._clock())
        first: list[str] = []

        def rows() -> Iterator[RunTask]:
            for task in tasks:
                row = RunTask(row_digest(task), task)
                if not first:
                    first.append(row.digest)
                yield row

        mine = iter(self._store.add_run(run, rows()))
        empty = True
        while page := list(itertools.islice(mine, _PAGE)):
            empty = False
            if known := self._store.kept(self.spec.project, self.spec.version, page):
                self._store.settle(run.id, [Settled(one) for one in known.values()])
        if not empty:
            return run.id
        others = self._store.runs_waiting_for(self.spec.project, self.spec.version, first)
        if not others:
            raise RequestError("Another job has labelled these rows in this moment; ask again.")
        return next(iter(others.values()))

    def _kept(self, digests: Collection[str], again: bool) -> dict[str, Kept]:
        kept = self._store.kept(self.spec.project, self.spec.version, digests)
        failed = [digest for digest, one in kept.items() if one.prediction is None] if again else []
        for digest in failed:
            self._store.drop(self.spec.project, self.spec.version, digest)
            del kept[digest]
        return kept

    async def _until(self, most: int, tell: Callable[[Progress], None]) -> Progress:
        """Wait until no more than so many tasks wait, or the runs are halted."""
        while True:
            runs = await asyncio.to_thread(self._look)
            progress = self._progress(runs)
            tell(progress)
            if progress.halted:
                await self._halt(runs)
                return progress
            # A part is full of waiting tasks when it is added: the next comes when some of them are done.
            if sum(run.waiting for run in runs) <= most * 3 // 4:
                return progress
            await asyncio.sleep(_LOOK_SECONDS)

    def _look(self) -> list[Run]:
        for run_id, held in self._runs.items():
            if held.unfinished and (found := self._store.run(run_id)) is not None:
                self._runs[run_id] = found
        return list(self._runs.values())

    def _progress(self, runs: Sequence[Run]) -> Progress:
        done = sum(run.counts.get("done", 0) for run in runs)
        failed = sum(run.counts.get("failed", 0) for run in runs)
        usage = sum((run.usage for run in runs), Usage())
        halted = next((run.reason for run in runs if run.state not in ("queued", "running", "completed")), "")
        known = self._known
        return Progress(known.answered + done, known.failed + failed, done + failed, usage, halted)

    async def _halt(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if self._store.set_run_state(run.id, "cancelled", _STOPPED, only=UNFINISHED):
                await self._engine.stop(run.id)

    def _gather_reasons(self) -> None:
        """Note why tasks failed whose failure is not kept, since it may pass."""
        sentences: dict[str, str] = {}  # of ten thousand equal ones, one is held
        for run_id in self._runs:
            after = -1
            while found := self._store.task_statuses(run_id, _FAILED, _PAGE, after):
                after = found[-1].place
                self._reasons.update((one.digest, sentences.setdefault(one.reason, one.reason)) for one in found)


def _asking(bound: Bound, parameters: Parameters) -> Bound:
    return replace(bound, plan=replace(bound.plan, parameters=parameters))


def _shows(value: str, columns: Collection[str]) -> bool:
    return value[1:] in columns or any(name in columns for name in fields_of(value))


def row_digest(task: Task) -> str:
    """Stands for what a row holds. Rows that hold the same are one question, whatever their ids."""
    told = json.dumps(task.data, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
