"""A model that says what a test tells it to say, and remembers what it was asked."""

import inspect
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from llm_backend.core.chat import Call, Completion, Takes, Usage

Reply = str | dict[str, Any] | Completion | Exception
Script = Reply | Callable[[Call], Reply | Awaitable[Reply]]


class ScriptedLLM:
    """Says each reply in turn, the last one for ever.

    A reply is a text, an object (said as JSON), a whole `Completion`, an error to raise, or a function of the call
    that makes one of these.
    """

    takes: Takes = frozenset()

    def __init__(self, *script: Script, model: str = "test-model", structured: bool = True) -> None:
        self.model = model
        self.calls: list[Call] = []
        self._script = list(script)
        self._structured = structured

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        reply: Any = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if callable(reply):
            reply = reply(call)
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        text = reply if isinstance(reply, str) else json.dumps(reply)
        structured = self._structured and call.schema is not None
        return Completion((text,) * call.n, ("stop",) * call.n, usage=Usage(10, 5, 1), structured=structured)

    @property
    def asked(self) -> str:
        """What the user message of the last call says."""
        return next(message.text for message in reversed(self.calls[-1].messages) if message.role == "user")


def prefers(liked: str) -> Callable[[Call], Reply]:
    """A model that takes the object which shows this, on whichever side it stands; the same in every Pairwise."""

    def reply(call: Call) -> Reply:
        lefts = re.findall(r'- "(\w+)"[^\n]*"left" if "([^"]+)" is better', call.messages[0].text)
        shown = call.messages[-1].text
        return {key: "left" if f"{left}:\n{liked}" in shown else "right" for key, left in lefts}

    return reply


async def no_media(refs: Any, takes: Takes) -> Any:
    """A fetch for tests without pictures."""
    raise AssertionError(f"nothing was to be fetched, but {[ref.source for ref in refs]} were")
