"""Into which project of Label Studio do made tasks go? What is there already is not imported again."""

import asyncio
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from llm_backend.adapters.host import Host
from llm_backend.adapters.host.tasks import create_project, import_tasks
from llm_backend.cli.asking import Unusable, state_of
from llm_backend.cli.label import text_of
from llm_backend.cli.wording import counted
from llm_backend.core.wire import JSON
from llm_backend.interchange.tasks import rows
from llm_backend.settings import Settings

_AT_ONCE = 500
_ENDINGS = (".json", ".jsonl")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Target:
    """Where tasks are imported: a project that is there, or a new one.

    Attributes:
        title: Of the new one; "" where there is a project.
        label_config: The new one's.
    """

    url: str
    api_key: str
    project: int | None = None
    title: str = ""
    label_config: str = ""

    @property
    def name(self) -> str:
        return f"{self.url} {self.project if self.project is not None else self.title}"


def takes_target(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that say where made tasks are imported; `target_of` takes what they say."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


_OPTIONS = (
    click.option(
        "--import-to", "LABEL_STUDIO_URL", metavar="URL", help="Label Studio to import into (LABEL_STUDIO_URL)."
    ),
    click.option("--project", metavar="N", type=click.IntRange(1), help="Import into this project."),
    click.option("--title", metavar="TEXT", help="Import into a new project of this title."),
    click.option("--config", metavar="CONFIG.xml", type=_FILE, help="The new project's labeling config."),
)


def target_of(
    settings: Settings, project: int | None, title: str | None, config: Path | None, label_config: str
) -> Target | None:
    """Where to import; None if nothing is to be imported.

    Args:
        label_config: A new project's, where no file is given.
    Raises:
        UsageError: What was told does not go together, or something is lacking.
    """
    if project is None and not title:
        if click.get_current_context().params.get("LABEL_STUDIO_URL") or config is not None:
            raise click.UsageError("say where to import: --project N, or --title for a new project.")
        return None
    if project is not None and (title or config is not None):
        raise click.UsageError("give --project, or --title (and --config) for a new project; not both.")
    if not settings.label_studio_url:
        raise click.UsageError("say which Label Studio is meant: --import-to URL, or LABEL_STUDIO_URL.")
    if not settings.label_studio_api_key:
        raise click.UsageError("importing needs LABEL_STUDIO_API_KEY, an access token of a user of that Label Studio.")
    new = text_of(config) if config else label_config
    return Target(settings.label_studio_url, settings.label_studio_api_key, project, title or "", new)


def require_tasks_file(output: Path) -> None:
    """
    Raises:
        Unusable: The file's name is none of a file of tasks.
    """
    if output.suffix.lower() not in _ENDINGS:
        raise Unusable(f"{output}: the name of the output ends in {' or '.join(_ENDINGS)}.")


def imported(target: Target, output: Path) -> str:
    """Import what of an output is not there yet, and tell of it; what was imported is noted in its state's folder.

    Raises:
        HostError: Label Studio does not take it, or cannot be asked.
        Unusable: The note cannot be read.
    """
    project, count = asyncio.run(_import(target, output))
    into = f"project {project} of " if project is not None else ""
    return f"{counted(count, 'task')} imported into {into}{target.url}."


class _Note:
    """What of an output is in Label Studio: where on the first line, then a line for each task that was imported."""

    def __init__(self, file: Path, target: Target) -> None:
        """
        Raises:
            Unusable: The note cannot be read.
        """
        self._file = file
        self._target = target.name
        self.project = target.project
        self.there: Counter[str] = Counter()
        try:
            head, *digests = file.read_text(encoding="utf-8").splitlines()
            told = json.loads(head)
            if told["target"] == self._target:
                self.project = told["project"]
                self.there.update(digests)
                return
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as exc:
            raise Unusable(f"{file} cannot be read: it says what was imported. Remove it to import all.") from exc
        if self.project is not None:
            self.begin(self.project)

    def begin(self, project: int) -> None:
        self.project = project
        self._file.write_text(f"{json.dumps({'target': self._target, 'project': project})}\n", encoding="utf-8")

    def add(self, digests: Iterable[str]) -> None:
        with open(self._file, "a", encoding="utf-8") as stream:
            stream.writelines(f"{digest}\n" for digest in digests)


async def _import(target: Target, output: Path) -> tuple[int | None, int]:
    """
    Returns:
        (project, how many tasks); for nothing, no project is made.
    """
    note = _Note(state_of(output) / "llm_backend.imported.txt", target)
    host, count = Host(target.url, target.api_key), 0
    try:
        left = _left(output, note.there)
        while part := list(itertools.islice(left, _AT_ONCE)):
            if (project := note.project) is None:
                project = await create_project(host, target.title, target.label_config)
                note.begin(project)
            count += await import_tasks(host, project, [task for _, task in part])
            note.add(digest for digest, _ in part)
    finally:
        await host.close()
    return note.project, count


def _left(output: Path, there: Counter[str]) -> Iterator[tuple[str, dict[str, JSON]]]:
    for row in rows(output):
        digest = hashlib.sha256(json.dumps(row.task.data, sort_keys=True).encode()).hexdigest()[:16]
        there[digest] -= 1
        if there[digest] < 0:
            yield digest, {"data": dict(row.task.data), "meta": dict(row.meta or {})}
