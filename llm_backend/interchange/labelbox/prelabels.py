"""Which lines of an NDJSON file of labels are about a row? The file is gone through once; only places are held."""

import json
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
        self._places: dict[str, list[tuple[int, int]]] = {}
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
        """The lines of a row, each with its number; they are not given again."""
        places = [place for name in (f"globalKey {key}", f"id {ident}") for place in self._places.pop(name, ())]
        for number, start in sorted(places):
            self._stream.seek(start)
            yield number, json.loads(self._stream.readline())

    def left(self) -> Iterator[Fault]:
        """The lines whose row did not come."""
        for name, places in self._places.items():
            yield from (Fault(number, f"no row that could be used has the {name}.") for number, _ in places)

    def _look_through(self) -> None:
        start = 0
        for number, line in enumerate(self._stream, 1):
            if line.strip():
                try:
                    self._places.setdefault(_row_of(line), []).append((number, start))
                except RequestError as exc:
                    self.faults.append(Fault(number, exc.sentence))
            start += len(line)


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
