"""How is a call put, so that this model at this server takes it?

Servers differ in what they take. Nothing is known of one beforehand: a call goes out in full, and where the server
refuses a part of it, the part is left out. Three kinds of parts:

- Parameters (`temperature`, `n`, `logprobs`): simply left out.
- The form of the answer, a ladder: strict JSON schema, then JSON mode with the schema told in words, then words alone.
- Documents and sounds in the messages: said in another form, as text or pictures (`spelt`).

What was refused is remembered for the model only once the call has succeeded without it: a guess that did not help
teaches nothing. And a refusal that speaks of this one schema or document (too large, not understood) teaches nothing
either; that call steps down alone. A schema that is known to be too large begins one step down.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from llm_backend.core.chat import AudioPart, Call, FilePart, Message, Part, Takes, TextPart
from llm_backend.core.wire import JSON

_OPTIONAL = {
    "temperature": re.compile(r"\btemperature\b"),
    "logprobs": re.compile(r"\b(top_)?logprobs\b"),
    # One letter is too little to look for anywhere: it must stand as a name or before a number.
    "n": re.compile(
        r"""(["'`])n\1|\b(parameter|argument|field) n\b|\bn ?(=|==|>|<=|must be)|multiple (choices|completions)"""
    ),
}
_FORM = re.compile(
    r"response.?format|text\.format|json.?(schema|object|mode)|generate json|schema|structured.?output|grammar"
)
_THIS_SCHEMA = re.compile(
    r"invalid.{0,3}(json.?)?schema|schema (conversion|contains|is invalid|produces|exceeds|has too|error)|grammar|"
    r"too (large|many|deep|long|complex)|exceed|nesting|json_validate_failed|failed to generate"
)
_CONTENT: Mapping[str, tuple[type[FilePart | AudioPart], re.Pattern[str]]] = {
    "file": (FilePart, re.compile(r"\bfiles?\b|file_data|\bpdfs?\b|\bdocuments?\b")),
    "audio": (AudioPart, re.compile(r"\baudios?\b|input_audio|\bsounds?\b|\bspeech\b")),
}
"""What may stand in a message beside text and pictures, by its name in `Takes`, and how a refusal speaks of it."""
_THIS_CONTENT = re.compile(
    r"too (large|big|many|long)|exceed|corrupt|damaged|encrypted|password|"
    r"(fail|unable|could not|cannot)[\w ]{0,12} (to )?(parse|read|open|decode|process|load)|"
    r"not a valid (pdf|file|wav|mp3)|invalid (pdf|file data|audio data|base64)"
)


class Rung(IntEnum):
    """How the form of the answer is asked for."""

    STRICT = 0
    JSON_MODE = 1
    WORDS = 2


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the server did not understand, or did not want to.

    Attributes:
        told: All that it says, in lower case. May quote the request: for looking things up in, never for showing.
        param: The parameter that it names, or "".
    """

    told: str
    param: str = ""


@dataclass(frozen=True, slots=True)
class Manner:
    """The way in which one call is put.

    Attributes:
        lessons: What to remember when the server takes it: names of parameters, and rungs.
    """

    rung: Rung = Rung.STRICT
    left_out: frozenset[str] = frozenset()
    lessons: frozenset[str | Rung] = frozenset()


class Dialect:
    """What one model at one server is known not to take."""

    def __init__(self, ollama: bool = False) -> None:
        # Ollama ignores `n` without a word, and makes a grammar of the schema without showing it to the model.
        # Its messages hold texts, pictures and, of late, sounds.
        self._missing: set[str | Rung] = {"n", "file"} if ollama else set()
        self._tells_schema = ollama

    @property
    def takes_n(self) -> bool:
        return "n" not in self._missing

    def taken(self, offered: Takes) -> Takes:
        """What of this the model is not known to refuse."""
        return offered - self._missing

    def manner(self, call: Call) -> Manner:
        """How to put a call, by what is known."""
        left_out = frozenset(name for name in (*_OPTIONAL, *_CONTENT) if name in self._missing)
        return Manner(self._rung_from(Rung.STRICT if call.strict else Rung.JSON_MODE), left_out)

    def other(self, call: Call, manner: Manner, body: Mapping[str, JSON], refusal: Refusal) -> Manner | None:
        """Another way to put a call that was refused; None if the refusal is about something else.

        Args:
            call: As it was put: `spelt` in this manner.
        """
        named = re.split(r"[.\[]", refusal.param.lower())[0].removeprefix("top_")
        name = named if named in _OPTIONAL else "" if named else _spoken_of(refusal.told, body)
        if name and name in body:
            return replace(manner, left_out=manner.left_out | {name}, lessons=manner.lessons | {name})
        content = [kind for kind, (part, _) in _CONTENT.items() if _holds(call, part)]
        # Of several the first: what it does take is often listed after what it does not.
        spoken_of = {found.start(): kind for kind in content if (found := _CONTENT[kind][1].search(refusal.told))}
        if spoken_of:
            return _without(manner, [spoken_of[min(spoken_of)]], refusal)
        if _FORM.search(refusal.param.lower() or refusal.told):
            return self._lower(manner, body, refusal)
        # Servers that never heard of documents or sounds find other words for it, or none.
        return _without(manner, content, refusal) if content else None

    def learn(self, *lessons: str | Rung) -> bool:
        """Remember them; True if something was new."""
        new = set(lessons) - self._missing
        self._missing |= new
        return bool(new)

    def body(self, call: Call, manner: Manner, model: str, n: int) -> dict[str, JSON]:
        """The request, as the server gets it."""
        body: dict[str, JSON] = {"model": model, "messages": [_message(message) for message in call.messages]}
        options = {"temperature": call.temperature, "n": n if n > 1 else None, "logprobs": call.logprobs or None}
        body |= {name: value for name, value in options.items() if value is not None and name not in manner.left_out}
        if call.schema is None:
            return body
        if manner.rung is Rung.STRICT:
            schema = {"name": "answer", "strict": True, "schema": _sendable_schema(call.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif manner.rung is Rung.JSON_MODE:
            body["response_format"] = {"type": "json_object"}
        if manner.rung is not Rung.STRICT or self._tells_schema:
            _append(body["messages"], _in_words(call))
        return body

    def _lower(self, manner: Manner, body: Mapping[str, JSON], refusal: Refusal) -> Manner | None:
        if "response_format" not in body:
            return None
        taught = frozenset() if _THIS_SCHEMA.search(refusal.told) else frozenset({manner.rung})
        return replace(manner, rung=self._rung_from(Rung(manner.rung + 1)), lessons=manner.lessons | taught)

    def _rung_from(self, first: Rung) -> Rung:
        return next((rung for rung in Rung if rung >= first and rung not in self._missing), Rung.WORDS)


async def spelt(call: Call, manner: Manner) -> Call:
    """The call with the documents and sounds that are left out said in another form.

    Raises:
        MediaError: There is no other form of one.
    """
    unwanted = tuple(part for kind, (part, _) in _CONTENT.items() if kind in manner.left_out)
    if not any(_holds(call, part) for part in unwanted):
        return call
    messages = [
        replace(message, parts=tuple([other for part in message.parts for other in await _instead(part, unwanted)]))
        for message in call.messages
    ]
    return await spelt(replace(call, messages=tuple(messages)), manner)


async def _instead(part: Part, unwanted: tuple[type[Part], ...]) -> tuple[Part, ...]:
    if not isinstance(part, FilePart | AudioPart) or not isinstance(part, unwanted):
        return (part,)
    caption = (TextPart(f"{part.caption}:"),) if part.caption else ()
    return (*caption, *(await part.instead() if part.instead else ()))


def _holds(call: Call, kind: type[Part]) -> bool:
    return any(isinstance(part, kind) for message in call.messages for part in message.parts)


def _without(manner: Manner, kinds: Sequence[str], refusal: Refusal) -> Manner:
    taught = frozenset() if _THIS_CONTENT.search(refusal.told) else frozenset(kinds)
    return replace(manner, left_out=manner.left_out | set(kinds), lessons=manner.lessons | taught)


def _spoken_of(told: str, body: Mapping[str, JSON]) -> str:
    """The first optional parameter of the request that a text speaks of, or ""."""
    return next((name for name, pattern in _OPTIONAL.items() if name in body and pattern.search(told)), "")


def _in_words(call: Call) -> str:
    """What to say instead of the schema. JSON mode wants the word JSON to stand in the messages."""
    told = call.schema_text.strip()
    return told if "json" in told.lower() else f"{told}\n\nAnswer with one JSON object.".strip()


def _message(message: Message) -> dict[str, JSON]:
    if all(isinstance(part, TextPart) for part in message.parts):
        # Plain strings are taken by every server, lists of parts are not.
        return {"role": message.role, "content": _sendable(message.text)}
    return {"role": message.role, "content": [said for part in message.parts for said in _part(part)]}


def _part(part: Part) -> list[dict[str, JSON]]:
    """A part as it is sent, its caption before it."""
    if isinstance(part, TextPart):
        return [{"type": "text", "text": _sendable(part.text)}]
    caption: list[dict[str, JSON]] = [{"type": "text", "text": _sendable(f"{part.caption}:")}] if part.caption else []
    if isinstance(part, FilePart):
        return [*caption, {"type": "file", "file": {"filename": _sendable(part.name), "file_data": part.url}}]
    if isinstance(part, AudioPart):
        return [*caption, {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}]
    return [*caption, {"type": "image_url", "image_url": {"url": part.url}}]


def _append(messages: list[dict[str, JSON]], words: str) -> None:
    last = messages[-1]
    if isinstance(last["content"], str):
        last["content"] = f"{last['content']}\n\n{words}"
    else:
        last["content"].append({"type": "text", "text": words})


def _sendable_schema(schema: JSON) -> JSON:
    text = json.dumps(schema, ensure_ascii=False)
    sendable = _sendable(text)
    return schema if sendable is text else json.loads(sendable)


def _sendable(text: str) -> str:
    """The text with halves of broken surrogate pairs replaced: JSON can carry them to us, but UTF-8 not onwards."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
