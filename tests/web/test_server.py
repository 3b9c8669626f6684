"""The server as a process of its own: what does it write to its log, and whom does it answer while many wait?"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support.serve import Server, until
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


def test_a_hundred_batches_that_wait_keep_nobody_from_the_other_doors(tmp_path: Path) -> None:
    def waiting() -> int:
        told = re.search(r"^llm_backend_requests_in_flight (\S+)", text_of(server, "/metrics"), re.MULTILINE)
        return int(float(told[1])) if told else 0

    with StubModel(latency=3600.0) as stub, Server(stub, tmp_path) as server, ThreadPoolExecutor(100) as threads:
        batches = [[task(2 * number), task(2 * number + 1)] for number in range(1, 101)]
        asked = [threads.submit(server.predict, tasks, CONFIG) for tasks in batches]
        until(lambda: waiting() > 100, 30)
        assert server.get("/health")["status"] == "UP"
        server.setup(CONFIG)
        assert server.jobs()
        assert not any(request.done() for request in asked)
        server.kill()
        assert all(request.exception(10) for request in asked)


def text_of(server: Server, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60) as answer:
        return str(answer.read().decode())
