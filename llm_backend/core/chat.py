"""What do we say to a model, and what does it say back?"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from llm_backend.core.wire import JSON

Lane = Literal["interactive", "batch"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture in a message.

    Attributes:
        url: An https URL that the provider fetches, or a data URL.
        caption: What stands before it in words, such as `page 3`.
    """

    url: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class FilePart:
    """A PDF document in a message.

    Attributes:
        name: The file's name, as the model is told it.
        url: A data URL.
        instead: Makes the parts that say the same where a server takes no files.
    """

    name: str
    url: str = field(repr=False)
    caption: str = ""
    instead: "Instead | None" = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A sound in a message.

    Attributes:
        data: Its bytes, in base64.
        instead: Makes the parts that say the same where a model cannot hear.
    """

    format: Literal["wav", "mp3"]
    data: str = field(repr=False)
    caption: str = ""
    instead: "Instead | None" = field(default=None, compare=False, repr=False)


Part = TextPart | ImagePart | FilePart | AudioPart
Instead = Callable[[], Awaitable[tuple[Part, ...]]]
"""Makes other parts of the same meaning; raises `MediaError` where there are none."""

Takes = frozenset[Literal["url", "file", "audio"]]
"""What a model takes beside text and pictures: public https URLs that it fetches itself, PDF files, sounds."""


@dataclass(frozen=True, slots=True)
class Message:
    role: Literal["system", "user", "assistant"]
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, role: Literal["system", "user", "assistant"], text: str) -> "Message":
        return cls(role, (TextPart(text),))

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a model.

    Attributes:
        schema: JSON Schema, in OpenAI's strict subset, of the one object that is asked for; None asks for plain text.
        schema_text: What to tell a model in words when its server cannot take `schema`.
        strict: Whether `schema` is small enough for servers to take; if not, they are only told of it.
        model: None means the connection's own model.
        temperature: None leaves it to the provider.
        n: How many completions are wanted.
        lane: Interactive calls never wait behind batch calls.
        patience: Seconds after which no further try begins, waits included. A batch call has ended by then; an
            interactive one that is under way may use its whole time-out.
        group: Whose batch call it is, such as a project: groups take turns where calls must wait.
    """

    messages: tuple[Message, ...]
    schema: JSON | None = None
    schema_text: str = ""
    strict: bool = True
    model: str | None = None
    temperature: float | None = None
    n: int = 1
    logprobs: bool = False
    lane: Lane = "batch"
    patience: float = 60.0
    group: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, as the provider counted them; zero where it does not count."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.calls + other.calls,
        )


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said.

    Attributes:
        texts: The usable choices, in order; never empty.
        finish_reasons: One per text: `stop`, `length`, ...
        logprobs: One per text where they were asked for and given.
        structured: True if the server was made to follow the schema (strict mode), False if it was only told of it.
        seconds: From the first try to the answer.
    """

    texts: tuple[str, ...]
    finish_reasons: tuple[str, ...] = ()
    logprobs: tuple[JSON, ...] = ()
    usage: Usage = field(default_factory=Usage)
    structured: bool = False
    seconds: float = 0.0

    def truncated(self, index: int) -> bool:
        """Whether the text at `index` was cut off by the provider's length limit."""
        return index < len(self.finish_reasons) and self.finish_reasons[index] == "length"


class LLM(Protocol):
    """Whoever carries the chat: a provider, the demo's stand-in, a script in a test.

    Attributes:
        model: The name that stands in `model_version`.
        takes: What it takes, as far as is known; what turns out otherwise is said in another form in the same call.
    """

    @property
    def model(self) -> str: ...

    @property
    def takes(self) -> Takes: ...

    async def complete(self, call: Call) -> Completion:
        """Carry one call.

        Raises:
            ProviderRefused: The model or its filter declined this question.
            KeyRefused: Key, rights, quota or model name: no call will succeed.
            Busy: Rate limits or overload lasted longer than `call.patience`.
            Unreachable: No connection, or no answer within `call.patience`.
        """
        ...
