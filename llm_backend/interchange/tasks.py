"""How do tasks enter from a dataset's file, and leave with their predictions?

A file is read row by row and written row by row: of a large one, no more than a few rows are held at a time.
"""

import contextlib
import csv
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

from llm_backend.core.controls.base import Control
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig
from llm_backend.core.wire import JSON, Prediction, Task, TaskId
from llm_backend.errors import InputError, RequestError

_CHUNK = 1 << 16
_FAULTS_TOLD = 20
_DELIMITERS = ",;\t"
_CELL_MOST = 2**31 - 1
_SPACE = re.compile(r"[ \t\r\n]*")  # as JSON knows it
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a dataset that can be used.

    Attributes:
        line: Where it begins, counted from 1.
        meta: What a task of Label Studio says beside its data.
    """

    line: int
    task: Task
    meta: Mapping[str, JSON] | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be used, and why."""

    line: int
    sentence: str


Entries: TypeAlias = Iterator[Row | Fault]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row and what came of it.

    Attributes:
        error: Why there is no prediction; beside one, why some of its fields are empty.
    """

    row: Row
    prediction: Prediction | None
    error: str = ""


@dataclass(slots=True)
class Survey:
    """What a look through a whole dataset has found.

    Attributes:
        columns: The fields of its rows, in order of their first appearance.
        rows: How many can be used.
        skipped: How many cannot; `faults` are the first of them.
        ids: Whether rows have an id.
    """

    columns: tuple[str, ...] = ()
    rows: int = 0
    skipped: int = 0
    faults: list[Fault] = field(default_factory=list)
    ids: bool = False


def survey(file: Path) -> Survey:
    """Look through a dataset before anything is asked, so that what is wrong with it is told before it costs anything.

    Raises:
        RequestError: It cannot be read at all, or holds no rows.
    """
    found = Survey()
    columns: dict[str, None] = {}
    for entry in _entries(file):
        if isinstance(entry, Fault):
            found.skipped += 1
            if len(found.faults) < _FAULTS_TOLD:
                found.faults.append(entry)
        else:
            found.rows += 1
            found.ids |= entry.task.id is not None
            columns.update(dict.fromkeys(entry.task.data))
    found.columns = tuple(columns)
    if not found.rows and not found.skipped:
        raise RequestError(f"{file} holds no rows: there is nothing to label.")
    return found


def rows(file: Path) -> Iterator[Row]:
    """The rows of a dataset that can be used, in order, read as they are wanted.

    Raises:
        RequestError: The file cannot be read.
    """
    return (entry for entry in _entries(file) if isinstance(entry, Row))


def is_table(file: Path) -> bool:
    """Whether a dataset has a header, which names the fields of every row."""
    return _reader(file) is _table


# Reading


def _entries(file: Path) -> Entries:
    try:
        with open(file, encoding="utf-8-sig", newline="" if is_table(file) else None) as stream:
            yield from _reader(file)(file, stream)
    except UnicodeDecodeError as exc:
        raise RequestError(_not_utf8(file, exc)) from exc
    except OSError as exc:
        raise RequestError(f"{file} cannot be read ({exc.strerror}).") from exc


def _not_utf8(file: Path, exc: UnicodeDecodeError) -> str:
    with open(file, "rb") as stream:
        start = stream.read(2)
    found = "is UTF-16" if start in _UTF16 else f"is not UTF-8 text ({exc.reason})"
    return f'{file} {found}: save it as UTF-8 (in Excel: "CSV UTF-8"), and try again.'


def _table(file: Path, stream: IO[str]) -> Entries:
    """The rows of a table whose first line names the columns."""
    csv.field_size_limit(_CELL_MOST)  # texts are longer than the library's caution
    head = stream.readline()
    stream.seek(0)
    reader = csv.reader(stream, delimiter=_delimiter(head))
    try:
        header = _header(file, next(reader, []))
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(header):
                yield Row(line, Task(None, dict(zip(header, cells, strict=True))))
            elif cells:  # an empty line is none
                yield Fault(line, f"it has {_number(len(cells), 'cell')}, the header {_number(len(header), 'column')}.")
            line = reader.line_num + 1  # a cell may hold line breaks
    except csv.Error as exc:
        raise RequestError(f"{file} line {reader.line_num} is not CSV ({exc}).") from exc


def _delimiter(head: str) -> str:
    """What stands between the columns: whatever makes most of them, a comma in doubt."""
    return max(_DELIMITERS, key=lambda sign: len(next(csv.reader([head], delimiter=sign), [])))


def _header(file: Path, header: Sequence[str]) -> Sequence[str]:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        named = ", ".join(f'"{name}"' for name in twice)
        raise RequestError(f"{file}: the header names {named} more than once; give every column a name of its own.")
    return header


def _lines(file: Path, stream: IO[str]) -> Entries:
    """One object on each line."""
    for number, line in enumerate(stream, 1):
        if not line.strip():
            continue
        try:
            raw = json.loads(line)
        except (ValueError, RecursionError) as exc:
            yield Fault(number, f"it is not JSON ({_said(exc)}).")
        else:
            yield _entry(number, raw)


def _list(file: Path, stream: IO[str]) -> Entries:
    """The objects of a list, one after the other; or the only one there is."""
    return (_entry(line, raw) for line, raw in _JsonList(file, stream))


class _JsonList:
    """Reads a JSON list value by value: a list of 100,000 tasks is never in memory as a whole."""

    def __init__(self, file: Path, stream: IO[str]) -> None:
        self._file = file
        self._stream = stream
        self._decode = json.JSONDecoder().raw_decode
        self._text, self._at, self._ended = "", 0, False
        self._line = 1

    def __iter__(self) -> Iterator[tuple[int, JSON]]:
        opened = self._peek()
        if not opened:
            return
        if opened != "[":
            yield self._value("")
            self._end()
            return
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            self._end()
            return
        while True:
            yield self._value(",]")
            self._at += 1
            if self._text[self._at - 1] == "]":
                self._end()
                return

    def _value(self, before: str) -> tuple[int, JSON]:
        """The next value and its line; it is whole once one of `before` follows it (for "", the end)."""
        self._peek()
        line, most = self._line, _CHUNK
        while True:
            try:
                value, end = self._decode(self._text, self._at)
                place = self._after_space(end)
                follows = self._text[place : place + 1]
                if (follows and follows in before) or (self._ended and not follows and not before):
                    self._skip_to(place)
                    return line, value
                if follows or self._ended:
                    raise self._broken(place, "a comma is missing" if before else "something follows its end")
            except (ValueError, RecursionError) as exc:
                if self._ended or isinstance(exc, RecursionError):
                    raise self._broken(getattr(exc, "pos", self._at), _said(exc)) from exc
            self._read_on(most)
            most *= 2  # of a long value, what was tried in vain stays in proportion

    def _end(self) -> None:
        if self._peek():
            raise self._broken(self._at, "something follows its end")

    def _peek(self) -> str:
        """The next sign that is no space; "" at the end."""
        while True:
            self._skip_to(self._after_space(self._at))
            if self._at < len(self._text) or self._ended:
                return self._text[self._at : self._at + 1]
            self._read_on(_CHUNK)

    def _after_space(self, place: int) -> int:
        found = _SPACE.match(self._text, place)
        return found.end() if found else place

    def _skip_to(self, place: int) -> None:
        self._line += self._text.count("\n", self._at, place)
        self._at = place

    def _read_on(self, most: int) -> None:
        more = self._stream.read(most)
        self._ended = not more
        self._text = self._text[self._at :] + more
        self._at = 0

    def _broken(self, place: int, what: str) -> RequestError:
        line = self._line + self._text.count("\n", self._at, place)
        return RequestError(f"{self._file} line {line} is not JSON ({what}).")


def _entry(line: int, raw: JSON) -> Row | Fault:
    """A task of Label Studio, or a plain object, which is a task's data."""
    if not isinstance(raw, Mapping):
        return Fault(line, "it is no object; write a task's data as {...}.")
    if not isinstance(raw.get("data"), Mapping):
        return Row(line, Task(None, raw)) if raw else Fault(line, "it is empty.")
    task, meta = Task.from_json(raw), raw.get("meta")
    if not task.data:
        return Fault(line, 'its "data" is empty.')
    return Row(line, Task(task.id, task.data), meta if isinstance(meta, Mapping) else None)


_READERS: Mapping[str, Callable[[Path, IO[str]], Entries]] = {
    ".csv": _table,
    ".tsv": _table,
    ".jsonl": _lines,
    ".ndjson": _lines,
    ".json": _list,
}


def _reader(file: Path) -> Callable[[Path, IO[str]], Entries]:
    try:
        return _READERS[file.suffix.lower()]
    except KeyError:
        raise RequestError(f"{file}: a dataset's name ends in {_listed(_READERS)}.") from None


# Writing


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
    begun = file.with_name(f"{file.name}.part")
    try:
        try:
            with open(begun, "w", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                writer(stream, labelled, form)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(begun, file)
        except BaseException:
            with contextlib.suppress(OSError):
                begun.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise RequestError(f"{file} cannot be written ({exc.strerror}).") from exc


def require_writable(file: Path) -> None:
    """
    Raises:
        RequestError: The ending of the file's name does not say how it is to be written, or its folder is not there.
    """
    _writer(file)
    if not file.absolute().parent.is_dir():
        raise RequestError(f"{file}: there is no folder {file.parent}; make it first.")
    if file.is_dir():
        raise RequestError(f"{file} is a folder; give a file's name.")


def _write_list(stream: IO[str], labelled: Iterable[Labelled], form: Form) -> None:
    separator = "["
    for one in labelled:
        stream.write(f"{separator}\n{_task_json(one)}")
        separator = ","
    stream.write("[]\n" if separator == "[" else "\n]\n")


def _write_lines(stream: IO[str], labelled: Iterable[Labelled], form: Form) -> None:
    stream.writelines(f"{_task_json(one)}\n" for one in labelled)


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
    names = _distinct(own, [*(control.name for control in form.controls), "model_version", "error"])
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*own, *names])
    for one in labelled:
        task = one.row.task
        data = {"id": task.id, **task.data} if task.id is not None else task.data
        version = one.prediction.model_version if one.prediction else None
        cells = (*(data.get(name) for name in own), *_answers(one, form), version, one.error)
        writer.writerow(map(_cell, cells))


def _distinct(own: Sequence[str], names: Iterable[str]) -> list[str]:
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


def _cell(value: JSON) -> str:
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
        raise RequestError(f"{file}: the name of the output ends in {_listed(_WRITERS)}.") from None


def _listed(endings: Iterable[str]) -> str:
    *first, last = endings
    return f"{', '.join(first)} or {last}"


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _said(exc: Exception) -> str:
    return exc.msg if isinstance(exc, json.JSONDecodeError) else "it is nested too deeply"
