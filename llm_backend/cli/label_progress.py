"""How does a person see how far a dataset is, and what keeps it from going on?"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from llm_backend.cli.wording import plain, time_left
from llm_backend.core.chat import Lane, Usage
from llm_backend.errors import BackendError

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Progress

_LINE_SECONDS = 5.0


class Obstacle:
    """What keeps answers away now. It is told of every request, as a `services.Counts` is.

    Attributes:
        sentence: Why the last request is made once more; empty as soon as one is answered.
    """

    def __init__(self) -> None:
        self.sentence = ""

    def sent(self) -> None:
        """Nothing is known yet."""

    def ended(self, outcome: str, seconds: float) -> None:
        if outcome == "answered":
            self.sentence = ""

    def retried(self, fault: BackendError) -> None:
        self.sentence = plain(fault.sentence)

    def asked(self, lane: Lane, model: str, fault: str, usage: Usage) -> None:
        """Rows that failed are counted elsewhere."""

    def unconfirmed(self, lane: Lane, comparisons: int) -> None:
        """The output tells them, row by row."""


class Shown:
    """The progress as it is shown: a bar where a terminal shows it, else a line now and then."""

    def __init__(self, total: int, obstacle: Obstacle) -> None:
        self._total = total
        self._obstacle = obstacle
        self._began = self._told = time.monotonic()
        self._warned = ""
        self._last: Progress | None = None

    @property
    def line(self) -> str:
        """How far it is, such as `40 of 60 done, 2 failed`."""
        last = self._last
        done, failed = (last.answered, last.failed) if last else (0, 0)
        return f"{done:,} of {self._total:,} done" + (f", {failed:,} failed" if failed else "")

    @contextmanager
    def drawn(self) -> Iterator[Callable[["Progress"], None]]:
        """Where to tell of the progress, again and again."""
        if not sys.stderr.isatty():
            yield self._tell_in_lines
            return
        from rich.console import Console  # only a terminal needs it
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        words = TextColumn("{task.fields[line]}", markup=False), TextColumn("{task.fields[left]}", markup=False)
        with Bars(BarColumn(), *words, console=Console(stderr=True)) as bars:
            bar = bars.add_task("", total=self._total, line=self.line, left="")

            def tell(progress: "Progress") -> None:
                self._last = progress
                done = progress.answered + progress.failed
                bars.update(bar, completed=done, line=self.line, left=self._left(progress))
                # Above the bar, where a long sentence has room, and once: it stays there.
                if self._obstacle.sentence != self._warned and self._due() and (warning := self._warning()):
                    bars.console.print(warning, markup=False, highlight=False)

            yield tell

    def _tell_in_lines(self, progress: "Progress") -> None:
        self._last = progress
        if self._due():
            line = ", ".join(filter(None, (self.line, self._left(progress))))
            click.echo(". ".join(filter(None, (line, self._warning()))), err=True)

    def _due(self) -> bool:
        """Whether it is time to tell again. The first obstacle is told at once: a wrong address does not get better."""
        now = time.monotonic()
        if now - self._told < _LINE_SECONDS and not (self._obstacle.sentence and not self._warned):
            return False
        self._told = now
        return True

    def _warning(self) -> str:
        if not (sentence := self._obstacle.sentence):
            return ""
        self._warned = sentence
        return f"{sentence} Trying again."

    def _left(self, progress: "Progress") -> str:
        """The time that is left at the pace so far; "" while that is not known."""
        left = self._total - progress.answered - progress.failed
        if not progress.asked or not left:
            return ""
        return f"{time_left((time.monotonic() - self._began) * left / progress.asked)} left"
