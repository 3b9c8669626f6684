"""How well do people and the model agree in a project, as a person sees it? `/projects/<key>/agreement`."""

import hashlib
import threading

from flask import Blueprint, Response, jsonify, request

from llm_backend import __version__
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, UnknownProject
from llm_backend.services import Services
from llm_backend.web.report import page, sentence_page
from llm_backend.web.report.measure import measured
from llm_backend.web.status import wants_page

_HEADERS = {
    # No script, and nothing from elsewhere; the styles stand in the page, so that it can be saved and sent on.
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",  # the address may hold URL_SECRET
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache, private",
}
_AT_THE_DOOR = 3  # each holds a thread of the server


class Crowded(BackendError):
    """Others have come before, and what they ask for takes its time."""

    status = 503


def agreement_page(services: Services) -> Blueprint:
    """The door to the report on each project: measured when it is asked for, and anew only where something changed."""
    doors = Blueprint("agreement", __name__)
    agreeing, settings = services.backend.agreeing, services.settings
    door, alone = threading.BoundedSemaphore(_AT_THE_DOOR), threading.Lock()  # there is serving to be done

    def measure(key: str, source: str) -> dict[str, JSON]:
        """One after the other, and few that wait."""
        if not door.acquire(blocking=False):
            raise Crowded("Agreement is being measured for others at this moment; try again in a minute.")
        try:
            with alone:
                return measured(agreeing.remember(key), source, settings.prompt_prefix)
        finally:
            door.release()

    @doors.get("/projects/<key>/agreement")
    def agreement(key: str) -> Response:
        etag = hashlib.sha256(f"{__version__} {wants_page()} {agreeing.stamp(key)}".encode()).hexdigest()
        if request.if_none_match.contains(etag):
            return _headed(Response(status=304), etag)
        kind, _, ident = key.partition(".")
        name = f"Dataset {ident}" if kind == "dataset" else f"Project {kind}"
        source = f"{name}: what was learned, and answers of the last {settings.keep_results_days:g} days"
        try:
            report = measure(key, source)
        except UnknownProject:
            raise
        except BackendError as exc:
            if not wants_page():
                raise
            return Response(sentence_page(exc.sentence), exc.status, _HEADERS, content_type="text/html; charset=utf-8")
        if not wants_page():
            return _headed(jsonify(report), etag)
        return _headed(Response(page(report), content_type="text/html; charset=utf-8"), etag)

    return doors


def _headed(response: Response, etag: str) -> Response:
    response.headers.update(_HEADERS)
    response.vary.add("Accept")
    response.set_etag(etag)
    return response
