"""Whose turn is it? (places for calls, and the queues before them)"""

import asyncio
import math
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType

from llm_backend.adapters.limits.gate import Gate
from llm_backend.adapters.limits.rates import Meter
from llm_backend.core.chat import Lane

Spent = Callable[[int, float], None]
"""Is told of requests and tokens that a known rate was charged with. Quick, and raises nothing."""

_Ticket = asyncio.Future[None]
_Queue = deque[tuple["Place", _Ticket]]


class Limits:
    """Places for model calls: batch calls wait for one, project by project in turn; interactive calls never wait.

    An interactive call still takes a place and counts against the rates, so that batch calls make room for it. Made
    anywhere, used in one event loop and only there, which is why no lock is needed.

    Several processes share the limits by construction: each keeps to its part of them. A counter in a shared store
    would leak a place whenever its holder is killed.

    Attributes:
        concurrency: Calls in flight, of all processes together, at which batch calls begin to wait.
        in_flight: Calls of this process that hold a place now.
        refused: Calls that met a rate limit (429) so far.
    """

    def __init__(
        self,
        concurrency: int,
        *,
        rpm: int = 0,
        tpm: int = 0,
        processes: Callable[[], int] = lambda: 1,
        spent: Spent | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Args:
            rpm: Requests per minute that the provider is known to allow, tries included; 0: not known.
            tpm: The same for tokens.
            processes: How many processes ask models now, this one included. Asked often: it answers from memory.
            spent: Is told what interactive calls take of the known rates: they keep to no part.
        """
        self.concurrency = concurrency
        self.in_flight = 0
        self.refused = 0
        self._rpm, self._tpm = rpm, tpm
        self._requests, self._tokens = Meter(), Meter()
        self._processes = processes
        self._spent = spent
        self._clock = clock
        self._sleep = sleep
        self._open = Gate()
        self._queues: OrderedDict[tuple[Gate, str], _Queue] = OrderedDict()
        self._waker: asyncio.Task[None] | None = None
        self._wakes_at = math.inf

    @property
    def waiting(self) -> int:
        """Batch calls that wait for a place now."""
        return sum(not ticket.done() for queue in self._queues.values() for _, ticket in queue)

    @property
    def counts_tokens(self) -> bool:
        """Whether calls must say how large they are."""
        return self._tpm > 0

    @property
    def share(self) -> int:
        """This process's part of the places; at least one, if there are any."""
        return self.concurrency // self.processes or min(1, self.concurrency)

    @property
    def processes(self) -> int:
        return max(1, self._processes())

    def place(self, lane: Lane, gate: Gate | None = None, group: str = "", size: int = 0) -> "Place":
        """A place for one call: `async with limits.place("batch"): ...`

        Args:
            gate: The way to the call's model; without one, only the number of places counts.
            group: Whose call it is. Groups take turns.
            size: Bytes of the call's text, where `counts_tokens`.
        """
        return Place(self, lane, gate or self._open, group, size)

    def pause(self, gate: Gate) -> float:
        """Seconds for which no batch call may go."""
        return max(0.0, gate.paused_until - self._clock())

    def spent_elsewhere(self, requests: int, tokens: float) -> None:
        """A process that keeps to no part of the known rates took this of them: all the others make room."""
        now = self._clock()
        if self._rpm and requests:
            self._requests.charge(now, requests * 60 / self._rpm)
        if self._tpm and tokens:
            self._tokens.charge(now, tokens * 60 / self._tpm)

    async def _take(self, place: "Place") -> None:
        gate, now = place.gate, self._clock()
        # What waits although there is a free place waits for a gate: it may be overtaken by whoever has another one.
        free = self.in_flight < self.share and not gate.queues and self._opens_at(gate) <= now and not gate.full
        if free or place.lane == "interactive":
            self._give(place, now)
            return
        ticket: _Ticket = asyncio.get_running_loop().create_future()
        self._enqueue(place, ticket)
        self._serve()
        try:
            await ticket
        except asyncio.CancelledError:
            if not ticket.cancelled():
                self._give_back(place)  # the place came in the same turn of the loop as the cancellation
            raise

    def _opens_at(self, gate: Gate) -> float:
        """When a batch call may go through a gate, if there is a place for it."""
        if not gate.metered:
            return gate.free_at
        return max(gate.free_at, self._requests.free_at, self._tokens.free_at)

    def _give(self, place: "Place", now: float) -> None:
        self.in_flight += 1
        place.sent = now
        place.gate.send(now)
        if place.gate.metered:
            if self._rpm:
                self._requests.charge(now, 60 / self._rpm * self.processes)
            if self._tpm:
                place.tokens = place.gate.expected_tokens(place.size)
                self._charge_tokens(now, place.tokens)
            if self._rpm or self._tpm:
                self._tell(place, 1, place.tokens)

    def _charge_tokens(self, now: float, tokens: float) -> None:
        self._tokens.charge(now, tokens * 60 / self._tpm * self.processes)

    def _tell(self, place: "Place", requests: int, tokens: float) -> None:
        if self._spent is not None and place.lane == "interactive":
            self._spent(requests, tokens)

    def _give_back(self, place: "Place") -> None:
        self.in_flight -= 1
        place.gate.in_flight -= 1
        if self._queues:
            self._serve()

    def _enqueue(self, place: "Place", ticket: _Ticket) -> None:
        key = (place.gate, place.group)
        queue = self._queues.get(key)
        if queue is None:
            queue = self._queues[key] = deque()
            place.gate.queues += 1
        queue.append((place, ticket))

    def _serve(self) -> None:
        """Give what is free to those who wait, in turn by queue; see to it that the rest are served in time."""
        now, passed_over = self._clock(), 0
        while passed_over < len(self._queues) and self.in_flight < self.share:
            key = next(iter(self._queues))
            gate, queue = key[0], self._queues[key]
            while queue and queue[0][1].done():  # whoever gave up stays until now: leaving from the middle is slow
                queue.popleft()
            if not queue:
                del self._queues[key]
                gate.queues -= 1
                continue
            self._queues.move_to_end(key)
            if gate.full or self._opens_at(gate) > now:
                passed_over += 1
                continue
            place, ticket = queue.popleft()
            # The place is taken here, not when the waiting call wakes: nobody can slip in between.
            self._give(place, now)
            ticket.set_result(None)
            passed_over = 0
        if self._queues and self.in_flight < self.share:
            self._wake_later(now)

    def _wake_later(self, now: float) -> None:
        """Come back when the first gate opens. One that is full opens when a call ends, which needs no clock."""
        due = min((self._opens_at(gate) for gate, _ in self._queues if not gate.full), default=math.inf)
        if due >= self._wakes_at or due == math.inf:
            return
        if self._waker is not None:
            self._waker.cancel()
        self._wakes_at = due
        self._waker = asyncio.create_task(self._wake(due - now))

    async def _wake(self, seconds: float) -> None:
        await self._sleep(max(0.0, seconds))
        self._waker, self._wakes_at = None, math.inf
        self._serve()


class Place:
    """One call's place, held while the `async with` block runs, and told in it what became of the call."""

    __slots__ = ("_limits", "gate", "group", "lane", "sent", "size", "tokens")

    def __init__(self, limits: Limits, lane: Lane, gate: Gate, group: str, size: int) -> None:
        self._limits = limits
        self.lane = lane
        self.gate = gate
        self.group = group
        self.size = size
        self.sent = 0.0
        self.tokens = 0.0

    async def __aenter__(self) -> "Place":
        await self._limits._take(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limits._give_back(self)

    def answered(self, headers: Mapping[str, str]) -> None:
        """An answer came, with these headers."""
        self.gate.answered(self._limits._clock(), headers, self._limits.processes)

    def counted(self, tokens: int) -> None:
        """The provider counted the call's tokens: what was charged too much or too little is made up for."""
        if tokens:
            self.gate.counted(self.size, tokens)
            self._recharge(tokens)

    def refused(self, wait: float | None, headers: Mapping[str, str]) -> None:
        """The call met a rate limit; the provider may ask to wait some seconds."""
        now = self._limits._clock()
        self._limits.refused += 1
        self._recharge(0)
        self.gate.read(now, headers, self._limits.processes)
        self.gate.refused(now, self.sent, wait)

    def overloaded(self, wait: float | None = None) -> None:
        """The server is overloaded, or gave no answer in time."""
        self.gate.overloaded(self._limits._clock(), self.sent, wait)

    def _recharge(self, tokens: int) -> None:
        if self.tokens:
            more = tokens - self.tokens
            self._limits._charge_tokens(self._limits._clock(), more)
            self._limits._tell(self, 0, more)
            self.tokens = float(tokens)
