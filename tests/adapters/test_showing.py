"""How is what was fetched shown to a model that takes this and not that?"""

import asyncio
import base64
import shutil
import sys
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest

from llm_backend.adapters import documents
from llm_backend.adapters.showing import Showing, decoded, named
from llm_backend.core.chat import AudioPart, FilePart, ImagePart, Part, Takes, TextPart
from llm_backend.core.inputs import Kind, MediaRef
from llm_backend.errors import MediaError
from tests.support.pictures import PNG, drawn, saved
from tests.support.recordings import film, pdf, scan, sound, wav

T = TypeVar("T")

NOTHING: Takes = frozenset()
FILES: Takes = frozenset(("file",))
SOUNDS: Takes = frozenset(("audio",))
tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")


def run(work: Awaitable[T]) -> T:
    async def inside() -> T:
        return await work

    return asyncio.run(inside())


def shown(kind: Kind, content: bytes, takes: Takes = NOTHING, *, ocr: bool = False, **told: Any) -> tuple[Part, ...]:
    ref = MediaRef("contract", kind, told.pop("url", "/data/upload/1/x"), **told)
    return run(Showing(ocr, 2).parts(content, "", ref, takes, "It"))


def refusal(kind: Kind, content: bytes, takes: Takes = NOTHING, **told: Any) -> MediaError:
    with pytest.raises(MediaError) as caught:
        shown(kind, content, takes, **told)
    return caught.value


@pytest.mark.parametrize(
    ("kind", "words"), [("image", "picture"), ("pdf", "document"), ("audio", "sound"), ("video", "video")]
)
def test_a_medium_is_called_by_its_kind_and_source(kind: Kind, words: str) -> None:
    assert named(MediaRef("x", kind, "u")) == f'The {words} "x"'
    assert named(MediaRef("", kind, "u")) == f"The {words}"


# Documents


def test_a_document_goes_as_a_file_with_its_name() -> None:
    content = pdf("Invoice 42")
    (part,) = shown("pdf", content, FILES, url="/data/upload/1/ab-my%20contract.PDF?x=1")
    assert part == FilePart("ab-my contract.PDF", f"data:application/pdf;base64,{base64.b64encode(content).decode()}")


@pytest.mark.parametrize("url", ["/tasks/7/resolve/?fileuri=czM6", "data:application/pdf;base64,AA=="])
def test_a_document_without_a_name_is_called_by_its_source(url: str) -> None:
    (part,) = shown("pdf", pdf("a"), FILES, url=url)
    assert isinstance(part, FilePart)
    assert part.name == "contract.pdf"


def test_instead_of_a_file_its_text_goes() -> None:
    (part,) = shown("pdf", pdf("Invoice 42"), FILES)
    assert isinstance(part, FilePart)
    assert part.instead is not None
    assert run(part.instead()) == (TextPart("Invoice 42"),) == shown("pdf", pdf("Invoice 42"))


def test_pages_are_numbered_where_there_are_several() -> None:
    assert shown("pdf", pdf("one", "", "two")) == (TextPart("[page 1]\none\n\n[page 2]\n\n[page 3]\ntwo"),)


def test_pages_without_text_go_as_pictures() -> None:
    text, first, second = shown("pdf", scan("ONE", "TWO"))
    told = "[see the picture of this page]"
    assert text == TextPart(f"[page 1]\n{told}\n\n[page 2]\n{told}")
    assert isinstance(first, ImagePart)
    assert isinstance(second, ImagePart)
    assert (first.caption, second.caption) == ("page 1", "page 2")
    assert first.url.startswith("data:image/jpeg;base64,")


@tesseract
def test_with_ocr_a_document_goes_as_text_alone_whatever_the_model_takes() -> None:
    (part,) = shown("pdf", scan("INVOICE FORTY TWO"), FILES, ocr=True)
    assert isinstance(part, TextPart)
    assert "INVOICE" in part.text


def test_a_document_past_the_limit_of_pages_says_so_to_the_model() -> None:
    long = pdf(*["p"] * 120)
    note, part = shown("pdf", long, FILES)
    assert note == TextPart("[Of 120 pages the first 100 are attached.]")
    assert isinstance(part, FilePart)
    cut = base64.b64decode(part.url.partition(",")[2])
    assert documents.read(cut, "It").count == documents.MOST_PAGES
    (text,) = shown("pdf", long)
    assert isinstance(text, TextPart)
    assert text.text.endswith("[Of 120 pages these are the first 100.]")


def test_scanned_pages_past_the_limit_are_told_of() -> None:
    text, *seen = shown("pdf", scan(*["A"] * 22))
    assert isinstance(text, TextPart)
    assert text.text.endswith("[Of the pages without text the first 20 are shown; 2 more are not.]")
    assert len(seen) == documents.MOST_DRAWN


def test_without_the_extra_a_file_goes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    (part,) = shown("pdf", pdf("a"), FILES)
    assert isinstance(part, FilePart)
    assert part.instead is not None
    with pytest.raises(MediaError, match=r"llm-backend\[pdf\]"):
        run(part.instead())


@pytest.mark.parametrize(
    ("content", "words"),
    [(PNG, "is a PNG picture; give a PDF"), (b"", "no PDF"), (b"<html>", "a web page"), (b"x", "no PDF document")],
)
def test_what_is_no_document_is_named(content: bytes, words: str) -> None:
    for takes in (FILES, NOTHING):
        assert words in refusal("pdf", content, takes).sentence


# Sounds


def test_a_sound_goes_as_it_is_where_models_know_its_format() -> None:
    assert shown("audio", wav(), SOUNDS) == (AudioPart("wav", base64.b64encode(wav()).decode()),)
    mp3 = sound("mp3", "libmp3lame")
    assert shown("audio", mp3, SOUNDS) == (AudioPart("mp3", base64.b64encode(mp3).decode()),)


@pytest.mark.parametrize("content", [sound("ogg", "libopus"), film(tone=True), wav(700, 16_000)], ids=len)
def test_other_formats_films_and_long_sounds_go_as_mp3(content: bytes) -> None:
    (part,) = shown("audio", content, SOUNDS)
    assert isinstance(part, AudioPart)
    assert part.format == "mp3"
    assert len(part.data) < 8_000_000


def test_instead_of_a_sound_its_transcript_goes() -> None:
    (part,) = shown("audio", wav(), SOUNDS, transcript="Hello")
    assert isinstance(part, AudioPart)
    assert part.instead is not None
    assert run(part.instead()) == (TextPart("Hello"),)


def test_a_sound_without_a_transcript_says_what_to_do() -> None:
    (part,) = shown("audio", wav(), SOUNDS)
    assert isinstance(part, AudioPart)
    assert part.instead is not None
    with pytest.raises(MediaError) as caught:
        run(part.instead())
    assert caught.value.sentence == (
        "It cannot be heard by this model: choose one that takes sounds, or give the task a field "
        '"transcript" with what is said in it.'
    )


# Films


def test_a_film_goes_as_frames_with_their_times() -> None:
    note, *frames = shown("video", film(seconds=6.0))
    shows = "12 frames of it, evenly spread, are shown with their times"
    assert note == TextPart(f"(A video of 6.0 s at 10 frames per second. {shows}.)")
    assert len(frames) == 12
    assert all(isinstance(frame, ImagePart) for frame in frames)
    captions = [frame.caption for frame in frames if isinstance(frame, ImagePart)]
    assert captions[0] == "frame at 0.20 s"
    assert captions[-1] == "frame at 5.70 s"


# Pictures


@tesseract
def test_with_ocr_a_picture_goes_as_its_text() -> None:
    (part,) = shown("image", saved("PNG", drawn((900, 200), "KETTLE")), ocr=True)
    assert part == TextPart("KETTLE")


# Texts


@pytest.mark.parametrize(
    ("content", "charset", "text"),
    [
        pytest.param("Grüße\r\n".encode(), "", "Grüße\r\n", id="UTF-8"),
        pytest.param("Grüße".encode("utf-8-sig"), "", "Grüße", id="UTF-8 with a mark"),
        pytest.param("Grüße".encode("utf-8-sig"), "UTF-8", "Grüße", id="UTF-8 with a mark, named"),
        pytest.param("Grüße".encode("utf-16"), "", "Grüße", id="UTF-16 with a mark"),
        pytest.param("Grüße".encode("latin-1"), "ISO-8859-1", "Grüße", id="named"),
        pytest.param("漢".encode("gb18030"), "gb18030", "漢", id="another one"),
        pytest.param(b"", "", "", id="empty"),
    ],
)
def test_a_text_is_read_in_the_charset_that_was_named_or_else_in_utf_8(content: bytes, charset: str, text: str) -> None:
    assert decoded(content, charset, "It") == text


@pytest.mark.parametrize(
    ("content", "charset", "words"),
    [
        ("Grüße".encode("latin-1"), "", "is not text in UTF-8; save it as UTF-8"),
        ("Grüße".encode("latin-1"), "utf-8", "is not text in utf-8, as its host says"),
        (b"abc", "klingon", "is not text in klingon, as its host says"),
        (b"a\0b", "", "is binary data, where a text was expected"),
        (PNG, "", "is a PNG picture, where a text was expected"),
        (b"%PDF-1.4\n\0", "", "is a PDF document, where a text was expected"),
    ],
)
def test_what_is_no_text_is_told_in_a_sentence(content: bytes, charset: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        decoded(content, charset, "It")
