"""Where a model's quote stands in a text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.controls.quotes import Quotes

Asked = str | tuple[str, str]


def found(text: str, *asked: Asked) -> list[tuple[int, str] | None]:
    """For each quote (or quote with what is before it) its offset and its own characters, or None."""
    quotes = Quotes(text)
    places = [quotes.next(*(one if isinstance(one, tuple) else (one,))) for one in asked]
    return [place and (place[0], text[slice(*place)]) for place in places]


@pytest.mark.parametrize(
    ("text", "asked", "places"),
    [
        pytest.param("a Bill b Bill", ["Bill", "Bill"], [(2, "Bill"), (9, "Bill")], id="again-next-place"),
        pytest.param("a Bill b Bill", ["Bill"] * 3, [(2, "Bill"), (9, "Bill"), None], id="no-third-place"),
        pytest.param("a Bill", ["Bill", "Bill"], [(2, "Bill"), (2, "Bill")], id="the-only-place-again"),
        pytest.param("Bill Gates", ["Bill Gates", "Bill"], [(0, "Bill Gates"), (0, "Bill")], id="nested"),
        pytest.param("one two three", ["one two", "two three"], [(0, "one two"), (4, "two three")], id="overlapping"),
        pytest.param("Paris", ["London", "", " ", "“”"], [None] * 4, id="not-there"),
        pytest.param("yes Yes YES", ["YES", "yes", "Yes"], [(8, "YES"), (0, "yes"), (4, "Yes")], id="exact-first"),
        pytest.param("go GO", ["GO", "GO", "GO"], [(3, "GO"), (0, "go"), None], id="then-inexact"),
        pytest.param("Bill\r\n Gates", ["Bill Gates"], [(0, "Bill\r\n Gates")], id="line-break"),
        pytest.param(
            "New\u00adYork a\u200bb", ["new york", "AB"], [(0, "New\u00adYork"), (9, "a\u200bb")], id="unseen"
        ),
        pytest.param("in the rapids", ["inthe", "ra pids"], [(0, "in the"), (7, "rapids")], id="white-space-none-more"),
        pytest.param("Die Straße", ["STRASSE"], [(4, "Straße")], id="folded-to-more-signs"),
        pytest.param("DIE STRASSE", ["Straße"], [(4, "STRASSE")], id="folded-to-fewer-signs"),
        pytest.param("Maß", ["MAS"], [None], id="half-of-a-folded-letter"),
        pytest.param("İzmir", ["i̇zmir", "İZMİR"], [(0, "İzmir"), None], id="dotted-capital"),
        pytest.param("so “we’ll” see", ['"we\'ll"'], [(3, "“we’ll”")], id="quote-marks"),
        pytest.param("so we go", ['"we"', "«go»"], [(3, "we"), (6, "go")], id="marks-only-around-the-quote"),
        pytest.param("one two three", ["one … three", "one...", "two…"], [None] * 3, id="elisions-are-not-guessed"),
        pytest.param("other he theme", ["he", "he"], [(6, "he")] * 2, id="words-before-parts-of-words"),
        pytest.param("other theme", ["he", "he"], [(2, "he"), (7, "he")], id="parts-of-words-where-there-are-no-words"),
        pytest.param(
            "其他北京，在北京大学", ["北京", "北京"], [(2, "北京"), (6, "北京")], id="no-spaces-between-words"
        ),
        pytest.param("e\u0301 e", ["e"], [(3, "e")], id="a-letter-with-its-marks"),
        pytest.param("e\u0301t", ["e", "é", "ét"], [None, (0, "e\u0301"), (0, "e\u0301t")], id="composed-quote"),
        pytest.param("été", ["e\u0301te\u0301"], [(0, "été")], id="decomposed-quote"),
        pytest.param("👍🏽 👍", ["👍"], [(3, "👍")], id="an-emoji-with-its-tone"),
        pytest.param("👩‍👧 👩", ["👩", "👩‍👧"], [(4, "👩"), (0, "👩‍👧")], id="a-joined-emoji"),
        pytest.param("אבג\u200f דה", ["אבג דה"], [(0, "אבג\u200f דה")], id="right-to-left"),
        pytest.param(
            "by Bill, by Bill, of Bill",
            [("Bill", "of "), ("Bill", "by "), ("Bill", "by "), ("Bill", "by ")],
            [(21, "Bill"), (3, "Bill"), (12, "Bill"), None],
            id="context",
        ),
        pytest.param(
            "It was\n bought by Bill. Sold BY  Bill.",
            [("Bill", "sold by"), ("Bill", "was bought by ")],
            [(33, "Bill"), (18, "Bill")],
            id="inexact-context",
        ),
        pytest.param(
            "He was bought by Bill and he was sold by Bill",
            [("Bill", "…Bill and she was sold by "), ("Bill", "they had bought by ")],
            [(41, "Bill"), (17, "Bill")],
            id="context-that-is-only-partly-there",
        ),
        pytest.param("a Bill b Bill", [("Bill", "nowhere"), "Bill"], [(2, "Bill"), (9, "Bill")], id="useless-context"),
        pytest.param("a Bill", [("Bill", "nowhere")], [(2, "Bill")], id="needless-context"),
        pytest.param("other", [("he", "ot")], [(2, "he")], id="context-within-a-word"),
    ],
)
def test_a_quote_is_found_where_a_reader_sees_it(
    text: str, asked: list[Asked], places: list[tuple[int, str] | None]
) -> None:
    assert found(text, *asked) == places


def test_context_tells_a_place_from_all_others() -> None:
    text = "the same words, the same words, the same words; and the same words, the same words"
    spans = [(at, at + 5) for at in range(len(text)) if text.startswith("words", at)]
    asked = [(text[slice(*span)], Quotes(text).context(*span)) for span in spans]
    for span, (quote, before) in zip(spans, asked, strict=True):
        assert Quotes(text).next(quote, before) == span
    assert Quotes("a b").context(2, 3) == ""


SIGNS = st.text(st.sampled_from("aAbß  \n\u200b\"'“e\u0301\u0308אİ👍🏽\u200d北1_.éς"), max_size=40)


@given(SIGNS, st.lists(st.tuples(SIGNS, SIGNS), max_size=6))
def test_what_is_found_says_the_same_as_the_quote(text: str, asked: list[tuple[str, str]]) -> None:
    quotes = Quotes(text)
    for quote, before in asked:
        if place := quotes.next(quote, before):
            start, end = place
            assert 0 <= start < end <= len(text)
            assert alike(text[start:end]) == alike(quote)


@given(SIGNS, st.data())
def test_a_piece_of_the_text_is_found_unless_it_splits_a_letter(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    quote = text[start:end]
    place = Quotes(text).next(quote, Quotes(text).context(start, end))
    if alike(quote) and not any(drawn_onto(text, at) for at in (start, end)):
        assert place is not None
        assert alike(text[slice(*place)]) == alike(quote)


def alike(words: str) -> str:
    """Words without all that a quote may differ in."""
    bare = unicodedata.normalize("NFD", unicodedata.normalize("NFD", words).casefold())
    return "".join(sign for sign in bare if sign not in " \n\u200b\"'“")


def drawn_onto(text: str, at: int) -> bool:
    around = text[max(0, at - 1) : at + 1]
    return 0 < at < len(text) and (around[1] in "\u0301\u0308🏽" or "\u200d" in around)
