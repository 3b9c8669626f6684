"""Which lines of an NDJSON file of labels are about a row?

The file is gone through once. Of each line its number, its place and a hash of its row's name are held, 33 bytes.
"""

import json
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import Fault


class Prelabels:
    """The lines of a file, to be had by the global key or the id of their row. A context manager."""

    def __init__(self, file: Path) -> None:
        """
        Raises:
            RequestError: The file cannot be read.
        """
        self.file = file
        self._numbers, self._starts, self._hashes = array("q"), array("q"), array("q")
        self.faults: list[Fault] = []
        try:
            self._stream: IO[bytes] = open(file, "rb")  # noqa: SIM115 (closed by `__exit__`)
        except OSError as exc:
            raise RequestError(f"{file} cannot be read ({exc.strerror}).") from exc
        self._look_through()

    def __enter__(self) -> "Prelabels":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def take(self, key: str, ident: str) -> Iterator[tuple[int, Mapping[str, JSON]]]:
        """The lines of a row, each with its number; they do not count as left."""
        found = [index for name in (f"globalKey {key}", f"id {ident}") for index in self._about(name)]
        for index in sorted(found):
            self._taken[index] = 1
            yield self._numbers[index], json.loads(self._line(index))

    def left(self) -> Iterator[Fault]:
        """The lines whose row did not come."""
        for index, taken in enumerate(self._taken):
            if not taken:
                name = _row_of(self._line(index))
                yield Fault(self._numbers[index], f"no row that could be used has the {name}.")

    def _look_through(self) -> None:
        start = 0
        for number, line in enumerate(self._stream, 1):
            if line.strip():
                try:
                    self._hashes.append(hash(_row_of(line)))
                    self._numbers.append(number)
                    self._starts.append(start)
                except RequestError as exc:
                    self.faults.append(Fault(number, exc.sentence))
            start += len(line)
        self._taken = bytearray(len(self._hashes))
        self._order = array("q", sorted(range(len(self._hashes)), key=self._hashes.__getitem__))

    def _about(self, name: str) -> Iterator[int]:
        """The lines about a row, as indices."""
        at = bisect_left(self._order, hash(name), key=self._hashes.__getitem__)
        while at < len(self._order) and self._hashes[index := self._order[at]] == hash(name):
            if _row_of(self._line(index)) == name:
                yield index
            at += 1

    def _line(self, index: int) -> bytes:
        self._stream.seek(self._starts[index])
        return self._stream.readline()


def _row_of(line: bytes) -> str:
    try:
        raw = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise RequestError(f"it is not JSON ({getattr(exc, 'msg', 'it is not UTF-8, or nested too deeply')}).") from exc
    row = raw.get("dataRow") if isinstance(raw, Mapping) else None
    for key in ("globalKey", "id"):
        if isinstance(row, Mapping) and isinstance(row.get(key), str) and row[key]:
            return f"{key} {row[key]}"
    raise RequestError('it does not say which row it is about: "dataRow" must hold a "globalKey" or an "id".')
