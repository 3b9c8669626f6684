"""What is this picture, and how is it shown to a model?"""

import io
import shutil
import struct
import sys
import zlib
from typing import Any

import pytest

from llm_backend.adapters.pictures import read_text, recognise, showable
from llm_backend.errors import MediaError
from tests.support.pictures import PNG, drawn, saved

Image = pytest.importorskip("PIL.Image", reason="the extra ocr is not installed")
tesseract = pytest.mark.skipif(shutil.which("tesseract") is None, reason="Tesseract is not installed")


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
    ],
)
def test_a_picture_is_known_by_its_bytes(kind: str, type_: str) -> None:
    assert recognise(saved(kind), "It").type == type_


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty: zero bytes"),
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "a web page"),
        (b"\n  <html>", "a web page"),
        (b'<?xml version="1.0"?><!-- x --><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"<svg>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "an XML document"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "a sound or video file"),
        (b"RIFF\0\0\0\0WAVEfmt ", "a sound or video file"),
        (b"<!---->" * 10_000, "an XML document"),
        (b'{"detail": "Not found."}', "not a picture"),
        (b"BMW is a car maker", "not a picture"),
        (b"\x89PNG", "not a picture"),
        (bytes(1000), "not a picture"),
    ],
)
def test_what_is_no_picture_is_named(content: bytes, words: str) -> None:
    with pytest.raises(MediaError, match=words) as caught:
        recognise(content, "The picture")
    assert caught.value.lasting


def shown(content: bytes) -> tuple[str, Any]:
    """The type of what a model is shown, and the picture as it sees it."""
    picture = showable(recognise(content, "It"), "It")
    return picture.type, Image.open(io.BytesIO(picture.content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_common_pictures_pass_untouched(kind: str) -> None:
    assert showable(recognise(saved(kind), "It"), "It").content == saved(kind)


@pytest.mark.parametrize(
    ("kind", "mode"), [("BMP", "RGB"), ("TIFF", "RGB"), ("TIFF", "1"), ("TIFF", "CMYK"), ("TIFF", "RGBA")]
)
def test_other_kinds_are_converted(kind: str, mode: str) -> None:
    type_, image = shown(saved(kind, drawn((40, 30)).convert(mode)))
    assert type_ in ("image/png", "image/jpeg")
    assert image.size == (40, 30)


def test_sixteen_bits_are_stretched_not_cut() -> None:
    deep = Image.new("I;16", (2, 1))
    deep.putpixel((0, 0), 1000)
    deep.putpixel((1, 0), 5000)
    _, image = shown(saved("TIFF", deep))
    assert [image.getpixel((0, 0)), image.getpixel((1, 0))] == [0, 255]


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_becomes_its_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    moving = io.BytesIO()
    frames[0].save(moving, kind, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    type_, image = shown(moving.getvalue())
    assert type_ in ("image/png", "image/jpeg")
    assert image.convert("RGB").getpixel((5, 5))[0] > 240


@pytest.mark.parametrize(("mode", "type_"), [("RGB", "image/jpeg"), ("RGBA", "image/png"), ("L", "image/png")])
def test_large_pictures_are_scaled_down(mode: str, type_: str) -> None:
    found, image = shown(saved("PNG", Image.new(mode, (4096, 1024))))
    assert (found, image.size) == (type_, (2048, 512))


def test_a_scaled_photograph_stands_as_its_camera_said() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6  # to be turned by 90 degrees
    content = io.BytesIO()
    Image.new("RGB", (4096, 1024)).save(content, "JPEG", exif=turned)
    assert shown(content.getvalue())[1].size == (512, 2048)


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "size", [(10_000, 10_000), (60_000, 60_000), (7100, 7100)], ids=["warned of", "bomb", "just over"]
)
def test_a_decompression_bomb_is_refused_unopened(size: tuple[int, int]) -> None:
    with pytest.raises(MediaError, match="more than 50 million pixels"):
        showable(recognise(png_of(*size), "It"), "It")


def test_damaged_pictures_are_a_sentence() -> None:
    content = saved("TIFF", drawn((300, 300)))
    with pytest.raises(MediaError, match="cannot be opened as TIFF: it is damaged"):
        showable(recognise(content[: len(content) // 2], "It"), "It")
    with pytest.raises(MediaError, match="cannot be opened as PNG: it is damaged"):
        showable(recognise(PNG[:12], "It"), "It")


@pytest.fixture
def no_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where the extras were not installed."""
    monkeypatch.setitem(sys.modules, "PIL.Image", None)


@pytest.mark.usefixtures("no_pillow")
def test_without_pillow_common_pictures_pass_and_others_name_the_extra() -> None:
    for kind in ("PNG", "JPEG", "GIF", "WEBP"):
        assert showable(recognise(saved(kind), "It"), "It").content == saved(kind)
    with pytest.raises(MediaError, match=r'install the extra "ocr"'):
        showable(recognise(saved("TIFF"), "It"), "It")


@pytest.mark.usefixtures("no_pillow")
def test_without_the_extra_reading_text_names_it() -> None:
    with pytest.raises(MediaError, match=r'needs the extra "ocr"'):
        read_text(recognise(PNG, "It"), "It")


def test_without_tesseract_reading_text_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    pytest.importorskip("pytesseract", reason="the extra ocr is not installed")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MediaError, match=r"install it .Debian: apt install tesseract-ocr"):
        read_text(recognise(PNG, "It"), "It")


@tesseract
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "GIF"])
def test_the_text_of_a_picture_is_read(kind: str) -> None:
    pytest.importorskip("pytesseract", reason="the extra ocr is not installed")
    text = read_text(recognise(saved(kind, drawn((500, 120), "Total 42 EUR")), "It"), "It")
    assert "Total 42" in text


@tesseract
def test_a_picture_without_text_says_so() -> None:
    pytest.importorskip("pytesseract", reason="the extra ocr is not installed")
    assert read_text(recognise(PNG, "It"), "It") == "[There is no readable text in this picture.]"


@tesseract
def test_reading_that_takes_too_long_is_given_up() -> None:
    pytest.importorskip("pytesseract", reason="the extra ocr is not installed")
    busy = recognise(saved("PNG", drawn((1500, 1500), "many words " * 40)), "It")
    with pytest.raises(MediaError, match=r"was not read within 0.01 s") as caught:
        read_text(busy, "It", seconds=0.01)
    assert not caught.value.lasting
