"""Which call is it, may it be made, and how is it answered? The Flask application."""

import hmac
import logging

from flask import Flask, Response, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from llm_backend.core.wire import PredictRequest, SetupRequest, WebhookEvent, reply
from llm_backend.errors import BackendError, BodyTooLarge, NotAllowed, RequestError
from llm_backend.metrics import Metrics
from llm_backend.services import Services
from llm_backend.settings import Settings
from llm_backend.web.agreement import agreement_page
from llm_backend.web.bodies import read_body, read_tasks
from llm_backend.web.counting import Counted, metering
from llm_backend.web.origins import refuse_strangers
from llm_backend.web.paths import Prefixed
from llm_backend.web.status import status_page
from llm_backend.web.steering import steering
from llm_backend.web.uploading import uploading

log = logging.getLogger(__name__)

# The host shows a refused /setup's reason phrase in its dialog; longer ones are cut there.
_REASON_CHARACTERS = 480


def create_app(services: Services, metrics: Metrics | None = None) -> Flask:
    """The application for a set of services; it opens and closes nothing itself.

    Args:
        metrics: What the services were told to count with; without, only requests are counted.
    """
    app = Flask("llm_backend", static_folder=None)
    settings, backend, loop = services.settings, services.backend, services.loop
    app.config["MAX_CONTENT_LENGTH"] = int(settings.max_body_mb * 1024 * 1024)
    metrics = metrics or Metrics()
    app.wsgi_app = Prefixed(Counted(app.wsgi_app, metrics), settings.url_secret)  # type: ignore[method-assign]
    _guard(app, settings)
    refuse_strangers(app)
    _explain(app, settings)
    pages = (status_page(services), agreement_page(services))
    for doors in (steering(services), uploading(services), *pages, metering(services, metrics)):
        app.register_blueprint(doors)

    @app.get("/health")
    def health() -> Response:
        return jsonify(status="UP", model=backend.versions()[-1])

    @app.post("/setup")
    def setup() -> Response:
        return jsonify(model_version=backend.setup(SetupRequest.from_json(read_body())))

    @app.post("/predict")
    def predict() -> Response:
        # Nothing here holds the request: a batch lets its tasks go before it waits.
        answers = loop.run(backend.predict(PredictRequest.from_json(read_tasks())))
        return Response(reply(answers), mimetype="application/json")

    @app.post("/webhook")
    def webhook() -> Response:
        event = WebhookEvent.from_json(read_body())
        backend.webhook(event)
        return jsonify(status="ok")

    @app.get("/versions")
    def versions() -> Response:
        return jsonify(versions=backend.versions())

    return app


def _guard(app: Flask, settings: Settings) -> None:
    """Ask every caller for the Basic Auth credentials, if there are any.

    Label Studio's webhooks carry none. Under URL_SECRET the secret path vouches for them; without it they are refused,
    and what they tell is not believed.
    """
    if not settings.guarded:
        return
    user, password = settings.basic_auth_user.encode(), settings.basic_auth_pass.encode()

    @app.before_request
    def show_who_you_are() -> None:
        if request.path == "/webhook" and request.environ.get("llm_backend.secret_shown"):
            return
        shown = request.authorization
        told_user = (shown.username or "" if shown else "").encode()
        told_password = (shown.password or "" if shown else "").encode()
        # Both are compared, so that the time taken does not tell which one was wrong.
        right = [hmac.compare_digest(told_user, user), hmac.compare_digest(told_password, password)]
        if not all(right):
            raise NotAllowed(
                "User name or password is missing or wrong; they are set by BASIC_AUTH_USER and BASIC_AUTH_PASS."
            )


def _explain(app: Flask, settings: Settings) -> None:
    """Every error leaves as one sentence, in the body and in the reason phrase, which is what Label Studio shows."""

    @app.errorhandler(BackendError)
    def told(error: BackendError) -> Response:
        log.info("%s %s: %s %s", request.method, request.path, error.status, error.logged)
        return _refusal(error)

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(_: RequestEntityTooLarge) -> Response:
        return _refusal(
            BodyTooLarge(f"The body is larger than {settings.max_body_mb:g} MB, the limit set by MAX_BODY_MB.")
        )

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> Response:
        sentence = {404: "There is no such door here.", 405: "This door takes another method."}.get(
            error.code or 500, error.name
        )
        fault = RequestError(sentence)
        fault.status = error.code or 500
        return _refusal(fault)

    @app.errorhandler(Exception)
    def bug(error: Exception) -> Response:
        log.error("%s %s failed on a fault of ours", request.method, request.path, exc_info=error)
        return _refusal(BackendError("The server failed on a fault of its own; its log says more."))


def _refusal(error: BackendError) -> Response:
    response = jsonify(error=error.sentence)
    response.status = f"{error.status} {_reason(error.sentence)}"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="llm-backend"'
    return response


def _reason(sentence: str) -> str:
    """A sentence as an HTTP reason phrase: one line, in the characters that a status line can hold."""
    line = " ".join(sentence.split()).encode("latin-1", "replace").decode("latin-1")
    return line if len(line) <= _REASON_CHARACTERS else line[: _REASON_CHARACTERS - 1] + "."
