"""How are rows written with their predictions: as tasks to import, or as a table?"""

import csv
import io
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from llm_backend.core.controls.base import Control, listed
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig
from llm_backend.core.wire import JSON, TaskId
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.replacing import replacing, require_folder
from llm_backend.interchange.tasks.row import Labelled


@dataclass(frozen=True, slots=True)
class Form:
    """What a table's columns are made of.

    Attributes:
        columns: The dataset's own.
        ids: Whether its rows have an id, which gets a column.
    """

    config: LabelingConfig
    controls: Sequence[Control]
    columns: Sequence[str]
    ids: bool = False


def write(file: Path, labelled: Iterable[Labelled], form: Form) -> None:
    """Write rows with their predictions, in order. The file is there when it is whole; until then an older one stays.

    Raises:
        RequestError: It cannot be written.
    """
    writer = _writer(file)
    _whole(file, lambda stream: writer(stream, labelled, form))


def write_tasks(file: Path, tasks: Iterable[Mapping[str, JSON]]) -> None:
    """Write tasks to import, as a list or (.jsonl, .ndjson) one per line. The file is there when it is whole, as with
    `write`.

    Raises:
        RequestError: It cannot be written.
    """
    told = (json.dumps(task, ensure_ascii=False) for task in tasks)
    in_lines = file.suffix.lower() in (".jsonl", ".ndjson")
    _whole(file, lambda stream: (_lines if in_lines else _list)(stream, told))


def write_rows(file: Path, rows: Iterable[Mapping[str, JSON]], columns: Sequence[str]) -> None:
    """Write plain objects, as a list, one per line (.jsonl), or as a table. The file is there when it is whole.

    Args:
        columns: Of the table.
    Raises:
        RequestError: It cannot be written.
    """
    if file.suffix.lower() == ".csv":
        _whole(file, lambda stream: stream.writelines(table_lines(rows, columns)))
    else:
        write_tasks(file, rows)


def table_lines(rows: Iterable[Mapping[str, JSON]], columns: Sequence[str]) -> Iterator[str]:
    """The lines of a table with a header."""
    every = itertools.chain([list(columns)], ([cell(row.get(name)) for name in columns] for row in rows))
    return map(_line, every)


def object_lines(rows: Iterable[Mapping[str, JSON]]) -> Iterator[str]:
    """An object on each line."""
    return (f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def _whole(file: Path, fill: Callable[[IO[str]], None]) -> None:
    with replacing(file) as raw:
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
        fill(stream)
        stream.detach()  # flushed, and still open


def require_writable(file: Path) -> None:
    """
    Raises:
        RequestError: The ending of the file's name does not say how it is to be written, or its folder is not there.
    """
    _writer(file)
    require_folder(file)


def _write_list(stream: IO[str], labelled: Iterable[Labelled], form: Form) -> None:
    _list(stream, map(_task_json, labelled))


def _write_lines(stream: IO[str], labelled: Iterable[Labelled], form: Form) -> None:
    _lines(stream, map(_task_json, labelled))


def list_parts(rows: Iterable[Mapping[str, JSON]]) -> Iterator[str]:
    """A list of objects, piece by piece."""
    return _listed(json.dumps(row, ensure_ascii=False) for row in rows)


def _list(stream: IO[str], told: Iterable[str]) -> None:
    stream.writelines(_listed(told))


def _listed(told: Iterable[str]) -> Iterator[str]:
    separator = "["
    for one in told:
        yield f"{separator}\n{one}"
        separator = ","
    yield "[]\n" if separator == "[" else "\n]\n"


def _lines(stream: IO[str], told: Iterable[str]) -> None:
    stream.writelines(f"{one}\n" for one in told)


def _task_json(labelled: Labelled) -> str:
    """A task as Label Studio imports it. What it does not know, `error`, it passes over."""
    task, meta = labelled.row.task, labelled.row.meta
    raw: dict[str, JSON] = {} if task.id is None else {"id": task.id}
    raw["data"] = dict(task.data)
    if meta is not None:
        raw["meta"] = dict(meta)
    raw["predictions"] = [labelled.prediction.to_json()] if labelled.prediction else []
    if labelled.error:
        raw["error"] = labelled.error
    return json.dumps(raw, ensure_ascii=False)


def _write_table(stream: IO[str], labelled: Iterable[Labelled], form: Form) -> None:
    own = [*(["id"] if form.ids and "id" not in form.columns else []), *form.columns]
    names = distinct(own, [*(control.name for control in form.controls), "model_version", "error"])
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*own, *names])
    for one in labelled:
        task = one.row.task
        data = {"id": task.id, **task.data} if task.id is not None else task.data
        version = one.prediction.model_version if one.prediction else None
        cells = (*(data.get(name) for name in own), *_answers(one, form), version, one.error)
        writer.writerow(map(cell, cells))


def distinct(own: Sequence[str], names: Iterable[str]) -> list[str]:
    """Names for our columns that the dataset's own do not have: `tone` becomes `predicted_tone` beside a `tone`."""
    made: list[str] = []
    for name in names:
        while name in own or name in made:
            name = f"predicted_{name}"  # noqa: PLW2901 (until it is one of its own)
        made.append(name)
    return made


def _answers(labelled: Labelled, form: Form) -> Iterator[JSON]:
    """The answer of each control, in the words that the model may use."""
    if labelled.prediction is None:
        return itertools.repeat(None, len(form.controls))
    inputs = _inputs(form.config, labelled.row.task.data, labelled.row.task.id)
    result = labelled.prediction.result
    return (control.encode(result, inputs) for control in form.controls)


def _inputs(config: LabelingConfig, data: Mapping[str, JSON], task: TaskId | None) -> Inputs:
    try:
        return read(config, data, task)
    except InputError:  # it was asked, so it could be read; were it not, what its regions say themselves is enough
        return Inputs((), data)


def cell(value: JSON) -> str:
    """A value as a table holds it: a text as it is, all else as JSON, and nothing where there is none."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_WRITERS: Mapping[str, Callable[[IO[str], Iterable[Labelled], Form], None]] = {
    ".json": _write_list,
    ".jsonl": _write_lines,
    ".csv": _write_table,
}


def _writer(file: Path) -> Callable[[IO[str], Iterable[Labelled], Form], None]:
    try:
        return _WRITERS[file.suffix.lower()]
    except KeyError:
        raise RequestError(f"{file}: the name of the output ends in {listed(tuple(_WRITERS))}.") from None
