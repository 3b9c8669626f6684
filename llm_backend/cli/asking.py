"""How is a whole dataset asked about from a shell, and how is it told? Interrupted, it goes on."""

import itertools
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.wording import counted, faults_told, plain
from llm_backend.core.chat import LLM
from llm_backend.core.wire import Task
from llm_backend.errors import BackendError, RequestError
from llm_backend.interchange.tasks import Labelled, Row, Survey, require_writable
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Datasets, Progress
    from llm_backend.services import Services

_PAGE = 500
_REASONS_TOLD = 10
_REASONS_COUNTED = 1_000
INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


class Unusable(click.ClickException):
    """Nothing was asked, since what was given cannot be used: exit code 2, so that 1 says that some rows failed."""

    exit_code = 2


class Given(Protocol):
    """What a command that asks about a dataset is given."""

    @property
    def data(self) -> Path:
        """The dataset's file."""
        ...

    @property
    def output(self) -> Path:
        """What is to be written. Answers are kept in a folder beside it until all is done."""
        ...

    @property
    def retry(self) -> bool:
        """Whether to ask anew for what failed in a way that asking again would not change."""
        ...

    @property
    def read(self) -> Collection[Path]:
        """The files that are read, which the output must not replace."""
        ...

    def survey(self) -> Survey:
        """What the dataset holds."""
        ...


class Job(Given, Protocol):
    """What is to be asked, of what, and what is made of the answers."""

    def rows(self) -> Iterator[Row]:
        """Its rows that can be used, in order; each time the same."""
        ...

    def dataset(self, datasets: "Datasets", found: Survey) -> "Dataset":
        """What is asked.

        Raises:
            RequestError: The dataset lacks what is asked about.
        """
        ...

    @property
    def writes_reasons(self) -> bool:
        """Whether the output holds why rows have no answer."""
        ...

    def write(self, labelled: Iterator[Labelled], dataset: "Dataset", found: Survey) -> None:
        """Write the output from all rows, answered or not.

        Raises:
            RequestError: It cannot be written.
        """
        ...

    def finish(self) -> Iterator[str]:
        """Do what remains to be done with the output; tells of it.

        Raises:
            BackendError: It cannot be done now; the same command does it.
        """
        ...


def state_of(output: Path) -> Path:
    """The folder that remembers the answers for an output until all is done."""
    return output.with_name(f"{output.name}.state")


def refuse_overwriting(output: Path, overwrite: bool) -> None:
    """
    Raises:
        Unusable: The output is there already, and not from this command.
    """
    if output.exists() and not overwrite and not state_of(output).is_dir():
        raise Unusable(f"{output} is there already: give another name, or --overwrite.")


@dataclass(slots=True)
class Summary:
    """What came of the rows, counted while they are written.

    Attributes:
        place: What counts the rows.
        partly: Answered rows of which some field stayed empty for a fault, or was not confirmed by another order.
        passing: Failed rows that the next time may answer.
        reasons: Of failures; with the line of the first row that failed so.
    """

    place: str = "line"
    answered: int = 0
    partly: int = 0
    failed: int = 0
    passing: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def count(self, line: int, error: str, *, answered: bool, lasting: bool) -> None:
        """Take in a row.

        Args:
            error: Why it has no answer; beside one, why some field stayed empty.
            lasting: Whether asking again would fail in the same way.
        """
        if answered:
            self.answered += 1
            self.partly += bool(error)
            return
        self.failed += 1
        self.passing += not lasting
        # Reasons may quote their row, so there can be as many as rows.
        reason = error if error in self.reasons or len(self.reasons) < _REASONS_COUNTED else "(other reasons)"
        self.reasons[reason] += 1
        self.first.setdefault(reason, line)

    def told(self, *, written: bool = True) -> Iterator[str]:
        """The reasons, line by line, the commonest first.

        Args:
            written: Whether the output has them all, also those that are too many to be told.
        """
        for reason, count in self.reasons.most_common(_REASONS_TOLD):
            first = f"{'' if count == 1 else 'first '}{self.place} {self.first[reason]}"
            yield f"  {counted(count, 'row')} ({first}): {plain(reason)}"
        if (more := len(self.reasons) - _REASONS_TOLD) > 0:
            yield f"  ... and {counted(more, 'further reason')}{'; the output has them all' if written else ''}."

    @property
    def how_to_go_on(self) -> str:
        again = "The same command asks again for the others" if self.passing else ""
        good = self.failed - self.passing
        if not good:
            return f"{again}."
        return f"{again}; for {good:,} of them add --retry." if again else "To ask for the others again, add --retry."


class Stopped(Exception):
    """Nothing further is done now, and why was told. What is answered is kept.

    Attributes:
        code: The exit code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def ask_dataset(settings: Settings, job: Job, llm: LLM | None = None) -> int:
    """Have a model asked about a dataset, telling how it goes.

    Args:
        llm: Carries the chat in the place of the configured provider.
    Returns:
        The exit code.
    """
    found = look_through(job)
    obstacle = Obstacle()
    with opened(settings, job.output, llm, obstacle) as services:
        with refusals():
            dataset = job.dataset(services.backend.datasets, found)
        shown = Shown(found.rows, obstacle)
        try:
            with stoppable(job, shown):
                progress = ask_for(services, job, dataset, (row.task for row in job.rows()), shown)
                summary = _write(job, dataset, found)
        except Stopped as stopped:
            return stopped.code
    click.echo("\n".join(_summed_up(job, found, dataset.spec.version, progress, summary)))
    for line in job.finish():
        click.echo(line)
    if not summary.failed:
        remove(state_of(job.output))
    return 1 if summary.failed or found.skipped else 0


@contextmanager
def stoppable(job: Given, shown: Shown) -> Iterator[None]:
    """What Ctrl-C may end.

    Raises:
        Stopped: It was pressed.
    """
    try:
        yield
    except KeyboardInterrupt as exc:
        click.echo(f"Stopped at {shown.line}. {kept(job)}", err=True)
        raise Stopped(INTERRUPTED) from exc


def ask_for(services: "Services", job: Given, dataset: "Dataset", tasks: Iterable[Task], shown: Shown) -> "Progress":
    """Have asked what is not known.

    Raises:
        Stopped: Nothing further can be had now.
    """
    with shown.drawn() as tell:
        progress = services.loop.run(dataset.ask(tasks, tell, again=job.retry))
    if progress.halted:
        click.echo(f"Stopped at {shown.line}. {kept(job)}\nError: {progress.halted}", err=True)
        raise Stopped(1)
    return progress


def look_through(job: Given, named: str = "", place: str = "line") -> Survey:
    """What the dataset holds; rows that cannot be used are named.

    Args:
        named: What is told of it; "" for its file's name.
        place: What counts its rows.
    Raises:
        Unusable: It cannot be asked about, or not for this output.
    """
    logging.getLogger("llm_backend").addHandler(logging.NullHandler())  # failures are told at the end, by reason
    with refusals():
        if job.output.resolve() in [file.resolve() for file in job.read]:
            raise RequestError(f"{job.output} is what is to be read; give the output another name.")
        require_writable(job.output)
        found = job.survey()
    for line in faults_told(found.faults, found.skipped, f"{named or job.data} {place}"):
        click.echo(line, err=True)
    if not found.rows:
        raise Unusable(f"{named or job.data} holds no row that can be used.")
    return found


@contextmanager
def refusals() -> Iterator[None]:
    """Where nothing has been asked yet, every fault is one of what was given.

    Raises:
        Unusable: In place of whatever is raised within.
    """
    try:
        yield
    except BackendError as exc:
        raise Unusable(exc.sentence) from exc


@contextmanager
def opened(
    settings: Settings, output: Path, llm: LLM | None, obstacle: Obstacle, *, apart: bool = False
) -> Iterator["Services"]:
    """All that is needed, closed in the end. Where nothing could be begun, nothing is left behind.

    Args:
        output: What is worked on: answers are kept beside it.
        apart: As in `services.open_services`.
    """
    from llm_backend.adapters.store.folder import FolderInUse
    from llm_backend.services import open_for_dataset  # brings the SDK of the providers with it: only now

    new = not state_of(output).exists()
    try:
        with refusals():
            try:
                services = open_for_dataset(settings, state_of(output), llm, obstacle, apart=apart)
            except FolderInUse as exc:
                raise RequestError(
                    f"{state_of(output)} is in use: process {exc.holder} works on {output}, too. "
                    "Wait until it has ended, or give another --output."
                ) from exc
        try:
            yield services
        finally:
            services.close()
    except Unusable:
        if new:
            remove(state_of(output))
        raise


def _write(job: Job, dataset: "Dataset", found: Survey) -> Summary:
    summary = Summary()
    try:
        job.write(_labelled(job, dataset, summary), dataset, found)
    except RequestError as exc:
        raise RequestError(f"{exc.sentence} {kept(job)}") from exc
    return summary


def _labelled(job: Job, dataset: "Dataset", summary: Summary) -> Iterator[Labelled]:
    """The rows with their answers, page by page, and counted."""
    every = job.rows()
    while page := list(itertools.islice(every, _PAGE)):
        for row, answer in zip(page, dataset.answers([row.task for row in page]), strict=True):
            labelled = Labelled(row, answer.prediction, answer.reason)
            answered = answer.prediction is not None
            summary.count(row.line, answer.reason, answered=answered, lasting=answer.lasting)
            yield labelled


def remove(folder: Path) -> None:
    """Remove our files from the folder, and the folder if it is empty then."""
    for file in folder.glob("llm_backend.*"):
        file.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        pass  # it is not there, or holds what is not ours


# Telling


def kept(job: Given) -> str:
    return f"Answers are kept in {state_of(job.output)}; run the same command again to go on."


def _summed_up(job: Job, found: Survey, version: str, progress: "Progress", summary: Summary) -> Iterator[str]:
    partly = f" ({summary.partly:,} of them with a field left empty or unsure)" if summary.partly else ""
    skipped = f", {found.skipped:,} skipped" if found.skipped else ""
    yield f"{counted(found.rows + found.skipped, 'row')} of {job.data}: {summary.answered:,} answered{partly}, " + (
        f"{summary.failed:,} failed{skipped}."
    )
    yield from summary.told(written=job.writes_reasons)
    yield from closing(job, version, progress, summary)


def closing(job: Given, version: str, progress: "Progress", summary: Summary) -> Iterator[str]:
    """What it took, where the output is, and how to go on where rows have failed."""
    usage = progress.usage
    yield f"{version}: {counted(usage.calls, 'call')}, {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens."
    yield f"Written to {job.output}."
    if summary.failed:
        yield f"What was answered is kept in {state_of(job.output)}. {summary.how_to_go_on}"
