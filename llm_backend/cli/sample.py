"""Which rows does a person look at before a dataset is judged, and what have they said of them?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.core.judge import Rubric, Verdict
from llm_backend.core.review import Candidate, informative
from llm_backend.core.wire import Prediction, Task
from llm_backend.errors import KeyRefused

if TYPE_CHECKING:
    from llm_backend.services import Services


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


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows that a person is to look at.

    Attributes:
        project: The dataset's own.
        tasks: Rows that differ, of which `most` are chosen.
    """

    services: "Services"
    project: str
    tasks: Sequence[Task]
    most: int
    obstacle: Obstacle

    @property
    def over(self) -> bool:
        """Whether so many were looked at in a review that has ended."""
        return self.services.backend.judging.review_counts(self.project) >= min(self.most, len(self.tasks))

    def judged(self, rubric: Rubric) -> list[Looked]:
        """The rows, as the judge labels them now; those that were looked at stay among them.

        Raises:
            KeyRefused: The judge cannot be asked.
        """
        from llm_backend.backend.datasets import row_digest

        dataset = self.services.backend.judging.open(self.project, rubric)
        tasks = [rubric.task(task.data) for task in self.tasks]
        with Shown(len(tasks), self.obstacle).drawn() as tell:
            progress = self.services.loop.run(dataset.ask(tasks, tell))
        if progress.halted:
            raise KeyRefused(progress.halted)
        rows = {
            row_digest(task): Looked(row_digest(task), task, verdict, answer.prediction)
            for task, answer in zip(tasks, dataset.answers(tasks), strict=True)
            if answer.prediction is not None and (verdict := rubric.verdict(answer.prediction)) is not None
        }
        earlier = [name for name in self.said(rubric) if name in rows]
        chosen = informative(
            [Candidate(row.name, row.judge.label, row.judge.score) for row in rows.values()], self.most
        )
        names = dict.fromkeys((*earlier, *(one.name for one in chosen)))
        return [rows[name] for name in names][: max(self.most, len(earlier))]

    def said(self, rubric: Rubric) -> dict[str, Verdict]:
        """What people said so far, by the rows' names."""
        return self.services.backend.judging.reviewed(self.project, rubric)

    def take(self, rubric: Rubric, task: Task, verdict: Verdict) -> None:
        """Take a person's word on a row."""
        self.services.backend.judging.review(self.project, rubric, task, verdict)

    def end(self) -> None:
        """Let questions go by what was said."""
        self.services.backend.judging.end_review(self.project)
