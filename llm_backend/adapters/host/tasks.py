"""How do tasks get into a project of Label Studio, and into a new one?"""

import json
from collections.abc import Mapping, Sequence

from llm_backend.adapters.host.session import Host, HostError
from llm_backend.core.wire import JSON

_SECONDS = 120.0


async def create_project(host: Host, title: str, label_config: str) -> int:
    """Make a project; returns its id.

    Raises:
        HostError: Label Studio does not take the labeling config, or cannot be asked.
    """
    made = await _posted(host, "/api/projects/", {"title": title, "label_config": label_config})
    if type(ident := made.get("id")) is not int:
        raise HostError("Label Studio gave no id for the project that was to be made.", lasting=True)
    return ident


async def import_tasks(host: Host, project: int, tasks: Sequence[Mapping[str, JSON]]) -> int:
    """Make tasks; returns how many were made.

    Raises:
        HostError: The project is not there, does not take them, or cannot be asked.
    """
    made = (await _posted(host, f"/api/projects/{project}/import", list(tasks))).get("task_count")
    return made if isinstance(made, int) else 0


async def _posted(host: Host, path: str, body: JSON) -> Mapping[str, JSON]:
    try:
        told = json.loads(await host.post(path, body, _SECONDS))
    except ValueError:
        told = None
    if not isinstance(told, Mapping):
        raise HostError(f"What answers for {path} is not Label Studio's API: it is no object.", lasting=True)
    return told
