"""Which pictures were brought in a moment ago?"""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from llm_backend.core.chat import Part, TextPart


class Shelf:
    """Parts of the last few minutes, oldest out first; bounded in bytes."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._held: OrderedDict[Hashable, tuple[float, Part]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> Part | None:
        while self._held and next(iter(self._held.values()))[0] <= self._clock():
            self._drop()
        held = self._held.get(key)
        return held[1] if held else None

    def put(self, key: Hashable, part: Part) -> None:
        if key in self._held or _size(part) > self._most:
            return
        self._held[key] = (self._clock() + self._seconds, part)
        self._size += _size(part)
        while self._size > self._most:
            self._drop()

    def _drop(self) -> None:
        _, (_, part) = self._held.popitem(last=False)
        self._size -= _size(part)


def _size(part: Part) -> int:
    return len(part.text if isinstance(part, TextPart) else part.url)
