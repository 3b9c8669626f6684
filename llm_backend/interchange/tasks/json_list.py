"""How is a long JSON list read value by value?"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError

_CHUNK = 1 << 16
_SPACE = re.compile(r"[ \t\r\n]*")  # as JSON knows it


class JsonList:
    """Reads a JSON list value by value: a list of 100,000 tasks is never in memory as a whole.

    Iterating gives each value with the line on which it begins. A text that is no list counts as its only value.

    Raises:
        RequestError: It is not JSON; the sentence names the line.
    """

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
                    raise self._broken(getattr(exc, "pos", self._at), fault_of(exc)) from exc
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


def fault_of(exc: Exception) -> str:
    """What is wrong with a JSON text, by what reading it raised (`ValueError`, `RecursionError`)."""
    return exc.msg if isinstance(exc, json.JSONDecodeError) else "it is nested too deeply"
