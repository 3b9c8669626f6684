"""How is a whole dataset asked about from a shell, and how is it told? Interrupted, it goes on."""

import itertools
import logging
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.wording import plain
from llm_backend.core.chat import LLM
from llm_backend.errors import BackendError, RequestError
from llm_backend.interchange.tasks import Labelled, Row, Survey, require_writable
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Datasets, Progress
    from llm_backend.services import Services

_PAGE = 500
_REASONS_TOLD = 10
_REASONS_COUNTED = 1_000
_INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


class Unusable(click.ClickException):
    """Nothing was asked, since what was given cannot be used: exit code 2, so that 1 says that some rows failed."""

    exit_code = 2


class Job(Protocol):
    """What is to be asked, of what, and what is made of the answers."""

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

    def rows(self) -> Iterator[Row]:
        """Its rows that can be used, in order; each time the same."""
        ...

    def dataset(self, datasets: "Datasets", found: Survey) -> "Dataset":
        """What is asked.

        Raises:
            RequestError: The dataset lacks what is asked about.
        """
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
        partly: Answered rows of which some field stayed empty for a fault.
        passing: Failed rows that the next time may answer.
        reasons: Of failures; with the line of the first row that failed so.
    """

    answered: int = 0
    partly: int = 0
    failed: int = 0
    passing: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def count(self, labelled: Labelled, lasting: bool) -> None:
        if labelled.prediction is not None:
            self.answered += 1
            self.partly += bool(labelled.error)
            return
        self.failed += 1
        self.passing += not lasting
        # Reasons may quote their row, so there can be as many as rows.
        known = labelled.error in self.reasons or len(self.reasons) < _REASONS_COUNTED
        reason = labelled.error if known else "(other reasons)"
        self.reasons[reason] += 1
        self.first.setdefault(reason, labelled.row.line)


def ask_dataset(settings: Settings, job: Job, llm: LLM | None = None) -> int:
    """Have a model asked about a dataset, telling how it goes.

    Args:
        llm: Carries the chat in the place of the configured provider.
    Returns:
        The exit code.
    """
    logging.getLogger("llm_backend").addHandler(logging.NullHandler())  # failures are told at the end, by reason
    found = _look_through(job)
    obstacle = Obstacle()
    with _opened(settings, job, llm, obstacle) as services:
        with _refusals():
            dataset = job.dataset(services.backend.datasets, found)
        shown = Shown(found.rows, obstacle)
        try:
            with shown.drawn() as tell:
                tasks = (row.task for row in job.rows())
                progress = services.loop.run(dataset.ask(tasks, tell, again=job.retry))
            if progress.halted:
                click.echo(f"Stopped at {shown.line}. {_kept(job)}\nError: {progress.halted}", err=True)
                return 1
            summary = _write(job, dataset, found)
        except KeyboardInterrupt:
            click.echo(f"Stopped at {shown.line}. {_kept(job)}", err=True)
            return _INTERRUPTED
    click.echo("\n".join(_summed_up(job, found, dataset.spec.version, progress, summary)))
    for line in job.finish():
        click.echo(line)
    if not summary.failed:
        _remove(state_of(job.output))
    return 1 if summary.failed or found.skipped else 0


def _look_through(job: Job) -> Survey:
    """What the dataset holds; rows that cannot be used are named."""
    with _refusals():
        if job.output.resolve() in [file.resolve() for file in job.read]:
            raise RequestError(f"{job.output} is what is to be read; give the output another name.")
        require_writable(job.output)
        found = job.survey()
    for fault in found.faults:
        click.echo(f"{job.data} line {fault.line} is skipped: {fault.sentence}", err=True)
    if (more := found.skipped - len(found.faults)) > 0:
        click.echo(f"... and {more:,} more.", err=True)
    if not found.rows:
        raise Unusable(f"{job.data} holds no row that can be used.")
    return found


@contextmanager
def _refusals() -> Iterator[None]:
    """Where nothing has been asked yet, every fault is one of what was given."""
    try:
        yield
    except BackendError as exc:
        raise Unusable(exc.sentence) from exc


@contextmanager
def _opened(settings: Settings, job: Job, llm: LLM | None, obstacle: Obstacle) -> Iterator["Services"]:
    """All that is needed, closed in the end. Where nothing could be begun, nothing is left behind."""
    from llm_backend.adapters.store.folder import FolderInUse
    from llm_backend.services import open_for_dataset  # brings the SDK of the providers with it: only now

    new = not state_of(job.output).exists()
    try:
        with _refusals():
            try:
                services = open_for_dataset(settings, state_of(job.output), llm, obstacle)
            except FolderInUse as exc:
                raise RequestError(
                    f"{state_of(job.output)} is in use: process {exc.holder} labels into {job.output}, too. "
                    "Wait until it has ended, or give another --output."
                ) from exc
        try:
            yield services
        finally:
            services.close()
    except Unusable:
        if new:
            _remove(state_of(job.output))
        raise


def _write(job: Job, dataset: "Dataset", found: Survey) -> Summary:
    summary = Summary()
    try:
        job.write(_labelled(job, dataset, summary), dataset, found)
    except RequestError as exc:
        raise RequestError(f"{exc.sentence} {_kept(job)}") from exc
    return summary


def _labelled(job: Job, dataset: "Dataset", summary: Summary) -> Iterator[Labelled]:
    """The rows with their answers, page by page, and counted."""
    every = job.rows()
    while page := list(itertools.islice(every, _PAGE)):
        for row, answer in zip(page, dataset.answers([row.task for row in page]), strict=True):
            labelled = Labelled(row, answer.prediction, answer.reason)
            summary.count(labelled, answer.lasting)
            yield labelled


def _remove(folder: Path) -> None:
    """Remove our files from the folder, and the folder if it is empty then."""
    for file in folder.glob("llm_backend.*"):
        file.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        pass  # it is not there, or holds what is not ours


# Telling


def _kept(job: Job) -> str:
    return f"Answers are kept in {state_of(job.output)}; run the same command again to go on."


def _summed_up(job: Job, found: Survey, version: str, progress: "Progress", summary: Summary) -> Iterator[str]:
    partly = f" ({summary.partly:,} of them with a field left empty)" if summary.partly else ""
    skipped = f", {found.skipped:,} skipped" if found.skipped else ""
    yield f"{_count(found.rows + found.skipped, 'row')} of {job.data}: {summary.answered:,} answered{partly}, " + (
        f"{summary.failed:,} failed{skipped}."
    )
    for reason, count in summary.reasons.most_common(_REASONS_TOLD):
        first = f"line {summary.first[reason]}" if count == 1 else f"first line {summary.first[reason]}"
        yield f"  {_count(count, 'row')} ({first}): {plain(reason)}"
    if (more := len(summary.reasons) - _REASONS_TOLD) > 0:
        yield f"  ... and {_count(more, 'further reason')}; the output has them all."
    usage = progress.usage
    yield f"{version}: {_count(usage.calls, 'call')}, {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens."
    yield f"Written to {job.output}."
    if summary.failed:
        yield f"What was answered is kept in {state_of(job.output)}. {_how_to_go_on(summary)}"


def _how_to_go_on(summary: Summary) -> str:
    again = "The same command asks again for the others" if summary.passing else ""
    good = summary.failed - summary.passing
    if not good:
        return f"{again}."
    return f"{again}; for {good:,} of them add --retry." if again else "To ask for the others again, add --retry."


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
