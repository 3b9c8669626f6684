"""How are a model's answers gathered from a shell, as tasks that people judge?"""

import asyncio
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_backend.adapters.host import Host
from llm_backend.adapters.host.tasks import create_project, import_tasks
from llm_backend.cli.asking import Unusable, ask_dataset, counted, refuse_overwriting, state_of
from llm_backend.cli.label import text_of
from llm_backend.cli.options import takes_settings
from llm_backend.core.gather import CHAT, CONFIG, conversation, task_of
from llm_backend.core.prompts import entries_of
from llm_backend.core.wire import JSON, Task
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.tasks import Fault, Labelled, Row, Survey, rows, survey, write_tasks
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Datasets

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_AT_ONCE = 500
_ENDINGS = (".json", ".jsonl")


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


@dataclass(frozen=True, slots=True)
class Job:
    """Which prompts are to be answered.

    Attributes:
        system: What the model is told before each conversation; "" for nothing.
        retry: Ask anew for what failed in a way that asking again would not change.
        target: Where the tasks are imported, if anywhere.
    """

    data: Path
    output: Path
    system: str = ""
    retry: bool = False
    target: Target | None = None

    @property
    def read(self) -> Collection[Path]:
        return (self.data,)

    def survey(self) -> Survey:
        if self.output.suffix.lower() not in _ENDINGS:
            raise RequestError(f"{self.output}: the name of the output ends in {' or '.join(_ENDINGS)}.")
        return survey(self.data, _conversing)

    def rows(self) -> Iterator[Row]:
        return rows(self.data, _conversing)

    def dataset(self, datasets: "Datasets", found: Survey) -> "Dataset":
        return datasets.open(CONFIG, self.system, converse=True)

    def write(self, labelled: Iterator[Labelled], dataset: "Dataset", found: Survey) -> None:
        write_tasks(self.output, (task for one in labelled if (task := _task(one)) is not None))

    def finish(self) -> Iterator[str]:
        if self.target is not None:
            project, count = asyncio.run(_import(self.target, self.output))
            yield f"{counted(count, 'task')} imported into project {project} of {self.target.url}."


@click.command(short_help="A model's answers to prompts, as tasks that people judge.")
@click.argument("data", metavar="PROMPTS", type=_FILE)
@click.option(
    "--output", metavar="TASKS.json", type=click.Path(path_type=Path), required=True, help="A .json or .jsonl to write."
)
@click.option("--system", metavar="TEXT", default="", help="What the model is told before each conversation.")
@click.option("--import-to", "LABEL_STUDIO_URL", metavar="URL", help="Label Studio to import into (LABEL_STUDIO_URL).")
@click.option("--project", metavar="N", type=click.IntRange(1), help="Import into this project.")
@click.option("--title", metavar="TEXT", help="Import into a new project of this title.")
@click.option("--config", metavar="CONFIG.xml", type=_FILE, help="The new project's labeling config.")
@click.option("--retry", is_flag=True, help="Ask anew for rows that failed for good, such as refused ones.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there already.")
@takes_settings()
def gather(
    settings: Settings,
    data: Path,
    output: Path,
    system: str,
    project: int | None,
    title: str | None,
    config: Path | None,
    retry: bool,
    overwrite: bool,
) -> None:
    """Ask a model every prompt of PROMPTS, and write tasks that show each conversation with the answer.

    A row has a "prompt", or "messages" (turns with a role and a content; the last one is the user's). PROMPTS is a
    .jsonl, a .json list, or a .csv or .tsv with a header. The model is asked as it would be anywhere else, with no
    words of ours. The tasks hold the turns as "chat", as the template "LLM response moderation" shows them; a new
    project gets that template where no other config is given. Importing needs LABEL_STUDIO_API_KEY.

    What the model or its filter refuses is a failed row with its reason; no task is made of it. The same command goes
    on after an interruption, asks only for what is missing, and imports only what was not.

    Exits with 0 when every row is answered, 1 when some are not, 2 when something given cannot be used.

    \b
    Examples:
      llm-backend gather prompts.jsonl --output tasks.json
      llm-backend gather prompts.csv --output tasks.json --system "You are a bank's assistant." --model gpt-5.4
      llm-backend gather prompts.jsonl --output tasks.json --import-to http://localhost:8080 --title "Moderation"
    """
    target = _target(settings, project, title, config)
    refuse_overwriting(output, overwrite)
    raise SystemExit(ask_dataset(settings, Job(data, output, system.strip(), retry, target)))


def _target(settings: Settings, project: int | None, title: str | None, config: Path | None) -> Target | None:
    flags = click.get_current_context().params
    if project is None and not title:
        if flags.get("LABEL_STUDIO_URL") or config is not None:
            raise click.UsageError("say where to import: --project N, or --title for a new project.")
        return None
    if project is not None and (title or config is not None):
        raise click.UsageError("give --project, or --title (and --config) for a new project; not both.")
    if not settings.label_studio_url:
        raise click.UsageError("say which Label Studio is meant: --import-to URL, or LABEL_STUDIO_URL.")
    if not settings.label_studio_api_key:
        raise click.UsageError("importing needs LABEL_STUDIO_API_KEY, an access token of a user of that Label Studio.")
    label_config = text_of(config) if config else _moderation()
    return Target(settings.label_studio_url, settings.label_studio_api_key, project, title or "", label_config)


def _moderation() -> str:
    sample = resources.files("llm_backend.demo") / "samples" / "moderation.xml"
    return sample.read_text(encoding="utf-8")


def _conversing(row: Row) -> Row | Fault:
    """The row as the conversation that it begins."""
    try:
        return replace(row, task=Task(row.task.id, {CHAT: conversation(row.task.data)}))
    except InputError as exc:
        return Fault(row.line, exc.sentence)


def _task(labelled: Labelled) -> dict[str, JSON] | None:
    prediction = labelled.prediction
    answer = next((entry for region in prediction.result for entry in entries_of(region)), "") if prediction else ""
    if prediction is None or not answer:
        return None
    return task_of(labelled.row.task.data[CHAT], answer, prediction.model_version or "")


# Importing


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


async def _import(target: Target, output: Path) -> tuple[int, int]:
    """Import what is not there yet; what was imported is noted in the folder of the output's state.

    Returns:
        (project, how many tasks)
    """
    note = _Note(state_of(output) / "llm_backend.imported.txt", target)
    host, count = Host(target.url, target.api_key), 0
    try:
        if (project := note.project) is None:
            project = await create_project(host, target.title, target.label_config)
            note.begin(project)
        left = _left(output, note.there)
        while part := list(itertools.islice(left, _AT_ONCE)):
            count += await import_tasks(host, project, [task for _, task in part])
            note.add(digest for digest, _ in part)
    finally:
        await host.close()
    return project, count


def _left(output: Path, there: Counter[str]) -> Iterator[tuple[str, dict[str, JSON]]]:
    for row in rows(output):
        digest = hashlib.sha256(json.dumps(row.task.data, sort_keys=True).encode()).hexdigest()[:16]
        there[digest] -= 1
        if there[digest] < 0:
            yield digest, {"data": dict(row.task.data), "meta": dict(row.meta or {})}
