"""Programs beside us: waited for, watched, and ended with all that they started."""

import http.server
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_backend.demo.processes import HOST, Child, ChildFailed, answers, free_port

ENVIRON = {"PATH": os.environ["PATH"]}


def python(code: str, tmp_path: Path) -> Child:
    return Child("The program", [sys.executable, "-c", code], ENVIRON, tmp_path / "program.log")


@pytest.fixture
def healthy() -> Iterator[str]:
    """The address of a server that answers 200 at /health and 404 elsewhere."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_program_that_ends_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    child = python("print('first'); print('the cause'); raise SystemExit(3)", tmp_path)
    with child, pytest.raises(ChildFailed, match="The program ended") as failure:
        child.wait_until_healthy(f"http://{HOST}:{free_port()}/", patience=30)
    assert "status 3" in failure.value.sentence
    assert failure.value.sentence.endswith("the cause")


def test_a_program_that_never_answers_is_told(tmp_path: Path) -> None:
    with python("import time; print('starting', flush=True); time.sleep(60)", tmp_path) as child:
        _until(lambda: child.tail() == "starting")
        with pytest.raises(ChildFailed, match="did not answer") as failure:
            child.wait_until_healthy(f"http://{HOST}:{free_port()}/", patience=0.1)
    assert failure.value.sentence.endswith("starting")
    assert not child.alive


def test_waiting_ends_when_the_address_answers(tmp_path: Path, healthy: str) -> None:
    with python("import time; time.sleep(60)", tmp_path) as child:
        child.wait_until_healthy(f"{healthy}/health", patience=30)
        assert child.alive


def test_stopping_ends_what_the_program_started(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    with python(code, tmp_path) as child:
        _until(lambda: child.tail().isdigit())
        grandchild = int(child.tail())
        assert _runs(grandchild)
    assert not child.alive
    _until(lambda: not _runs(grandchild))


def test_a_program_that_ignores_the_request_is_ended_all_the_same(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    child = python(code, tmp_path)
    child.start()
    _until(lambda: child.tail() == "deaf")
    child.stop(patience=0.1)
    assert not child.alive


def test_stopping_what_never_started_or_has_ended_does_no_harm(tmp_path: Path) -> None:
    python("pass", tmp_path).stop()
    child = python("pass", tmp_path)
    child.start()
    _until(lambda: not child.alive)
    child.stop()
    child.stop()


def test_only_a_2xx_is_an_answer(healthy: str) -> None:
    assert answers(f"{healthy}/health")
    assert not answers(f"{healthy}/elsewhere")
    assert not answers(f"http://{HOST}:{free_port()}/")


def test_the_next_free_port_is_taken_where_the_wanted_one_is_in_use() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        found = free_port(wanted)
    assert wanted < found < wanted + 200


def test_a_port_in_use_on_all_addresses_counts_as_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        assert free_port(taken.getsockname()[1]) != taken.getsockname()[1]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _until(condition: Callable[[], bool], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)
