"""What was handed over of late, to a request that began when, and who holds what?

Held in memory, for stores of one process.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

REMEMBERED_SECONDS = 600.0
"""Longer than any request waits: of two that wait at the same time, the later one is answered within this."""
REMEMBERED_MOST = 100_000


@dataclass(frozen=True, slots=True)
class _Hold:
    """Who alone may take an answer into the host, from when until when (seconds)."""

    holder: str
    since: float
    ends: float

    def stands(self, now: float) -> bool:
        # Nor does one that is still to come: the clock was set back.
        return self.since <= now < self.ends


class Given:
    """The answers that were handed over lately, or are held. Any thread may use it."""

    def __init__(self, clock: Callable[[], float], most: int = REMEMBERED_MOST) -> None:
        """
        Args:
            most: How many hand-overs are remembered; of more, the oldest are as if they had never been.
        """
        self._clock, self._most = clock, most
        self._turn = threading.Lock()
        self._times: dict[bytes, float] = {}  # in the order of their times
        self._holds: dict[bytes, _Hold] = {}

    def give(self, project: str, version: str, digests: Iterable[str], asked: float) -> set[str]:
        """Which predictions may be handed to a request that began at `asked`; they count as handed over now."""
        with self._turn:
            now = self._clock()
            mine = self._free(_named(project, version, digests), asked, now)
            self._note(mine, now)
        return set(mine.values())

    def hold(
        self, project: str, version: str, digests: Iterable[str], asked: float, holder: str, seconds: float
    ) -> set[str]:
        """Which predictions are `holder`'s for so many seconds: none that another holds, or was given since `asked`."""
        with self._turn:
            now = self._clock()
            self._holds = {name: hold for name, hold in self._holds.items() if hold.stands(now)}
            mine = self._free(_named(project, version, digests), asked, now, holder)
            self._holds |= dict.fromkeys(mine, _Hold(holder, now, now + seconds))
        return set(mine.values())

    def let_go(self, project: str, version: str, digests: Iterable[str], holder: str, *, handed: bool = False) -> None:
        """End what `holder` holds of these; they may count as handed over now."""
        with self._turn:
            named = _named(project, version, digests)
            for name in named:
                if (hold := self._holds.get(name)) and hold.holder == holder:
                    del self._holds[name]
            if handed:
                self._note(named, self._clock())

    def since(self, project: str, version: str, digest: str, asked: float) -> bool:
        """Whether an answer was handed over since `asked`."""
        with self._turn:
            return self._since(question_name(project, version, digest), asked, self._clock())

    def _free(self, named: dict[bytes, str], asked: float, now: float, holder: str = "") -> dict[bytes, str]:
        """Those that nobody but `holder` holds, and nobody was handed since `asked`."""
        return {
            name: digest
            for name, digest in named.items()
            if not self._since(name, asked, now)
            and not ((hold := self._holds.get(name)) and hold.holder != holder and hold.stands(now))
        }

    def _note(self, names: Iterable[bytes], now: float) -> None:
        """These were handed over now."""
        for name in names:
            self._times.pop(name, None)
            self._times[name] = now
        self._forget(now)

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


def _named(project: str, version: str, digests: Iterable[str]) -> dict[bytes, str]:
    return {question_name(project, version, digest): digest for digest in digests}


def question_name(project: str, version: str, digest: str) -> bytes:
    """Sixteen bytes that stand for a question: a fifth of what its words take."""
    told = "\0".join((project, version, digest)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(told, digest_size=16).digest()
