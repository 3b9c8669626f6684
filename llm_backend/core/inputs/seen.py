"""What does the model see of a task, source by source?"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from llm_backend.core.chat import Part, Takes, TextPart
from llm_backend.core.labeling import Source
from llm_backend.core.wire import JSON, TaskId

Kind = Literal["image", "pdf", "audio", "video", "text"]
"""What lies at a URL. A `text` is read further as its tag reads it: as HTML, turns, a table, a series."""


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A medium that a source shows: where it lies, of which task.

    Attributes:
        caption: What it is within its source, such as `item [2]`; "" where it is all of it.
        transcript: The words of a sound, where the task has them.
    """

    source: str
    kind: Kind
    url: str = field(repr=False)
    task: TaskId | None = None
    caption: str = ""
    transcript: str = field(default="", repr=False)


Fetch = Callable[[Sequence[MediaRef], Takes], Awaitable[Sequence[tuple[Part, ...]]]]
"""Fetches the media of a task, each as parts of a message, in a form that the model takes."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn of a dialogue."""

    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a List; `id` as results spell it, "" where the task gives none."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What one source shows of this task.

    Attributes:
        name: The object's name, or for a header the field it shows.
        fields: The top-level keys of the task's data that it shows.
        whole: The one key that it shows all of; "" where it shows a part of a value, or more than a value.
        text: All of it in words; "" for a picture.
        shown: The text of a Text, a HyperText or a dialogue exactly as the editor holds it, in whose characters places
            in it are counted (of a dialogue: what is said, each turn on lines of its own); "" for other tags.
        offsets: For each character of `text` where it stands in `shown`, -1 for one that does not stand there; empty
            where they do not go by characters.
        times: All moments of a time series, in order, as its data spells them.
        media: What is still to be fetched.
        parts: What was fetched and is no text.
        missing: The reference that the task does not resolve, or "".
        unread: The tag whose data lies at a URL, until that has been fetched.
        attrs: What the tag says of its times (`frameRate`, `timeColumn`, `timeFormat`), names in lower case.
    """

    name: str
    tag: str
    fields: frozenset[str]
    text: str = ""
    utterances: tuple[Utterance, ...] = ()
    items: tuple[Item, ...] = ()
    media: tuple[MediaRef, ...] = ()
    parts: tuple[Part, ...] = ()
    missing: str = ""
    whole: str = ""
    shown: str = ""
    offsets: Sequence[int] = ()
    times: tuple[JSON, ...] = ()
    unread: Source | None = None
    attrs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the model sees of a task, source by source, and the task's data, which prompts and choices refer to."""

    seen: tuple[Seen, ...]
    data: Mapping[str, JSON]

    @property
    def text(self) -> str:
        """All sources in words, headed by their names if there are several."""
        told = [seen for seen in self.seen if seen.text]
        if len(told) == 1:
            return told[0].text
        return "\n\n".join(f"{seen.name}:\n{seen.text}" for seen in told)

    @property
    def parts(self) -> tuple[Part, ...]:
        """What goes along beside the text. Of several parts, each tells in its caption which source it belongs to."""
        parts = [(seen.name, part) for seen in self.seen for part in seen.parts]
        if len(parts) < 2:
            return tuple(part for _, part in parts)
        return tuple(captioned(part, name) for name, part in parts)

    def of(self, name: str) -> Seen | None:
        """What the object of this name shows, or None where it is not shown to the model."""
        return next((seen for seen in self.seen if seen.name == name), None)

    @property
    def blank(self) -> bool:
        """Whether there is nothing at all to see."""
        return not any(seen.text.strip() or seen.media or seen.parts for seen in self.seen)


def captioned(part: Part, words: str) -> Part:
    """The part with `words` at the head of its caption; a text has none."""
    if isinstance(part, TextPart) or not words:
        return part
    return replace(part, caption=f"{words}, {part.caption}" if part.caption else words)
