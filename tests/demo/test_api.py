"""Label Studio's API is spoken to as a browser speaks, and its refusals are sentences."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from llm_backend.demo.api import Api, ApiRefused
from llm_backend.demo.processes import free_port
from llm_backend.errors import BackendError

FORM = '<form><input type="hidden" name="csrfmiddlewaretoken" value="token-of-the-form"></form>'


class Host(http.server.ThreadingHTTPServer):
    """The little of Label Studio that these tests need; keeps what it was asked."""

    asked: list[tuple[str, str, dict[str, str], bytes]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Host

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.command, self.path, headers, body))
        status, cookies, told = self._told(body)
        raw = told.encode()
        self.send_response(status)
        for cookie in cookies:
            self.send_header("Set-Cookie", f"{cookie}; Path=/")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def _told(self, body: bytes) -> tuple[int, list[str], str]:
        if self.path == "/user/login/":
            if self.command == "GET":
                return 200, ["csrftoken=token-of-the-cookie"], FORM
            good = parse_qs(body.decode()).get("password") == ["right"]
            return 200, ["sessionid=session"] if good else [], ""
        if self.path.startswith("/api/projects/1/import"):
            return 201, [], json.dumps({"file_upload_ids": [8, 7], "task_ids": [3]})
        if self.path.startswith("/api/projects/1/file-uploads"):
            uploads = [{"id": 7, "file": "upload/1/b.png"}, {"id": 8, "file": "upload/1/a.png"}]
            return 200, [], json.dumps(uploads)
        if self.path.startswith("/api/broken"):
            return 502, [], "<h1>Bad gateway</h1>"
        return 400, [], json.dumps({"detail": "Validation error"})

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[Host]:
    with Host() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(host: Host) -> Api:
    return Api(f"http://127.0.0.1:{host.server_port}/")


def test_logging_in_sends_the_forms_token_and_keeps_the_session(api: Api, host: Host) -> None:
    api.login("demo@example.com", "right")
    api.import_tasks(1, [{"text": "a"}])

    _, login, call = host.asked
    assert parse_qs(login[3].decode())["csrfmiddlewaretoken"] == ["token-of-the-form"]
    assert "sessionid=session" in call[2]["cookie"]
    assert call[2]["x-csrftoken"] == "token-of-the-cookie"
    assert call[2]["referer"] == f"{api.url}/"
    assert json.loads(call[3]) == [{"data": {"text": "a"}}]


def test_a_wrong_password_is_told(api: Api) -> None:
    with pytest.raises(ApiRefused, match=r"does not let demo@example\.com in"):
        api.login("demo@example.com", "wrong")


def test_uploads_come_back_in_the_order_of_the_files(api: Api, host: Host, tmp_path: Path) -> None:
    files = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in files:
        file.write_bytes(b"\x89PNG " + file.name.encode())

    assert api.upload(1, files) == ["/data/upload/1/a.png", "/data/upload/1/b.png"]

    _, path, headers, body = host.asked[0]
    assert "commit_to_project=false" in path
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'filename="a.png"' in body
    assert b"\x89PNG b.png\r\n" in body


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/api/elsewhere", 400, {"detail": "Validation error"}), ("/api/broken", 502, "<h1>Bad gateway</h1>")],
    ids=["json", "not-json"],
)
def test_a_refusal_keeps_status_and_words(api: Api, path: str, status: int, body: Any) -> None:
    with pytest.raises(ApiRefused, match=f"answered {status} to GET {path}") as refusal:
        api.call("GET", f"{path}?a=b")
    assert (refusal.value.answered, refusal.value.body) == (status, body)


def test_no_proxy_stands_between(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    api.login("demo@example.com", "right")


def test_a_host_that_does_not_answer_is_told() -> None:
    with pytest.raises(BackendError, match="does not answer"):
        Api(f"http://127.0.0.1:{free_port()}").projects()
