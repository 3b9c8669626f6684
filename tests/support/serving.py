"""The application in a test: real store, real loop, a scripted model."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient
from werkzeug.serving import make_server

from llm_backend.adapters.store import Store
from llm_backend.core.chat import LLM
from llm_backend.metrics import Metrics
from llm_backend.services import Services, open_services
from llm_backend.settings import Settings
from llm_backend.web import create_app

PROJECT = "1.1795217550"
CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <TextArea name="prompt" toName="text" rows="2" maxSubmissions="1"/>
  <TextArea name="response" toName="text" smart="false"/>
  <Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>
</View>"""
GOOD = {"response": "It is sarcastic.", "sentiment": "Negative"}


@contextmanager
def serving(llm: LLM | None, folder: Path, store: Store | None = None, **settings: Any) -> Iterator["Caller"]:
    """A backend in `folder`, spoken to as Label Studio speaks; without `llm` it asks the provider of the settings.

    Args:
        store: Remembers in the place of the one that the settings name; closed in the end.
    """
    told = replace(Settings(data_dir=str(folder), api_key="test-key"), **settings)
    metrics = Metrics()
    services = open_services(told, llm, metrics, store)
    try:
        yield Caller(services, metrics)
    finally:
        services.close()


class Caller:
    """Makes the host's calls."""

    def __init__(self, services: Services, metrics: Metrics) -> None:
        self.services = services
        self.metrics = metrics
        self.http: FlaskClient = create_app(services, metrics).test_client()

    def setup(self, config: str = CONFIG, project: str = PROJECT, **more: Any) -> str:
        body = {"project": project, "schema": config, "hostname": "http://localhost:8080", **more}
        version: str = self.http.post("/setup", json=body).get_json()["model_version"]
        return version

    def batch(self, *tasks: Any, config: str = CONFIG, project: str = PROJECT) -> list[Any]:
        """What /predict answers for these tasks without a context."""
        return self._predict(tasks, None, config, project)

    def shift_enter(
        self, *context: dict[str, Any], task: Any = None, config: str = CONFIG, project: str = PROJECT
    ) -> list[dict[str, Any]]:
        """The regions that the editor is given."""
        held = task or {"id": 1, "data": {"text": "I love it when my computer crashes"}}
        (answer,) = self._predict([held], {"result": list(context)}, config, project)
        regions: list[dict[str, Any]] = answer["result"]
        return regions

    def _predict(self, tasks: Any, context: Any, config: str, project: str) -> list[Any]:
        params = {"login": None, "password": None, "context": context}
        body = {"tasks": list(tasks), "label_config": config, "project": project, "params": params}
        response = self.http.post("/predict", json=body)
        assert response.status_code == 200, response.get_data(as_text=True)
        results: list[Any] = response.get_json()["results"]
        return results

    def submitted(
        self, *result: dict[str, Any], action: str = "ANNOTATION_CREATED", ident: int = 1, task: Any = None, **more: Any
    ) -> None:
        """A person's annotation, as the webhook tells of it.

        Args:
            task: What it is of; without, the webhook does not tell the task's data.
        """
        created = "2026-11-20T23:32:30.227997Z"  # the whole seconds of PROJECT
        project = {"id": 1, "created_at": created, "label_config": CONFIG} | more.pop("project", {})
        annotation = {"id": ident, "was_cancelled": False, "result": list(result)} | more
        body = {"action": action, "annotation": annotation, "project": project, "task": task or {"id": 1}}
        self.webhook(body)

    def webhook(self, body: dict[str, Any]) -> None:
        assert self.http.post("/webhook", json=body).status_code == 200


@contextmanager
def listening(host: Caller) -> Iterator[int]:
    """The application on a port of its own."""
    server = make_server("127.0.0.1", 0, host.http.application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def task(ident: int, text: str = "I love it when my computer crashes") -> dict[str, Any]:
    return {"id": ident, "data": {"text": text}, "meta": {}, "annotations": [], "predictions": []}


def typed(text: str, name: str = "prompt", origin: str = "manual") -> dict[str, Any]:
    """A TextArea region as the editor sends it."""
    return {
        "value": {"text": [text]},
        "id": name,
        "from_name": name,
        "to_name": "text",
        "type": "textarea",
        "origin": origin,
    }


def chosen(label: str, origin: str = "manual") -> dict[str, Any]:
    return {
        "value": {"choices": [label]},
        "id": "c",
        "from_name": "sentiment",
        "to_name": "text",
        "type": "choices",
        "origin": origin,
    }


def by_name(regions: list[dict[str, Any]]) -> dict[str, Any]:
    """The one value of each region, by its control."""
    return {region["from_name"]: next(iter(region["value"].values())) for region in regions}
