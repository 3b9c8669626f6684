"""What of Label Studio's API a command meets that makes projects and tasks there, or reads a project's tasks."""

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.support.sites import Site, site

JSON = Any


class Studio:
    """A Label Studio with one project, number 1, once it is made or given.

    Attributes:
        projects: What was asked for when projects were made.
        tasks: Those that were imported, as they came.
        held: Those that the project shows.
        label_config: The project's.
        down: How many of the next imports are answered with an error.
    """

    def __init__(self, held: list[JSON] | None = None, label_config: str = "<View/>") -> None:
        self.projects: list[dict[str, JSON]] = []
        self.tasks: list[JSON] = []
        self.held = held or []
        self.label_config = label_config
        self.down = 0

    @asynccontextmanager
    async def serving(self) -> Any:
        pages = {
            "/api/projects/": self._create,
            "/api/projects/1/": self._project,
            "/api/projects/1/import": self._import,
            "/api/tasks": self._tasks,
        }
        async with site(pages) as here:
            yield here

    async def _create(self, request: web.Request) -> web.Response:
        self.projects.append(await request.json())
        return web.json_response({"id": len(self.projects)}, status=201)

    async def _project(self, request: web.Request) -> web.Response:
        return web.json_response({"id": 1, "label_config": self.label_config})

    async def _tasks(self, request: web.Request) -> web.Response:
        return web.json_response({"tasks": self.held, "total": len(self.held)})

    async def _import(self, request: web.Request) -> web.Response:
        if self.down:
            self.down -= 1
            return web.Response(status=503)
        tasks = await request.json()
        self.tasks += tasks
        return web.json_response({"task_count": len(tasks)}, status=201)


def meeting(studio: Studio, *runs: Callable[[Site], Any]) -> list[Any]:
    """What comes of each run, one after the other, or the fault that it raises; a run is told where the studio is."""

    async def scene() -> list[Any]:
        async with studio.serving() as here:
            return [await asyncio.to_thread(_outcome, run, here) for run in runs]

    return asyncio.run(scene())


def _outcome(run: Callable[[Site], Any], here: Site) -> Any:
    try:
        return run(here)
    except Exception as exc:
        return str(exc)
