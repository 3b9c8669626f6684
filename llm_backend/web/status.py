"""What does a person see in a browser? The front door: a page that keeps itself up to date from `/status`."""

from collections.abc import Sequence
from importlib import resources
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, request
from werkzeug.exceptions import NotFound

from llm_backend.core.run import UNFINISHED, Run
from llm_backend.services import Services
from llm_backend.web.steering import project_json, run_json, task_json

_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript"}
_HEADERS = {
    # Nothing but our own three files; and no text can become markup or script (innerHTML and its kin are refused).
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address may hold URL_SECRET
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
_RUNS_MOST = 20
_UNFINISHED_MOST = 50
_FAILURES_SHOWN = 3
_PROMPT_SHOWN = 1000
NOT_BELIEVED = (
    "Basic Auth is on without URL_SECRET: Label Studio's webhooks carry no credentials, so the prompts and corrections "
    "that they bring are not believed. Set URL_SECRET and connect http://host:port/<secret> to believe them."
)


def status_page(services: Services) -> Blueprint:
    """The front door, its files, and the JSON that it is made of."""
    doors = Blueprint("status", __name__)
    files = {file.name: file.read_bytes() for file in (resources.files(__package__) / "page").iterdir()}

    @doors.get("/")
    def front() -> Any:
        if not wants_page():
            response = jsonify(status="UP", model=services.backend.versions()[-1])
            response.vary.add("Accept")
            return response
        if request.environ.get("llm_backend.no_slash"):  # the page's addresses are relative
            return redirect(request.script_root.rpartition("/")[2] + "/", 308)
        return _file(files, "status.html")

    @doors.get("/page/<name>")
    def page(name: str) -> Response:
        return _file(files, name)

    @doors.get("/status")
    def status() -> Response:
        return jsonify(_status(services))

    return doors


def wants_page() -> bool:
    """Whether it is a browser that asks: it prefers HTML, while `*/*` says no such thing."""
    accepted = request.accept_mimetypes
    return accepted["text/html"] > accepted["application/json"]


def _file(files: dict[str, bytes], name: str) -> Response:
    if name not in files:
        raise NotFound
    response = Response(files[name], content_type=f"{_TYPES[name.rpartition('.')[2]]}; charset=utf-8", headers=_HEADERS)
    response.vary.add("Accept")
    response.add_etag()
    response.make_conditional(request)
    return response


def _status(services: Services) -> dict[str, Any]:
    """All that the page shows, and small: texts are cut, failures only the first of each run."""
    backend, settings = services.backend, services.settings
    engine = services.loop.run(backend.jobs.engine())
    return {
        "model": services.connections.llm(None).model,
        "workers": engine.workers,
        "queued": engine.queued,
        "in_flight": engine.in_flight,
        "warnings": [NOT_BELIEVED] if settings.guarded and not settings.url_secret else [],
        "runs": [{**run_json(run), "failures": _failures(services, run)} for run in _runs(services)],
        "projects": [{**told, "prompt": _cut(told["prompt"])} for told in map(project_json, backend.known.list())],
    }


def _runs(services: Services) -> Sequence[Run]:
    """Those that are not finished, then the latest of the others."""
    jobs = services.backend.jobs
    latest = jobs.list(most=_RUNS_MOST)
    unfinished = jobs.list(UNFINISHED, _UNFINISHED_MOST)
    return (*unfinished, *(run for run in latest if run.id not in {other.id for other in unfinished}))


def _failures(services: Services, run: Run) -> list[dict[str, Any]]:
    if not run.counts.get("failed"):
        return []
    failed = services.store.task_statuses(run.id, ["failed"], _FAILURES_SHOWN)
    return [{**told, "reason": _cut(told["reason"])} for told in map(task_json, failed)]


def _cut(text: str) -> str:
    return text if len(text) <= _PROMPT_SHOWN else text[:_PROMPT_SHOWN] + " …"
