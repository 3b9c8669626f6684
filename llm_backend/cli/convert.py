"""How are rows of Labelbox made tasks from a shell, and what people made of these lines for Labelbox?"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import click

from llm_backend.cli.asking import Unusable
from llm_backend.cli.label import text_of
from llm_backend.cli.wording import counted, plain
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, RequestError
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.labelbox import Fetch, Incoming, Lines, Ontology, Places, Prelabels, read_ontology, row_of
from llm_backend.interchange.replacing import require_folder
from llm_backend.interchange.tasks import Fault, write_tasks

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_LINES = (".ndjson", ".jsonl")
_FAULTS_TOLD = 20


@dataclass(slots=True)
class Told:
    """The faults that were found, of which the first are told as they come."""

    counts: Counter[Path] = field(default_factory=Counter)

    def __call__(self, file: Path, fault: Fault) -> None:
        self.counts[file] += 1
        if self.counts[file] <= _FAULTS_TOLD:
            click.echo(f"{file} line {fault.place} is skipped: {plain(fault.sentence)}", err=True)

    def summed_up(self) -> Iterator[str]:
        for file, count in self.counts.items():
            more = f", {count - _FAULTS_TOLD:,} of them not told above" if count > _FAULTS_TOLD else ""
            yield f"{counted(count, 'fault')} in {file}{more}."


@click.group(short_help="Rows and labels of Labelbox, in and out.")
def convert() -> None:
    """Rows of Labelbox as tasks of Label Studio, and annotations or predictions as labels of Labelbox.

    \b
    Example:
      llm-backend convert labelbox-to-ls rows.json --ontology ontology.json \\
        --output tasks.json --config-output config.xml
      llm-backend convert ls-to-labelbox export.json --output labels.ndjson
    """


@convert.command("labelbox-to-ls", short_help="Rows as tasks, and the ontology as a labeling config.")
@click.argument("rows", metavar="ROWS", type=_FILE)
@click.option("--ontology", metavar="FILE", type=_FILE, help="What is asked. Else: which output is best, and why.")
@click.option("--prelabels", metavar="FILE", type=_FILE, help="Lines of labels that become predictions.")
@click.option("--labels", metavar="FILE", type=_FILE, help="Lines of labels that become annotations.")
@click.option("--allow-url", "hosts", metavar="HOST", multiple=True, help="Fetch rows from this host; may be repeated.")
@click.option("--output", metavar="TASKS.json", type=_NEW_FILE, required=True, help="The tasks to write.")
@click.option("--config-output", metavar="CONFIG.xml", type=_NEW_FILE, required=True, help="The config to write.")
def labelbox_to_ls(
    rows: Path,
    ontology: Path | None,
    prelabels: Path | None,
    labels: Path | None,
    hosts: tuple[str, ...],
    output: Path,
    config_output: Path,
) -> None:
    """Make tasks and a labeling config of ROWS: an import file of Labelbox, or an export (.json, .jsonl or .ndjson).

    The content of a row may stand in it, in a file beside ROWS, or at a URL, whose host must be allowed. Labels that
    an export holds become annotations. The tasks keep each row as it was (in "labelbox"), for the way back.

    Exits with 0 when all could be used, 1 when something could not (it is named by its line), 2 when nothing could.

    \b
    Examples:
      llm-backend convert labelbox-to-ls rows.json --output tasks.json --config-output config.xml
      llm-backend convert labelbox-to-ls rows.json --ontology ontology.json --prelabels prelabels.ndjson \\
        --allow-url storage.googleapis.com --output tasks.json --config-output config.xml
    """
    with _refusals(), ExitStack() as opened:
        _require_apart((rows, ontology, prelabels, labels), (output, config_output))
        told = Told()
        incoming = Incoming(
            rows,
            Places(rows.parent, _fetch(hosts, opened)),
            told,
            _ontology(ontology) if ontology else None,
            opened.enter_context(Prelabels(prelabels)) if prelabels else None,
            opened.enter_context(Prelabels(labels)) if labels else None,
        )
        write_tasks(output, incoming.tasks())
        _write(config_output, incoming.config)
    went = f", with {counted(incoming.answers, 'answer')}" if incoming.answers else ""
    click.echo("\n".join([f"{counted(incoming.rows, 'row')} became tasks{went}.", *told.summed_up()]))
    click.echo(f"Written to {output} and {config_output}.")
    raise SystemExit(_status(told, incoming.rows))


@convert.command("ls-to-labelbox", short_help="Annotations or predictions as lines of labels.")
@click.argument("export", metavar="EXPORT.json", type=_FILE)
@click.option("--output", metavar="LABELS.ndjson", type=_NEW_FILE, required=True, help="The lines to write.")
@click.option(
    "--from",
    "source",
    type=click.Choice(("annotations", "predictions")),
    default="annotations",
    show_default=True,
    help="What becomes labels; predictions become pre-labels.",
)
@click.option("--rows-output", metavar="ROWS.json", type=_NEW_FILE, help="Write the rows, too, as they once came.")
def ls_to_labelbox(
    export: Path, output: Path, source: Literal["annotations", "predictions"], rows_output: Path | None
) -> None:
    """Make lines of labels (NDJSON) for Labelbox of EXPORT: Label Studio's "JSON" of tasks that labelbox-to-ls made.

    The lines can be imported as labels or, for model-assisted labeling, as pre-labels. A line that came in and still
    says the same goes out letter for letter. Every annotation counts but those that were skipped.

    Exits with 0 when all could be used, 1 when something could not (it is named by its line), 2 when nothing could.

    \b
    Examples:
      llm-backend convert ls-to-labelbox export.json --output labels.ndjson
      llm-backend convert ls-to-labelbox export.json --from predictions --output prelabels.ndjson
    """
    told, made = Told(), Counter[str]()
    lines = Lines(predictions=source == "predictions")

    def of(task: ExportedTask) -> Iterable[JSON]:
        found = list(lines.of(task))
        made.update(tasks=1, lines=len(found))
        return found

    with _refusals():
        _require_apart((export,), (output, rows_output))
        if output.suffix.lower() not in _LINES:
            raise RequestError(f"{output}: the name of the output ends in {' or '.join(_LINES)}.")
        write_tasks(output, _each(export, of, told))
        if rows_output:
            write_tasks(rows_output, _each(export, lambda task: [row_of(task)], lambda *_: None))
    click.echo(f"{counted(made['tasks'], 'task')} became {counted(made['lines'], 'line')}.")
    for control, count in lines.foreign.items():
        click.echo(f'Left out: {counted(count, "answer")} of "{plain(control)}", for which Labelbox does not ask.')
    click.echo("\n".join([*told.summed_up(), f"Written to {output}{f' and {rows_output}' if rows_output else ''}."]))
    raise SystemExit(_status(told, made["tasks"]))


def _each(
    export: Path, of: Callable[[ExportedTask], Iterable[JSON]], tell: Callable[[Path, Fault], None]
) -> Iterator[JSON]:
    """All that is made of the tasks of an export."""
    for task in read_export(export):
        if isinstance(task, Fault):
            tell(export, task)
            continue
        try:
            yield from of(task)
        except RequestError as exc:
            tell(export, Fault(task.line, exc.sentence, task.id))


def _fetch(hosts: tuple[str, ...], opened: ExitStack) -> Fetch | None:
    if not hosts:
        return None
    from llm_backend.adapters.media import Texts  # brings the HTTP client with it: only where it is needed

    return opened.enter_context(Texts(hosts)).fetch


def _ontology(file: Path) -> Ontology:
    try:
        found = read_ontology(json.loads(text_of(file)))
    except (ValueError, RecursionError) as exc:
        raise RequestError(f"{file} is not JSON ({exc}).") from exc
    except RequestError as exc:
        raise RequestError(f"{file}: {exc.sentence}") from exc
    for name in found.left_out:
        click.echo(f'{file}: the tool "{plain(name)}" is left out: it has no counterpart here.', err=True)
    return found


def _require_apart(read: Iterable[Path | None], written: Iterable[Path | None]) -> None:
    """
    Raises:
        RequestError: An output would replace what is read, or another output, or has no folder.
    """
    taken = {file.resolve() for file in read if file}
    for file in filter(None, written):
        if file.resolve() in taken:
            raise RequestError(f"{file} is named twice; give each output a name of its own.")
        taken.add(file.resolve())
        require_folder(file)


@contextmanager
def _refusals() -> Iterator[None]:
    """Faults that are of no row: then nothing can be used."""
    try:
        yield
    except BackendError as exc:
        raise Unusable(exc.sentence) from exc


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise RequestError(f"{file} cannot be written ({exc.strerror}).") from exc


def _status(told: Told, used: int) -> int:
    return 2 if not used else 1 if told.counts else 0
