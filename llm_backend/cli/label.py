"""How is a whole dataset labelled from a shell? Without Label Studio and without a server; interrupted, it goes on."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.options import takes_settings
from llm_backend.cli.wording import plain
from llm_backend.core.chat import LLM
from llm_backend.errors import BackendError, RequestError
from llm_backend.interchange.tasks import (
    Form,
    Labelled,
    Survey,
    is_table,
    require_writable,
    rows,
    survey,
    write,
)
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Progress
    from llm_backend.services import Services

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PAGE = 500
_REASONS_TOLD = 10
_REASONS_COUNTED = 1_000
_INTERRUPTED = 130
"""What a shell expects of a program that Ctrl-C ended."""


class _Unusable(click.ClickException):
    """Nothing was asked, since what was given cannot be used: exit code 2, so that 1 says that some rows failed."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be labelled.

    Attributes:
        prompt: What the annotator would type; None for the settings' own, or the config's.
        retry: Ask anew for what failed in a way that asking again would not change.
    """

    data: Path
    config: Path
    output: Path
    prompt: str | None = None
    retry: bool = False

    @property
    def state(self) -> Path:
        """The folder that remembers answers until all is done."""
        return self.output.with_name(f"{self.output.name}.state")


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


@click.command(short_help="A dataset through a labeling config, without Label Studio.")
@click.argument("data", metavar="DATA", type=_FILE)
@click.option("--config", metavar="CONFIG.xml", type=_FILE, required=True, help="The labeling config.")
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), required=True, help="A .json, .jsonl or .csv to write."
)
@click.option("--prompt", metavar="TEXT", help="What the annotator would type.")
@click.option("--retry", is_flag=True, help="Ask anew for rows that failed for good, such as refused ones.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there already.")
@takes_settings()
def label(
    settings: Settings, data: Path, config: Path, output: Path, prompt: str | None, retry: bool, overwrite: bool
) -> None:
    """Fill a labeling config for every row of DATA: a .csv or .tsv with a header, a .jsonl, or a .json list.

    Objects are taken as tasks if they have a "data" object (exports of Label Studio, too), else as a task's data.
    The output keeps the order of the rows. As .json it is ready to be imported into Label Studio (.jsonl: one such task
    per line); as .csv it has the same rows, a column for each control, "model_version" (empty where there is no answer)
    and "error". It is written at the end; until then, answers are kept in FILE.state. The same command goes on after an
    interruption and asks only for what is missing.

    Exits with 0 when every row is answered, 1 when some are not, 2 when something given cannot be used.

    \b
    Examples:
      llm-backend label reviews.csv --config config.xml --output labelled.json
      llm-backend label chats.jsonl --config config.xml --output labelled.csv --prompt "Is {text} polite?"
      llm-backend label tasks.json --config config.xml --output labelled.json --provider ollama --model qwen3:8b
    """
    job = Job(data, config, output, prompt, retry)
    if output.exists() and not overwrite and not job.state.is_dir():
        raise _Unusable(f"{output} is there already: give another name, or --overwrite.")
    raise SystemExit(label_dataset(settings, job))


def label_dataset(settings: Settings, job: Job, llm: LLM | None = None) -> int:
    """Label a dataset, telling how it goes.

    Args:
        llm: Carries the chat in the place of the configured provider.
    Returns:
        The exit code.
    """
    logging.getLogger("llm_backend").addHandler(logging.NullHandler())  # failures are told at the end, by reason
    found = _look_through(job)
    obstacle = Obstacle()
    with _opened(settings, job, llm, obstacle) as services:
        dataset = _dataset(services, job, found)
        shown = Shown(found.rows, obstacle)
        try:
            with shown.drawn() as tell:
                tasks = (row.task for row in rows(job.data))
                progress = services.loop.run(dataset.ask(tasks, tell, again=job.retry))
            if progress.halted:
                click.echo(f"Stopped at {shown.line}. {_kept(job)}\nError: {progress.halted}", err=True)
                return 1
            summary = _write(job, dataset, found)
        except KeyboardInterrupt:
            click.echo(f"Stopped at {shown.line}. {_kept(job)}", err=True)
            return _INTERRUPTED
    if not summary.failed:
        _remove(job.state)
    click.echo("\n".join(_summed_up(job, found, dataset.spec.version, progress, summary)))
    return 1 if summary.failed or found.skipped else 0


def _look_through(job: Job) -> Survey:
    """What the dataset holds; rows that cannot be used are named."""
    with _refusals():
        if job.output.resolve() in (job.data.resolve(), job.config.resolve()):
            raise RequestError(f"{job.output} is what is to be read; give the output another name.")
        require_writable(job.output)
        found = survey(job.data)
    for fault in found.faults:
        click.echo(f"{job.data} line {fault.line} is skipped: {fault.sentence}", err=True)
    if (more := found.skipped - len(found.faults)) > 0:
        click.echo(f"... and {more:,} more.", err=True)
    if not found.rows:
        raise _Unusable(f"{job.data} holds no row that can be used.")
    return found


@contextmanager
def _refusals() -> Iterator[None]:
    """Where nothing has been asked yet, every fault is one of what was given."""
    try:
        yield
    except BackendError as exc:
        raise _Unusable(exc.sentence) from exc


@contextmanager
def _opened(settings: Settings, job: Job, llm: LLM | None, obstacle: Obstacle) -> Iterator["Services"]:
    """All that is needed, closed in the end. Where nothing could be begun, nothing is left behind."""
    from llm_backend.adapters.store.folder import FolderInUse
    from llm_backend.services import open_for_dataset  # brings the SDK of the providers with it: only now

    new = not job.state.exists()
    try:
        with _refusals():
            try:
                services = open_for_dataset(settings, job.state, llm, obstacle)
            except FolderInUse as exc:
                raise RequestError(
                    f"{job.state} is in use: process {exc.holder} labels into {job.output}, too. "
                    "Wait until it has ended, or give another --output."
                ) from exc
        try:
            yield services
        finally:
            services.close()
    except _Unusable:
        if new:
            _remove(job.state)
        raise


def _dataset(services: "Services", job: Job, found: Survey) -> "Dataset":
    with _refusals():
        dataset = services.backend.datasets.open(_text_of(job.config), job.prompt)
        if is_table(job.data) and (lacking := dataset.lacking(found.columns)):
            has = ", ".join(f'"{name}"' for name in found.columns)
            raise RequestError(
                f"{job.config} shows {', '.join(lacking)}; {job.data} has the columns {has}. "
                "Rename the column, or the value in the config."
            )
        return dataset


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise RequestError(f"{file} is not UTF-8 text ({exc}).") from exc
    except OSError as exc:
        raise RequestError(f"{file} cannot be read ({exc.strerror}).") from exc


def _write(job: Job, dataset: "Dataset", found: Survey) -> Summary:
    summary = Summary()
    form = Form(dataset.plan.config, dataset.plan.controls, found.columns, found.ids)
    try:
        write(job.output, _labelled(job, dataset, summary), form)
    except RequestError as exc:
        raise RequestError(f"{exc.sentence} {_kept(job)}") from exc
    return summary


def _labelled(job: Job, dataset: "Dataset", summary: Summary) -> Iterator[Labelled]:
    """The rows with their answers, page by page, and counted."""
    every = rows(job.data)
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
    return f"Answers are kept in {job.state}; run the same command again to go on."


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
        yield f"What was answered is kept in {job.state}. {_how_to_go_on(summary)}"


def _how_to_go_on(summary: Summary) -> str:
    again = "The same command asks again for the others" if summary.passing else ""
    good = summary.failed - summary.passing
    if not good:
        return f"{again}."
    return f"{again}; for {good:,} of them add --retry." if again else "To ask for the others again, add --retry."


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
