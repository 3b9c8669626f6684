"""What does a `data:` URL hold?"""

import base64
from typing import Any

import pytest

from llm_backend.adapters.data_urls import content_of
from llm_backend.errors import MediaError
from tests.support.pictures import PNG


def data_url(content: bytes, type_: str = "image/png") -> str:
    return f"data:{type_};base64,{base64.b64encode(content).decode()}"


def test_a_data_url_is_read() -> None:
    assert content_of(data_url(PNG), "It", 10_000) == (PNG, "")


@pytest.mark.parametrize(
    ("url", "content", "charset"),
    [
        ("data:text/csv,a%2Cb%0A1%2C2", b"a,b\n1,2", ""),
        ("data:,hello", b"hello", ""),
        ("data:text/plain;charset=latin-1,caf%E9", b"caf\xe9", "latin-1"),
        ('data:text/plain;Charset="utf-16";base64,//5hAA==', b"\xff\xfea\0", "utf-16"),
    ],
)
def test_a_data_url_may_hold_text_and_name_its_charset(url: str, content: bytes, charset: str) -> None:
    assert content_of(url, "It", 100) == (content, charset)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda u: u.replace("+", "%2B"),
        lambda u: u[:60] + "\r\n " + u[60:],
        lambda u: u.replace("data:image", "DATA:IMAGE").replace("base64", "BASE64"),
    ],
    ids=["percent", "folded", "upper case"],
)
def test_a_data_url_may_be_written_in_other_ways(spoil: Any) -> None:
    assert content_of(spoil(data_url(PNG)), "It", 10_000)[0] == PNG


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("data:", "cannot be read"),
        ("data:image/png", "cannot be read"),
        ("data:image/png;base64,iVBOR", "base64 is damaged"),
        ("data:image/png;base64,!!!!", "base64 is damaged"),
        ("data:image/png;base64,%", "base64 is damaged"),
        ("data:image/png;base64,é", "base64 is damaged"),
        (data_url(PNG + bytes(20_000)), "is over"),
        ("data:image/png;base64," + "A" * 100_000, "is over"),
    ],
    ids=["bare", "no comma", "cut", "signs", "percent", "letters", "large", "huge"],
)
def test_a_bad_data_url_is_a_sentence(url: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        content_of(url, "The picture", 10_000)
