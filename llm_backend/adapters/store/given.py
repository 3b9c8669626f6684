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
_NEVER = (float("-inf"), float("-inf"))


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
        self._times: dict[bytes, tuple[float, float]] = {}  # when given, and when shown; in the order of the first
        self._holds: dict[bytes, _Hold] = {}

    def give(
        self, project: str, version: str, digests: Iterable[str], asked: float, *, shown_within: float = 0.0
    ) -> set[str]:
        """Which predictions may be handed to a request that began at `asked`; they count as handed over now."""
        with self._turn:
            now, named = self._clock(), _named(project, version, digests)
            mine = [name for name in named if not (self._since(name, asked, now) or self._held(name, now))]
            self._note(mine, now, shown_within)
        return {named[name] for name in mine}

    def hold(self, project: str, version: str, digests: Iterable[str], holder: str, seconds: float) -> set[str]:
        """Which predictions are `holder`'s for so many seconds: none that another holds, or that is on its way."""
        with self._turn:
            now, named = self._clock(), _named(project, version, digests)
            self._holds = {name: hold for name, hold in self._holds.items() if hold.stands(now)}
            mine = [name for name in named if not (self._on_its_way(name, now) or self._held(name, now, holder))]
            self._holds |= dict.fromkeys(mine, _Hold(holder, now, now + seconds))
        return {named[name] for name in mine}

    def let_go(
        self, project: str, version: str, digests: Iterable[str], holder: str, *, shown_within: float | None = None
    ) -> None:
        """End what `holder` holds of these; they may count as handed over now."""
        with self._turn:
            named = _named(project, version, digests)
            for name in named:
                if (hold := self._holds.get(name)) and hold.holder == holder:
                    del self._holds[name]
            if shown_within is not None:
                self._note(named, self._clock(), shown_within)

    def since(self, project: str, version: str, digest: str, asked: float) -> bool:
        """Whether an answer was handed over since `asked`."""
        with self._turn:
            return self._since(question_name(project, version, digest), asked, self._clock())

    def _held(self, name: bytes, now: float, but_by: str = "") -> bool:
        hold = self._holds.get(name)
        return hold is not None and hold.holder != but_by and hold.stands(now)

    def _on_its_way(self, name: bytes, now: float) -> bool:
        given, shown = self._times.get(name, _NEVER)
        return given <= now < shown

    def _note(self, names: Iterable[bytes], now: float, shown_within: float) -> None:
        """These were handed over now."""
        for name in names:
            self._times.pop(name, None)
            self._times[name] = now, now + shown_within
        self._forget(now)

    def _since(self, name: bytes, asked: float, now: float) -> bool:
        # A time still to come is none: the clock was set back, and nobody is refused for as long as that was.
        return asked <= self._times.get(name, _NEVER)[0] <= now

    def _forget(self, now: float) -> None:
        surplus = len(self._times) - self._most
        old = []
        for place, (name, (given, _)) in enumerate(self._times.items()):
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
