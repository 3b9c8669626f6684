"""A provider against a stub model, with a clock that sleeps without waiting."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from llm_backend.adapters.limits import Limits
from llm_backend.adapters.providers import Endpoint, Observer, Provider, Timing, connect
from llm_backend.core.chat import Call, Completion, Message
from llm_backend.settings import Settings
from tests.support.stub_model import StubModel

T = TypeVar("T")

KEY = "sk-secret-0123456789"
TEXT = "Mrs Dalloway said she would buy the flowers herself."
SCHEMA = {
    "type": "object",
    "properties": {"tone": {"type": "string", "enum": ["good", "bad"]}},
    "required": ["tone"],
    "additionalProperties": False,
}
TOLD = "Answer with one JSON object that has tone: good or bad."


class FakeTime:
    """A clock that moves only when somebody sleeps.

    Attributes:
        slept: The pauses, in order.
        chances: What the dice show, 0 up to 1, one throw after the other.
    """

    def __init__(self, *chances: float) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self.chances = itertools.cycle(chances or (0.5,))
        self.when_asleep: Callable[[], None] = lambda: None

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.when_asleep()
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> float:
        return self.now

    async def drift(self, seconds: float) -> None:
        """Sleep as the limits do, whose naps are not the provider's pauses."""
        self.now += seconds
        await asyncio.sleep(0)

    @property
    def timing(self) -> Timing:
        return Timing(self.clock, self.sleep, lambda: next(self.chances))


def settings_for(stub: StubModel, **changes: Any) -> Settings:
    return replace(Settings(), **{"base_url": stub.base_url, "api_key": KEY, "model": "m", **changes})


def call_of(text: str = TEXT, **fields: Any) -> Call:
    return Call((Message.of("system", "You label."), Message.of("user", text)), **fields)


def form_of(text: str = TEXT, **fields: Any) -> Call:
    """A call that asks for the form of SCHEMA."""
    return call_of(text, schema=SCHEMA, schema_text=TOLD, **fields)


def using(
    stub: StubModel,
    work: Callable[[Provider], Awaitable[T]],
    *,
    time: FakeTime | None = None,
    endpoint: Endpoint | None = None,
    limits: Limits | None = None,
    observer: Observer | None = None,
    **changes: Any,
) -> T:
    """Open a provider for the stub, let it work in a loop of its own, close it."""

    async def inside() -> T:
        settings = settings_for(stub, **changes)
        provider = connect(
            endpoint or Endpoint.from_settings(settings),
            settings,
            limits or _limits(settings, time),
            time.timing if time is not None else None,
            observer,
        )
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(inside())


def _limits(settings: Settings, time: FakeTime | None) -> Limits:
    if time is None:
        return Limits(settings.llm_concurrency)
    return Limits(settings.llm_concurrency, clock=time.clock, sleep=time.drift)


def ask(stub: StubModel, call: Call, **options: Any) -> Completion:
    """One call; see `using`."""
    return using(stub, lambda provider: provider.complete(call), **options)


def ask_each(stub: StubModel, *calls: Call, **options: Any) -> list[Completion]:
    """Several calls, one after the other, over one provider."""

    async def work(provider: Provider) -> list[Completion]:
        return [await provider.complete(call) for call in calls]

    return using(stub, work, **options)
