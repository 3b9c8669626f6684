"""What do we ask of Label Studio as a person would: log in, make projects, import tasks, connect a model?

Spoken with a session cookie, as the browser does, so that it works on a new install where tokens are not set up yet.
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError

TIMEOUT = 120.0
"""Seconds for one call: one that asks the model for many tasks waits for all of them."""


class ApiRefused(BackendError):
    """Label Studio answered with an error.

    Attributes:
        answered: The HTTP status of its answer.
        body: What it said.
    """

    def __init__(self, sentence: str, answered: int, body: JSON) -> None:
        super().__init__(sentence)
        self.answered = answered
        self.body = body


class Api:
    """A person's session at one Label Studio."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.cookies = CookieJar()
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor(self.cookies))

    def login(self, username: str, password: str) -> None:
        """Log in through the form.

        Raises:
            ApiRefused: The user or the password is wrong.
        """
        form = self._send("GET", "/user/login/").decode("utf-8")
        found = re.search(r'name="csrfmiddlewaretoken"\s+value="([^"]+)"', form)
        fields = {"csrfmiddlewaretoken": found[1] if found else "", "email": username, "password": password}
        self._send("POST", "/user/login/", urlencode(fields).encode(), "application/x-www-form-urlencoded")
        if not any(cookie.name == "sessionid" for cookie in self.cookies):
            raise ApiRefused(f"Label Studio at {self.url} does not let {username} in: wrong password?", 403, None)

    def call(self, method: str, path: str, body: JSON = None) -> JSON:
        """One call with JSON both ways; None where the answer is empty.

        Raises:
            ApiRefused: The answer is an error.
            BackendError: There is no answer.
        """
        raw = None if body is None else json.dumps(body).encode()
        answer = self._send(method, path, raw, "application/json")
        return json.loads(answer) if answer.strip() else None

    def projects(self) -> list[JSON]:
        """All projects, by their ids."""
        found = self.call("GET", "/api/projects/?page_size=1000")
        return sorted(found["results"], key=lambda project: int(project["id"]))

    def create_project(self, title: str, label_config: str, **more: JSON) -> int:
        """Make a project; `more` are further fields of it, such as `description`. Returns its id."""
        made = self.call("POST", "/api/projects/", {"title": title, "label_config": label_config, **more})
        return int(made["id"])

    def import_tasks(self, project: int, data: Sequence[Mapping[str, JSON]]) -> list[int]:
        """Make one task of each entry; returns their ids."""
        answer = self.call("POST", f"/api/projects/{project}/import?return_task_ids=true", [{"data": d} for d in data])
        return [int(task) for task in answer["task_ids"]]

    def upload(self, project: int, files: Sequence[Path]) -> list[str]:
        """Upload files without making tasks of them; returns their `/data/upload/...` addresses, in order."""
        boundary = uuid.uuid4().hex
        body = b"".join(_file_part(file, boundary) for file in files) + f"--{boundary}--\r\n".encode()
        path = f"/api/projects/{project}/import?commit_to_project=false"
        answer = json.loads(self._send("POST", path, body, f"multipart/form-data; boundary={boundary}"))
        told = self.call("GET", f"/api/projects/{project}/file-uploads?ids={quote(str(answer['file_upload_ids']))}")
        # Stored as "upload/<project>/<uuid>-<name>", and handed out below /data/.
        places = {int(upload["id"]): f"/data/{upload['file']}" for upload in told}
        return [places[int(ident)] for ident in answer["file_upload_ids"]]

    def tasks(self, project: int) -> list[JSON]:
        """The tasks of a project, by their ids."""
        found = self.call("GET", f"/api/tasks?project={project}&page_size=1000&fields=all")
        return sorted(found["tasks"], key=lambda task: int(task["id"]))

    def task(self, task: int) -> JSON:
        """One task, as the editor gets it when it opens it: the host may call the backend for it first."""
        return self.call("GET", f"/api/tasks/{task}/")

    def connect(
        self, project: int, url: str, *, title: str = "LLM", interactive: bool = True, extra_params: JSON = None
    ) -> int:
        """Connect a backend to a project, as the Model settings do; returns the connection's id.

        Raises:
            ApiRefused: The backend did not answer or refused the project; says why.
        """
        body = {"project": project, "url": url, "is_interactive": interactive, "title": title}
        if extra_params is not None:
            body["extra_params"] = extra_params
        return int(self.call("POST", "/api/ml/", body)["id"])

    def connections(self, project: int) -> list[JSON]:
        """The backends of a project. The host asks each for its health and version on the way."""
        return list(self.call("GET", f"/api/ml/?project={project}"))

    def disconnect(self, project: int) -> None:
        """Take all backends off a project, with the webhooks that the host registered for them and leaves behind."""
        for connection in self.connections(project):
            self.call("DELETE", f"/api/ml/{connection['id']}")
        for webhook in self.call("GET", f"/api/webhooks/?project={project}"):
            self.call("DELETE", f"/api/webhooks/{webhook['id']}/")

    def retrieve_predictions(self, project: int) -> JSON:
        """Data Manager > Retrieve Predictions, for all tasks of the project."""
        body = {
            "project": project,
            "selectedItems": {"all": True, "excluded": []},
            "filters": {"conjunction": "and", "items": []},
            "ordering": [],
        }
        return self.call("POST", f"/api/dm/actions/?id=retrieve_tasks_predictions&project={project}", body)

    def predictions(self, project: int) -> list[JSON]:
        """All stored predictions of a project."""
        return list(self.call("GET", f"/api/predictions/?project={project}"))

    def annotate(self, task: int, result: Sequence[JSON]) -> int:
        """Submit an annotation, which fires the webhook; returns its id."""
        return int(self.call("POST", f"/api/tasks/{task}/annotations/", {"result": list(result)})["id"])

    def ask(self, connection: int, task: int, result: Sequence[JSON]) -> JSON:
        """What Shift+Enter does, without a browser: send the regions on the screen, get the editor's answer."""
        path = f"/api/ml/{connection}/interactive-annotating"
        return self.call("POST", path, {"task": task, "context": {"result": list(result)}})

    def create_token(self) -> str:
        """Make the user's personal access token; it is shown only this once.

        Raises:
            ApiRefused: The user has one already (status 409).
        """
        return str(self.call("POST", "/api/token/")["token"])

    def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> bytes:
        headers = {"Referer": f"{self.url}/", "Accept": "application/json, text/html", "Content-Type": kind}
        for cookie in self.cookies:
            if cookie.name == "csrftoken" and cookie.value:
                headers["X-CSRFToken"] = cookie.value
        request = Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT) as reply:
                answer: bytes = reply.read()
                return answer
        except HTTPError as exc:
            raise _refusal(method, path, exc) from exc
        except (URLError, HTTPException, OSError) as exc:
            raise BackendError(f"Label Studio at {self.url} does not answer: {exc}.") from exc


def _refusal(method: str, path: str, exc: HTTPError) -> ApiRefused:
    raw = exc.read().decode("utf-8", errors="replace")
    try:
        body = json.loads(raw)
    except ValueError:
        body = raw[:500]
    return ApiRefused(f"Label Studio answered {exc.code} to {method} {path.partition('?')[0]}: {body}", exc.code, body)


def _file_part(file: Path, boundary: str) -> bytes:
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="{file.name}"; filename="{file.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode() + file.read_bytes() + b"\r\n"
