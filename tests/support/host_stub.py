"""A Label Studio as far as pushing needs it: what its API did for each of these calls when a real 1.23.2 was tried."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.support.sites import Site, site

LEGACY = "0123456789abcdef0123456789abcdef01234567"
CREATED_AT = "2026-11-21T02:17:00.564107Z"
PROJECT = 7
KEY = "7.1795227420"


@dataclass
class StubHost:
    """One project of a Label Studio.

    Attributes:
        tasks: Those that exist.
        predictions: What is stored, as it came.
        labels: What its import takes as a choice; it leaves others out without a word.
        strict: Whether it refuses what does not pass its checker, whole lists included (the validation flag).
        down: How many of the next calls get a 503.
        refuses: How many of the next imports get a 503.
        loses: How many of the next imports are carried out, but never answered.
        most_shown: Tasks that it shows on one page at most.
        imports: The tasks of each list that came to its import.
        singles: The tasks that came one by one.
        during_import: Set while an import is held back, if `hold` is.
    """

    tasks: set[int]
    predictions: list[dict[str, Any]] = field(default_factory=list)
    labels: frozenset[str] = frozenset(("good", "bad"))
    token: str = LEGACY
    strict: bool = False
    down: int = 0
    refuses: int = 0
    loses: int = 0
    most_shown: int = 10_000
    created_at: str = CREATED_AT
    imports: list[list[int]] = field(default_factory=list)
    singles: list[int] = field(default_factory=list)
    looks: int = 0
    during_import: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    def having(self, version: str) -> list[int]:
        """The tasks of the stored predictions of a version, one entry for each prediction."""
        return sorted(made["task"] for made in self.predictions if made["model_version"] == version)

    def pages(self) -> dict[str, Any]:
        return {
            f"/api/projects/{PROJECT}/": self._open(self._project),
            "/api/tasks": self._open(self._tasks),
            f"/api/projects/{PROJECT}/import/predictions": self._open(self._import),
            "/api/predictions/": self._open(self._single),
        }

    def _open(self, page: Any) -> Any:
        async def answer(request: web.Request) -> web.StreamResponse:
            if self.down:
                self.down -= 1
                return web.Response(status=503)
            if request.headers.get("Authorization") != f"Token {self.token}":
                return web.json_response({"detail": "Authentication credentials were not provided."}, status=401)
            found: web.StreamResponse = await page(request)
            return found

        return answer

    async def _project(self, request: web.Request) -> web.Response:
        return web.json_response({"id": PROJECT, "created_at": self.created_at, "title": "Reviews"})

    async def _tasks(self, request: web.Request) -> web.Response:
        self.looks += 1
        # It decodes percent signs once more than HTTP does.
        told = json.loads(unquote(request.query["query"]))
        assert request.query["project"] == str(PROJECT)
        assert request.query["review"] == "true", "without it, a listing may ask the backend for predictions"
        shown = self.tasks & set(told["selectedItems"]["included"])
        for item in told["filters"]["items"]:
            assert (item["filter"], item["operator"]) == ("filter:tasks:predictions_model_versions", "contains")
            shown &= {p["task"] for p in self.predictions for v in item["value"] if v in p["model_version"]}
        size = min(int(request.query["page_size"]), self.most_shown)
        start = size * (int(request.query["page"]) - 1)
        page = sorted(shown)[start : start + size]
        if start and not page:
            return web.json_response({"detail": "Invalid page."}, status=404)
        return web.json_response({"tasks": [{"id": task} for task in page], "total": len(shown)})

    async def _import(self, request: web.Request) -> web.StreamResponse:
        items = await request.json()
        self.imports.append([item["task"] for item in items])
        if self.hold:
            self.during_import.set()
            await self.hold.wait()
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        if {item["task"] for item in items} - self.tasks:
            return web.json_response({"detail": 'contains invalid "task" field'}, status=400)
        good = [item for item in items if self._passes(item)]
        if self.strict and len(good) < len(items):
            return web.json_response({"detail": "Validation error"}, status=400)
        self.predictions += good
        if self.loses:
            self.loses -= 1
            assert request.transport is not None
            request.transport.close()
        return web.json_response({"created": len(good)}, status=201)

    async def _single(self, request: web.Request) -> web.Response:
        item = await request.json()
        self.singles.append(item["task"])
        if item["task"] not in self.tasks or (self.strict and not self._passes(item)):
            return web.json_response({"detail": "Validation error"}, status=400)
        self.predictions.append(item)
        return web.json_response(item, status=201)

    def _passes(self, item: dict[str, Any]) -> bool:
        """What its checker takes: known labels, and no paths in choices, of which it can make nothing."""
        entries = [entry for region in item["result"] for entry in region["value"].get("choices", [])]
        return all(isinstance(entry, str) and entry in self.labels for entry in entries)


@asynccontextmanager
async def serving(host: StubHost) -> AsyncIterator[Site]:
    async with site(host.pages()) as here:
        yield here
