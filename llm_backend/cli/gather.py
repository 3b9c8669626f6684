"""How are a model's answers gathered from a shell, as tasks that people judge?"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_backend.cli.asking import ask_dataset, refuse_overwriting
from llm_backend.cli.options import takes_settings
from llm_backend.cli.target import Target, imported, require_tasks_file, takes_target, target_of
from llm_backend.core.conversation import CHAT, conversation, task_of
from llm_backend.core.prompts import entries_of
from llm_backend.core.wire import JSON, Task
from llm_backend.errors import InputError
from llm_backend.interchange.tasks import Fault, Labelled, Row, Survey, rows, survey, write_tasks
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Datasets

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
        return survey(self.data, _conversing)

    def rows(self) -> Iterator[Row]:
        return rows(self.data, _conversing)

    def dataset(self, datasets: "Datasets", found: Survey) -> "Dataset":
        return datasets.converse(self.system)

    @property
    def writes_reasons(self) -> bool:
        return False  # the output holds tasks alone, and none is made of a failed row

    def write(self, labelled: Iterator[Labelled], dataset: "Dataset", found: Survey) -> None:
        write_tasks(self.output, (task for one in labelled if (task := _task(one)) is not None))

    def finish(self) -> Iterator[str]:
        if self.target is not None:
            yield imported(self.target, self.output)


@click.command(short_help="A model's answers to prompts, as tasks that people judge.")
@click.argument("data", metavar="PROMPTS", type=_FILE)
@click.option(
    "--output", metavar="TASKS.json", type=click.Path(path_type=Path), required=True, help="A .json or .jsonl to write."
)
@click.option("--system", metavar="TEXT", default="", help="What the model is told before each conversation.")
@takes_target
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
    target = target_of(settings, project, title, config, _moderation())
    require_tasks_file(output)
    refuse_overwriting(output, overwrite)
    raise SystemExit(ask_dataset(settings, Job(data, output, system.strip(), retry, target)))


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
