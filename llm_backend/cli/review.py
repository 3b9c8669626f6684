"""What does a person say of the judge's labels? Some rows in the terminal, before all the others are labelled."""

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.wording import plain
from llm_backend.core.inputs import as_text
from llm_backend.core.judge import Rubric, Verdict, reworded
from llm_backend.core.review import Candidate, informative
from llm_backend.core.wire import Prediction, Task
from llm_backend.errors import KeyRefused, RequestError

if TYPE_CHECKING:
    from llm_backend.services import Services

_SHOWN = 1_500
_IN_TABLE = 60
_QUIT, _BACK, _CRITERION = "/quit", "/back", "/criterion"


@dataclass(frozen=True, slots=True)
class Looked:
    """A row to be looked at.

    Attributes:
        judge: What the judge says of it now, by its `prediction`.
    """

    name: str
    task: Task
    judge: Verdict
    prediction: Prediction


class _Stopped(Exception):
    """The person wants to go on another time."""


class _Changed(Exception):
    """The person has changed the criterion."""

    def __init__(self, rubric: Rubric) -> None:
        super().__init__()
        self.rubric = rubric


class Review:
    """Shows rows with the judge's labels, one by one, and takes a person's word; what was said is kept at once."""

    def __init__(
        self,
        services: "Services",
        project: str,
        tasks: Sequence[Task],
        most: int,
        obstacle: Obstacle,
        keep: Callable[[str], None],
    ) -> None:
        """
        Args:
            tasks: Rows that differ, of which `most` are shown.
            keep: Is given the text of a criterion that was changed.
        """
        self._services = services
        self._judging = services.backend.judging
        self._project = project
        self._tasks = tasks
        self._most = most
        self._obstacle = obstacle
        self._keep = keep

    def ended(self, rubric: Rubric) -> Rubric | None:
        """Review until the person is content; returns the rubric then, or None where they stop before.

        Raises:
            KeyRefused: The judge cannot be asked.
        """
        wanted = min(self._most, len(self._tasks))
        if self._judging.review_counts(self._project) >= wanted:
            return rubric
        while True:
            try:
                self._round(rubric, self._judged(rubric))
            except _Changed as changed:
                rubric = changed.rubric
                self._keep(rubric.criterion.text)
            except (_Stopped, click.Abort, KeyboardInterrupt):
                click.echo("")
                return None
            else:
                self._judging.end_review(self._project)
                return rubric

    def _judged(self, rubric: Rubric) -> list[Looked]:
        return looked_at(self._services, self._project, rubric, self._tasks, self._most, self._obstacle)

    def _round(self, rubric: Rubric, rows: Sequence[Looked]) -> None:
        """Every row once, then all of them together, until the person is content."""
        if not rows:
            click.echo("None of the rows that were to be reviewed could be judged; the output tells why.")
            return
        said = self._judging.reviewed(self._project, rubric)
        at = 0
        while at < len(rows):
            if rows[at].name in said:
                at += 1
                continue
            if self._look_at(rubric, rows, at):
                said = self._judging.reviewed(self._project, rubric)
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
            self._judging.review(self._project, rubric, row.task, Verdict(label, why))
            return True

    def _all(self, rubric: Rubric, rows: Sequence[Looked]) -> int | None:
        """Show all rows with both labels; returns the one to look at again, or None where all is well."""
        said = self._judging.reviewed(self._project, rubric)
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


def looked_at(
    services: "Services", project: str, rubric: Rubric, tasks: Sequence[Task], most: int, obstacle: Obstacle
) -> list[Looked]:
    """The rows to look at, as the judge labels them now; those that were looked at stay among them.

    Args:
        tasks: Rows that differ, of which `most` are chosen.
    Raises:
        KeyRefused: The judge cannot be asked.
    """
    from llm_backend.backend.datasets import row_digest

    judging = services.backend.judging
    dataset = judging.open(project, rubric)
    tasks = [rubric.task(task.data) for task in tasks]
    with Shown(len(tasks), obstacle).drawn() as tell:
        progress = services.loop.run(dataset.ask(tasks, tell))
    if progress.halted:
        raise KeyRefused(progress.halted)
    rows = {
        row_digest(task): Looked(row_digest(task), task, verdict, answer.prediction)
        for task, answer in zip(tasks, dataset.answers(tasks), strict=True)
        if answer.prediction is not None and (verdict := rubric.verdict(answer.prediction)) is not None
    }
    earlier = [name for name in judging.reviewed(project, rubric) if name in rows]
    chosen = informative([Candidate(row.name, row.judge.label, row.judge.score) for row in rows.values()], most)
    names = dict.fromkeys((*earlier, *(one.name for one in chosen)))
    return [rows[name] for name in names][: max(most, len(earlier))]


def _cut(text: str, most: int) -> str:
    text = plain(text)
    return text if len(text) <= most else f"{text[:most]} …"
