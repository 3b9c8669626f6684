"""How do annotations of before become corrections? An export is read here, and sent to the running server."""

import functools
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from llm_backend.cli.calling import Server, takes_server
from llm_backend.cli.wording import counted, faults_told
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.tasks import Fault

_TASKS_AT_ONCE = 200
_CHARACTERS_AT_ONCE = 2_000_000
# So long (seconds) the server may take for what is sent at once: it also publishes, if LEARN_EVERY says so.
_PATIENCE = 120.0
_LINE_SECONDS = 5.0
_FAULTS_TOLD = 20


@dataclass(slots=True)
class Imported:
    """What came of an export so far.

    Attributes:
        tasks: How many were sent.
        learned, accepted, left: As the server counts annotations; `left` say nothing.
        unusable: How many tasks and annotations could not be used.
        faults: The first of these, with their lines.
    """

    tasks: int = 0
    learned: int = 0
    accepted: int = 0
    left: int = 0
    unusable: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def line(self) -> str:
        """How far it is."""
        return f"{counted(self.tasks, 'task')} read, {counted(self.learned, 'correction')} learned"

    def fault(self, fault: Fault) -> None:
        self.unusable += 1
        if len(self.faults) < _FAULTS_TOLD:
            self.faults.append(fault)

    def take(self, sent: list[ExportedTask], answer: dict[str, Any]) -> None:
        """Count what the server made of these tasks."""
        self.tasks += len(sent)
        self.learned += answer["learned"]
        self.accepted += answer["accepted"]
        self.left += answer["left"]
        for fault in answer["faults"]:
            self.fault(Fault(sent[fault["task"]].line, fault["reason"]))


@click.command("import", short_help="An export's annotations as corrections that a running server learns.")
@click.argument("export", metavar="EXPORT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--project", metavar="KEY", help="The project that learns, by its number or its whole key.")
@takes_server
def import_(server: Server, export: Path, project: str | None) -> None:
    """Have a running server learn the annotations of EXPORT, as it learns those that are submitted.

    EXPORT comes from Label Studio: "JSON" holds most; "JSON_MIN", "CSV" and "TSV" do not tell what was left unchanged.
    Without --project it is the project that the export names, or the only one that the server knows. An annotation that
    was learned before is replaced, so a second import does no harm. Batches go by it once it is published.

    Exits with 0 when all could be used, 1 when something could not (it is named by its line).

    \b
    Examples:
      llm-backend import project-1-at-2026-11-20.json
      llm-backend import export.csv --project 7 --url http://models.internal:9090
    """
    key = key_of(server, export, project)
    path = f"projects/{quote(key, safe='')}"
    config = functools.cache(lambda: _config(server, path))
    imported = Imported()
    with _shown(imported) as tell:
        for tasks in _slices(_usable(export, config, imported)):
            body = {"tasks": [task.to_json() for task in tasks]}
            answer = server.ask(f"{path}/corrections", "learned", "POST", body, patience=_PATIENCE)
            imported.take(tasks, answer)
            tell()
    click.echo("\n".join(_summed_up(imported, key, server.ask(path, holds="learned")["learned"])))
    raise SystemExit(1 if imported.unusable else 0)


def key_of(server: Server, export: Path, named: str | None) -> str:
    """The whole key of the project that is named, or that the export is of.

    Raises:
        RequestError: It cannot be told which one is meant.
    """
    return server.project(named or _named_in(export))


def _named_in(export: Path) -> str:
    """The number of the project that an export is of; "" where it does not say."""
    try:
        first = next((entry for entry in read_export(export) if isinstance(entry, ExportedTask)), None)
    except RequestError:  # a flat one; or whoever reads on will say what is wrong
        return ""
    return str(first.project) if first and first.project is not None else ""


def _config(server: Server, path: str) -> LabelingConfig:
    told = server.ask(path, holds="label_config")
    return parse(told["label_config"], told["prompt_prefix"])


def _usable(export: Path, config: Callable[[], LabelingConfig], imported: Imported) -> Iterator[ExportedTask]:
    for entry in read_export(export, config):
        if isinstance(entry, Fault):
            imported.fault(entry)
        else:
            yield entry


def _slices(tasks: Iterator[ExportedTask]) -> Iterator[list[ExportedTask]]:
    """As many tasks as are sent at once: bounded in number and in size."""
    some: list[ExportedTask] = []
    size = 0
    for task in itertools.chain(tasks, [None]):
        weight = len(json.dumps(task.to_json())) if task else 0
        if some and (task is None or len(some) == _TASKS_AT_ONCE or size + weight > _CHARACTERS_AT_ONCE):
            yield some
            some, size = [], 0
        if task:
            some.append(task)
            size += weight


@contextmanager
def _shown(imported: Imported) -> Iterator[Callable[[], None]]:
    """Where to say that it went on: it is shown in a terminal at once, else in a line now and then."""
    if sys.stderr.isatty():
        from rich.console import Console  # only a terminal needs it

        with Console(stderr=True).status("Reading") as status:
            yield lambda: status.update(imported.line)
        return
    told = time.monotonic()

    def tell() -> None:
        nonlocal told
        if time.monotonic() - told >= _LINE_SECONDS:
            told = time.monotonic()
            click.echo(imported.line, err=True)

    yield tell


def _summed_up(imported: Imported, key: str, lore: dict[str, Any]) -> Iterator[str]:
    for line in faults_told(imported.faults, imported.unusable, "line", "cannot be used"):
        click.echo(line, err=True)
    yield f"{imported.line}: {_parts(imported)}."
    known = f"Project {key} knows {counted(lore['count'], 'correction')} now"
    if lore["since"]:
        yield f"{known}; {lore['since']:,} of them are not published yet (Start Training, or the status page)."
    else:
        yield f"{known}."


def _parts(imported: Imported) -> str:
    made = imported.learned - imported.accepted
    parts = [f"{made:,} by people", f"{imported.accepted:,} accepted as they were"]
    if imported.left:
        parts.append(f"{counted(imported.left, 'annotation')} skipped or empty")
    if imported.unusable:
        parts.append(f"{imported.unusable:,} not usable")
    return ", ".join(parts)
