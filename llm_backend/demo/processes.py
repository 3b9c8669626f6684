"""How does a program run beside us, and what did it say when it fell?"""

import os
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from llm_backend.errors import BackendError

HOST = "127.0.0.1"
TAIL = 15
"""Lines of a fallen program's log that its error shows."""


class ChildFailed(BackendError):
    """A program that we started did not come up, or fell."""


class Started(ABC):
    """A context manager for what is started and stopped."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Child(Started):
    """A program in a process group of its own, its output in a log file.

    A context manager: leaving it stops the program and all that it started.

    Args:
        name: What to call it in sentences.
        command: Program and arguments.
        environ: Its whole environment.
        log: File that takes what it prints; written anew at each start.
        keeps: Open files that it holds, too, such as the lock of a folder.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environ: Mapping[str, str],
        log: Path,
        keeps: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._keeps = tuple(keeps)
        self._command = list(command)
        self._environ = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; `wait_until_healthy` says when it is of use."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own: Ctrl-C reaches us alone, and we stop it whole and in order.
                start_new_session=True,
                pass_fds=self._keeps,
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def tail(self, lines: int = TAIL) -> str:
        """The last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.is_file() else ""
        return "\n".join(text.strip().splitlines()[-lines:])

    def check(self) -> None:
        """Raise if it has ended.

        Raises:
            ChildFailed: With its exit status and the end of its log.
        """
        if not self.alive:
            status = self._process.returncode if self._process else None
            raise ChildFailed(f"{self.name} ended (status {status}). The end of {self.log}:\n{self.tail()}")

    def wait_until_healthy(self, url: str, patience: float, between: float = 0.1) -> None:
        """Wait until `url` answers with a 2xx.

        Args:
            patience: Seconds to wait at most.
            between: Seconds between two looks.
        Raises:
            ChildFailed: It ended, or did not answer in time.
        """
        deadline = time.monotonic() + patience
        while not answers(url):
            self.check()
            if time.monotonic() > deadline:
                late = f"{self.name} did not answer at {url} within {patience:.0f} s."
                raise ChildFailed(f"{late} The end of {self.log}:\n{self.tail()}")
            time.sleep(between)
        self.check()

    def stop(self, patience: float = 10.0) -> None:
        """End it and all that it started: ask first, then insist."""
        if self._process is None:
            return
        for request, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 5.0)):
            _signal_group(self._process.pid, request)
            if _ended(self._process, wait):
                break


def answers(url: str, timeout: float = 2.0) -> bool:
    """Whether a GET of this URL succeeds, without any proxy."""
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=timeout) as reply:
            return 200 <= int(reply.status) < 300
    except (URLError, HTTPException, OSError):
        return False


def free_port(wanted: int = 0) -> int:
    """The wanted port, or the next one above it that nobody listens on; any free one for 0."""
    if wanted == 0:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])
    last = min(wanted + 199, 65535)
    for port in range(wanted, last + 1):
        if not _busy(port):
            return port
    raise ChildFailed(f"Ports {wanted} to {last} are all in use; give another.")


def _busy(port: int) -> bool:
    """Whether the port cannot be had, on this address or on all of them."""
    for address in (HOST, ""):
        with socket.socket() as probe:
            # As servers do: what is left of connections that ended a moment ago is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return True
    return False


def _signal_group(group: int, request: signal.Signals) -> None:
    try:
        os.killpg(group, request)
    except ProcessLookupError:
        pass


def _ended(process: subprocess.Popen[bytes], wait: float) -> bool:
    """Whether the whole group is gone within `wait` seconds."""
    deadline = time.monotonic() + wait
    while process.poll() is None or _group_lives(process.pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
