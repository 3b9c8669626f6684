"""What does a project of Label Studio hold: how is it labelled, and what did people and models make of its tasks?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_backend.adapters.host.session import Host, HostError, api_object
from llm_backend.core.wire import JSON

_AT_ONCE = 50
_MOST_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of a project's tasks, whole, with their annotations and predictions, and how many there are in all."""

    tasks: Sequence[Mapping[str, JSON]]
    total: int


async def label_config(host: Host, project: int) -> str:
    """A project's labeling config.

    Raises:
        HostError: There is no such project, or this key's user may not see it.
    """
    found = api_object(await host.get(f"/api/projects/{project}/"), "the project")
    return str(found.get("label_config") or "")


async def task_page(host: Host, project: int, page: int) -> TaskPage:
    """A page of a project's tasks, counted from 1; past the last one it is empty.

    Raises:
        HostError: Label Studio cannot be asked now.
    """
    # `review` keeps the host from asking its backend for predictions on the way, which would be us.
    path = f"/api/tasks?project={project}&fields=all&review=true&page_size={_AT_ONCE}&page={page}"
    try:
        found = api_object(await host.get(path, _MOST_BYTES), "/api/tasks")
    except HostError as exc:
        if exc.answered == 404 and page > 1:
            return TaskPage((), 0)
        raise
    tasks = found.get("tasks")
    shown = [task for task in tasks if isinstance(task, Mapping)] if isinstance(tasks, list) else []
    return TaskPage(shown, int(found.get("total") or 0))
