"""How is agreement measured from a shell? Over an export, or over a project of a running Label Studio."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from llm_backend.cli.calling import Server, web_address
from llm_backend.cli.kept import with_kept
from llm_backend.cli.options import takes_settings
from llm_backend.cli.projects import Project
from llm_backend.cli.wording import plain
from llm_backend.core.wire import TaskId
from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.tasks import Fault
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.agreement.report import Report
    from llm_backend.core.scores import Calibration

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_FAULTS_TOLD = 10
_WIDTH = 120
_SECONDS = 30.0


@click.command(short_help="How well people and the model agree.")
@click.argument("export", metavar="[EXPORT.json]", type=_FILE, required=False)
@click.option("--config", metavar="CONFIG.xml", type=_FILE, help="The labeling config; else that of --project.")
@click.option("--project", metavar="N", type=click.IntRange(1), help="A project of Label Studio, by its number.")
@click.option("--url", "LABEL_STUDIO_URL", metavar="URL", help="Where Label Studio is (LABEL_STUDIO_URL).")
@click.option(
    "--server",
    metavar="URL",
    callback=web_address,
    help="A running llm-backend, which tells what it keeps back (BLIND_SHARE).",
)
@click.option("--save", is_flag=True, help="Have the --server make probabilities of the project's scores by this.")
@click.option("--json", "json_file", metavar="FILE", type=_OUT, help="Write the whole report as JSON.")
@click.option("--html", "html_file", metavar="FILE", type=_OUT, help="Write it as one HTML page with plots.")
@click.option("--calibration", metavar="FILE", type=_OUT, help="Write what makes probabilities of the scores.")
@takes_settings(asks_model=False)
def evaluate(
    settings: Settings,
    export: Path | None,
    config: Path | None,
    project: int | None,
    server: str | None,
    save: bool,
    json_file: Path | None,
    html_file: Path | None,
    calibration: Path | None,
) -> None:
    """Measure how well people and the model agree, control by control and version by version.

    Over EXPORT.json, which must hold whole predictions (Label Studio's plain export tells only their ids), or over a
    project that is read from Label Studio with LABEL_STUDIO_API_KEY. Answers that people were shown and left as they
    were are told apart from answers of their own; with --server, so are those for tasks whose answers nobody is shown.
    Needs the extra "evaluate".

    \b
    Examples:
      llm-backend evaluate --url http://localhost:8080 --project 7 --html report.html
      llm-backend evaluate export.json --config config.xml --json report.json
      llm-backend evaluate export.json --config config.xml --calibration calibration.json
      llm-backend evaluate --url http://localhost:8080 --project 7 --server http://localhost:9090 --save
    """
    from llm_backend.agreement.pairs import gather  # its libraries are an extra, and slow to load: only now
    from llm_backend.agreement.report import make_report
    from llm_backend.services import plan_to_read

    if export is None and project is None:
        raise click.UsageError("Say what to measure: EXPORT.json, or --project.")
    if config is None and project is None:
        raise click.UsageError("Say how the export was labelled: --config CONFIG.xml, or --project.")
    if save and not server:
        raise click.UsageError("Say which server is to go by it: --server.")
    address = settings.label_studio_url
    with Project(settings, project) as host:
        xml = config.read_text(encoding="utf-8-sig") if config else host.label_config()
        plan = plan_to_read(xml, settings.prompt_prefix)
        tasks = _usable(read_export(export, lambda: plan.config) if export else host.tasks())
        blind: set[TaskId] = set()
        asked = Server(settings, server, 0, _SECONDS) if server else None
        if asked:
            tasks = with_kept(asked, str(project or ""), tasks, blind)
        found = gather(plan, tasks, blind)
    report = make_report(found, str(export.name) if export else f"project {project} of {address}", address)
    _write(report, json_file, html_file, calibration)
    _say(report)
    if save and asked:
        key = asked.project(str(project or found.pairs[0].project or ""))
        path = f"projects/{quote(key, safe='')}/calibration"
        asked.ask(path, "calibration", "POST", _calibration(report).to_json())
        click.echo(f"Saved: scores of project {key} are made probabilities by it from now on.", err=True)


def _usable(entries: Iterable[ExportedTask | Fault]) -> Iterator[ExportedTask]:
    faults = 0
    for entry in entries:
        if isinstance(entry, ExportedTask):
            yield entry
        else:
            faults += 1
            if faults <= _FAULTS_TOLD:
                click.echo(f"line {entry.line} is skipped: {plain(entry.sentence)}", err=True)
    if faults > _FAULTS_TOLD:
        click.echo(f"... and {faults - _FAULTS_TOLD:,} more.", err=True)


def _write(report: "Report", json_file: Path | None, html_file: Path | None, calibration: Path | None) -> None:
    from llm_backend.web.report import page

    told = report.to_json()
    if json_file:
        _save(json_file, _json(told))
    if html_file:
        _save(html_file, page(told))
    if calibration:
        _save(calibration, _json(_calibration(report).to_json()))


def _calibration(report: "Report") -> "Calibration":
    """What makes probabilities of the latest version's scores.

    Raises:
        RequestError: There is too little to go by.
    """
    from llm_backend.agreement.report import latest_calibration

    found = latest_calibration(report)
    if found is None or found.calibration is None:
        scored = found.before.count if found else 0
        raise RequestError(
            f"There are {scored:,} answers with a score that people have judged: too few for a calibration, which "
            "needs 50, of them some right and some wrong."
        )
    return found.calibration


def _json(told: object) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _save(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise RequestError(f"{file} cannot be written ({exc.strerror}).") from exc
    click.echo(f"Written: {file}", err=True)


def _say(report: "Report") -> None:
    from rich.console import Console

    from llm_backend.cli.evaluate_tables import tables

    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    for part in tables(report):
        console.print(part)
