"""How does one call get its answer in time?"""

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from openai import APIStatusError

from llm_backend.adapters.limits import Gate, Limits, Place
from llm_backend.adapters.providers.answer import Answer
from llm_backend.adapters.providers.completion import Part, completion_of, usable
from llm_backend.adapters.providers.connections import Connections
from llm_backend.adapters.providers.conversation import Conversation, Sending, Way, size_of, too_slow
from llm_backend.adapters.providers.dialect import Dialect, Rung, spelt
from llm_backend.adapters.providers.endpoint import Endpoint, open_client, refuse_private
from llm_backend.adapters.providers.faults import LIBRARY_ERRORS, Declined, Transient, fault_of
from llm_backend.adapters.providers.line import Line
from llm_backend.core.chat import Call, Completion, Takes
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, Busy, RateLimited, Unreachable
from llm_backend.settings import Settings

log = logging.getLogger("llm_backend.providers")


class Observer(Protocol):
    """Told of every request that goes to a provider. Its methods are quick, and raise nothing."""

    def sent(self) -> None:
        """A request is on its way."""
        ...

    def ended(self, outcome: str, seconds: float) -> None:
        """It ended: `answered`, or a fault's name; the seconds do not count the wait for a place in the limits."""
        ...

    def retried(self, fault: BackendError) -> None:
        """The same will be asked once more, after a fault that may pass; it is what a person would read of it."""
        ...


_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
# On top of a wait that the provider asks for: it knows how long, we only keep the callers apart.
_LONGEST_JITTER = 4.0
# A person who waits for a server that cannot be reached is told after this many further tries (some four seconds).
_PERSONS_TRIES = 4


@dataclass(frozen=True, slots=True)
class Timing:
    """Clock, sleep and chance; handed in so that tests need not wait."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random


def connect(
    endpoint: Endpoint,
    settings: Settings,
    limits: Limits,
    timing: Timing | None = None,
    observer: Observer | None = None,
) -> "Provider":
    """Make the connection to a model; nothing is sent before the first call.

    Args:
        limits: Shared by all connections of the process.
    Raises:
        SettingsError: The endpoint's address or key, or the environment's certificates, are none.
    """
    return Provider(endpoint, settings, limits, timing or Timing(), observer)


class Provider:
    """A `core.chat.LLM` behind an endpoint: one long-lived client, used in one event loop.

    Retries are ours, not the library's: they go on until the call's patience ends, and hold no place in the limits
    while they sleep.
    """

    def __init__(
        self, endpoint: Endpoint, settings: Settings, limits: Limits, timing: Timing, observer: Observer | None = None
    ) -> None:
        self.endpoint = endpoint
        self._call_timeout = settings.llm_timeout
        self._allowed = settings.media_hosts
        self._limits = limits
        self._timing = timing
        self._observer = observer
        self._connections = Connections(endpoint, self._allowed)
        self._client = open_client(endpoint, self._connections.http)
        self._ways: dict[str, Way] = {}

    @property
    def model(self) -> str:
        return self.endpoint.name

    @property
    def takes(self) -> Takes:
        return self._way(self.endpoint.name).dialect.taken(self.endpoint.takes)

    async def complete(self, call: Call) -> Completion:
        """Carry one call; see `core.chat.LLM`. What a server cannot do in one request is asked in several."""
        started = self._timing.clock()
        conversation = self._conversation(call, started + call.patience)
        if call.n > 1 and not conversation.way.dialect.takes_n:
            parts = await self._separately(conversation, call.n, [])
        else:
            first = await self._ask(conversation, call.n)
            parts = [first]
            if (missing := call.n - first.answer.choices) > 0:
                self._learn(conversation, "n")
                parts = await self._separately(conversation, missing, parts)
        completion = completion_of(parts, call.n, self._timing.clock() - started)
        _note(conversation, completion)
        return completion

    async def close(self) -> None:
        await self._client.close()

    def _conversation(self, call: Call, end: float) -> Conversation:
        # A plan that names the connection's own model means the deployment, where Azure knows it by another name.
        model = self.endpoint.name if call.model in (None, self.endpoint.model) else str(call.model)
        way = self._way(model)
        size = size_of(call) if self._limits.counts_tokens else 0
        return Conversation(call, model, f"{model} at {self.endpoint.host}", way, size, end)

    def _way(self, model: str) -> Way:
        way = self._ways.get(model)
        if way is None:
            # RPM and TPM speak of the operator's own account, not of those that projects bring along.
            gate = Gate(metered=not self.endpoint.guarded)
            dialect = Dialect(ollama=self.endpoint.provider == "ollama")
            way = self._ways[model] = Way(dialect, gate, Line(self._client, self._connections))
        return way

    async def _separately(self, conversation: Conversation, count: int, parts: list[Part]) -> list[Part]:
        """Ask for single completions, all at once. Some may fail, if at least one part is there in the end."""
        asked = [self._ask(conversation, 1) for _ in range(count)]
        results = await asyncio.gather(*asked, return_exceptions=True)
        answered = parts + [result for result in results if not isinstance(result, BaseException)]
        for result in results:
            if isinstance(result, BaseException) and not (answered and isinstance(result, BackendError)):
                raise result
        return answered

    async def _ask(self, conversation: Conversation, n: int) -> Part:
        """Ask until there is an answer: in another manner where the server wants one, again where it may help."""
        call, dialect = conversation.call, conversation.way.dialect
        manner, tries = dialect.manner(call), 0
        while True:
            call = await spelt(call, manner)
            body = dialect.body(call, manner, conversation.model, n)
            try:
                answer = await self._exchange(conversation, body)
            except Declined as declined:
                other = dialect.other(call, manner, body, declined.refusal)
                if other is None:
                    raise declined.final from None
                manner = other
            except Transient as fault:
                await self._pause(conversation, fault, tries)
                tries += 1
            else:
                self._learn(conversation, *manner.lessons)
                return Part(answer, structured=call.schema is not None and manner.rung is Rung.STRICT)

    async def _exchange(self, conversation: Conversation, body: dict[str, JSON]) -> Answer:
        """One request and its reply, read and counted."""
        call = conversation.call
        sending = Sending(self._limits.place(call.lane, conversation.way.gate, call.group, conversation.size))
        outcome = "answered"
        try:
            answer = usable(await self._post(conversation, body, sending), conversation.who)
            sending.place.counted(answer.usage.prompt_tokens + answer.usage.completion_tokens)
            return answer
        except Transient as fault:
            outcome = type(fault.lasted).__name__
            raise
        except (BackendError, Declined) as fault:
            outcome = type(fault).__name__
            raise
        finally:
            if self._observer is not None and sending.began is not None:
                self._observer.ended(outcome, self._timing.clock() - sending.began)

    async def _post(self, conversation: Conversation, body: dict[str, JSON], sending: Sending) -> bytes:
        """Wait for a place and send, within the call's time-out and what is left of its patience.

        A person's call, once begun, has its whole time-out: its answer may come late, and is kept for them.
        """
        left = max(0.0, conversation.end - self._timing.clock())
        if conversation.call.lane == "interactive":
            left = max(left, self._call_timeout)
        scope = asyncio.timeout(left)
        try:
            refuse_private(self.endpoint, self._allowed)
            self._refuse_in_vain(conversation, left)
            async with scope, sending.place:
                sending.began = self._timing.clock()
                if self._observer is not None:
                    self._observer.sent()
                if left > self._call_timeout:
                    now = asyncio.get_running_loop().time()
                    scope.reschedule(min(now + self._call_timeout, scope.when() or now))
                return await self._reply(conversation, body, sending.place)
        except LIBRARY_ERRORS as error:
            fault = (
                too_slow(conversation, sending, min(left, self._call_timeout))
                if scope.expired()
                else fault_of(error, self.endpoint, conversation.model)
            )
        # Outside of the handler, so that the library's error does not hang on as context: its text may hold the key.
        raise fault

    async def _reply(self, conversation: Conversation, body: dict[str, JSON], place: Place) -> bytes:
        """Send, and let the limits learn from the reply before the place is somebody else's."""
        try:
            reply = await conversation.way.line.post(body)
        except APIStatusError as error:
            fault = fault_of(error, self.endpoint, conversation.model)
            if isinstance(fault, Transient) and isinstance(fault.lasted, RateLimited):
                place.refused(fault.wait, error.response.headers)
            elif isinstance(fault, Transient) and isinstance(fault.lasted, Busy):
                place.overloaded(fault.wait)
            raise
        place.answered(reply.headers)
        return reply.content

    def _refuse_in_vain(self, conversation: Conversation, left: float) -> None:
        """Refuse a call that would wait in the limits until its patience ends.

        Raises:
            RateLimited: The provider has asked all calls to wait longer than that.
        """
        pause = self._limits.pause(conversation.way.gate)
        if pause > left and conversation.call.lane == "batch":
            raise RateLimited(f"{conversation.who}: rate limit reached. It asks to wait {math.ceil(pause)} s.")

    async def _pause(self, conversation: Conversation, fault: Transient, tries: int) -> None:
        """Sleep before the next try, without a place in the limits.

        Full jitter, also on top of what the provider asks for: callers that were refused together must not come back
        together.

        Raises:
            BackendError: The provider says that it is in vain, a person has waited long enough for a server that does
                not answer, or patience would end first.
        """
        longest = _LONGEST_PAUSE if fault.wait is None else _LONGEST_JITTER
        spread = min(longest, _FIRST_PAUSE * 2 ** min(tries, 10))
        wait = (fault.wait or 0.0) + self._timing.chance() * spread
        person = conversation.call.lane == "interactive" and isinstance(fault.lasted, Unreachable)
        in_vain = person and tries >= _PERSONS_TRIES
        if not fault.again or in_vain or self._timing.clock() + wait >= conversation.end:
            raise fault.lasted from None
        log.info("%s: try %d in %.1f s, after %s", conversation.who, tries + 2, wait, type(fault.lasted).__name__)
        if self._observer is not None:
            self._observer.retried(fault.lasted)
        await self._timing.sleep(wait)

    def _learn(self, conversation: Conversation, *lessons: str | Rung) -> None:
        if conversation.way.dialect.learn(*lessons):
            names = sorted(lesson.name.lower() if isinstance(lesson, Rung) else lesson for lesson in lessons)
            log.info("%s does not take %s; it will not be asked for again", conversation.who, ", ".join(names))


def _note(conversation: Conversation, completion: Completion) -> None:
    usage = completion.usage
    log.debug(
        "%s: %s call, %d answers of %d, %d + %d tokens, %d requests, %.2f s",
        conversation.who,
        conversation.call.lane,
        len(completion.texts),
        conversation.call.n,
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.calls,
        completion.seconds,
    )
