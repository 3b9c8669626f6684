"""How many requests, and how long did they take? Counted at the outermost door; `/metrics` tells."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Blueprint, Response

from llm_backend.core.run import UNFINISHED
from llm_backend.errors import StoreError
from llm_backend.metrics import CONTENT_TYPE, Metrics, Now
from llm_backend.services import Services
from llm_backend.web.paths import DOORS, WSGI, Environ

log = logging.getLogger(__name__)


class Counted:
    """WSGI middleware that counts every request by its door (a name from a short list, never a path) and status."""

    def __init__(self, app: WSGI, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        began, status = time.perf_counter(), 500

        def start(line: str, *more: Any) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, *more)

        door = _door(environ.get("PATH_INFO", ""))
        self._metrics.request_began()
        try:
            return self._app(environ, start)
        finally:
            self._metrics.request_ended(door, status, time.perf_counter() - began)


def _door(path: str) -> str:
    first = path.lstrip("/").partition("/")[0]
    return first if first in DOORS else "other" if first else "front"


def metering(services: Services, metrics: Metrics) -> Blueprint:
    """The door for Prometheus."""
    doors = Blueprint("metering", __name__)

    @doors.get("/metrics")
    def tell() -> Response:
        try:
            now, workers = _now(services), services.workers_counts()
        except StoreError as exc:  # what this server counted is told all the same, and the rest is not made up
            log.warning("/metrics tells of this server alone: %s", exc.logged)
            now, workers = {}, ({}, {})
        return Response(metrics.text(now, workers), content_type=CONTENT_TYPE)

    return doors


def _now(services: Services) -> Now:
    """What no process counts: how things stand in the store and the engine, which all processes share."""
    engine = services.loop.run(services.backend.jobs.engine())
    unfinished = services.backend.jobs.list(UNFINISHED, 1000)
    runs: dict[str, float] = {state: sum(run.state == state for run in unfinished) for state in UNFINISHED}
    now: dict[str, tuple[str, Mapping[str, float]]] = {
        "runs": ("Runs that are not finished, by state.", runs),
        "queue_depth": ("Tasks, or chunks of them, that wait for a worker.", {"": engine.queued}),
        "workers": ("Processes that work on runs.", {"": len(engine.workers)}),
    }
    if engine.in_flight is not None:
        now["run_tasks_in_flight"] = ("Tasks of runs that are being asked.", {"": engine.in_flight})
    return now
