"""How are lines written in the order of their tasks, though they come in any, and are too many to be held?"""

import shutil
import tempfile
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from llm_backend.core.wire import TaskId

_MOST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands in a file before, between and after what is made of its tasks."""

    header: str = ""
    between: str = ""
    footer: str = ""


class Ordered:
    """Writes each task's lines as they come, and puts them in order at the end if they were not.

    Tasks are ordered by their numbers. One without a number stays behind the task that it followed. What is remembered
    of a task takes 16 bytes.
    """

    def __init__(self, stream: IO[bytes], frame: Frame | None = None) -> None:
        """
        Args:
            stream: Can be read as well.
        """
        self._stream = stream
        frame = frame or Frame()
        self._between, self._footer = _encoded(frame.between), _encoded(frame.footer)
        self._numbers = array("q")
        self._ends = array("q", [stream.write(_encoded(frame.header))])

    def write(self, task: TaskId | None, lines: Iterable[str]) -> None:
        """Write a task's lines, each with its line break."""
        known = self._numbers[-1] if self._numbers else 0
        text = (self._between if self._numbers else b"") + _encoded("".join(lines))
        self._numbers.append(task if isinstance(task, int) and 0 <= task <= _MOST else known)
        self._ends.append(self._ends[-1] + self._stream.write(text))

    def finish(self) -> None:
        """Bring the tasks into order, and end the file."""
        if any(number > later for number, later in pairwise(self._numbers)):
            self._order()
        self._stream.write(self._footer)

    def _order(self) -> None:
        with tempfile.TemporaryFile() as unordered:
            self._stream.seek(0)
            shutil.copyfileobj(self._stream, unordered)
            self._stream.seek(self._ends[0])
            for place, index in enumerate(sorted(range(len(self._numbers)), key=self._numbers.__getitem__)):
                start = self._ends[index] + (len(self._between) if index else 0)
                unordered.seek(start)
                self._stream.write((self._between if place else b"") + unordered.read(self._ends[index + 1] - start))


def _encoded(text: str) -> bytes:
    """The text in UTF-8; halves of characters, which no reader of the file would take, become question marks."""
    return text.encode("utf-8", "replace")
