"""How is a whole dataset labelled from a shell? Without Label Studio and without a server; interrupted, it goes on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_backend.cli.asking import ask_dataset, refuse_overwriting
from llm_backend.cli.options import takes_settings
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import Form, Labelled, Row, Survey, is_table, rows, survey, write
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Datasets

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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
    def read(self) -> Collection[Path]:
        return self.data, self.config

    def survey(self) -> Survey:
        return survey(self.data)

    def rows(self) -> Iterator[Row]:
        return rows(self.data)

    def dataset(self, datasets: "Datasets", found: Survey) -> "Dataset":
        dataset = datasets.open(text_of(self.config), self.prompt)
        if is_table(self.data) and (lacking := dataset.lacking(found.columns)):
            has = ", ".join(f'"{name}"' for name in found.columns)
            raise RequestError(
                f"{self.config} shows {', '.join(lacking)}; {self.data} has the columns {has}. "
                "Rename the column, or the value in the config."
            )
        return dataset

    @property
    def writes_reasons(self) -> bool:
        return True

    def write(self, labelled: Iterator[Labelled], dataset: "Dataset", found: Survey) -> None:
        write(self.output, labelled, Form(dataset.plan.config, dataset.plan.controls, found.columns, found.ids))

    def finish(self) -> Iterator[str]:
        return iter(())


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
    refuse_overwriting(output, overwrite)
    raise SystemExit(ask_dataset(settings, job))


def text_of(file: Path) -> str:
    """What a text file holds.

    Raises:
        RequestError: It cannot be read.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise RequestError(f"{file} is not UTF-8 text ({exc}).") from exc
    except OSError as exc:
        raise RequestError(f"{file} cannot be read ({exc.strerror}).") from exc
