"""A TextArea holds texts word for word."""

import pytest

from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError
from tests.support.controls import by_person, made, one


def area(attrs: str = "") -> str:
    return f'<TextArea name="response" toName="text" {attrs}/>'


@pytest.mark.parametrize(
    "text",
    [
        "Fine.",
        "  two spaces, and a line\n\nwith a break \t",
        '<b>bold</b> & "quoted" {text} $text',
        "עברית 한국어 👩‍👩‍👧 \u202eabc",
        "x" * 200_000,
    ],
    ids=["plain", "spaces", "markup", "scripts", "long"],
)
def test_a_text_is_stored_word_for_word(text: str) -> None:
    assert made(area(), text) == {"text": [text]}


@pytest.mark.parametrize(
    ("attrs", "answer", "texts"),
    [
        ("", ["a", "b", "a"], ["a", "b", "a"]),
        ("", ["a", " ", ""], ["a"]),
        ('maxSubmissions="2"', ["a", "b"], ["a", "b"]),
        ('maxSubmissions="0"', ["a", "b", "c"], ["a", "b", "c"]),
        ('maxSubmissions="many"', ["a", "b"], ["a", "b"]),
        ('maxSubmissions="2" skipDuplicates="true"', ["A", "a", "b"], ["A", "b"]),
        ("", "half of a smile: \ud83d", ["half of a smile: \ufffd"]),
        ("", "whole in halves: \ud83d\ude00", ["whole in halves: \U0001f600"]),
        ("", "a\0b", ["ab"]),
    ],
)
def test_several_submissions_are_kept(attrs: str, answer: JSON, texts: list[str]) -> None:
    assert made(area(attrs), answer) == {"text": texts}


@pytest.mark.parametrize("answer", [None, "", "\n ", [], [""], "\0", [" ", "\n"]])
def test_a_blank_answer_makes_no_region(answer: JSON) -> None:
    assert made(area(), answer) is None


@pytest.mark.parametrize("answer", [5, True, {"text": "a"}, ["a", 1], [["a"]], [None]])
def test_what_is_no_text_is_refused(answer: JSON) -> None:
    with pytest.raises(AnswerError, match='"response" takes text; the model gave '):
        made(area(), answer)


def test_more_texts_than_it_holds_are_refused() -> None:
    with pytest.raises(AnswerError, match="holds at most 1 text"):
        made(area('maxSubmissions="1"'), ["a", "b"])


@pytest.mark.parametrize(("attrs", "most"), [("", None), ('maxSubmissions="0"', None), ('maxSubmissions="3"', 3)])
def test_it_says_how_many_texts_fit(attrs: str, most: int | None) -> None:
    control, inputs = one(area(attrs))
    assert control.textual
    assert control.most == most
    assert control.schema(inputs) == {"type": "string"}


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ({"text": ["a"]}, "a"),
        ({"text": "a"}, "a"),
        ({"text": ["a", "b"]}, ["a", "b"]),
        ({"text": []}, None),
        ({}, None),
    ],
)
def test_a_persons_texts_are_read(value: JSON, answer: JSON) -> None:
    assert by_person(area(), value) == answer
