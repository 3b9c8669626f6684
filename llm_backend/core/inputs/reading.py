"""How does each tag show its data? Into words, turns, items, and references to media."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from llm_backend.core.inputs.seen import Inputs, Item, Kind, MediaRef, Seen, Utterance
from llm_backend.core.inputs.series import see_series
from llm_backend.core.inputs.tables import Shape, from_csv, table_in_words
from llm_backend.core.inputs.values import as_held, as_text, fields_of, from_json_text, resolve
from llm_backend.core.labeling import LabelingConfig, Source
from llm_backend.core.markup import picture_urls, readable_text, rendered
from llm_backend.core.wire import JSON, TaskId
from llm_backend.errors import InputError

_MEDIA: Mapping[str, tuple[Kind, str]] = {
    "Image": ("image", "pictures"),
    "Pdf": ("pdf", "a document"),
    "Audio": ("audio", "a sound"),
    "AudioPlus": ("audio", "a sound"),
    "Video": ("video", "a video"),
}
_OF_TIMES = ("framerate", "timecolumn", "timeformat")
# Names of fields that hold the words of a sound, alone or after the sound's own field and `_`.
_TRANSCRIPTS = ("transcript", "transcription")


def read(config: LabelingConfig, data: Mapping[str, JSON], task: TaskId | None = None) -> Inputs:
    """See a task through its labeling config.

    Raises:
        InputError: The data is not of a kind that the config can show.
    """
    if set(data) == {"$undefined$"}:
        # A plain-text import has one nameless column, which stands for whatever the config shows.
        (value,) = data.values()
        data = {name: value for source in config.sources for name in fields_of(source.value)} | dict(data)
    seen = tuple(_see(source, data, task) for source in config.sources if source.tag in READABLE)
    return Inputs(tuple(_with_transcript(one, config, seen, data) for one in seen), data)


def show(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    """Read data as its tag shows it.

    Args:
        blank: What is known before; the `shown` of a Text is the data as the editor holds it.
    Raises:
        InputError: The data is not of a kind that the tag can show.
    """
    return _READERS[source.tag](blank, source, value, task)


def _see(source: Source, data: Mapping[str, JSON], task: TaskId | None) -> Seen:
    value = resolve(source.value, data)
    whole = source.value[1:] if source.value.startswith("$") and source.value[1:] in data else ""
    fields = (whole,) if whole else fields_of(source.value)
    attrs = {name: as_text(resolve(source.attrs[name], data)) for name in _OF_TIMES if name in source.attrs}
    blank = Seen(source.name or "".join(fields[:1]), source.tag, frozenset(fields), whole=whole, attrs=attrs)
    if value is None:
        return replace(blank, missing=source.value)
    if isinstance(value, str) and _by_url(source, value):
        if not value.strip():
            return replace(blank, missing=source.value)
        return replace(blank, media=(MediaRef(blank.name, "text", value.strip(), task),), unread=source)
    if source.tag == "Text":
        blank = replace(blank, shown=as_held(resolve(source.value, data, as_held)))
    return show(blank, source, value, task)


def _by_url(source: Source, value: str) -> bool:
    """Whether a text stands for what lies at it. A series does unless told otherwise, or is plainly no address."""
    told = source.attrs.get("valuetype", "").lower()
    if source.tag in _MEDIA:
        return False
    if source.tag == "TimeSeries":
        return told != "json" and value.lstrip()[:1] not in ("{", "[") and "\n" not in value.strip()
    return Shape.of(told).by_url if source.tag == "Table" else told == "url"


def _see_text(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    text, shown = as_text(value), blank.shown
    if source.attrs.get("encoding", "none").lower() in ("base64", "base64unicode"):
        text, shown = _from_base64(text, source)
    if source.tag == "HyperText":
        page = rendered(text, inline=source.attrs.get("inline", "").strip().lower() == "true")
        return replace(blank, text=page.text, shown=page.held, offsets=page.offsets)
    return replace(blank, text=text, shown=shown if source.tag == "Text" else "")


def _see_paragraphs(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    blank = replace(blank, shown="")
    value = from_json_text(value)
    if not isinstance(value, list):
        return replace(blank, text=as_text(value))
    in_time: list[JSON] | None = value
    if source.attrs.get("contextscroll", "").strip().lower() == "true":
        in_time = _in_time(value)
        value = value if in_time is None else in_time
    name_key, text_key = source.attrs.get("namekey", "author"), source.attrs.get("textkey", "text")
    if source.tag == "Chat":
        name_key, text_key = "role", "content"
    turns = tuple(
        Utterance(as_text(turn.get(name_key)), _content(turn.get(text_key)))
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
    # Of turns whose order on the screen cannot be told, none can be marked: they are counted in that order.
    return replace(_dialogue(blank, turns), utterances=turns if in_time is not None else ())


def _in_time(turns: Sequence[JSON]) -> list[JSON] | None:
    """The turns as the editor shows them where they scroll with a sound (`contextScroll`): by their starts and ends.

    One without a start, or with 0 for one, comes last; None where several of many have none, for the editor then puts
    them in no order that could be foretold.
    """
    timed = [turn for turn in turns if isinstance(turn, Mapping) and turn.get("start")]
    others = [turn for turn in turns if not (isinstance(turn, Mapping) and turn.get("start"))]
    if not timed:
        return list(turns)
    if len(others) > 1 or not all(_is_number(turn["start"]) for turn in timed):
        return None
    if None in (ends := [_end(turn) for turn in timed]):
        return None
    order = sorted(range(len(timed)), key=lambda at: (timed[at]["start"], ends[at] or 0.0))
    return [*(timed[at] for at in order), *others]


def _end(turn: Mapping[str, JSON]) -> float | None:
    """When a turn ends; 0 where it does not say."""
    end, lasts = turn.get("end"), turn.get("duration")
    if end:
        return float(end) if _is_number(end) else None
    if not lasts:
        return 0.0
    return float(turn["start"]) + float(lasts) if _is_number(lasts) and _is_number(turn["start"]) else None


def _is_number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _dialogue(blank: Seen, turns: Sequence[Utterance]) -> Seen:
    """The turns in words, each after its author."""
    told: list[str] = []
    offsets: list[int] = []
    start = 0
    for turn in turns:
        author = f"{turn.author}: " if turn.author else ""
        told.append(author + turn.text)
        offsets += [-1] * len(author)
        offsets += range(start, start + len(turn.text) + 1)  # and the end of the line
        start += len(turn.text) + 1
    said = "\n".join(turn.text for turn in turns)
    return replace(blank, text="\n".join(told), shown=said, offsets=tuple(offsets[:-1]))


def _content(value: JSON) -> str:
    """What a turn says. A model's conversation may hold parts: their texts are told, what else there is is named."""
    if not (isinstance(value, list) and value and all(isinstance(part, Mapping) for part in value)):
        return as_text(value)
    if not any("text" in part for part in value):
        return as_text(value)
    told = (as_text(part["text"]) if "text" in part else f"[{as_text(part.get('type')) or 'a part'}]" for part in value)
    return "\n".join(told)


def _see_list(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    blank = replace(blank, shown="")
    entries = from_json_text(value)
    if not isinstance(entries, list):
        return replace(blank, text=as_text(entries))
    items = tuple(map(_item, entries))
    idents = [item.id or str(index) for index, item in enumerate(items)]
    text = "\n".join(f"[{ident}] {item.text}" for ident, item in zip(idents, items, strict=True))
    media = tuple(
        MediaRef(blank.name, "image", url, task, f"item [{ident}]")
        for ident, entry in zip(idents, entries, strict=True)
        if isinstance(entry, Mapping)
        for url in picture_urls(as_text(entry.get("html")))
    )
    # Of a list that is given as text the editor shows no items.
    return replace(blank, text=text, items=items if isinstance(value, list) else (), media=media)


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
    shape = Shape.of(source.attrs.get("valuetype", ""))
    value = from_csv(value, shape) if shape.csv and isinstance(value, str) else from_json_text(value)
    return replace(blank, text=table_in_words(value), shown="")


def _see_series(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    text, times = see_series(source, value)
    return replace(blank, text=text, times=times, shown="")


def _see_media(blank: Seen, source: Source, value: JSON, task: TaskId | None) -> Seen:
    kind, words = _MEDIA[source.tag]
    held = [url for url in (value if isinstance(value, list) else [value]) if url is not None]
    if not all(isinstance(url, str) for url in held):
        raise InputError(
            f'<{source.tag} name="{source.name}"> shows {words} by URL; '
            f'the task\'s "{source.value}" holds something else.'
        )
    urls = [url.strip() for url in held if url.strip()]
    if not urls:
        return replace(blank, missing=source.value)
    one, several = words.removeprefix("a ").removesuffix("s"), len(urls) > 1
    captions = [f"{one} {number} of {len(urls)}" if several else "" for number in range(1, len(urls) + 1)]
    refs = (MediaRef(blank.name, kind, url, task, caption) for url, caption in zip(urls, captions, strict=True))
    return replace(blank, media=tuple(refs))


def _with_transcript(one: Seen, config: LabelingConfig, seen: Sequence[Seen], data: Mapping[str, JSON]) -> Seen:
    """Add the words of a sound, from a field whose very name says that it holds them.

    Not any text that stands beside the sound: a caption, or a recogniser's guess that is to be judged, is no
    transcript. And no field by whose name a control asks: that one wants to be answered from the sound.
    """
    if not any(ref.kind == "audio" for ref in one.media):
        return one
    own = [f"{field}_{name}" for field in sorted(one.fields) for name in _TRANSCRIPTS]
    asked = {output.name for output in config.outputs}
    for name in (*own, *_TRANSCRIPTS):
        words = as_text(data.get(name)).strip()
        if words and name not in asked:
            shown = next((other.name for other in seen if other.whole == name and other.text), "")
            told = f'[What is said in it stands in "{shown}".]' if shown else words
            return replace(one, media=tuple(replace(ref, transcript=told) for ref in one.media))
    return one


def _from_base64(text: str, source: Source) -> tuple[str, str]:
    """What a base64 text says, and what the editor holds of it: by `base64` it takes each byte for a character."""
    unicode = source.attrs["encoding"].lower() == "base64unicode"
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
        words = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        if unicode:
            raise InputError(
                f'<{source.tag} name="{source.name}"> says base64unicode, but the task\'s text is not UTF-8 in '
                f"base64: {exc}."
            ) from exc
        words = content.decode("latin-1")
    except (binascii.Error, ValueError) as exc:
        raise InputError(
            f'<{source.tag} name="{source.name}"> says base64, but the task\'s text is not: {exc}.'
        ) from exc
    return words, words if unicode else content.decode("latin-1")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) if names else "nothing"


_Reader = Callable[[Seen, Source, JSON, TaskId | None], Seen]
_READERS: Mapping[str, _Reader] = {
    **dict.fromkeys(("Text", "HyperText", "Header"), _see_text),
    **dict.fromkeys(("Paragraphs", "Chat"), _see_paragraphs),
    "List": _see_list,
    "Table": _see_table,
    "TimeSeries": _see_series,
    **dict.fromkeys(_MEDIA, _see_media),
}
READABLE = frozenset(_READERS)
