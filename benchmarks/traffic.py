"""How are the calls made and timed? Over connections that stay open, as Label Studio's are."""

import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
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


def at_once(
    served: Served, path: str, bodies: Sequence[bytes], callers: int, holds: bytes, spread: float = 0.0
) -> list[float]:
    """Seconds of each exchange, made by several callers who never pause.

    Args:
        spread: Seconds within which they start, each at a moment of its own; 0: all in the same moment.
    Raises:
        WrongAnswer: An answer does not hold what it must.
    """
    start, chance = threading.Barrier(callers), random.Random(7)

    def work(own: Sequence[bytes], late: float) -> list[float]:
        caller = Caller(served)
        try:
            caller.timed("/health")  # the connection is open before the start
            start.wait(_TIMEOUT)
            time.sleep(late)
            return [caller.timed(path, body, holds) for body in own]
        finally:
            caller.close()

    with ThreadPoolExecutor(callers) as threads:
        shares = [bodies[number::callers] for number in range(callers)]
        taken = threads.map(work, shares, [chance.uniform(0, spread) for _ in shares])
        return [seconds for own in taken for seconds in own]


@contextmanager
def probing(served: Served, path: str, every: float) -> Iterator[Callable[[], list[float]]]:
    """Ask for a path again and again meanwhile; yields what tells the seconds of each answer (infinite: a failure)."""
    taken: list[float] = []
    done = threading.Event()

    def probe() -> None:
        caller = Caller(served)
        try:
            while not done.wait(every):
                taken.append(caller.timed(path))
        except (OSError, HTTPException, WrongAnswer):
            taken.append(math.inf)
        finally:
            caller.close()

    thread = threading.Thread(target=probe, name="probe")
    thread.start()
    try:
        yield lambda: list(taken)
    finally:
        done.set()
        thread.join(_TIMEOUT)
