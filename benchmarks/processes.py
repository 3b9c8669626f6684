"""Which processes are measured, and what do they cost? Starting and ending them; CPU and memory from /proc."""

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from llm_backend.adapters.runs.rq import Pace
from tests.support.redis_server import RedisServer, free_port

ROOT = Path(__file__).parents[1]
_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A process that listens on loopback, and those that work with it.

    Attributes:
        workers: Processes of ours beside it.
        redis: What they need beside themselves: a redis-server, if any.
    """

    pid: int
    port: int
    workers: tuple[int, ...] = ()
    redis: tuple[int, ...] = ()

    @property
    def ours(self) -> list[int]:
        """The server's and the workers' processes, their children included."""
        return [below for pid in (self.pid, *self.workers) for below in _tree(pid)]


class DidNotStart(Exception):
    """A process ended, or did not answer in time."""


@contextmanager
def stub_model(folder: Path, **options: float) -> Iterator[Served]:
    """A stand-in for the provider, with the options of `python -m benchmarks.model`."""
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = ["-m", "benchmarks.model", *words]
    with _process(command, "/v1/models", folder, "stub", cwd=ROOT) as served:
        yield served


@contextmanager
def server(stub: Served, folder: Path, **settings: str) -> Iterator[Served]:
    """`llm-backend serve`, asking the stub, its data in `folder`; settings are the defaults, but for those given."""
    told = {**_connection(stub), "DATA_DIR": str(folder / "data"), **settings}
    # In a folder of its own, so that no .env is found.
    with _process(["-m", "llm_backend", "serve"], "/health", folder, "server", cwd=folder, **told) as served:
        yield served


@contextmanager
def shared(stub: Served, folder: Path, **settings: str) -> Iterator[Served]:
    """`llm-backend serve` with two workers and a Redis that keeps all on its disk, as docker-compose.yml has it."""
    redis = RedisServer(folder / "redis", "--appendonly", "yes")
    try:
        with ExitStack() as stack:
            settings["REDIS_URL"] = redis.url
            served = stack.enter_context(server(stub, folder, **settings))
            told = {**_connection(stub), **settings}
            workers = tuple(stack.enter_context(_worker(folder, f"worker-{number}", **told)) for number in range(2))
            time.sleep(1.2 * Pace().beat)  # by then each knows of the other, and keeps to its half of the places
            yield replace(served, workers=workers, redis=(redis.pid,))
    finally:
        redis.kill()


def cpu_seconds(served: Served) -> float:
    """CPU that all of these processes have used so far, user and system."""
    return sum(map(_cpu_seconds, (*served.ours, *served.redis)))


def memory_mib(served: Served) -> float:
    """Memory of our processes (PSS: what they share is counted once)."""
    return sum(_kib(pid, "smaps_rollup", "Pss") for pid in served.ours) / 1024


def most_memory_mib(served: Served) -> float:
    """The most that each of our processes ever held, all together; what they share is counted in each."""
    return sum(_kib(pid, "status", "VmHWM") for pid in served.ours) / 1024


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


def _connection(stub: Served) -> dict[str, str]:
    return {"OPENAI_BASE_URL": f"http://127.0.0.1:{stub.port}/v1", "OPENAI_API_KEY": "benchmark"}


@contextmanager
def _process(arguments: list[str], door: str, folder: Path, name: str, cwd: Path, **told: str) -> Iterator[Served]:
    port = free_port()
    log = folder / f"{name}.log"
    with _started([*arguments, "--port", str(port)], log, cwd, lambda: _answers(port, door), **told) as pid:
        yield Served(pid, port)


@contextmanager
def _worker(folder: Path, name: str, **told: str) -> Iterator[int]:
    log = folder / f"{name}.log"
    with _started(
        ["-m", "llm_backend", "worker"], log, folder, lambda: "takes chunks" in log.read_text(), **told
    ) as pid:
        yield pid


@contextmanager
def _started(arguments: list[str], log: Path, cwd: Path, ready: Callable[[], bool], **told: str) -> Iterator[int]:
    """A process, from the moment at which it is ready; its id."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=cwd, env=environment(**told), stdout=out, stderr=subprocess.STDOUT
        )
    try:
        patience = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > patience:
                raise DidNotStart(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield process.pid
    finally:
        _end(process)


def _answers(port: int, door: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", door)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


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


def _kib(pid: int, file: str, name: str) -> int:
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
