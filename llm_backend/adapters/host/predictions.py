"""Which tasks of Label Studio have a prediction of this version, and how does one get there?"""

import json
from collections.abc import Collection, Mapping
from urllib.parse import quote

from llm_backend.adapters.host.session import Host, api_object
from llm_backend.core.wire import JSON

MOST_ASKED = 250
"""Tasks that one question names: its address holds their ids, and some servers take none over 4 kB."""

_PAGES = 50
# A slice of predictions is stored in a second or so; a large project on a busy host takes longer, and what was given up
# too early would be stored twice.
_IMPORT_SECONDS = 120.0


async def created_at(host: Host, project: int) -> str:
    """When a project was made, as Label Studio writes it.

    Raises:
        HostError: There is no such project, or this key's user may not see it.
    """
    found = api_object(await host.get(f"/api/projects/{project}/"), "the project")
    return str(found.get("created_at") or "")


async def tasks_with(host: Host, project: int, version: str, tasks: Collection[int]) -> set[int]:
    """Which of these tasks have a prediction of this version.

    Raises:
        HostError: Label Studio cannot be asked now.
    """
    shown = {
        "filter": "filter:tasks:predictions_model_versions",
        "operator": "contains",
        "type": "List",
        "value": [version],
    }
    return await _tasks(host, project, tasks, [shown])


async def tasks_there(host: Host, project: int, tasks: Collection[int]) -> set[int]:
    """Which of these tasks have not been deleted.

    Raises:
        HostError: Label Studio cannot be asked now.
    """
    return await _tasks(host, project, tasks, [])


async def import_predictions(host: Host, project: int, predictions: Collection[Mapping[str, JSON]]) -> int:
    """Store many predictions at once; each names its `task`.

    Returns:
        How many were stored: what does not pass the host's checker is left out without a word.

    Raises:
        HostError: With `answered` 400: one of the tasks does not exist, or the host is strict about what it takes.
    """
    path = f"/api/projects/{project}/import/predictions"
    created = api_object(await host.post(path, list(predictions), _IMPORT_SECONDS), path).get("created")
    return created if isinstance(created, int) else 0


async def store_prediction(host: Host, prediction: Mapping[str, JSON]) -> None:
    """Store one prediction. The host takes shapes here that its import refuses.

    Raises:
        HostError: With `answered` 400: its task does not exist, or the host is strict about what it takes.
    """
    await host.post("/api/predictions/", prediction)


async def _tasks(host: Host, project: int, tasks: Collection[int], filters: list[JSON]) -> set[int]:
    wanted = sorted(set(tasks))
    found: set[int] = set()
    for start in range(0, len(wanted), MOST_ASKED):
        found |= await _asked(host, project, wanted[start : start + MOST_ASKED], filters)
    return found


async def _asked(host: Host, project: int, tasks: list[int], filters: list[JSON]) -> set[int]:
    """Ask for the ids of tasks, in pages: a host may hand out fewer at once than it is asked for."""
    told = {
        "filters": {"conjunction": "and", "items": filters},
        "selectedItems": {"all": False, "included": tasks},
        "ordering": ["tasks:id"],
    }
    # The host decodes percent signs twice, so that none may be left in the text.
    query = quote(json.dumps(told, separators=(",", ":")).replace("%", "\\u0025"), safe=",:")
    # `include` leaves the tasks' data out, and `review` keeps the host from asking its backend for predictions on the
    # way, which would be us.
    path = f"/api/tasks?project={project}&include=id&review=true&page_size={len(tasks)}&query={query}"
    found: set[int] = set()
    for page in range(1, _PAGES + 1):
        answer = api_object(await host.get(f"{path}&page={page}"), "/api/tasks")
        shown = {task["id"] for task in answer.get("tasks") or () if isinstance(task, Mapping) and "id" in task}
        found |= shown
        if not shown or len(found) >= int(answer.get("total") or 0):
            break
    return found & set(tasks)
