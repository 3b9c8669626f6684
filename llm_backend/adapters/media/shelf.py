"""Which media were brought in a moment ago?"""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from llm_backend.core.chat import AudioPart, Part, TextPart


class Shelf:
    """Parts of the last few minutes, oldest out first; bounded in bytes."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._held: OrderedDict[Hashable, tuple[float, tuple[Part, ...]]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> tuple[Part, ...] | None:
        while self._held and next(iter(self._held.values()))[0] <= self._clock():
            self._drop()
        held = self._held.get(key)
        return held[1] if held else None

    def put(self, key: Hashable, parts: tuple[Part, ...]) -> None:
        if key in self._held or size_of(parts) > self._most:
            return
        self._held[key] = (self._clock() + self._seconds, parts)
        self._size += size_of(parts)
        while self._size > self._most:
            self._drop()

    def _drop(self) -> None:
        _, (_, parts) = self._held.popitem(last=False)
        self._size -= size_of(parts)


def size_of(parts: tuple[Part, ...]) -> int:
    """In characters, as they are sent."""
    return sum(len(_content(part)) for part in parts)


def _content(part: Part) -> str:
    if isinstance(part, TextPart):
        return part.text
    return part.data if isinstance(part, AudioPart) else part.url
