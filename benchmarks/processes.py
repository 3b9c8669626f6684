"""Which processes are measured, and what do they cost? Starting and ending them; CPU and memory from /proc."""

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

ROOT = Path(__file__).parents[1]
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A process that listens on loopback."""

    pid: int
    port: int


class DidNotStart(Exception):
    """A process ended, or did not answer in time."""


@contextmanager
def stub_model(latency: float, folder: Path, sigma: float = 0.0) -> Iterator[Served]:
    """A stand-in for the provider that answers every question after `latency` seconds.

    Args:
        sigma: Of a lognormal distribution around them; 0: always the same.
    """
    command = ["-m", "tests.support.stub_model", "--latency", str(latency), "--sigma", str(sigma)]
    with _process(command, "/v1/models", folder, "stub", cwd=ROOT) as served:
        yield served


@contextmanager
def server(stub: Served, folder: Path, **settings: str) -> Iterator[Served]:
    """`llm-backend serve`, asking the stub, its data in `folder`; settings are the defaults, but for those given."""
    told = {
        "OPENAI_BASE_URL": f"http://127.0.0.1:{stub.port}/v1",
        "OPENAI_API_KEY": "benchmark",
        "DATA_DIR": str(folder / "data"),
        **settings,
    }
    # In a folder of its own, so that no .env is found.
    with _process(["-m", "llm_backend", "serve"], "/health", folder, "server", cwd=folder, **told) as served:
        yield served


def cpu_seconds(served: Served) -> float:
    """CPU that the process and its children have used so far, user and system."""
    return sum(map(_cpu_seconds, _tree(served.pid)))


def memory_mib(served: Served) -> float:
    """Memory of the process and its children (PSS: what they share is counted once)."""
    return sum(map(_pss_kib, _tree(served.pid))) / 1024


class Neighbours:
    """What else the machine does from now on. Figures of a busy machine say little."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def cores(self) -> float:
        """How many cores other programs kept busy, on average."""
        others = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        return max(0.0, others) / (time.monotonic() - self._began)


def machine() -> str:
    """The machine in words."""
    cores = len(os.sched_getaffinity(0))
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{cores} cores, {model}, Python {platform.python_version()}, {platform.system()} {platform.release()}"


def environment(**told: str) -> dict[str, str]:
    """An environment without anything of the developer's that could be taken for a setting."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **told}


@contextmanager
def _process(arguments: list[str], door: str, folder: Path, name: str, cwd: Path, **told: str) -> Iterator[Served]:
    port = _free_port()
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments, "--port", str(port)],
            cwd=cwd,
            env=environment(**told),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        _await(process, port, door, log)
        yield Served(process.pid, port)
    finally:
        _end(process)


def _await(process: "subprocess.Popen[bytes]", port: int, door: str, log: Path) -> None:
    patience = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < patience:
        connection = HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.request("GET", door)
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.05)
        finally:
            connection.close()
    raise DidNotStart(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _busy_seconds() -> float:
    """CPU that the whole machine has used since it was started, all but idling and waiting for disks."""
    user, nice, system, _, _, *others = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(others)) / _TICKS


def _own_seconds() -> float:
    """CPU of this process and of those that it started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in _tree(int(child)))]


def _cpu_seconds(pid: int) -> float:
    # The name, in brackets, may hold spaces; the fields are counted from behind it. 14 and 15 are utime and stime.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
