"""What does a project of a running Label Studio hold? Its labeling config, and its tasks as an export tells them."""

import asyncio
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask, of_json
from llm_backend.interchange.tasks import Fault
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.adapters.host import Host


class Project:
    """A project as Label Studio's API tells it, page by page."""

    def __init__(self, settings: Settings, project: int | None) -> None:
        self._settings = settings
        self._project = project
        self._runner = asyncio.Runner()
        self._opened: Host | None = None

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        if self._opened is not None:
            self._runner.run(self._opened.close())
        self._runner.close()

    def label_config(self) -> str:
        from llm_backend.adapters.host.project import label_config

        return self._runner.run(label_config(self._host, self._number))

    def tasks(self) -> Iterator[ExportedTask | Fault]:
        from llm_backend.adapters.host.project import task_page

        seen = 0
        for page in itertools.count(1):
            found = self._runner.run(task_page(self._host, self._number, page))
            for number, raw in enumerate(found.tasks, seen + 1):
                yield of_json(number, raw)
            seen += len(found.tasks)
            if not found.tasks or seen >= found.total:
                return

    @property
    def _host(self) -> "Host":
        from llm_backend.adapters.host import Host

        if not self._settings.label_studio_url:
            raise RequestError("Say where Label Studio is: --url, or LABEL_STUDIO_URL.")
        if self._opened is None:
            self._opened = Host(self._settings.label_studio_url, self._settings.label_studio_api_key)
        return self._opened

    @property
    def _number(self) -> int:
        if self._project is None:
            raise RequestError("Say which project is meant: --project.")
        return self._project
