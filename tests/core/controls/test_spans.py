"""Pieces of texts, pages and dialogues: asked for by quote, stored by the characters that the editor counts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

TALK = [
    {"author": "Ann", "text": "Hi 😀 there,\r\nyou"},
    {"author": "Bob", "text": "Yes."},
    {"author": "Ann", "text": "Yes."},
]


def bound(objects: str, tag: str, data: Any) -> tuple[Control, Inputs]:
    config = parse(f'<View>{objects}<{tag} name="l" toName="o"><Label value="X"/></{tag}></View>')
    (control,), _ = bind(config)
    return control, read(config, {"data": data})


def on_text(data: JSON) -> tuple[Control, Inputs]:
    return bound('<Text name="o" value="$data"/>', "Labels", data)


def on_page(data: str) -> tuple[Control, Inputs]:
    return bound('<HyperText name="o" value="$data"/>', "HyperTextLabels", data)


def on_talk(data: JSON) -> tuple[Control, Inputs]:
    return bound('<Paragraphs name="o" value="$data"/>', "ParagraphLabels", data)


def marked(asked: tuple[Control, Inputs], *quotes: str | tuple[str, str]) -> list[dict[str, JSON]]:
    """The places of quotes, or of quotes with what is before them; without their labels."""
    control, inputs = asked
    told = [one if isinstance(one, tuple) else (one, "") for one in quotes]
    regions = control.read([{"quote": quote, "before": before, "label": "X"} for quote, before in told], inputs)
    return [{key: held for key, held in region.value.items() if key != region.type} for region in regions]


def told(asked: tuple[Control, Inputs], **value: JSON) -> JSON:
    """What a person's region is told as."""
    control, inputs = asked
    region = Region("l", "o", control.output.type, {**value, control.output.type: ["X"]})
    (item,) = control.encode([region], inputs)
    return item["quote"], item["before"]


@pytest.mark.parametrize(
    ("text", "quote", "start", "own"),
    [
        ("a\r\nb 😀 c", "😀 c", 5, "😀 c"),
        ("a\r\nb", "a b", 0, "a\r\nb"),
        ("\ufeffa\tb", "A B", 1, "a\tb"),
        ("cafe\u0301 x", "café", 0, "cafe\u0301"),
        ("אבג 👩‍👩‍👧 דה", "דה", 10, "דה"),
        (["one", "two 😀"], "two 😀", 4, "two 😀"),
    ],
)
def test_a_text_is_counted_in_code_points(text: JSON, quote: str, start: int, own: str) -> None:
    assert marked(on_text(text), quote) == [{"start": start, "end": start + len(own), "text": own}]


@pytest.mark.parametrize(
    ("page", "quote", "start", "own"),
    [
        ("<p>One <b>bold</b> &amp; two</p><p>Next</p>", "bold & two", 4, "bold & two"),
        ("<p>One <b>bold</b> &amp; two</p><p>Next</p>", "two\n\nNext", 11, "twoNext"),
        ("<p>a<br>😀\n  b</p>", "a\n😀 b", 0, "a\n😀\n  b"),
        ("<style>p {}</style> <i>x</i>", "x", 0, "x"),
        ("a<style>p {}</style>😀 x", "x", 7, "x"),
        ("<p>see <img alt='Bob'> Bob</p>", "[Bob] Bob", 5, "Bob"),
        ("<html><head><title>T</title></head><body>\n x</body></html>", "x", 2, "x"),
    ],
)
def test_a_page_is_counted_in_its_text_nodes(page: str, quote: str, start: int, own: str) -> None:
    assert marked(on_page(page), quote) == [{"start": start, "end": start + len(own), "text": own}]


@pytest.mark.parametrize(
    ("quote", "place"),
    [
        ("😀 there", {"start": "0", "end": "0", "startOffset": 3, "endOffset": 11, "text": "😀 there"}),
        ("there, you", {"start": "0", "end": "0", "startOffset": 6, "endOffset": 17, "text": "there,\r\nyou"}),
        ("you Bob: yes", {"start": "0", "end": "1", "startOffset": 14, "endOffset": 3, "text": "you\nYes"}),
        (("Yes.", "Bob: "), {"start": "1", "end": "1", "startOffset": 0, "endOffset": 4, "text": "Yes."}),
        (("Yes.", "Yes.\nAnn: "), {"start": "2", "end": "2", "startOffset": 0, "endOffset": 4, "text": "Yes."}),
        ("Ann: Hi", {"start": "0", "end": "0", "startOffset": 0, "endOffset": 2, "text": "Hi"}),
    ],
)
def test_a_dialogue_is_counted_turn_by_turn_as_a_browser_counts(
    quote: str | tuple[str, str], place: dict[str, JSON]
) -> None:
    assert marked(on_talk(TALK), quote) == [place]


def test_the_same_words_are_marked_turn_after_turn() -> None:
    assert [place["start"] for place in marked(on_talk(TALK), "Yes.", "Yes.")] == ["1", "2"]


@pytest.mark.parametrize(
    ("asked", "quotes", "fault"),
    [
        (on_text("a b"), ["c"], '"o" does not hold "c" (once more).'),
        (on_text("a b a"), ["a", "a", "a"], '"o" does not hold "a" (once more).'),
        (on_text("a b"), [" "], 'A place in "o" is told by its words; the model gave " ".'),
        (on_text("a b"), ["a", "a"], '"l" marks the same place in the same way twice'),
        (on_page("<img alt='pic'> a"), ["[pic]"], '"o" does not hold "[pic]" (once more).'),
        (on_talk(TALK), ["Bob:"], '"o" does not hold "Bob:" (once more).'),
        (on_talk("Hi."), ["Hi"], '"o" shows no turns in this task'),
    ],
)
def test_what_is_not_there_is_said_not_guessed(asked: tuple[Control, Inputs], quotes: list[str], fault: str) -> None:
    with pytest.raises(AnswerError) as caught:
        marked(asked, *quotes)
    assert fault in caught.value.sentence


def test_one_place_may_have_two_labels() -> None:
    config = parse(
        '<View><Text name="o" value="$d"/>'
        '<Labels name="l" toName="o"><Label value="X"/><Label value="Y"/></Labels></View>'
    )
    (control,), _ = bind(config)
    answer = [{"quote": "a b", "before": "", "label": label} for label in ("X", "Y")]
    made = control.read(answer, inputs := read(config, {"d": "a b"}))
    assert [(region.value["start"], region.value["labels"]) for region in made] == [(0, ["X"]), (0, ["Y"])]
    assert control.encode(made, inputs) == answer


def test_what_a_person_marked_is_told_by_quote() -> None:
    page = on_page("<p>One <b>bold</b></p><p>bold</p>")
    native = {"start": "/p[1]/b[1]/text()[1]", "end": "/p[1]/b[1]/text()[1]", "startOffset": 0, "endOffset": 4}
    assert told(page, **native, globalOffsets={"start": 4, "end": 8}, text="bold") == ("bold", "One ")
    assert told(page, start=8, end=12, text="bold") == ("bold", "One bold\n\n")
    assert told(page, **native, text="bold") == ("bold", "")
    talk = on_talk(TALK)
    assert told(talk, start="0", end="0", startOffset=3, endOffset=5) == ("😀", "")
    assert told(talk, start="0", end="1", startOffset=14, endOffset=3) == ("you\nBob: Yes", "")
    assert told(talk, start="7", end="7", startOffset=0, endOffset=3, text="who") == ("who", "")
    assert told(on_text(["one", "two"]), start=4, end=7, text="two") == ("two", "")


WORDS = st.text(st.sampled_from("aA ß\r\n😀e\u0301א<>&b.\u200b"), max_size=12)
PAGES = st.lists(WORDS | st.sampled_from(["<p>", "</p>", "<b>", "</b>", "<br>", "<style>s</style>"]), max_size=6)


@given(WORDS, st.lists(st.tuples(WORDS, WORDS), max_size=4))
def test_the_stored_text_of_a_text_is_its_own(text: str, asked: list[tuple[str, str]]) -> None:
    for value in read_all(on_text(text), asked):
        assert value["text"] == text[value["start"] : value["end"]]


@given(PAGES.map("".join), st.lists(st.tuples(WORDS, WORDS), max_size=4))
def test_the_stored_text_of_a_page_is_its_own(page: str, asked: list[tuple[str, str]]) -> None:
    control, inputs = on_page(page)
    (seen,) = inputs.seen
    for value in read_all((control, inputs), asked):
        assert value["text"] == seen.shown[value["start"] : value["end"]] != ""


@given(st.lists(WORDS, min_size=1, max_size=3), st.lists(st.tuples(WORDS, WORDS), max_size=4))
def test_the_stored_text_of_a_dialogue_is_its_own(turns: list[str], asked: list[tuple[str, str]]) -> None:
    units = [turn.encode("utf-16-le") for turn in turns]
    for value in read_all(on_talk([{"author": "A", "text": turn} for turn in turns]), asked):
        first, last = int(value["start"]), int(value["end"])
        pieces = [unit[:] for unit in units[first : last + 1]]
        pieces[-1] = pieces[-1][: 2 * value["endOffset"]]
        pieces[0] = pieces[0][2 * value["startOffset"] :]
        assert value["text"] == "\n".join(piece.decode("utf-16-le") for piece in pieces)


def read_all(asked: tuple[Control, Inputs], quotes: list[tuple[str, str]]) -> list[dict[str, Any]]:
    control, inputs = asked
    answer = json.loads(json.dumps([{"quote": quote, "before": before, "label": "X"} for quote, before in quotes]))
    try:
        made = list(control.read(answer, inputs))
    except AnswerError as exc:
        made = list(exc.made)
    return [dict(region.value) for region in made]
