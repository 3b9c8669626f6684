"""What does a dataset's file hold? Its rows, one after the other, and those that cannot be used."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeAlias

from llm_backend.core.controls.base import listed
from llm_backend.core.wire import JSON, Task
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks.json_list import JsonList, fault_of
from llm_backend.interchange.tasks.row import Entries, Fault, Row

_FAULTS_TOLD = 20
_DELIMITERS = ",;\t"
_CELL_MOST = 2**31 - 1
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


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


Shape: TypeAlias = Callable[[Row], Row | Fault]
"""Makes of a row the one that is wanted, or says why it cannot be used."""


def survey(file: Path, shape: Shape | None = None) -> Survey:
    """Look through a dataset before anything is asked, so that what is wrong with it is told before it costs anything.

    Args:
        shape: What rows are made into; None for themselves.
    Raises:
        RequestError: It cannot be read at all, or holds no rows.
    """
    found = Survey()
    columns: dict[str, None] = {}
    for entry in _shaped(file, shape):
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


def rows(file: Path, shape: Shape | None = None) -> Iterator[Row]:
    """The rows of a dataset that can be used, in order, read as they are wanted.

    Args:
        shape: What rows are made into; None for themselves.
    Raises:
        RequestError: The file cannot be read.
    """
    return (entry for entry in _shaped(file, shape) if isinstance(entry, Row))


def is_table(file: Path) -> bool:
    """Whether a dataset has a header, which names the fields of every row."""
    return _reader(file) is _table


def _shaped(file: Path, shape: Shape | None) -> Entries:
    every = entries(file)
    return (shape(entry) if isinstance(entry, Row) else entry for entry in every) if shape else every


def entries(file: Path) -> Entries:
    """The rows of a dataset, and in their places the faults of those that cannot be used.

    Raises:
        RequestError: The file cannot be read.
    """
    with opened(file, newline="" if is_table(file) else None) as stream:
        yield from _reader(file)(file, stream)


@contextmanager
def opened(file: Path, newline: str | None = None) -> Iterator[IO[str]]:
    """A file of UTF-8 text, opened to be read.

    Raises:
        RequestError: It cannot be read.
    """
    try:
        with open(file, encoding="utf-8-sig", newline=newline) as stream:
            yield stream
    except UnicodeDecodeError as exc:
        raise RequestError(_not_utf8(file, exc)) from exc
    except OSError as exc:
        raise RequestError(f"{file} cannot be read ({exc.strerror}).") from exc


def _not_utf8(file: Path, exc: UnicodeDecodeError) -> str:
    with open(file, "rb") as stream:
        utf16 = stream.read(2) in _UTF16
        stream.seek(0)
        line = 0 if utf16 else _undecodable(stream)
    found = "is UTF-16" if utf16 else f"line {line:,} is not UTF-8 text ({exc.reason})"
    return f'{file} {found}: save it as UTF-8 (in Excel: "CSV UTF-8"), and try again.'


def _undecodable(stream: IO[bytes]) -> int:
    """The number of the first line that is not UTF-8; in UTF-8 no sign but the line break itself holds its byte."""
    for number, line in enumerate(stream, 1):
        try:
            line.decode()
        except UnicodeDecodeError:
            return number
    return 1  # somebody has mended it meanwhile


def _table(file: Path, stream: IO[str]) -> Entries:
    """The rows of a table whose first line names the columns."""
    csv.field_size_limit(_CELL_MOST)  # texts are longer than the library's caution
    head = next((line for line in iter(stream.readline, "") if line.strip()), "")
    stream.seek(0)
    reader = csv.reader(stream, delimiter=_delimiter(head))
    try:
        header = _header(file, next(filter(None, reader), []))
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
    return (raw if isinstance(raw, Fault) else _entry(number, raw) for number, raw in json_lines(stream))


def json_lines(stream: IO[str]) -> Iterator[tuple[int, JSON | Fault]]:
    """The JSON value on each line that is not blank, with its number; a fault in the place of one that is broken."""
    for number, line in enumerate(stream, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as exc:
                yield number, Fault(number, f"it is not JSON ({fault_of(exc)}).")


def _list(file: Path, stream: IO[str]) -> Entries:
    """The objects of a list, one after the other; or the only one there is."""
    return (_entry(line, raw) for line, raw in JsonList(file, stream))


def _entry(line: int, raw: JSON) -> Row | Fault:
    """A task of Label Studio, or a plain object, which is a task's data."""
    if not isinstance(raw, Mapping):
        return Fault(line, "it is no object; write a task's data as {...}.")
    if not isinstance(raw.get("data"), Mapping):
        return Row(line, Task(None, raw)) if raw else Fault(line, "it is empty.")
    task, meta = Task.from_json(raw), raw.get("meta")
    if not task.data:
        return Fault(line, 'its "data" is empty.')
    return Row(line, Task(task.id, task.data), meta if isinstance(meta, Mapping) else None, raw.get("annotations"))


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
        raise RequestError(f"{file}: a dataset's name ends in {listed(tuple(_READERS))}.") from None


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
