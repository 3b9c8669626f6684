"""How is what was fetched shown to a model that takes this and not that?

A document goes as a file; else as its text, with pictures of the pages that have none. A sound goes as it is, or as
MP3; else its transcript does. A film goes as frames with their times. With IMAGE_MODE=ocr every picture goes as its
text.
"""

import asyncio
import base64
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from llm_backend.adapters import documents, films, pictures
from llm_backend.adapters.host import MOST_BYTES, megabytes
from llm_backend.core.chat import AudioPart, FilePart, ImagePart, Part, Takes, TextPart
from llm_backend.core.inputs import MediaRef
from llm_backend.errors import MediaError

MOST_SOUND = MOST_BYTES
_Made = TypeVar("_Made")
_SPOKEN = {"image": "picture", "pdf": "document", "audio": "sound", "video": "video", "text": "text"}


def named(ref: MediaRef) -> str:
    """How sentences call a medium."""
    kind = _SPOKEN[ref.kind]
    return f'The {kind} "{ref.source}"' if ref.source else f"The {kind}"


class Showing:
    """Makes parts of messages of what was fetched.

    Args:
        at_once: How much is decoded, scaled or read at the same time.
    """

    def __init__(self, ocr: bool, at_once: int) -> None:
        self._ocr = ocr
        self._drawing = asyncio.Semaphore(at_once)

    async def parts(self, content: bytes, charset: str, ref: MediaRef, takes: Takes, name: str) -> tuple[Part, ...]:
        """The parts that show a medium.

        Args:
            charset: Of a text, as its host names it; "" where it does not.
            name: How to call it in a sentence.
        Raises:
            MediaError: It is not what its tag shows, is damaged, or nothing here can show it.
        """
        if ref.kind == "pdf":
            return await self._pdf(content, ref, takes, name)
        if ref.kind == "audio":
            return await self._sound(content, ref, name)
        if ref.kind == "video":
            return await self._in_thread(lambda: self._film(content, name))
        if ref.kind == "text":
            return (TextPart(decoded(content, charset, name)),)
        return await self._in_thread(lambda: (self._shown(pictures.recognise(content, name), name),))

    async def _pdf(self, content: bytes, ref: MediaRef, takes: Takes, name: str) -> tuple[Part, ...]:
        if not documents.is_pdf(content):
            raise MediaError(f"{name} is {pictures.kind_of(content) or 'no PDF document'}; give a PDF.")
        if self._ocr or "file" not in takes:
            return await self._pages(content, name)
        cut, note = await self._in_thread(lambda: _cut(content, name))
        url = f"data:application/pdf;base64,{base64.b64encode(cut).decode('ascii')}"
        return (*note, FilePart(file_name(ref), url, instead=lambda: self._pages(content, name)))

    async def _pages(self, content: bytes, name: str) -> tuple[Part, ...]:
        return await self._in_thread(lambda: self._read(content, name))

    def _read(self, content: bytes, name: str) -> tuple[Part, ...]:
        document = documents.read(content, name)
        texts: list[str] = []
        seen: list[Part] = []
        for page in document.pages:
            told = page.text
            if page.picture is not None and self._ocr:
                told = pictures.read_text(page.picture, name)
            elif page.picture is not None:
                seen.append(ImagePart(page.picture.data_url, f"page {page.number}"))
                told = "[see the picture of this page]"
            texts.append(f"[page {page.number}]\n{told}".rstrip() if document.count > 1 else told)
        if len(document.pages) < document.count:
            texts.append(f"[Of {document.count} pages these are the first {len(document.pages)}.]")
        if document.undrawn:
            most = documents.MOST_DRAWN
            texts.append(f"[Of the pages without text the first {most} are shown; {document.undrawn} more are not.]")
        return (TextPart("\n\n".join(texts).strip()), *seen)

    async def _sound(self, content: bytes, ref: MediaRef, name: str) -> tuple[Part, ...]:
        found, sound = films.sound_format(content), content
        if not found or len(content) > MOST_SOUND:
            found, sound = "mp3", await self._in_thread(lambda: films.as_mp3(content, name))
        if len(sound) > MOST_SOUND:
            raise MediaError(f"{name} is over {megabytes(MOST_SOUND)} even as MP3; cut it into shorter ones.")
        data = base64.b64encode(sound).decode("ascii")

        async def words() -> tuple[Part, ...]:
            return words_of(ref, name)

        return (AudioPart(found, data, instead=words),)

    def _film(self, content: bytes, name: str) -> tuple[Part, ...]:
        film = films.film(content, name)
        length = f"{film.seconds:.1f} s" if film.seconds else "unknown length"
        rate = f" at {film.rate:.4g} frames per second" if film.rate else ""
        shown = f"{len(film.frames)} frames of it, evenly spread, are shown with their times"
        note = f"(A video of {length}{rate}. {shown}.)"
        frames = (self._shown(frame.picture, name, f"frame at {frame.seconds:.2f} s") for frame in film.frames)
        return (TextPart(note), *frames)

    def _shown(self, picture: pictures.Picture, name: str, caption: str = "") -> Part:
        if self._ocr:
            text = pictures.read_text(picture, name)
            return TextPart(f"{caption}:\n{text}" if caption else text)
        return ImagePart(pictures.showable(picture, name).data_url, caption)

    async def _in_thread(self, work: Callable[[], _Made]) -> _Made:
        async with self._drawing:
            return await asyncio.to_thread(work)


def words_of(ref: MediaRef, name: str) -> tuple[Part, ...]:
    """What is said in a sound, for a model that cannot hear.

    Raises:
        MediaError: The task does not tell.
    """
    if ref.transcript:
        return (TextPart(ref.transcript),)
    raise MediaError(
        f"{name} cannot be heard by this model: choose one that takes sounds, or give the task a field "
        '"transcript" with what is said in it.',
        lasting=False,
    )


def decoded(content: bytes, charset: str, name: str) -> str:
    """The text in some bytes: in the charset that was named, else in UTF-8 (or UTF-16 that says so).

    Raises:
        MediaError: It is no such text.
    """
    own = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode("utf-8-sig" if charset.lower() in ("utf-8", "utf8") else charset or own)
    except (UnicodeDecodeError, LookupError) as exc:
        kind = pictures.kind_of(content)
        if kind:
            raise MediaError(f"{name} is {kind}, where a text was expected.") from exc
        told = f"{charset}, as its host says" if charset else "UTF-8"
        raise MediaError(f"{name} is not text in {told}; save it as UTF-8.") from exc
    if "\0" in text:
        raise MediaError(f"{name} is {pictures.kind_of(content) or 'binary data'}, where a text was expected.")
    return text


def _cut(content: bytes, name: str) -> tuple[bytes, Sequence[Part]]:
    if not documents.installed():
        return content, ()  # its pages cannot be counted
    cut, count = documents.shortened(content, name)
    if count <= documents.MOST_PAGES:
        return content, ()
    return cut, (TextPart(f"[Of {count} pages the first {documents.MOST_PAGES} are attached.]"),)


def file_name(ref: MediaRef) -> str:
    """What a document is called: by its own name, if its address ends in one; some providers insist on the ending."""
    last = unquote(urlsplit(ref.url).path).rpartition("/")[2] if ref.url[:5].lower() != "data:" else ""
    return last if last.lower().endswith(".pdf") else f"{ref.source or 'document'}.pdf"
