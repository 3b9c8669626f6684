"""What does a PDF say, and what do its pages look like?"""

import io
import sys
import threading
from typing import Any

import pytest

from llm_backend.adapters import documents
from llm_backend.errors import MediaError
from tests.support.recordings import pdf, scan

Image = pytest.importorskip("PIL.Image", reason="the extra pdf is not installed")
pytest.importorskip("pypdfium2", reason="the extra pdf is not installed")


def test_each_page_has_its_text_a_picture_where_it_has_none_and_neither_where_it_is_blank() -> None:
    read = documents.read(pdf("Invoice 42", "", "Total: 7"), "It")
    assert [(page.number, page.text, page.picture) for page in read.pages] == [
        (1, "Invoice 42", None),
        (2, "", None),
        (3, "Total: 7", None),
    ]
    (page,) = documents.read(scan("INVOICE"), "It").pages
    assert page.text == ""
    assert page.picture is not None
    assert max(Image.open(io.BytesIO(page.picture.content)).size) == documents.LONGEST_SIDE


def test_of_a_long_document_the_first_pages_are_read_and_all_are_counted() -> None:
    read = documents.read(pdf(*["p"] * (documents.MOST_PAGES + 3)), "It")
    assert (len(read.pages), read.count) == (documents.MOST_PAGES, documents.MOST_PAGES + 3)


def test_a_long_document_is_cut_and_a_short_one_is_left_as_it_is() -> None:
    short = pdf("a", "b")
    assert documents.shortened(short, "It") == (short, 2)
    cut, count = documents.shortened(pdf(*[f"page {number}" for number in range(1, 121)]), "It")
    assert count == 120
    assert [page.text for page in documents.read(cut, "It").pages] == [f"page {number}" for number in range(1, 101)]


def test_no_more_pages_are_drawn_than_a_model_looks_at() -> None:
    read = documents.read(scan("A", "B", "C"), "It", most_drawn=2)
    assert [page.picture is not None for page in read.pages] == [True, True, False]
    assert read.undrawn == 1


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4 nonsense", pdf("a")[:60]], ids=["empty", "nonsense", "cut"])
def test_a_damaged_document_is_told_in_a_sentence(content: bytes) -> None:
    with pytest.raises(MediaError, match="It cannot be opened as PDF") as caught:
        documents.read(content, "It")
    assert caught.value.lasting


def test_a_locked_document_is_told_in_a_sentence() -> None:
    encrypted = b"/Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <%s> /U <%s> >> /ID [<00> <00>]" % (
        b"00" * 32,
        b"11" * 32,
    )
    locked = pdf("secret").replace(b"/Root 1 0 R", b"/Root 1 0 R " + encrypted)
    with pytest.raises(MediaError, match="locked by a password"):
        documents.read(locked, "It")


def test_without_the_extra_a_sentence_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pypdfium2", None)
    assert not documents.installed()
    with pytest.raises(MediaError, match=r'pip install "llm-backend\[pdf\]"') as caught:
        documents.read(pdf("a"), "It")
    assert not caught.value.lasting


def test_documents_are_read_by_one_thread_at_a_time() -> None:
    content, found = scan("ONE", "TWO"), list[Any]()
    threads = [threading.Thread(target=lambda: found.append(documents.read(content, "It"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(document.pages) for document in found] == [2] * 4


@pytest.mark.parametrize(
    ("content", "told"), [(pdf("a"), True), (b"\n\xef\xbb\xbf" + pdf("a"), True), (b"<html>", False), (b"", False)]
)
def test_a_pdf_is_known_by_its_bytes(content: bytes, told: bool) -> None:
    assert documents.is_pdf(content) is told
