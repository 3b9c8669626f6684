"""What do people say of the judge's labels, in Label Studio? Some rows become a project, each with its label."""

import json
from dataclasses import replace
from pathlib import Path

import click

from llm_backend.cli.projects import Project
from llm_backend.cli.sample import Looked, Sample
from llm_backend.cli.wording import plain
from llm_backend.core.judge import Rubric, Verdict
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask
from llm_backend.settings import Settings

_TITLE_MOST = 50  # what Label Studio takes


class ReviewThere:
    """Has rows reviewed in Label Studio: makes the project, and reads later what people made of it."""

    def __init__(self, sample: Sample, settings: Settings, note: Path) -> None:
        """
        Args:
            settings: Say where Label Studio is, and the key.
            note: The file that remembers the project there.
        """
        self._sample = sample
        self._settings = settings
        self._note = note

    def ended(self, rubric: Rubric) -> Rubric | None:
        """The rubric, if people have labelled the rows; else None, and where they wait is told.

        Raises:
            HostError: Label Studio does not take the project, or cannot be asked.
            RequestError: A label there is none of those to choose from.
        """
        if self._sample.over:
            return rubric
        noted = self._noted()
        if noted is None:
            self._make(rubric)
            return None
        number, wanted = noted
        self._take(rubric, number)
        wanted = min(wanted, self._sample.most)
        done = len(self._sample.said(rubric))
        if done < wanted:
            click.echo(f"{done} of {wanted} rows are labelled at {self._at(number)}.", err=True)
            return None
        self._sample.end()
        return rubric

    def _make(self, rubric: Rubric) -> None:
        from llm_backend.adapters.host.tasks import create_project, import_tasks

        rows = self._sample.judged(rubric)
        if not rows:
            raise RequestError("None of the rows that were to be reviewed could be judged: --review 0 tells why.")
        title = f"Review: {rubric.criterion.name or plain(rubric.criterion.text)}"[:_TITLE_MOST]
        told = [_task(row) for row in rows]

        async def make() -> int:
            from llm_backend.adapters.host import Host

            host = Host(self._settings.label_studio_url, self._settings.label_studio_api_key)
            try:
                number = await create_project(host, title, rubric.label_config)
                await import_tasks(host, number, told)
            finally:
                await host.close()
            return number

        number = self._sample.services.loop.run(make())
        told_of = {"url": self._settings.label_studio_url, "project": number, "rows": len(rows)}
        self._note.write_text(json.dumps(told_of), "utf-8")
        click.echo(f"{len(rows)} rows wait to be labelled at {self._at(number)}.", err=True)

    def _take(self, rubric: Rubric, number: int) -> None:
        """Take in what people made of the rows."""
        with Project(self._settings, number) as project:
            for task in project.tasks():
                if isinstance(task, ExportedTask) and (verdict := _said(rubric, task)) is not None:
                    self._sample.take(rubric, rubric.task(task.data), verdict)

    def _at(self, number: int) -> str:
        return f"{self._settings.label_studio_url.rstrip('/')}/projects/{number}/data"

    def _noted(self) -> tuple[int, int] | None:
        """The project there and how many rows it has; None if there is none yet, or elsewhere."""
        try:
            told = json.loads(self._note.read_text("utf-8"))
        except FileNotFoundError:
            return None
        here = told["url"] == self._settings.label_studio_url
        return (int(told["project"]), int(told["rows"])) if here else None


def _task(row: Looked) -> dict[str, JSON]:
    """A task to import, with what the judge says of it."""
    prediction = {**row.prediction.to_json(), "score": row.judge.score}
    return {"data": dict(row.task.data), "predictions": [prediction]}


def _said(rubric: Rubric, task: ExportedTask) -> Verdict | None:
    """What people say of a row; reasons that the judge gave for another label are none."""
    verdict = rubric.given({}, task.annotations)
    judge = rubric.verdict(task.predictions[0]) if task.predictions else None
    if verdict is None or judge is None or judge.explanation != verdict.explanation:
        return verdict
    return verdict if judge.label == verdict.label else replace(verdict, explanation="")
