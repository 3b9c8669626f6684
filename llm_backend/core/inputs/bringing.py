"""How are a task's media brought in? By a `Fetch` that is handed in, all of a task at once."""

from collections.abc import Sequence
from dataclasses import replace

from llm_backend.core.chat import Part, Takes, TextPart
from llm_backend.core.inputs.reading import show
from llm_backend.core.inputs.seen import Fetch, Inputs, MediaRef, Seen, captioned


def once(fetch: Fetch) -> Fetch:
    """A fetch that is not made again for what it has brought in: the same media are to be shown in another order."""
    brought: dict[MediaRef, tuple[Part, ...]] = {}

    async def fetch_once(refs: Sequence[MediaRef], takes: Takes) -> Sequence[tuple[Part, ...]]:
        wanted = {_medium(ref): ref for ref in refs if _medium(ref) not in brought}
        if wanted:
            brought.update(zip(wanted, await fetch(list(wanted.values()), takes), strict=True))
        return [brought[_medium(ref)] for ref in refs]

    return fetch_once


async def fetched(inputs: Inputs, fetch: Fetch, takes: Takes) -> Inputs:
    """The same inputs with their media brought in; a medium that comes as text (OCR, say) joins its source's text.

    Texts that lie at URLs come first, for what they show may be media again.

    Raises:
        MediaError: A medium may not be fetched, could not be, or cannot be shown.
        InputError: A text that was fetched is not of the kind that its tag shows.
    """
    if not any(seen.media for seen in inputs.seen):
        return inputs
    inputs = await _with_texts(inputs, fetch, takes)
    refs = [ref for seen in inputs.seen for ref in seen.media]
    parts = iter(await fetch(refs, takes) if refs else ())
    return replace(inputs, seen=tuple(_with(seen, [next(parts) for _ in seen.media]) for seen in inputs.seen))


def _medium(ref: MediaRef) -> MediaRef:
    """A medium, whichever object shows it. A document is called by its object's name."""
    return replace(ref, caption="", source=ref.source if ref.kind == "pdf" else "")


async def _with_texts(inputs: Inputs, fetch: Fetch, takes: Takes) -> Inputs:
    refs = [ref for seen in inputs.seen if seen.unread for ref in seen.media]
    texts = iter(await fetch(refs, takes) if refs else ())
    return replace(inputs, seen=tuple(_read_on(seen, next(texts)) if seen.unread else seen for seen in inputs.seen))


def _read_on(seen: Seen, parts: Sequence[Part]) -> Seen:
    """Read what a source's URL led to as its tag would read it from the task itself."""
    if seen.unread is None:
        return seen
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    blank = replace(seen, media=(), unread=None, shown=text)
    return show(blank, seen.unread, text, seen.media[0].task)


def _with(seen: Seen, brought: Sequence[tuple[Part, ...]]) -> Seen:
    if not seen.media:
        return seen
    found = [(ref, part) for ref, parts in zip(seen.media, brought, strict=True) for part in parts]
    words = [_headed(ref, part) for ref, part in found if isinstance(part, TextPart)]
    parts = tuple(captioned(part, ref.caption) for ref, part in found if not isinstance(part, TextPart))
    text = "\n".join([*([seen.text] if seen.text else []), *words])
    return replace(seen, text=text, parts=parts)


def _headed(ref: MediaRef, part: TextPart) -> str:
    return f"{ref.caption}:\n{part.text}" if ref.caption else part.text
