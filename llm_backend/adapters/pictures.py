"""What is this picture, and how is it shown to a model?

What it is, its bytes say; a Content-Type or a file's name is only a claim. PNG, JPEG, GIF and WebP can be passed on as
they are. With Pillow (extra `ocr`) other kinds are converted, animations become their first frame, and
large pictures are scaled down; without it they are passed on where a model takes them, and named where none does.
"""

import base64
import importlib
import io
import shutil
from dataclasses import dataclass, field
from typing import Any

from llm_backend.errors import MediaError

LONGEST_SIDE = 2048
MOST_PIXELS = 50_000_000
OCR_SECONDS = 60

# Beginnings of files. Kinds that models take come first.
_TAKEN = {"image/png": "PNG", "image/jpeg": "JPEG", "image/gif": "GIF", "image/webp": "WEBP"}
_CONVERTED = {"image/bmp": "BMP", "image/tiff": "TIFF", "image/avif": "AVIF", "image/jp2": "JPEG2000"}
_STILL = frozenset(("image/png", "image/jpeg"))
_KNOWN = _TAKEN | _CONVERTED
_OTHERS = {
    b"%PDF-": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or office document",
    b"\x1f\x8b": "a gzip archive",
    b"ID3": "a sound file",
    b"OggS": "a sound or video file",
}
_WEB_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")
_NO_TEXT = "[There is no readable text in this picture.]"


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture whose kind is known.

    Attributes:
        type: Its media type, as its bytes say.
    """

    type: str
    content: bytes = field(repr=False)

    @property
    def data_url(self) -> str:
        return f"data:{self.type};base64,{base64.b64encode(self.content).decode('ascii')}"


def recognise(content: bytes, name: str) -> Picture:
    """Tell a picture by its bytes.

    Args:
        name: How to name it in a sentence.

    Raises:
        MediaError: It is no picture, or of a kind that cannot be shown.
    """
    kind = _kind(content)
    if kind in _KNOWN:
        return Picture(kind, content)
    if not content:
        raise MediaError(f"{name} is empty: zero bytes.")
    raise MediaError(f"{name} is {kind or 'not a picture'}; give a PNG, JPEG, GIF or WebP picture.")


def kind_of(content: bytes) -> str:
    """What this is in words, or ""."""
    kind = _kind(content)
    return f"a {_KNOWN[kind]} picture" if kind in _KNOWN else kind


def showable(picture: Picture, name: str) -> Picture:
    """The picture in a form that models take: one still frame, of a common kind, no larger than they look at.

    Slow for large pictures: run it in a thread.

    Raises:
        MediaError: It needs Pillow and Pillow is not there, or it is damaged or far too large.
    """
    pillow = _module("PIL.Image")
    if pillow is None:
        if picture.type in _TAKEN:
            return picture
        raise MediaError(
            f"{name} is of a kind that models do not take ({picture.type}); give a PNG or JPEG, or install the "
            'extra "ocr" (pip install "llm-backend[ocr]"), which converts it.'
        )
    with _Opened(pillow, picture, name) as image:
        still = picture.type in _STILL or (picture.type == "image/webp" and getattr(image, "n_frames", 1) == 1)
        if still and max(image.size) <= LONGEST_SIDE:
            return picture
        return _drawn_anew(image)


def read_text(picture: Picture, name: str, seconds: float = OCR_SECONDS) -> str:
    """The text in a picture, by Tesseract. Slow: run it in a thread.

    Raises:
        MediaError: Tesseract or the extra is not installed, took too long, or cannot read the picture.
    """
    pillow, tesseract = _module("PIL.Image"), _module("pytesseract")
    if pillow is None or tesseract is None:
        raise MediaError('IMAGE_MODE=ocr needs the extra "ocr": pip install "llm-backend[ocr]".', lasting=False)
    if shutil.which(tesseract.pytesseract.tesseract_cmd) is None:
        raise MediaError(
            "IMAGE_MODE=ocr needs Tesseract: install it (Debian: apt install tesseract-ocr).", lasting=False
        )
    with _Opened(pillow, picture, name) as image:
        try:
            text = str(tesseract.image_to_string(_eight_bits(image).convert("RGB"), timeout=seconds))
        except RuntimeError as exc:
            # Its own errors derive from RuntimeError too; only the time-out says "timeout".
            if "timeout" in str(exc).lower():
                raise MediaError(f"The text of {name} was not read within {seconds:g} s.", lasting=False) from exc
            raise MediaError(f"Tesseract cannot read {name}.") from exc
    return text.strip() or _NO_TEXT


class _Opened:
    """An image opened by Pillow while its block lasts; what a damaged file makes Pillow raise becomes a sentence."""

    def __init__(self, pillow: Any, picture: Picture, name: str) -> None:
        self._pillow, self._picture, self._name = pillow, picture, name
        self._image: Any = None

    def __enter__(self) -> Any:
        try:
            self._image = self._pillow.open(io.BytesIO(self._picture.content), formats=[_KNOWN[self._picture.type]])
        except (self._pillow.DecompressionBombError, self._pillow.DecompressionBombWarning) as exc:
            raise MediaError(self._too_many) from exc
        except (OSError, SyntaxError, ValueError, KeyError) as exc:
            raise MediaError(self._damaged) from exc
        width, height = self._image.size
        if width * height > MOST_PIXELS:
            self._image.close()
            raise MediaError(self._too_many)
        return self._image

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._image.close()
        if isinstance(error, self._pillow.DecompressionBombError | self._pillow.DecompressionBombWarning):
            raise MediaError(self._too_many) from error
        if isinstance(error, OSError | SyntaxError | ValueError | EOFError):
            raise MediaError(self._damaged) from error

    @property
    def _too_many(self) -> str:
        return f"{self._name} has more than {MOST_PIXELS // 1_000_000} million pixels; give a smaller picture."

    @property
    def _damaged(self) -> str:
        kind = _KNOWN[self._picture.type]
        return f"{self._name} cannot be opened as {kind}: it is damaged, cut short, or of an unusual variant."


def _drawn_anew(image: Any) -> Picture:
    side = (LONGEST_SIDE, LONGEST_SIDE)
    image.draft("RGB", side)  # lets a JPEG be decoded at a smaller size at once
    drawn = importlib.import_module("PIL.ImageOps").exif_transpose(_eight_bits(image))
    drawn.thumbnail(side)
    # Photographs stay JPEG; drawings, masks and whatever is transparent keep every pixel.
    saved, kind = io.BytesIO(), "JPEG" if drawn.mode == "RGB" and image.format != "GIF" else "PNG"
    drawn.save(saved, kind, **({"quality": 92} if kind == "JPEG" else {}))
    return Picture(f"image/{kind.lower()}", saved.getvalue())


def _eight_bits(image: Any) -> Any:
    """Deep grey scales (16 bits, floats) are stretched to what a screen shows; they would be cut off otherwise."""
    if image.mode in ("1", "L", "LA", "RGB", "RGBA"):
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = image.convert("F")
        low, high = grey.getextrema()
        scale = 255.0 / (high - low) if high > low else 0.0
        return grey.point(lambda value: value * scale - low * scale).convert("L")
    return image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "RGB")


def _kind(content: bytes) -> str:
    """The media type of a known kind of picture; else what it is in words; else ""."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF":
        return "image/webp" if content[8:12] == b"WEBP" else "a sound or video file"
    if content.startswith((b"II*\0", b"MM\0*")):
        return "image/tiff"
    if content.startswith(b"BM") and content[6:10] == b"\0\0\0\0":
        return "image/bmp"
    if content.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "image/jp2"
    return _boxed(content) if content[4:8] == b"ftyp" else _other(content)


def _boxed(content: bytes) -> str:
    brand = content[8:12]
    if brand in (b"avif", b"avis"):
        return "image/avif"
    return "a HEIC picture" if brand in (b"heic", b"heix", b"mif1", b"msf1") else "a sound or video file"


def _other(content: bytes) -> str:
    for beginning, words in _OTHERS.items():
        if content.startswith(beginning):
            return words
    opening = content[:1024].lower().lstrip()
    if not opening.startswith(b"<"):
        return ""
    if b"<svg" in opening:
        return "an SVG drawing"
    return "a web page" if any(tag in opening for tag in _WEB_PAGE) else "an XML document"


def _module(name: str) -> Any | None:
    """An optional library, or None. Imported when first needed, for it is large."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
