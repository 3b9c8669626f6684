"""What was handed over of late, and to a request that began when? Held in memory, for stores of one process."""

import hashlib
import threading
from collections.abc import Callable, Iterable

REMEMBERED_SECONDS = 600.0
"""Longer than any request waits: of two that wait at the same time, the later one is answered within this."""
REMEMBERED_MOST = 100_000


class Given:
    """The answers that were handed over lately. Any thread may use it."""

    def __init__(self, clock: Callable[[], float], most: int = REMEMBERED_MOST) -> None:
        """
        Args:
            most: How many hand-overs are remembered; of more, the oldest are as if they had never been.
        """
        self._clock, self._most = clock, most
        self._turn = threading.Lock()
        self._times: dict[bytes, float] = {}  # in the order of their times

    def give(self, project: str, version: str, digests: Iterable[str], asked: float) -> set[str]:
        """Which predictions may be handed to a request that began at `asked`; they count as handed over now."""
        with self._turn:
            now = self._clock()
            mine = {
                digest for digest in digests if not self._since(question_name(project, version, digest), asked, now)
            }
            for name in (question_name(project, version, digest) for digest in mine):
                self._times.pop(name, None)
                self._times[name] = now
            self._forget(now)
        return mine

    def since(self, project: str, version: str, digest: str, asked: float) -> bool:
        """Whether an answer was handed over since `asked`."""
        with self._turn:
            return self._since(question_name(project, version, digest), asked, self._clock())

    def _since(self, name: bytes, asked: float, now: float) -> bool:
        # A time still to come is none: the clock was set back, and nobody is refused for as long as that was.
        return asked <= self._times.get(name, float("-inf")) <= now

    def _forget(self, now: float) -> None:
        surplus = len(self._times) - self._most
        old = []
        for place, (name, given) in enumerate(self._times.items()):
            if place >= surplus and now - REMEMBERED_SECONDS <= given:
                break
            old.append(name)
        for name in old:
            del self._times[name]


def question_name(project: str, version: str, digest: str) -> bytes:
    """Sixteen bytes that stand for a question: a fifth of what its words take."""
    told = "\0".join((project, version, digest)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).digest()
