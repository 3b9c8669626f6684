"""What does a person say of the judge's labels? Some rows in the terminal, before all the others are labelled."""

import shutil
import sys
from collections.abc import Callable, Sequence

import click

from llm_backend.cli.sample import Looked, Sample
from llm_backend.cli.wording import plain
from llm_backend.core.inputs import as_text
from llm_backend.core.judge import Rubric, Verdict, reworded
from llm_backend.errors import RequestError

_SHOWN = 1_500
_IN_TABLE = 60
_QUIT, _BACK, _CRITERION = "/quit", "/back", "/criterion"


class _Stopped(Exception):
    """The person wants to go on another time."""


class _Changed(Exception):
    """The person has changed the criterion."""

    def __init__(self, rubric: Rubric) -> None:
        super().__init__()
        self.rubric = rubric


class Review:
    """Shows rows with the judge's labels, one by one, and takes a person's word; what was said is kept at once."""

    def __init__(self, sample: Sample, keep: Callable[[str], None]) -> None:
        """
        Args:
            keep: Is given the text of a criterion that was changed.
        """
        self._sample = sample
        self._keep = keep

    def ended(self, rubric: Rubric) -> Rubric | None:
        """Review until the person is content; returns the rubric then, or None where they stop before.

        Raises:
            KeyRefused: The judge cannot be asked.
        """
        if self._sample.over:
            return rubric
        while True:
            try:
                self._round(rubric, self._sample.judged(rubric))
            except _Changed as changed:
                rubric = changed.rubric
                self._keep(rubric.criterion.text)
            except (_Stopped, click.Abort, KeyboardInterrupt):
                click.echo("")
                return None
            else:
                self._sample.end()
                return rubric

    def _round(self, rubric: Rubric, rows: Sequence[Looked]) -> None:
        """Every row once, then all of them together, until the person is content."""
        if not rows:
            click.echo("None of the rows that were to be reviewed could be judged; the output tells why.")
            return
        said = self._sample.said(rubric)
        at = 0
        while at < len(rows):
            if rows[at].name in said:
                at += 1
                continue
            if self._look_at(rubric, rows, at):
                said = self._sample.said(rubric)
                at += 1
            elif at:
                at -= 1
                said.pop(rows[at].name, None)
        while (choice := self._all(rubric, rows)) is not None:
            self._look_at(rubric, rows, choice)

    def _look_at(self, rubric: Rubric, rows: Sequence[Looked], at: int) -> bool:
        """Have a person label a row; False where they want the one before."""
        row = rows[at]
        click.echo(f"\n{at + 1} of {len(rows)}")
        for name in rubric.columns.values():
            click.echo(f"  {name}: {_cut(as_text(row.task.data.get(name)), _SHOWN)}")
        sure = "" if row.judge.score is None else f" (sure: {row.judge.score:.2f})"
        click.echo(f"  Judge: {row.judge.label}{sure}. {_cut(row.judge.explanation, _SHOWN)}")
        labels = ", ".join(rubric.labels)
        while True:
            word = click.prompt(
                f"  Enter: right; or {labels}; {_BACK}, {_CRITERION}, {_QUIT}", default="", show_default=False
            ).strip()
            if word == _BACK:
                return False
            self._obey(word, rubric)
            try:
                label = rubric.read_label(word) if word else row.judge.label
            except RequestError as exc:
                click.echo(f"  {exc.sentence}.")
                continue
            why = row.judge.explanation
            if label != row.judge.label:
                why = click.prompt("  Why (Enter: say nothing)", default="", show_default=False).strip()
            self._sample.take(rubric, row.task, Verdict(label, why))
            return True

    def _all(self, rubric: Rubric, rows: Sequence[Looked]) -> int | None:
        """Show all rows with both labels; returns the one to look at again, or None where all is well."""
        said = self._sample.said(rubric)
        click.echo("\n     judge  you")
        agreeing = 0
        for number, row in enumerate(rows, 1):
            yours = said[row.name].label
            agreeing += yours == row.judge.label
            mark = " " if yours == row.judge.label else "*"
            words = " | ".join(_cut(as_text(row.task.data.get(name)), _IN_TABLE) for name in rubric.columns.values())
            width = shutil.get_terminal_size().columns
            click.echo(f"{number:3}  {row.judge.label:5}  {yours:5}{mark} {words}"[: max(width - 1, 60)])
        click.echo(f"You and the judge agree on {agreeing} of {len(rows)}.")
        while True:
            word = click.prompt(
                f"Enter: label the whole dataset; a number: look at that row again; {_CRITERION}, {_QUIT}",
                default="",
                show_default=False,
            ).strip()
            self._obey(word, rubric)
            if not word:
                return None
            if word.isdecimal() and 1 <= int(word) <= len(rows):
                return int(word) - 1
            click.echo(f"There is no row {plain(word)}.")

    def _obey(self, word: str, rubric: Rubric) -> None:
        if word == _QUIT:
            raise _Stopped
        if word != _CRITERION:
            return
        before = rubric.criterion.text
        text = (
            click.edit(before, extension=".txt") if sys.stdin.isatty() else click.prompt("The criterion, in one line")
        )
        try:
            if text is not None and text.strip() != before:
                raise _Changed(reworded(rubric, text))
        except RequestError as exc:
            click.echo(exc.sentence)


def _cut(text: str, most: int) -> str:
    text = plain(text)
    return text if len(text) <= most else f"{text[:most]} …"
