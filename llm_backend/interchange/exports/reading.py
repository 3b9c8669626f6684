"""How is an export read, task by task? Of a large one, no more than one task is held at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from llm_backend.core.controls.base import listed
from llm_backend.core.labeling import LabelingConfig
from llm_backend.core.wire import JSON, Prediction, Task, annotations_of
from llm_backend.errors import RequestError
from llm_backend.interchange.exports.flat import of_row
from llm_backend.interchange.exports.task import ExportedTask
from llm_backend.interchange.tasks import Fault, Row, entries, json_lines, opened
from llm_backend.interchange.tasks.json_list import JsonList

Exported = Iterator[ExportedTask | Fault]
Config = Callable[[], LabelingConfig]


def read_export(file: Path, config: Config | None = None) -> Exported:
    """The tasks of an export in order, and in their places the faults of what cannot be used.

    The export is raw JSON (a list, or a task on each line), or best as can be one that tells less: JSON_MIN, CSV, TSV.
    Its rows are one for each annotation; those of a task that follow each other are brought together.

    Args:
        config: Asked for the project's labeling config, which such a lesser export cannot be read without.
    Raises:
        RequestError: The file cannot be read, or a labeling config is needed, or it repeats what such an export runs
            together.
    """
    return _joined(_READERS.get(file.suffix.lower(), _read_no)(file, config))


def _read_no(file: Path, config: Config | None) -> Exported:
    raise RequestError(f"{file}: an export's name ends in {listed(tuple(_READERS))}.")


def _read_table(file: Path, config: Config | None) -> Exported:
    return (_of_cells(file, entry, config) for entry in entries(file))


def _read_list(file: Path, config: Config | None) -> Exported:
    with opened(file) as stream:
        yield from (_entry(file, line, raw, config) for line, raw in JsonList(file, stream))


def _read_lines(file: Path, config: Config | None) -> Exported:
    with opened(file) as stream:
        for line, raw in json_lines(stream):
            yield raw if isinstance(raw, Fault) else _entry(file, line, raw, config)


_READERS: Mapping[str, Callable[[Path, Config | None], Exported]] = {
    ".json": _read_list,
    ".jsonl": _read_lines,
    ".ndjson": _read_lines,
    ".csv": _read_table,
    ".tsv": _read_table,
}


def _joined(exported: Exported) -> Exported:
    """Tasks that follow each other with the same id and data, as one with the annotations of all."""
    held: ExportedTask | None = None
    for entry in exported:
        if held is not None and isinstance(entry, ExportedTask) and _same(held, entry):
            held = replace(held, annotations=held.annotations + entry.annotations)
            continue
        if held is not None:
            yield held
        held = entry if isinstance(entry, ExportedTask) else None
        if isinstance(entry, Fault):
            yield entry
    if held is not None:
        yield held


def _same(one: ExportedTask, other: ExportedTask) -> bool:
    return one.id is not None and (one.id, one.data) == (other.id, other.data)


def _of_cells(file: Path, entry: Row | Fault, config: Config | None) -> ExportedTask | Fault:
    if isinstance(entry, Fault):
        return entry
    return _flat(file, entry.line, entry.task.data, config, table=True)


def _entry(file: Path, line: int, raw: JSON, config: Config | None) -> ExportedTask | Fault:
    if not isinstance(raw, Mapping):
        return Fault(line, "it is no task; an export holds objects.")
    if isinstance(raw.get("data"), Mapping):
        return of_json(line, raw)
    if "annotation_id" not in raw:
        return Fault(line, 'it is no exported task: it has neither an object "data" nor an "annotation_id".')
    return _flat(file, line, raw, config)


def of_json(line: int, raw: Mapping[str, JSON]) -> ExportedTask | Fault:
    """A task that has its data apart, as raw exports and Label Studio's API tell it."""
    if not isinstance(raw.get("data"), Mapping) or not raw["data"]:
        return Fault(line, 'its "data" is empty.', raw["id"] if isinstance(raw.get("id"), int | str) else None)
    task, told, drafts = Task.from_json(raw), raw.get("predictions"), raw.get("drafts")
    whole = [one for one in told if isinstance(one, Mapping)] if isinstance(told, list) else []
    by_id = {one.get("id"): Prediction.from_json(one) for one in whole}
    project = raw.get("project")
    return ExportedTask(
        line=line,
        id=task.id,
        data=task.data,
        annotations=tuple(
            replace(made, shown=by_id[made.parent_prediction].result)
            if made.shown is None and made.parent_prediction in by_id and made.parent_prediction is not None
            else made
            for made in annotations_of(raw)
        ),
        predictions=tuple(map(Prediction.from_json, whole)),
        bare=len(told) - len(whole) if isinstance(told, list) else 0,
        drafts=len(drafts) if isinstance(drafts, list) else 0,
        project=project if type(project) is int else None,
        meta=task.meta,
    )


def _flat(
    file: Path, line: int, row: Mapping[str, JSON], config: Config | None, *, table: bool = False
) -> ExportedTask | Fault:
    if config is None:
        raise RequestError(
            f"{file} holds a row for each annotation (JSON_MIN, CSV or TSV), which cannot be read without the labeling "
            'config of the project. Export it as "JSON".'
        )
    project = config()
    if project.repeats:
        raise RequestError(
            f"{file}: the labeling config repeats its fields (<Repeater>), and exports with a row for each annotation "
            'do not tell of which entry an answer is. Export it as "JSON".'
        )
    task = of_row(line, row, project, table=table)
    return task if task.data else Fault(line, "it has no field of a task.")
