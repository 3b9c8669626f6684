"""What does the provider's reply say?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llm_backend.core.chat import Usage
from llm_backend.core.wire import JSON


class Unreadable(Exception):
    """A reply that is no chat completion: a fault of the server, which may pass."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The usable choices of one reply.

    Attributes:
        choices: How many there were, usable or not.
        refused: Whether the model itself declined one of them.
        filtered: Whether the provider's filter stopped one of them.
    """

    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...]
    logprobs: tuple[JSON, ...] = ()
    usage: Usage = field(default_factory=Usage)
    choices: int = 0
    refused: bool = False
    filtered: bool = False


def read(body: bytes) -> Answer:
    """Read a reply with status 200.

    What a filter cut short is no answer, nor is a refusal; an empty text is one, and so is what the length limit cut.

    Raises:
        Unreadable: It is not JSON, has no choices, or its choices hold neither text nor refusal.
    """
    reply = _parsed(body)
    choices = reply.get("choices")
    if not isinstance(choices, Sequence) or isinstance(choices, str) or not choices:
        raise Unreadable("it holds no choices")
    texts, reasons, logprobs = [], [], []
    refused = filtered = False
    for choice in choices:
        message, reason = _message(choice), choice.get("finish_reason")
        text = _text(message.get("content"))
        if message.get("refusal"):
            refused = True
        elif reason == "content_filter":
            filtered = True
        elif text is not None or reason == "length":
            texts.append(text or "")
            reasons.append(reason if isinstance(reason, str) else "")
            logprobs.append(choice.get("logprobs"))
    if not (texts or refused or filtered):
        raise Unreadable("its message is empty")
    return Answer(
        texts=tuple(texts),
        finish_reasons=tuple(reasons),
        logprobs=tuple(logprobs) if any(logprobs) else (),
        usage=_usage(reply.get("usage")),
        choices=len(choices),
        refused=refused,
        filtered=filtered,
    )


def _parsed(body: bytes) -> Mapping[str, JSON]:
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise Unreadable("it is not JSON") from exc
    if not isinstance(reply, Mapping):
        raise Unreadable("it is not a JSON object")
    return reply


def _message(choice: JSON) -> Mapping[str, JSON]:
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(message, Mapping):
        raise Unreadable("a choice holds no message")
    return message


def _text(content: JSON) -> str | None:
    """The text of a message. Some servers send a list of parts, the model's thoughts among them."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") for part in content if isinstance(part, Mapping) and part.get("type") == "text"]
        return "".join(part for part in parts if isinstance(part, str)) if parts else None
    return None


def _usage(usage: JSON) -> Usage:
    counts = usage if isinstance(usage, Mapping) else {}
    return Usage(_count(counts.get("prompt_tokens")), _count(counts.get("completion_tokens")), calls=1)


def _count(value: JSON) -> int:
    return value if type(value) is int and value > 0 else 0
