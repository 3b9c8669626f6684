"""What do we remember? Projects and their prompts, what annotations were asked with, and kept answers.

One protocol, `Store`, and two homes for it: `sqlite`, one file on this machine, and `redis`, shared by many processes.
Importing opens nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from llm_backend.core.chat import Usage
from llm_backend.core.examples import Correction
from llm_backend.core.run import Run, RunState, RunTask, TaskState, TaskStatus
from llm_backend.core.wire import JSON

CORRECTIONS_MOST = 5_000
"""How many corrections a store remembers of each project, unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Project:
    """What is known of a project, under the whole key that the host sends.

    Attributes:
        prompt: The saved prompt; None if there is none.
        prompt_origin: How it came to be saved, such as `submitted` or `pinned`; empty without a prompt.
        pinned: Whether a person fixed it, so that no submission replaces it.
        hostname: What /setup calls the host: a claim.
        access_token: What /setup sent along: a secret, for that host alone.
        extra_params: The manager's extra parameters; may hold a provider's key.
        calibration: What the project's scores have been worth (`core.scores.Calibration` as JSON); None if unknown.
        label_config: The labeling config that /setup told last; "" where none is remembered.
        updated: When any of this last changed, in seconds since 1970; 0 for a project never seen.
    """

    key: str
    prompt: str | None = None
    prompt_origin: str = ""
    pinned: bool = False
    extra_params: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    hostname: str = ""
    access_token: str = field(default="", repr=False)
    label_config: str = field(default="", repr=False)
    calibration: Mapping[str, JSON] | None = None
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to one question of one version: a prediction, or the reason why there is none.

    Attributes:
        digest: Stands for what was asked of the task.
        prediction: As it is handed to the host; None for a failure.
        reason: One sentence; beside a prediction, why it holds less than was asked for, or "".
        lasting: Whether asking the same again would fail in the same way.
        made: When, in seconds since 1970.
    """

    digest: str
    prediction: JSON | None
    reason: str
    lasting: bool
    made: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A task of a run that was answered or failed, and what that took."""

    kept: Kept
    usage: Usage = field(default_factory=Usage)

    @property
    def state(self) -> TaskState:
        return "failed" if self.kept.prediction is None else "done"


class Runs(Protocol):
    """The part of the memory that knows of runs. Bounded: old finished runs give way, with their tasks.

    A question (project, version, digest) waits in one unfinished run at most, whoever adds it and from which process.
    """

    def add_run(self, run: Run, tasks: Iterable[RunTask]) -> tuple[str, ...]:
        """Remember a new run with those of the tasks that no unfinished run is waiting for; one transaction.

        Args:
            tasks: Are taken in slices, so that they need not all be there at once.
        Returns:
            The digests of the tasks that are the run's now. With none, the run is not stored.
        """
        ...

    def run(self, run_id: str) -> Run | None:
        """The run with its counts and usage; None if it is unknown."""
        ...

    def runs(self, states: Collection[RunState] = (), most: int = 100) -> tuple[Run, ...]:
        """Runs, the newest first; of all states where none is named."""
        ...

    def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]:
        """Which unfinished run waits for each of these questions: run id by digest."""
        ...

    def waiting_tasks(self, run_id: str, most: int, after: int = -1) -> tuple[tuple[int, RunTask], ...]:
        """The next tasks that wait to be asked, each with its place in the run, in order, from places above `after`."""
        ...

    def waiting_among(self, run_id: str, digests: Iterable[str]) -> tuple[RunTask, ...]:
        """Those of these tasks of a run that still wait to be asked."""
        ...

    def task_statuses(
        self, run_id: str, states: Collection[TaskState] = (), most: int = 1000, after: int = -1
    ) -> tuple[TaskStatus, ...]:
        """What became of the tasks of a run, in its order; from places above `after`."""
        ...

    def settle(self, run_id: str, settled: Sequence[Settled]) -> RunState:
        """Remember answers and failures of waiting tasks, and keep those that are answered or lasting; one transaction.

        A task that is not waiting any more is left as it is: nothing is counted twice. When no task waits any more, the
        run is completed.

        Returns:
            The run's state now. Anything but `running` tells a worker to ask no more for it.
        """
        ...

    def set_run_state(self, run_id: str, state: RunState, reason: str = "", *, only: Collection[RunState] = ()) -> bool:
        """Move a run to a state, if it is in one of `only` (any, if none is named); whether it moved.

        `running` notes when it started the first time; `completed`, `cancelled` and `failed` when it finished. Waiting
        tasks of a cancelled run are cancelled, so that others may ask for them.
        """
        ...

    def retry_run(self, run_id: str) -> int:
        """Let the failed tasks of a run wait again (those of one that ended early, too), and the run be queued.

        Their kept failures are dropped. Tasks that another unfinished run waits for by now are left.

        Returns:
            How many tasks wait again.
        """
        ...


class HandingOver(Protocol):
    """The part of the memory that knows who takes an answer into the host, so that it gets each from one alone."""

    def give(
        self, project: str, version: str, digests: Iterable[str], asked: float, *, shown_within: float = 0.0
    ) -> set[str]:
        """Which predictions may be handed to a request that began at `asked`; they count as handed over now.

        Of several requests that wait at the same time for a question the first is given its answer, and the others are
        not. A request that began after the handing over is given it again: the host did not store it. What somebody
        holds is given to none.

        Args:
            shown_within: Seconds in which the host stores and shows them. Nobody can hold them meanwhile.
        """
        ...

    def hold(self, project: str, version: str, digests: Iterable[str], holder: str, seconds: float) -> set[str]:
        """Which predictions `holder` alone may take into the host, for so many seconds from now or until `let_go`.

        Not those that another holds, or that were handed over and may be on their way still. Whoever takes longer
        holds them again before the time is up; whoever dies holds them no longer than that.

        Args:
            holder: A name that nobody else goes by.
        """
        ...

    def let_go(
        self, project: str, version: str, digests: Iterable[str], holder: str, *, shown_within: float | None = None
    ) -> None:
        """End what `holder` holds of these.

        Args:
            shown_within: As for `give`, where they count as handed over now; None where they do not.
        """
        ...

    def given_since(self, project: str, version: str, digest: str, asked: float) -> bool:
        """Whether an answer was handed over since `asked` (seconds since 1970)."""
        ...


@dataclass(frozen=True, slots=True)
class Learned:
    """What a project has learned, without the texts.

    Attributes:
        stamp: Differs whenever the corrections differ, also from those of a project that was forgotten.
        count: Corrections in the pool, merely accepted answers among them.
        publication: Names the corrections that batches go by; "" before the first publication.
        since: How many corrections came after it.
    """

    stamp: str = "0"
    count: int = 0
    publication: str = ""
    since: int = 0


class Examples(Protocol):
    """The part of the memory that knows what people made of tasks. Bounded: a project's oldest corrections give way.

    Interactive calls learn from all of them, batches from those published last.
    """

    def learn(self, key: str, corrections: Sequence[Correction]) -> Learned:
        """Remember corrections, each in place of an earlier one of its annotation. A changed one is not published."""
        ...

    def unlearn(self, key: str, annotations: Iterable[str]) -> None:
        """Forget the corrections of these annotations, published or not."""
        ...

    def learned(self, key: str) -> Learned:
        """What the project has learned: quick, for it is looked at with every question."""
        ...

    def corrections(self, key: str, *, published: bool = False) -> tuple[Correction, ...]:
        """The corrections, those learned first before the others.

        Args:
            published: Whether only those that were published last, and have not changed since.
        """
        ...

    def publish(self, key: str) -> Learned:
        """Let batches go by all that is known now. Where nothing changed since the last time, nothing does now."""
        ...


class Store(Runs, HandingOver, Examples, Protocol):
    """Memory that outlives the process. Every method may be called from any thread, and is quick.

    Every method may raise `StoreError` (nothing can be written or read now); what it was given is then not remembered.
    """

    def project(self, key: str) -> Project:
        """What is known of the project; an empty record if it was never seen."""
        ...

    def projects(self) -> tuple[Project, ...]:
        """All that are known, the last changed first."""
        ...

    def save_setup(
        self, key: str, hostname: str, access_token: str, extra_params: Mapping[str, JSON], label_config: str = ""
    ) -> None:
        """Remember what /setup said, in place of what it said before. The prompt stays."""
        ...

    def save_prompt(self, key: str, text: str, origin: str) -> None:
        """Make this the project's prompt, unless one is pinned."""
        ...

    def pin_prompt(self, key: str, text: str) -> None:
        """Make this the project's prompt until it is reset or another one is pinned."""
        ...

    def reset_prompt(self, key: str) -> None:
        """Forget the project's prompt, pinned or not. What /setup said stays."""
        ...

    def save_calibration(self, key: str, calibration: Mapping[str, JSON] | None) -> None:
        """Remember what a known project's scores have been worth; None forgets it."""
        ...

    def forget(self, key: str) -> None:
        """Remove every text of the project: prompt, token, parameters, annotations' prompts, corrections, answers."""
        ...

    def annotation_prompt(self, key: str, annotation_id: int) -> str | None:
        """The prompt noted last for this annotation, possibly empty; None if none ever was (or it is long ago)."""
        ...

    def note_annotation_prompt(self, key: str, annotation_id: int, prompt: str) -> None:
        """Remember the prompt that this annotation holds. Of a project only the latest thousands are remembered."""
        ...

    def forget_annotations(self, key: str, annotation_ids: Iterable[int]) -> None:
        """Drop the notes on annotations that were deleted."""
        ...

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
        """The kept answers to those of the questions that have one, by digest. None is older than it may be."""
        ...

    def keep(self, key: str, version: str, kept: Kept) -> None:
        """Keep an answer, in place of an earlier one. The oldest give way when there are too many."""
        ...

    def drop(self, key: str, version: str, digest: str) -> None:
        """Remove one kept answer, so that the question is asked again."""
        ...

    def close(self) -> None:
        """Leave everything on disk and let go of it. Closing twice does no harm."""
        ...
