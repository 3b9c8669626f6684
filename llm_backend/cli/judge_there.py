"""How is a dataset judged by a running server? It is handed over as a job, and its labels are fetched."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from llm_backend import client
from llm_backend.cli.asking import INTERRUPTED, refusals
from llm_backend.cli.calling import Server
from llm_backend.cli.jobs import Job, ask_job, follow
from llm_backend.cli.wording import counted, plain
from llm_backend.errors import BackendError, RequestError
from llm_backend.interchange.replacing import replacing
from llm_backend.interchange.tasks import require_writable

_PROJECT = "dataset."
_PATIENCE = 600.0
"""Seconds for what takes the longer the larger a dataset is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be judged, and by what.

    Attributes:
        criterion: Its text, with its head.
        label_column: Where people's labels stand; None for the usual one.
        few_shot: A dataset with labels to learn from.
    """

    data: Path
    criterion: str
    labels: Sequence[str]
    label_column: str | None = None
    few_shot: Path | None = None


def judge_there(server: Server, wanted: Wanted, output: Path | None, *, wait: bool) -> int:
    """Let a server judge a dataset; returns the exit code.

    Args:
        wait: Until it is judged, to write the output; else a person is told how to go on.
    """
    if output is None and wait:
        raise click.UsageError("Say where to: --output FILE; or --no-wait.")
    with refusals():
        if output is not None:
            require_writable(output)
        job_id = _hand_over(server, wanted)
    if output is not None and wait:
        return fetch(server, job_id, output, wait=True)
    click.echo(job_id)  # alone, for scripts
    click.echo(f"How far it is:  {server.command('jobs', 'watch', job_id)}", err=True)
    click.echo(f"Its labels:     {_command(server, job_id, output)}", err=True)
    return 0


def fetch(server: Server, job_id: str, output: Path, *, wait: bool) -> int:
    """Write a dataset with the labels of a job; returns the exit code.

    Args:
        wait: Until the job has ended; else what there is by now is written.
    Raises:
        BackendError: There is no such job, or its labels cannot be had or written.
    """
    with refusals():
        require_writable(output)
        ident = _dataset(server, job_id)
    if wait:
        try:
            follow(server, job_id)
        except KeyboardInterrupt:
            click.echo(f"The job goes on. Its labels: {_command(server, job_id, output)}", err=True)
            return INTERRUPTED
    with replacing(output) as file:
        kind = output.suffix.lower().removeprefix(".")
        file.writelines(server.parts(f"datasets/{ident}?format={kind}", patience=_PATIENCE))
    job, dataset = ask_job(server, job_id), server.ask(f"datasets/{ident}", "rows")
    click.echo("\n".join(_told(server, job, dataset, output)))
    return 0 if job["state"] == "completed" and not job["failed"] and not dataset["skipped"] else 1


def _hand_over(server: Server, wanted: Wanted) -> str:
    """Upload a dataset and have it judged; returns the id of the job. Where that cannot be, nothing is left there."""
    uploaded: list[str] = []
    try:
        body: dict[str, Any] = {"prompt_template": wanted.criterion, "labels": list(wanted.labels)}
        if wanted.label_column is not None:
            body["label_column"] = wanted.label_column
        if wanted.few_shot is not None:
            uploaded.append(_upload(server, wanted.few_shot))
            body["few_shot_dataset_id"] = uploaded[-1]
        uploaded.append(_upload(server, wanted.data))
        told = server.ask(f"datasets/{uploaded[-1]}/label", "job_id", "POST", body, _PATIENCE)
    except BackendError:
        _remove(server, uploaded)
        raise
    _remove(server, uploaded[:-1])  # the judge has learned what there was to learn of the examples
    return str(told["job_id"])


def _upload(server: Server, file: Path) -> str:
    try:
        with open(file, "rb") as held:
            return client.upload(server, held, file.name, "", _PATIENCE)
    except OSError as exc:
        raise RequestError(f"{file} cannot be read ({exc.strerror}).") from exc


def _remove(server: Server, uploaded: Iterable[str]) -> None:
    for ident in uploaded:
        with suppress(BackendError):  # what went wrong before is what a person wants to know
            server.ask(f"datasets/{ident}", "removed", "DELETE")


def _dataset(server: Server, job_id: str) -> str:
    """The dataset that a job labels.

    Raises:
        RequestError: It labels none, or another one does so by now.
    """
    project = str(ask_job(server, job_id)["project"])
    if not project.startswith(_PROJECT):
        raise RequestError(f"Job {job_id} labels no dataset, but tasks of project {plain(project)}.")
    ident = project.removeprefix(_PROJECT)
    now = server.ask(f"datasets/{ident}", "job")["job"]
    if now is not None and now["id"] != job_id:
        raise RequestError(f"The dataset of job {job_id} was given to another job since: --job {plain(now['id'])}.")
    return ident


def _command(server: Server, job_id: str, output: Path | None) -> str:
    return server.command("judge", "--job", job_id, "--output", str(output or "judged.csv"))


def _told(server: Server, job: Job, dataset: Mapping[str, Any], output: Path) -> Iterator[str]:
    """A job's questions: rows that hold the same are one."""
    counts = ("done", "answered"), ("failed", "failed"), ("waiting", "not asked yet"), ("cancelled", "not asked")
    told = ", ".join(f"{job[state]:,} {words}" for state, words in counts if job[state] or state == "done")
    reason = f" ({plain(job['reason'])})" if job["reason"] else ""
    yield f"Job {job['id']} is {job['state']}{reason}: {told}."
    skipped = f", {dataset['skipped']:,} skipped" if dataset["skipped"] else ""
    yield f"Written to {output}: {counted(dataset['rows'], 'row')}{skipped}."
    if job["failed"] or job["state"] in ("paused", "cancelled"):
        yield f"To ask for the others again: {server.command('jobs', 'retry', str(job['id']))}"
