"""The server as a process of its own: what does it write to its log?"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.serving import CONFIG, PROJECT, task, typed
from tests.support.stub_model import StubModel


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def ask(port: int, body: Any, server: "subprocess.Popen[bytes]") -> Any:
    """POST to /predict, as soon as the server listens."""
    url, headers = f"http://127.0.0.1:{port}/predict", {"Content-Type": "application/json"}
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            assert server.poll() is None, "the server ended"
            time.sleep(0.02)


def test_the_most_talkative_log_tells_neither_the_key_nor_the_path_to_the_model(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    params = {"context": {"result": [typed("Say why.")]}}
    body = {"tasks": [task(1)], "label_config": CONFIG, "project": PROJECT, "params": params}
    with StubModel() as stub, log.open("wb") as out:
        told = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{stub.port}/hidden-path/v1",
            "OPENAI_API_KEY": "hidden-key",
            "DATA_DIR": str(tmp_path / "data"),
            "LOG_LEVEL": "DEBUG",
        }
        program = [sys.executable, "-m", "llm_backend", "serve", "--port", str(port)]
        with subprocess.Popen(program, env={**os.environ, **told}, cwd=tmp_path, stderr=out) as server:
            try:
                assert ask(port, body, server)["results"][0]["result"]
                server.send_signal(signal.SIGTERM)
                server.wait(timeout=20)
            finally:
                server.kill()
    said = log.read_text()
    assert "interactive call, 1 answers of 1" in said  # our own, at the level that was set
    assert "hidden" not in said
