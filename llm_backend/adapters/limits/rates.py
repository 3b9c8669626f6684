"""How many, how fast? A rate that is known is kept by a `Meter`, a limit that nobody told is found by a `Ceiling`."""

import math

# Room for a loop that wakes late, and no more: a provider's bucket may hold a few calls only.
_SLACK_SECONDS = 0.05

# Tried out on buckets of 0.5 to 500 calls a second, latencies of 1 to 500 ms, Retry-After exact and in whole seconds,
# with and without headers that tell of them, and on providers that turn away 5 % at any rate, which is no limit.
_MEMORY = 1 / 32
_MEMORY_OF_FEW = 1 / 8
_CROWDED = 0.3
_STRAINED = 0.1
_HEALTHY = 0.03
_SHARP = 0.4
_GENTLE = 0.8
_TRIM = 0.98
_SETTLED_SECONDS = 2.0
_GROWTH = 0.03
_LARGEST_STEP = 1.1
_LONGEST_USE = 10.0


class Meter:
    """Spaces calls evenly: each moves on the moment from which the next may go.

    That is a token bucket written as a date (GCRA). Its bucket holds the allowance of 50 ms, so that nothing
    bursts after a rest. A call may be charged before its time, and more afterwards: the next ones wait for it.

    Attributes:
        free_at: When the next call may go.
    """

    __slots__ = ("free_at",)

    def __init__(self) -> None:
        self.free_at = -math.inf

    def charge(self, now: float, seconds: float) -> None:
        """Take what the rate gives in these seconds; a negative number gives it back."""
        self.free_at = max(self.free_at, now - _SLACK_SECONDS) + seconds


class Ceiling:
    """A limit that is found out: cut where too many calls were turned away, growing while it is pressed against.

    It looks at the share of calls turned away of late, not at single ones: a provider behind a balancer turns away
    one of twenty at any rate, and a rate just above the limit costs a few refusals, not a stop. Growth is slow at
    first, near the value that was too much, and faster the longer all goes well, as in CUBIC (RFC 9438), but in
    proportion, so that it suits 3 calls a minute as well as 300 a second: from 1 to 50 in 16 s.

    Attributes:
        value: Infinite until the first cut.
        least: It is never cut below this.
    """

    __slots__ = ("_age", "_cut_at", "_pressed_at", "_share", "least", "value")

    def __init__(self, least: float) -> None:
        self.value = math.inf
        self.least = least
        self._share = 0.0
        self._cut_at = -math.inf
        self._age = 0.0
        self._pressed_at = -math.inf

    def passed(self) -> None:
        """A call was let in."""
        self._share -= self._share * self._memory

    def turned_away(self, now: float, sent: float, seen: float) -> bool:
        """A call was turned away.

        Args:
            sent: When it was sent. What was under way at a cut says nothing about the new value.
            seen: How much there was, for a first cut: of an infinite value there is no part.
        Returns:
            Whether the value was cut.
        """
        if sent < self._cut_at:
            return False
        self._share += (1 - self._share) * self._memory
        if self._share < _CROWDED:
            if self._share > _STRAINED:
                self.value = max(self.least, self.value * _TRIM)
            return False
        # Two cuts in a row mean that the value is far off; one after a time of growth, that it has come near.
        part = _SHARP if self._age < _SETTLED_SECONDS else _GENTLE
        self.value = max(self.least, min(self.value, seen) * part)
        self._share, self._cut_at, self._age, self._pressed_at = 0.0, now, 0.0, now
        return True

    @property
    def _memory(self) -> float:
        """The weight of one call. Where a call a second is too much, ten refusals are too many to wait for."""
        return _MEMORY if self.value > 1 else _MEMORY_OF_FEW

    def pressed(self, now: float) -> None:
        """A call goes that waited for this limit, or is the last to find room."""
        used = max(0.0, min(now - self._pressed_at, _LONGEST_USE))
        self._pressed_at = now
        if self._share < _HEALTHY:
            self._age += used
            self.value *= min(_LARGEST_STEP, math.exp(_GROWTH * self._age * used))

    def unpressed(self, until: float) -> None:
        """It was no limit until now, or will not be one for a while: what is not used proves nothing."""
        self._pressed_at = until
