"""What is known of one model's limits at its provider?"""

import math
from collections.abc import Mapping

from llm_backend.adapters.limits.headers import allowed_rate
from llm_backend.adapters.limits.rates import Ceiling, Meter

_SLOWEST = 1 / 60  # calls per second
_FIRST_EXTRA_TOKENS = 250.0
_MEMORY = 1 / 16


class Gate:
    """The way to one model, as its answers have shown it: how many calls at once, how fast, and not before when.

    Rate limits (429) set the pace and may pause it; overload (503, 529, time-outs) narrows the window. Both are found
    out (`Ceiling`), for all batch calls together: callers that know of their own refusal only come back in herds.

    Attributes:
        metered: Whether the operator's RPM and TPM speak of it.
        in_flight: Calls under way.
        queues: Queues of calls that wait for it.
        paused_until: No batch call goes before this moment.
    """

    def __init__(self, metered: bool = False) -> None:
        self.metered = metered
        self.in_flight = 0
        self.queues = 0
        self.paused_until = -math.inf
        self._window = Ceiling(least=1.0)
        self._rate = Ceiling(least=_SLOWEST)
        self._meter = Meter()
        self._told_rate = math.inf
        self._told_until = -math.inf
        self._sent = _Recently()
        self._extra_tokens = _FIRST_EXTRA_TOKENS
        self._tokens_per_call = 0.0

    @property
    def full(self) -> bool:
        """Whether as many calls are under way as it bears."""
        return self.in_flight >= self._window.value

    @property
    def limiting(self) -> bool:
        """Whether it has found limits lower than what was asked for."""
        return self._rate.value < math.inf or self._window.value < math.inf

    @property
    def free_at(self) -> float:
        """When the next batch call may go, if there is a place for it."""
        return max(self.paused_until, self._meter.free_at)

    def expected_tokens(self, size: int) -> float:
        """Tokens of a call with so many bytes of text, the answer's included, as far as answers have taught it."""
        return size / 4 + self._extra_tokens

    def send(self, now: float) -> None:
        """A call takes its place."""
        self.in_flight += 1
        self._sent.note(now)
        if self._window.value < math.inf:
            (self._window.pressed if self.full else self._window.unpressed)(now)
        if self._rate.value < math.inf:
            (self._rate.pressed if self._meter.free_at > now - 1 / self._rate.value else self._rate.unpressed)(now)
        rate = self._pace(now)
        if rate < math.inf:
            self._meter.charge(now, 1 / rate)

    def answered(self, now: float, headers: Mapping[str, str], processes: int) -> None:
        """An answer came; its headers may tell how much is left of the provider's buckets."""
        self._window.passed()
        self._rate.passed()
        self.read(now, headers, processes)

    def counted(self, size: int, tokens: int) -> None:
        """The provider counted the tokens of a call with so many bytes of text."""
        self._extra_tokens += (max(0.0, tokens - size / 4) - self._extra_tokens) * _MEMORY
        self._tokens_per_call += (tokens - self._tokens_per_call) * (_MEMORY if self._tokens_per_call else 1.0)

    def refused(self, now: float, sent: float, wait: float | None) -> None:
        """A call met a rate limit. Where many do, all wait, as long as the provider says."""
        if self._rate.turned_away(now, sent, self._sent.per_second(now)):
            self.paused_until = max(self.paused_until, now + (wait or 0.0))
            self._meter.free_at = now
            self._rate.unpressed(self.paused_until)

    def overloaded(self, now: float, sent: float, wait: float | None) -> None:
        """A call met a server that is overloaded, or too slow."""
        if self._window.turned_away(now, sent, self.in_flight):
            self.paused_until = max(self.paused_until, now + (wait or 0.0))
            self._window.unpressed(self.paused_until)

    def read(self, now: float, headers: Mapping[str, str], processes: int) -> None:
        """Let the provider's buckets empty evenly, where it tells how full they are."""
        told = allowed_rate(headers, self._tokens_per_call)
        if told is None:
            return
        self._told_rate, self._told_until = told.per_second / processes, now + told.seconds
        # What was charged at a lower rate is not waited for.
        self._meter.free_at = min(self._meter.free_at, now + 1 / self._pace(now))

    def _pace(self, now: float) -> float:
        return min(self._rate.value, self._told_rate) if now < self._told_until else self._rate.value


class _Recently:
    """How many calls went out in a second of late: this one or the one before, whichever had more."""

    __slots__ = ("_before", "_count", "_second")

    def __init__(self) -> None:
        self._second = self._count = self._before = 0

    def note(self, now: float) -> None:
        self._turn(now)
        self._count += 1

    def per_second(self, now: float) -> float:
        self._turn(now)
        return float(max(self._count, self._before, 1))

    def _turn(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._before = self._count if second == self._second + 1 else 0
            self._second, self._count = second, 0
