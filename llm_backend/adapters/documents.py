"""What does a PDF say, and what do its pages look like?

By PDFium (extra `pdf`), which must not be used by two threads at once: one lock is held around all of it.
"""

import importlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from llm_backend.adapters.pictures import Picture
from llm_backend.errors import MediaError

MOST_PAGES = 100
"""What providers take of a document. The same number of pages is read for its text."""

MOST_DRAWN = 20
LONGEST_SIDE = 1536
MOST_SIGNS = 1_000_000
_QUALITY = 85
_TURN = threading.Lock()


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its text, or where it has none, what it looks like; neither where it is blank or past the limits."""

    number: int
    text: str = ""
    picture: Picture | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """The pages that were read.

    Attributes:
        count: How many there are, read or not.
        undrawn: Of how many pages without text there is no picture, for there are too many of them.
    """

    pages: tuple[Page, ...]
    count: int
    undrawn: int = 0


def is_pdf(content: bytes) -> bool:
    return b"%PDF-" in content[:1024]


def installed() -> bool:
    return _pdfium() is not None


def read(content: bytes, name: str, most_drawn: int = MOST_DRAWN) -> Document:
    """Read a document page by page. Slow: run it in a thread.

    Args:
        most_drawn: Of so many pages without text pictures are made.
    Raises:
        MediaError: The extra is not installed, or the document is damaged or locked.
    """
    with _opened(content, name) as pdf:
        count, pages, scans, signs = len(pdf), [], 0, 0
        for number in range(1, min(count, MOST_PAGES) + 1):
            page = pdf[number - 1]
            text = _text_of(page)
            signs += len(text)
            if signs > MOST_SIGNS:
                break
            scanned = not text and next(iter(page.get_objects(max_depth=1)), None) is not None
            scans += scanned
            pages.append(Page(number, text, _drawn(page) if scanned and scans <= most_drawn else None))
            page.close()
        return Document(tuple(pages), count, max(0, scans - most_drawn))


def shortened(content: bytes, name: str) -> tuple[bytes, int]:
    """The document cut to its first `MOST_PAGES` pages, and how many it had. Slow: run it in a thread.

    Raises:
        MediaError: The extra is not installed, or the document is damaged or locked.
    """
    with _opened(content, name) as pdf:
        count = len(pdf)
        if count <= MOST_PAGES:
            return content, count
        short, saved = type(pdf).new(), io.BytesIO()
        short.import_pages(pdf, list(range(MOST_PAGES)))
        short.save(saved)
        short.close()
        return saved.getvalue(), count


@contextmanager
def _opened(content: bytes, name: str) -> Iterator[Any]:
    pdfium = _pdfium()
    if pdfium is None:
        raise MediaError(
            f'{name} is a PDF, which the model does not take; to have it read here, install the extra "pdf" '
            '(pip install "llm-backend[pdf]").',
            lasting=False,
        )
    with _TURN:
        pdf = None
        try:
            pdf = pdfium.PdfDocument(content)
            yield pdf
        except pdfium.PdfiumError as exc:
            if "password" in str(exc).lower():
                raise MediaError(f"{name} is a PDF that is locked by a password; give one without.") from exc
            raise MediaError(f"{name} cannot be opened as PDF: it is damaged, cut short, or of an odd kind.") from exc
        finally:
            if pdf is not None:
                pdf.close()


def _text_of(page: Any) -> str:
    found = page.get_textpage()
    try:
        return "\n".join(line.rstrip() for line in found.get_text_bounded().splitlines()).strip()
    finally:
        found.close()


def _drawn(page: Any) -> Picture:
    scale = LONGEST_SIDE / max(*page.get_size(), 1.0)
    bitmap, saved = page.render(scale=scale), io.BytesIO()
    bitmap.to_pil().convert("RGB").save(saved, "JPEG", quality=_QUALITY)
    bitmap.close()
    return Picture("image/jpeg", saved.getvalue())


def _pdfium() -> Any | None:
    """PDFium and what draws with it, or None. Imported when first needed, for it is large."""
    try:
        importlib.import_module("PIL.Image")
        return importlib.import_module("pypdfium2")
    except ImportError:
        return None
