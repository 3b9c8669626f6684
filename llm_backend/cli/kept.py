"""What does a running server keep back, so that people are not swayed? Asked of it, some tasks at a time."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace
from urllib.parse import quote

from llm_backend.cli.calling import Server
from llm_backend.core.wire import JSON, Prediction, TaskId
from llm_backend.interchange.exports import ExportedTask

_AT_ONCE = 200
_PATIENCE = 120.0


def with_kept(
    server: Server, project: str, tasks: Iterable[ExportedTask], blind: set[TaskId]
) -> Iterator[ExportedTask]:
    """The tasks with the answers that the server keeps of them besides those that Label Studio has.

    Args:
        project: Its number or key; "" for the one that the tasks name, or the only one.
        blind: Takes the ids of the tasks whose answers people are not shown, before they are yielded.
    Raises:
        BackendError: The server cannot be asked, or it cannot be told which project is meant.
    """
    key = ""
    rest = iter(tasks)
    while some := list(itertools.islice(rest, _AT_ONCE)):
        if not key:
            key = server.project(project or str(some[0].project or ""))
        body = {"tasks": [{"id": task.id, "data": task.data} for task in some]}
        path = f"projects/{quote(key, safe='')}/kept"
        answers = server.ask(path, "answers", "POST", body, patience=_PATIENCE)["answers"]
        for task, answer in zip(some, answers, strict=True):
            if answer["blind"] and task.id is not None:
                blind.add(task.id)
            yield _with(task, answer["prediction"])


def _with(task: ExportedTask, told: JSON) -> ExportedTask:
    """The task with one more prediction, unless Label Studio has one of that version."""
    if told is None:
        return task
    kept = Prediction.from_json(told)
    if any(one.model_version == kept.model_version for one in task.predictions):
        return task
    return replace(task, predictions=(*task.predictions, kept))
