"""What has Label Studio of a whole project: its labeling config, and the export of its tasks?"""

import json
from collections.abc import Mapping
from typing import IO

from llm_backend.adapters.host.session import Host, HostError

# The host writes the whole export before it sends the first byte of it.
_EXPORT_SECONDS = 1800.0


async def label_config(host: Host, project: int) -> str:
    """A project's labeling config.

    Raises:
        HostError: There is no such project, or this key's user may not see it.
    """
    try:
        found = json.loads(await host.get(f"/api/projects/{project}/"))
    except ValueError:
        found = None
    told = found.get("label_config") if isinstance(found, Mapping) else None
    if not isinstance(told, str):
        raise HostError("What answers for the project is not Label Studio's API: it tells no labeling config.")
    return told


async def save_export(host: Host, project: int, into: IO[bytes]) -> None:
    """Write a project's export in raw JSON, as it comes, so that it is never in memory as a whole.

    Raises:
        HostError: It could not be had.
    """
    await host.save(f"/api/projects/{project}/export?exportType=JSON", into, _EXPORT_SECONDS)
