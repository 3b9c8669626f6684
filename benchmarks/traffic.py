"""How are the calls made and timed? Over connections that stay open, as Label Studio's are."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

from benchmarks.processes import Served

_TIMEOUT = 100.0  # the host's own for /predict
_HEADERS = {"User-Agent": "heartex/1.23.2", "Content-Type": "application/json", "Accept-Encoding": "gzip, deflate"}


class WrongAnswer(Exception):
    """An answer that the measurement cannot stand on."""


class Caller:
    """One connection, kept open; for one thread."""

    def __init__(self, served: Served) -> None:
        self._connection = HTTPConnection("127.0.0.1", served.port, timeout=_TIMEOUT)

    def get(self, path: str) -> Any:
        return json.loads(self._exchange("GET", path, None))

    def post(self, path: str, body: bytes) -> Any:
        return json.loads(self._exchange("POST", path, body))

    def timed(self, path: str, body: bytes | None = None, holds: bytes = b"") -> float:
        """Seconds that an exchange takes; a POST if there is a body.

        Raises:
            WrongAnswer: The answer does not hold what it must.
        """
        began = time.perf_counter()
        answer = self._exchange("GET" if body is None else "POST", path, body)
        seconds = time.perf_counter() - began
        if holds not in answer:
            raise WrongAnswer(f"{path} answered without {holds.decode()}: {answer[:500].decode(errors='replace')}")
        return seconds

    def close(self) -> None:
        self._connection.close()

    def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        self._connection.request(method, path, body, _HEADERS)
        response = self._connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise WrongAnswer(f"{method} {path}: {response.status} {response.reason}")
        return answer


def at_once(served: Served, path: str, bodies: Sequence[bytes], callers: int, holds: bytes) -> list[float]:
    """Seconds of each exchange, made by several callers who start together and never pause.

    Raises:
        WrongAnswer: An answer does not hold what it must.
    """
    start = threading.Barrier(callers)

    def work(own: Sequence[bytes]) -> list[float]:
        caller = Caller(served)
        try:
            caller.timed("/health")  # the connection is open before the start
            start.wait(_TIMEOUT)
            return [caller.timed(path, body, holds) for body in own]
        finally:
            caller.close()

    with ThreadPoolExecutor(callers) as threads:
        shares = threads.map(work, (bodies[number::callers] for number in range(callers)))
        return [seconds for share in shares for seconds in share]


@contextmanager
def probing(served: Served, path: str, every: float) -> Iterator[Callable[[], list[float]]]:
    """Ask for a path again and again meanwhile; yields what tells the seconds of each answer."""
    taken: list[float] = []
    done = threading.Event()

    def probe() -> None:
        caller = Caller(served)
        try:
            while not done.wait(every):
                taken.append(caller.timed(path))
        finally:
            caller.close()

    thread = threading.Thread(target=probe, name="probe")
    thread.start()
    try:
        yield lambda: list(taken)
    finally:
        done.set()
        thread.join(_TIMEOUT)
