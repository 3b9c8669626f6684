"""`llm-backend serve` as a process of its own, which can be killed and started again on the same folder and port."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.support.stub_model import StubModel

ROOT = Path(__file__).parents[2]
PROJECT = "7.1795217550"
_KEPT = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
T = TypeVar("T")


class Server:
    """The server and whoever calls it; a context manager."""

    def __init__(self, stub: StubModel, folder: Path, **told: str) -> None:
        """
        Args:
            told: Settings, by the names of their variables.
        """
        self.port = _free_port()
        self.folder = folder
        self.log = folder / "serve.log"
        self._told = {
            "OPENAI_BASE_URL": stub.base_url,
            "OPENAI_API_KEY": "test-key",
            "DATA_DIR": str(folder / "data"),
            **told,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        """What the server is told, and little else."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), **self._told}

    @property
    def pids(self) -> list[int]:
        """The process that was started, and those that it started."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [self._process.pid, *map(int, children.split())]

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.launch()
        self.until_up()

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start without waiting."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "llm_backend", "serve", "--host", "127.0.0.1", "--port", str(self.port)],
                cwd=self.folder,
                env=self.environ,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return self._process

    def until_up(self) -> None:
        until(self._is_up, 30, lambda: self.log.read_text(errors="replace")[-3000:])

    def kill_worker(self) -> float:
        """`kill -9` for the process that serves, which gunicorn replaces; returns the moment when it is gone."""
        _, worker = self.pids
        os.kill(worker, signal.SIGKILL)
        until(lambda: not _runs(worker), 10)
        return time.monotonic()

    def kill_parent(self) -> int:
        """`kill -9` for the process that was started, and for it alone; returns the one that serves."""
        assert self._process is not None
        _, worker = self.pids
        self._process.kill()
        self._process.wait(10)
        return worker

    def kill(self) -> float:
        """`kill -9` for all of it, as when a container or a machine dies; returns the moment when it is gone."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)
        return time.monotonic()

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()

    # What the host and people ask

    def get(self, path: str) -> Any:
        return self.call("GET", path)

    def call(self, method: str, path: str, body: Any = None, timeout: float = 120.0) -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            response = connection.getresponse()
            told = response.read()
            assert response.status == 200, told.decode(errors="replace")
            return json.loads(told)
        finally:
            connection.close()

    def setup(self, config: str) -> None:
        self.call("POST", "/setup", {"project": PROJECT, "schema": config, "hostname": "http://localhost:8080"})

    def predict(self, tasks: list[Any], config: str) -> list[Any]:
        """The results of one batch request."""
        results: list[Any] = self.call("POST", "/predict", predict_body(tasks, config))["results"]
        return results

    def hang_up_on(self, tasks: list[Any], config: str, after: Callable[[], bool]) -> None:
        """Send a batch, and hang up when it is time to."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/predict", json.dumps(predict_body(tasks, config)))
        until(after, 60)
        connection.close()

    def jobs(self) -> list[Any]:
        """The runs, the newest first."""
        found: list[Any] = self.get("/jobs")["jobs"]
        return found

    def until_finished(self, seconds: float = 120.0) -> list[Any]:
        """Wait until no run goes on; returns the runs."""
        seen: list[Any] = []

        def finished() -> bool:
            seen[:] = self.jobs()
            return bool(seen) and all(job["state"] not in ("queued", "running") for job in seen)

        until(finished, seconds, lambda: f"{seen} {self.log.read_text(errors='replace')[-2000:]}")
        return seen

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")[-3000:]
        try:
            return bool(self.call("GET", "/health", timeout=2)["status"] == "UP")
        except (OSError, HTTPException):
            return False


def predict_body(tasks: list[Any], config: str) -> dict[str, Any]:
    """Retrieve Predictions, as the host sends it."""
    params = {"login": None, "password": None, "context": None}
    return {"tasks": tasks, "label_config": config, "project": PROJECT, "params": params}


def until(holds: Callable[[], bool], seconds: float, told: Callable[[], object] = lambda: "") -> None:
    """Wait until something holds, looking twenty times a second.

    Args:
        told: What to tell if it does not hold in time.
    """
    patience = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < patience, f"not within {seconds:g} s: {told()}"
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
