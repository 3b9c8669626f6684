"""What JSON does the request hold?"""

import json
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from llm_backend.errors import RequestError

T = TypeVar("T")

_AT_ONCE = 2**20
_SPACE = re.compile(r"[ \t\n\r]*")
_decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode


def read_body() -> Any:
    """The request's JSON, whatever its content type says.

    Raises:
        RequestError: It is not JSON.
    """
    return _read(json.loads)


def read_tasks(at_once: int = _AT_ONCE) -> Any:
    """The request's JSON; the list of `tasks` of a large one, if it has one, as `Entries`.

    Args:
        at_once: Bytes that are read at once: some milliseconds, in which no other thread has its turn.
    Raises:
        RequestError: It is not JSON.
    """

    def parse(data: bytes) -> Any:
        if len(data) <= at_once:
            return json.loads(data)
        return _object(data.decode(json.detect_encoding(data), "surrogatepass"))

    return _read(parse)


def _read(parse: Callable[[bytes], T]) -> T:
    try:
        # Not `request.get_json`, which holds on to text and JSON until a batch has been answered.
        return parse(request.get_data(cache=False))
    except RequestEntityTooLarge:
        raise
    except (HTTPException, ValueError, RecursionError) as exc:
        raise RequestError("The body is not JSON.") from exc


class Entries(Sequence[Any]):
    """The entries of a JSON list, each read from its text when it is looked at.

    Fifty thousand small tasks are ten times as large in Python's objects as in JSON. To read them one by one takes
    longer, and lets other threads have their turn in between.
    """

    def __init__(self, text: str, places: "array[int]") -> None:
        self._text = text
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return _decode(self._text, self._places[index])[0]

    def __iter__(self) -> Iterator[Any]:
        return (_decode(self._text, place)[0] for place in self._places)


def _object(text: str) -> Any:
    """What `json.loads` would give, but for the list of tasks."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        return json.loads(text)
    found: dict[str, Any] = {}
    at, more = _first(text, at, "}")
    while more:
        key, at = _decode(text, at)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at : at + 1] != ":":
            raise ValueError("a name and a colon were expected")
        at = _skip(text, at + 1)
        found[key], at = _entries(text, at) if key == "tasks" and text[at : at + 1] == "[" else _decode(text, at)
        at, more = _next(text, at, "}")
    if at < len(text):
        raise ValueError("more follows")
    return found


def _entries(text: str, at: int) -> tuple[Entries, int]:
    """The list that begins here, and where it has ended."""
    places = array("Q")
    at, more = _first(text, at, "]")
    while more:
        places.append(at)
        _, at = _decode(text, at)
        at, more = _next(text, at, "]")
    return Entries(text, places), at


def _first(text: str, at: int, end: str) -> tuple[int, bool]:
    """Where the first item of what opens here begins, and whether there is one; if not, what follows the end."""
    at = _skip(text, at + 1)
    return (_skip(text, at + 1), False) if text[at : at + 1] == end else (at, True)


def _next(text: str, at: int, end: str) -> tuple[int, bool]:
    """The same after an item."""
    at = _skip(text, at)
    mark = text[at : at + 1]
    if mark not in (",", end):
        raise ValueError("a comma was expected")
    return _skip(text, at + 1), mark == ","


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
