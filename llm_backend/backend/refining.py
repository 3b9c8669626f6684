"""How is a better prompt found? The model is shown where it and people differ, and asked; the tasks tell the rest.

Proposals are made and chosen by a training part alone. What is held out is asked once, by the prompt that is left, so
that how it fares there is no luck of the choice.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from llm_backend.adapters.store import Examples
from llm_backend.backend.datasets import PROJECT, Dataset, Datasets, Progress
from llm_backend.core.chat import Usage
from llm_backend.core.corrections import correct, pool_of
from llm_backend.core.examples import Asked, Correction, Pool
from llm_backend.core.inputs import read
from llm_backend.core.predictor import Plan, ask
from llm_backend.core.prompts import Prompt, entries_of
from llm_backend.core.refine import (
    ANALYSIS,
    CONFIG,
    IMPROVED,
    Case,
    compared,
    deciding,
    differing,
    fault_of,
    question,
    spread,
)
from llm_backend.core.refine import held_out as is_held_out
from llm_backend.core.wire import Prediction
from llm_backend.errors import AnswerError, BackendError, InputError, RequestError, Unreachable
from llm_backend.interchange.exports import ExportedTask

Stage = Callable[[str, int], AbstractContextManager[Callable[[Progress], None]]]
"""Says what is asked for now and how many of it, and where to tell of the progress."""
_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Parts:
    """Annotated tasks: those to learn from, and those to try prompts out on."""

    training: tuple[ExportedTask, ...]
    held_out: tuple[ExportedTask, ...]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A prompt that was proposed.

    Attributes:
        shown: How many cases the model was shown.
        differing: On how many tasks of the training part the prompt before it differed from people.
    """

    prompt: str
    analysis: str
    shown: int
    differing: int


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt, and the tasks with what was answered by it.

    Attributes:
        version: The model's, with this prompt; the only predictions of the tasks are of it.
    """

    prompt: str
    version: str
    tasks: tuple[ExportedTask, ...]


def parts(plan: Plan, tasks: Sequence[ExportedTask], share: float) -> Parts:
    """Divide the annotated tasks.

    Args:
        share: Of the tasks that are held out.
    Raises:
        RequestError: The labeling config has nothing to compare, or one of the parts would be empty.
    """
    if not compared(plan):
        raise RequestError("The labeling config asks for free text only: whether answers agree cannot be seen.")
    annotated = [task for task in tasks if _correction(plan, task) is not None]
    held = tuple(task for task in annotated if is_held_out(task.data, share))
    training = tuple(task for task in annotated if not is_held_out(task.data, share))
    if not held or not training:
        raise RequestError(
            f"Of {len(annotated):,} annotated tasks that the labeling config fits, {len(held):,} would be held out and "
            f"{len(training):,} learned from: annotate more, or change --holdout."
        )
    return Parts(training, held)


class Refining:
    """Finds a better prompt for a labeling config.

    Attributes:
        usage: What it took so far.
    """

    def __init__(
        self, datasets: Datasets, store: Examples, label_config: str, words: str, stage: Stage, parts_: Parts
    ) -> None:
        """
        Args:
            words: Ask for a better prompt (`prompts/refine.txt`).
        """
        self.usage = Usage()
        self._datasets = datasets
        self._config = label_config
        self._words = words
        self._stage = stage
        self._parts = parts_
        plan = datasets.open(label_config).plan
        if plan.parameters.few_shot:
            _learn(store, [made for task in parts_.training if (made := _correction(plan, task))])
        self._near = _pool(plan, parts_.held_out)

    async def current(self, prompt: str | None) -> Tried:
        """The current prompt on the training part; None for the one of the settings, or of the config.

        Raises:
            BackendError: The model cannot be asked now.
        """
        return await self._tried(prompt, self._parts.training, "with the current prompt")

    async def proposed(self, now: Tried, rounds: int) -> Proposal | None:
        """The best of the prompts that the model proposes in so many rounds; None if there is nothing to learn from.

        Raises:
            AnswerError: What it proposes cannot be used.
            BackendError: The model cannot be asked now.
        """
        best: Proposal | None = None
        tried, cases, remark = now, self._cases(now), ""
        for number in range(1, rounds + 1):
            if not cases:
                break
            proposal = await self._propose(tried, cases, remark)
            if proposal.prompt == tried.prompt:
                break
            if number == rounds == 1:
                return proposal
            after = await self._tried(proposal.prompt, self._parts.training, f"with proposal {number}")
            left = self._cases(after)
            if len(left) < len(cases) or best is None:
                best = proposal
            if len(left) < len(cases):
                tried, cases, remark = after, left, ""
            else:
                remark = f"This proposal was tried, and did no better:\n-----\n{proposal.prompt}\n-----"
        return best

    async def trial(self, old: str, new: str) -> tuple[Tried, Tried]:
        """Both prompts on the tasks that were held out.

        Raises:
            BackendError: The model cannot be asked now.
        """
        held = self._parts.held_out
        before = await self._tried(old, held, "that were held out, with the current prompt")
        return before, await self._tried(new, held, "that were held out, with the proposal")

    def _cases(self, tried: Tried) -> list[Case]:
        """Where people and the model differ; what a held-out task repeats is left out."""
        plan = self._dataset(tried.prompt).plan
        found = ((task, _case(plan, task)) for task in tried.tasks)
        return [case for task, case in found if case and not self._near.has_like(Asked(task.data, case.text))]

    async def _propose(self, tried: Tried, cases: Sequence[Case], remark: str) -> Proposal:
        asked, plan = self._datasets.open(CONFIG, self._words), self._dataset(tried.prompt).plan
        shown = spread(cases)
        for _ in range(_ATTEMPTS):
            task = question(plan, tried.prompt, shown, remark)
            with self._stage("better prompt", 1) as tell:
                self._count(await asked.ask([task], tell, again=True))
            (answer,) = asked.answers([task])
            if answer.prediction is None:
                raise (AnswerError if answer.lasting else Unreachable)(f"No prompt was proposed: {answer.reason}")
            prompt, analysis = _said(answer.prediction, IMPROVED), _said(answer.prediction, ANALYSIS)
            fault = fault_of(prompt, tried.prompt, plan, [one.task for one in self._parts.training])
            if not fault:
                return Proposal(prompt, analysis, len(shown), len(cases))
            remark = f"Your last proposal could not be used. {fault}"
        raise AnswerError(f"The model's proposal cannot be used. {fault}")

    async def _tried(self, prompt: str | None, tasks: Sequence[ExportedTask], which: str) -> Tried:
        """Have tasks answered; answers of this very version that the export holds are taken as they are."""
        dataset = self._dataset(prompt)
        version = dataset.spec.version
        held = {at: one for at, task in enumerate(tasks) for one in task.predictions if one.model_version == version}
        rest = {at: task.task for at, task in enumerate(tasks) if at not in held}
        with self._stage(f"tasks {which}", len(rest)) as tell:
            self._count(await dataset.ask(rest.values(), tell))
        for at, answer in zip(rest, dataset.answers(list(rest.values())), strict=True):
            if answer.prediction is None and not answer.lasting:
                raise Unreachable(f"Not all tasks were answered: {answer.reason} The same command goes on.")
            # No usable answer at all is one that nobody agrees with.
            held[at] = answer.prediction or Prediction((), None, version)
        answered = (replace(task, predictions=(held[at],)) for at, task in enumerate(tasks))
        return Tried(dataset.spec.prompt.text, version, tuple(answered))

    def _dataset(self, prompt: str | None) -> Dataset:
        return self._datasets.open(self._config, prompt)

    def _count(self, progress: Progress) -> None:
        self.usage += progress.usage
        if progress.halted:
            raise BackendError(f"{progress.halted} The same command goes on.")


def _correction(plan: Plan, task: ExportedTask) -> Correction | None:
    """What the annotation to go by says of a task; None where it says nothing, or the model could not be asked."""
    made = deciding(task.annotations)
    try:
        of_task = plan.of_task(task.data)
        ask(of_task, read(of_task.config, task.data, task.id), Prompt("", "annotator"))
        return correct(plan, task.task, made) if made else None
    except InputError:
        return None


def _case(plan: Plan, task: ExportedTask) -> Case | None:
    made = deciding(task.annotations)
    (told,) = task.predictions
    return differing(plan, task.task, made.result, told.result) if made else None


def _pool(plan: Plan, tasks: Sequence[ExportedTask]) -> Pool:
    made = (correction for task in tasks if (correction := _correction(plan, task)))
    return pool_of(plan, (replace(one, accepted=False) for one in made))


def _learn(store: Examples, corrections: Sequence[Correction]) -> None:
    """Have these, and no others, go along with what is asked. Nothing is published anew if they do already."""
    known = {one.annotation: one for one in store.corrections(PROJECT, published=True)}
    if known != {one.annotation: one for one in corrections}:
        store.unlearn(PROJECT, [one.annotation for one in store.corrections(PROJECT)])
        store.learn(PROJECT, corrections)
        store.publish(PROJECT)


def _said(prediction: Prediction, name: str) -> str:
    told = (entry for region in prediction.result if region.from_name == name for entry in entries_of(region))
    return next(told, "").strip()
