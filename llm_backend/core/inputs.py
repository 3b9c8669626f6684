"""What of this task does the model see? Texts, utterances, items, and the media still to fetch."""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from llm_backend.core.chat import Part, TextPart
from llm_backend.core.labeling import REFERENCE, LabelingConfig, Source, references
from llm_backend.core.markup import readable_text
from llm_backend.core.wire import JSON, TaskId
from llm_backend.errors import InputError

READABLE = frozenset(("Text", "HyperText", "Paragraphs", "Image", "Table", "List", "Chat", "Header"))
_STEP = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A medium that a source shows: where it lies, of which task."""

    source: str
    kind: str
    url: str = field(repr=False)
    task: TaskId | None = None


Fetch = Callable[[MediaRef, bool], Awaitable[Part]]
"""Fetches a medium as a part of a message; the flag says whether the model reads public URLs itself."""


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
        missing: The reference that the task does not resolve, or "".
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
    def parts(self) -> tuple[tuple[str, Part], ...]:
        """The pictures, each with the name of its source."""
        return tuple((seen.name, part) for seen in self.seen for part in seen.parts)

    def of(self, name: str) -> Seen | None:
        """What the object of this name shows, or None where it is not shown to the model."""
        return next((seen for seen in self.seen if seen.name == name), None)

    @property
    def blank(self) -> bool:
        """Whether there is nothing at all to see."""
        return not any(seen.text.strip() or seen.media or seen.parts for seen in self.seen)


def read(config: LabelingConfig, data: Mapping[str, JSON], task: TaskId | None = None) -> Inputs:
    """See a task through its labeling config.

    Raises:
        InputError: The data is not of a kind that the config can show.
    """
    if set(data) == {"$undefined$"}:
        # A plain-text import has one nameless column, which stands for whatever the config shows.
        (value,) = data.values()
        data = {name: value for source in config.sources for name in fields_of(source.value)} | dict(data)
    seen = (_see(source, data, task) for source in config.sources if source.tag in READABLE)
    return Inputs(tuple(seen), data)


async def fetched(inputs: Inputs, fetch: Fetch, reads_urls: bool) -> Inputs:
    """The same inputs with their media brought in; a medium that comes as text (OCR) joins its source's text.

    Raises:
        MediaError: A medium may not be fetched, could not be, or cannot be shown.
    """
    if not any(seen.media for seen in inputs.seen):
        return inputs
    whole = []
    for seen in inputs.seen:
        parts = [await fetch(ref, reads_urls) for ref in seen.media]
        words = [part.text for part in parts if isinstance(part, TextPart)]
        pictures = tuple(part for part in parts if not isinstance(part, TextPart))
        text = "\n".join([*([seen.text] if seen.text else []), *words])
        whole.append(replace(seen, text=text, parts=pictures))
    return replace(inputs, seen=tuple(whole))


def fields_of(value: str) -> tuple[str, ...]:
    """The top-level data keys that a `value` attribute refers to."""
    return tuple(_STEP.findall(reference)[0] for reference in references(value))


def resolve(value: str, data: Mapping[str, JSON]) -> JSON:
    """What a `value` attribute shows: the data itself for a pure reference, else text with references filled in.

    Follows the editor: `$name`, `$a.b[0]`, `Title: $title`. None where every reference leads nowhere; where only some
    do, nothing stands in their place.
    """
    if value.startswith("$") and value[1:] in data:
        return data[value[1:]]
    found = {reference: _look_up(reference[1:], data) for reference in references(value)}
    if value in found:
        return found[value]
    if found and all(held is None for held in found.values()):
        return None
    return REFERENCE.sub(lambda match: as_text(found.get(match.group(), match.group())), value)


def as_text(value: JSON) -> str:
    """A data value in words: lists line by line, as the editor joins them with commas and a reader would not.

    Raises:
        InputError: It is nested too deeply.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float | bool) for item in value):
        return "\n".join(as_text(item) for item in value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as exc:
        raise InputError("The task's data is nested too deeply to be read.") from exc


def _see(source: Source, data: Mapping[str, JSON], task: TaskId | None) -> Seen:
    value = resolve(source.value, data)
    whole = source.value[1:] if source.value.startswith("$") and source.value[1:] in data else ""
    fields = (whole,) if whole else fields_of(source.value)
    blank = Seen(source.name or "".join(fields[:1]), source.tag, frozenset(fields), whole=whole)
    if value is None:
        return replace(blank, missing=source.value)
    if source.attrs.get("valuetype", "").lower() == "url" and source.tag != "Image":
        raise InputError(
            f'<{source.tag} name="{source.name}"> is given by URL (valueType="url"), which is not read; '
            "put the text into the task."
        )
    return _READERS[source.tag](blank, source, value, task)


def _see_text(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    text = as_text(value)
    encoding = source.attrs.get("encoding", "none").lower()
    if encoding.startswith("base64"):
        text = _from_base64(text, source)
    return replace(blank, text=readable_text(text) if source.tag == "HyperText" else text)


def _see_paragraphs(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    value = _from_json_text(value)
    if not isinstance(value, list):
        return replace(blank, text=as_text(value))
    name_key, text_key = source.attrs.get("namekey", "author"), source.attrs.get("textkey", "text")
    if source.tag == "Chat":
        name_key, text_key = "role", "content"
    turns = tuple(
        Utterance(as_text(turn.get(name_key)), as_text(turn.get(text_key)))
        if isinstance(turn, Mapping)
        else Utterance("", as_text(turn))
        for turn in value
    )
    keys = sorted({key for turn in value if isinstance(turn, Mapping) for key in turn})
    if turns and text_key not in keys and not any(turn.text for turn in turns):
        raise InputError(
            f'<{source.tag} name="{source.name}"> shows "{text_key}" of each turn; '
            f"the task's turns have {_listed(keys)}."
        )
    text = "\n".join(f"{turn.author}: {turn.text}" if turn.author else turn.text for turn in turns)
    return replace(blank, text=text, utterances=turns)


def _see_list(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    entries = _from_json_text(value)
    if not isinstance(entries, list):
        return replace(blank, text=as_text(entries))
    items = tuple(map(_item, entries))
    text = "\n".join(f"[{item.id or index}] {item.text}" for index, item in enumerate(items))
    # Of a list that is given as text the editor shows no items.
    return replace(blank, text=text, items=items if isinstance(value, list) else ())


def _item(entry: JSON) -> Item:
    if not isinstance(entry, Mapping):
        return Item("", as_text(entry))
    words = [as_text(entry.get("title")), as_text(entry.get("body")), readable_text(as_text(entry.get("html")))]
    return Item(_ident(entry.get("id")), "\n".join(word for word in words if word))


def _ident(ident: JSON) -> str:
    """An item's id as the editor writes it: whole numbers without a point."""
    whole = isinstance(ident, float) and ident.is_integer()
    return as_text(int(ident) if whole else ident)


def _see_table(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    value = _from_json_text(value)
    if isinstance(value, Mapping):
        return replace(blank, text="\n".join(f"{key}: {as_text(cell)}" for key, cell in value.items()))
    if isinstance(value, list):
        return replace(blank, text="\n".join(as_text(row) for row in value))
    return replace(blank, text=as_text(value))


def _see_image(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    held = [url for url in (value if isinstance(value, list) else [value]) if url is not None]
    if not all(isinstance(url, str) for url in held):
        raise InputError(
            f'<Image name="{source.name}"> shows pictures by their URLs; '
            f'the task\'s "{source.value}" holds something else.'
        )
    urls = [url.strip() for url in held if url.strip()]
    if not urls:
        return replace(blank, missing=source.value)
    return replace(blank, media=tuple(MediaRef(blank.name, "image", url, task) for url in urls))


_READERS = {
    "Text": _see_text,
    "HyperText": _see_text,
    "Header": _see_text,
    "Paragraphs": _see_paragraphs,
    "Chat": _see_paragraphs,
    "List": _see_list,
    "Table": _see_table,
    "Image": _see_image,
}


def _look_up(path: str, data: Mapping[str, JSON]) -> JSON:
    """What stands at the end of a path such as `a.b[0]`; None where it leads nowhere. A key may hold dots itself."""
    if path in data:
        return data[path]
    found: JSON = data
    for step in _STEP.findall(path):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(found):
            found = found[int(step[:9])]
        else:
            return None
    return found


def _from_json_text(value: JSON) -> JSON:
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _from_base64(text: str, source: Source) -> str:
    try:
        return base64.b64decode(text, validate=False).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError) as exc:
        raise InputError(
            f'<{source.tag} name="{source.name}"> says base64, but the task\'s text is not: {exc}.'
        ) from exc


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) if names else "nothing"
