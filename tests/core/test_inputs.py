"""What the model sees of a task: each tag's data in words, and a sentence for data that a tag cannot show."""

import asyncio
import base64
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.core.chat import ImagePart, Part, Takes, TextPart
from llm_backend.core.inputs import (
    READABLE,
    Inputs,
    Item,
    MediaRef,
    Seen,
    Utterance,
    as_text,
    fetched,
    fields_of,
    read,
    resolve,
)
from llm_backend.core.labeling import OBJECTS, LabelingConfig, parse
from llm_backend.errors import InputError, MediaError

EMOJI_RTL = "שלום 👩‍👩‍👧 \u200fعالم\u200e  e\u0301"
DATA = {
    "name": "Ada",
    "zero": 0,
    "no": False,
    "blank": "",
    "null": None,
    "a": {"b": ["x", {"c": "deep"}], "0": "key"},
    "a.dotted": "dotted",
    "with-hyphen": "hyphen",
    "two words": "words",
    "größe": "unicode",
    "2020": "year",
    "list": ["one", "two"],
}


def see(tag: str, value: Any, *, key: str = "v", **attrs: str) -> Seen:
    given = "".join(f' {name}="{held}"' for name, held in attrs.items())
    (seen,) = read(parse(f'<View><{tag} name="o" value="${key}"{given}/></View>'), {key: value}).seen
    return seen


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("$name", "Ada", id="name"),
        pytest.param("$a.b[0]", "x", id="path"),
        pytest.param("$a.b[1].c", "deep", id="longer path"),
        pytest.param("$a.b.0", "x", id="index by a dot"),
        pytest.param("$a.0", "key", id="key of digits"),
        pytest.param("$a.b[7]", None, id="index past the end"),
        pytest.param("$a.b[x]", None, id="index of letters"),
        pytest.param("$a.b[²]", None, id="index of another kind of digit"),
        pytest.param(f"$a.b[{'9' * 5000}]", None, id="endless index"),
        pytest.param("$name.first", None, id="path into text"),
        pytest.param("$nobody", None, id="missing"),
        pytest.param("$null", None, id="null"),
        pytest.param("$zero", 0, id="zero"),
        pytest.param("$no", False, id="false"),
        pytest.param("$blank", "", id="empty text"),
        pytest.param("$list", ["one", "two"], id="list"),
        pytest.param("$a.dotted", "dotted", id="key with a dot"),
        pytest.param("$with-hyphen", "hyphen", id="key with a hyphen"),
        pytest.param("$two words", "words", id="key with a space"),
        pytest.param("$größe", "unicode", id="key in any script"),
        pytest.param("$2020", "year", id="key of a number"),
        pytest.param("Name: $name.", "Name: Ada.", id="embedded, with a full stop"),
        pytest.param("($name) [$zero] {$no}", "(Ada) [0] {false}", id="embedded, in brackets"),
        pytest.param("$name and $nobody", "Ada and ", id="one of two missing"),
        pytest.param("Title: $nobody", None, id="all embedded missing"),
        pytest.param("$name for $100", "Ada for $100", id="money"),
        pytest.param("$name$name", "AdaAda", id="twice"),
        pytest.param("$list!", "one\ntwo!", id="embedded list"),
        pytest.param("no reference", "no reference", id="literal"),
    ],
)
def test_a_value_is_resolved(value: str, shown: Any) -> None:
    assert resolve(value, DATA) == shown
    assert type(resolve(value, DATA)) is type(shown)


def test_what_was_put_in_is_not_resolved_again() -> None:
    assert resolve("$a and $b", {"a": "$b", "b": "$a"}) == "$b and $a"


def test_the_keys_of_a_value_are_the_top_ones() -> None:
    assert fields_of("$a.b[0] and $name, $name") == ("a", "name", "name")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("words", "words"),
        (0, "0"),
        (0.5, "0.5"),
        (True, "true"),
        ([], ""),
        (["a", 1, False], "a\n1\nfalse"),
        (["a", None], '["a", null]'),
        ({"ключ": "значение 🫖"}, '{"ключ": "значение 🫖"}'),
        ([[1], [2]], "[[1], [2]]"),
    ],
)
def test_data_of_any_kind_has_words(value: Any, text: str) -> None:
    assert as_text(value) == text


def test_data_nested_beyond_reading_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(InputError, match="nested too deeply"):
        as_text(value)


@pytest.mark.parametrize(
    ("tag", "attrs", "value", "text"),
    [
        pytest.param("Text", {}, "words", "words", id="text"),
        pytest.param("Text", {}, EMOJI_RTL, EMOJI_RTL, id="emoji and right-to-left"),
        pytest.param("Text", {}, "<b>not</b> markup &amp;", "<b>not</b> markup &amp;", id="text is not markup"),
        pytest.param("Text", {}, ["one", "two"], "one\ntwo", id="list"),
        pytest.param("Text", {}, 0, "0", id="zero"),
        pytest.param("Text", {}, False, "false", id="false"),
        pytest.param("Text", {}, "", "", id="empty"),
        pytest.param("Text", {}, {"k": "v"}, '{"k": "v"}', id="object"),
        pytest.param("Text", {}, "https://labels.example/x.txt", "https://labels.example/x.txt", id="looks like a URL"),
        pytest.param("HyperText", {}, "<p>a</p><p>b</p>", "a\n\nb", id="hypertext"),
        pytest.param("HyperText", {}, f"<b>{EMOJI_RTL[:9]}</b>", EMOJI_RTL[:9].strip(), id="hypertext, any script"),
        pytest.param("HyperText", {}, 5, "5", id="hypertext of a number"),
        pytest.param("Text", {"encoding": "base64"}, base64.b64encode("Grüße".encode()).decode(), "Grüße", id="base64"),
        pytest.param("Text", {"encoding": "Base64Unicode"}, "8J+rlg==", "🫖", id="base64unicode"),
        pytest.param("Text", {"encoding": "base64"}, "SGV5\n", "Hey", id="base64 with a line's end"),
        pytest.param("HyperText", {"encoding": "base64"}, "PGI+YjwvYj4=", "b", id="base64 of markup"),
        pytest.param("Text", {"encoding": "none"}, "SGV5", "SGV5", id="not encoded"),
        pytest.param("Table", {}, {"k": "v", "n": 1}, "k: v\nn: 1", id="table of an object"),
        pytest.param("Table", {}, [{"k": 1}, {"k": 2}], '{"k": 1}\n{"k": 2}', id="table of rows"),
        pytest.param("Table", {}, '{"k": "v"}', "k: v", id="table as JSON text"),
        pytest.param("Table", {}, "words", "words", id="table of text"),
        pytest.param("List", {}, "words", "words", id="list of text"),
        pytest.param("Paragraphs", {}, "words", "words", id="paragraphs of text"),
        pytest.param("Paragraphs", {}, "[not JSON", "[not JSON", id="paragraphs of text in a bracket"),
        pytest.param("Paragraphs", {}, "[" * 100_000, "[" * 100_000, id="paragraphs of brackets"),
        pytest.param("Paragraphs", {}, {"author": "A"}, '{"author": "A"}', id="paragraphs of an object"),
    ],
)
def test_a_source_shows_its_data_as_text(tag: str, attrs: dict[str, str], value: Any, text: str) -> None:
    assert see(tag, value, **attrs).text == text


@pytest.mark.parametrize(
    ("attrs", "value", "turns"),
    [
        pytest.param({}, [{"author": "A", "text": "hi"}], [("A", "hi")], id="Label Studio's own keys"),
        pytest.param(
            {"nameKey": "role", "textKey": "content"}, [{"role": "user", "content": "hi"}], [("user", "hi")], id="told"
        ),
        pytest.param(
            {"NAMEKEY": "role"}, [{"role": "user", "text": "hi"}], [("user", "hi")], id="key told in any case"
        ),
        pytest.param({}, [{"text": "hi"}, {"author": "A"}], [("", "hi"), ("A", "")], id="one without the key"),
        pytest.param({}, ["hi", 5, None], [("", "hi"), ("", "5"), ("", "")], id="turns that are no objects"),
        pytest.param({}, '[{"author": "A", "text": "hi"}]', [("A", "hi")], id="JSON as text"),
        pytest.param({}, [{"author": 1, "text": ["a", "b"]}], [("1", "a\nb")], id="values that are no text"),
        pytest.param({}, [{"author": "A", "text": ""}], [("A", "")], id="said nothing"),
        pytest.param({}, [], [], id="no turns"),
        pytest.param({}, [{"author": "א", "text": EMOJI_RTL}], [("א", EMOJI_RTL)], id="any script"),
    ],
)
def test_paragraphs_show_their_turns(attrs: dict[str, str], value: Any, turns: list[tuple[str, str]]) -> None:
    assert see("Paragraphs", value, **attrs).utterances == tuple(Utterance(*turn) for turn in turns)


def test_a_dialogue_in_words_names_who_speaks() -> None:
    seen = see("Paragraphs", [{"author": "Ada", "text": "Tea?"}, "(silence)", {"author": "Bo", "text": "Yes."}])
    assert seen.text == "Ada: Tea?\n(silence)\nBo: Yes."


def test_a_chat_has_roles_and_contents() -> None:
    assert see("Chat", [{"role": "user", "content": "hi"}]).text == "user: hi"


@pytest.mark.parametrize(
    ("entry", "item"),
    [
        pytest.param({"id": 7, "body": "b"}, Item("7", "b"), id="whole number as id"),
        pytest.param({"id": 7.0, "body": "b"}, Item("7", "b"), id="whole number with a point as id"),
        pytest.param({"id": 0, "title": "t", "body": "b"}, Item("0", "t\nb"), id="zero as id"),
        pytest.param({"id": "x", "html": "<b>h</b>"}, Item("x", "h"), id="html"),
        pytest.param({"body": "b"}, Item("", "b"), id="no id"),
        pytest.param({"id": "x"}, Item("x", ""), id="no words"),
        pytest.param("words", Item("", "words"), id="text"),
        pytest.param({"id": "x", "title": 5, "body": ["a", "b"]}, Item("x", "5\na\nb"), id="values that are no text"),
    ],
)
def test_a_list_shows_its_items_by_id(entry: Any, item: Item) -> None:
    seen = see("List", [entry])
    assert seen.items == (item,)
    assert seen.text == f"[{item.id or 0}] {item.text}"


def test_a_list_that_is_given_as_text_is_read_but_the_editor_shows_no_items_of_it() -> None:
    seen = see("List", '[{"id": "x", "body": "b"}]')
    assert (seen.text, seen.items) == ("[x] b", ())


@pytest.mark.parametrize(
    ("value", "urls"),
    [
        pytest.param("http://a/1.png", ["http://a/1.png"], id="one"),
        pytest.param(" /data/upload/1/x.png\n", ["/data/upload/1/x.png"], id="uploaded, with spaces"),
        pytest.param(["http://a/1.png", "http://a/2.png"], ["http://a/1.png", "http://a/2.png"], id="several"),
        pytest.param(["http://a/1.png", "", None], ["http://a/1.png"], id="with gaps"),
        pytest.param("data:image/png;base64,AAAA", ["data:image/png;base64,AAAA"], id="inline"),
    ],
)
def test_an_image_is_a_medium_still_to_fetch(value: Any, urls: list[str]) -> None:
    (seen,) = read(parse('<View><Image name="i" value="$v"/></View>'), {"v": value}, 7).seen
    captions = [f"picture {number} of {len(urls)}" if len(urls) > 1 else "" for number in range(1, len(urls) + 1)]
    assert seen.media == tuple(
        MediaRef("i", "image", url, 7, caption) for url, caption in zip(urls, captions, strict=True)
    )
    assert (seen.text, seen.missing) == ("", "")


@pytest.mark.parametrize("value", ["", " ", [], [""], None, [None]], ids=repr)
def test_an_image_without_an_address_is_missing(value: Any) -> None:
    seen = see("Image", value)
    assert (seen.missing, seen.media) == ("$v", ())


def test_an_image_may_have_its_address_put_together() -> None:
    config = parse('<View><Image name="i" value="https://a/$folder/$file.png"/></View>')
    assert read(config, {"folder": "x", "file": {"png": "1.png"}}).seen[0].media[0].url == "https://a/x/1.png"


def test_the_address_of_a_medium_stays_out_of_logs() -> None:
    assert "secret" not in repr(MediaRef("i", "image", "https://a/x?token=secret"))


@pytest.mark.parametrize(
    ("tag", "attrs", "value", "told"),
    [
        pytest.param("Image", {}, 5, "shows pictures by URL", id="image of a number"),
        pytest.param("Image", {}, {"url": "x"}, "shows pictures by URL", id="image of an object"),
        pytest.param("Image", {}, ["http://a/1.png", 5], "shows pictures by URL", id="one image of a number"),
        pytest.param("Text", {"encoding": "base64"}, "Grüße", "says base64", id="letters beyond base64"),
        pytest.param("Text", {"encoding": "base64"}, "abc", "says base64", id="base64 cut off"),
        pytest.param("Text", {"encoding": "base64unicode"}, "/////w==", "not UTF-8", id="base64 of no text"),
        pytest.param("Audio", {}, ["a.wav", 5], "shows a sound by URL", id="sound of a number"),
        pytest.param("Pdf", {}, {"url": "x"}, "shows a document by URL", id="document of an object"),
        pytest.param("TimeSeries", {"valueType": "json"}, 5, "shows columns of numbers", id="series of a number"),
        pytest.param("TimeSeries", {"valueType": "json"}, "{x", "is not readable JSON", id="series of bad JSON"),
        pytest.param(
            "Paragraphs",
            {"textKey": "content"},
            [{"role": "user", "text": "hi"}],
            'shows "content" of each turn; the task\'s turns have "role", "text"',
            id="turns with other keys",
        ),
        pytest.param("Paragraphs", {}, [{}], "turns have nothing", id="turns without keys"),
    ],
)
def test_data_that_a_tag_cannot_show_is_told_in_a_sentence(
    tag: str, attrs: dict[str, str], value: Any, told: str
) -> None:
    with pytest.raises(InputError) as raised:
        see(tag, value, **attrs)
    assert told in raised.value.sentence
    assert f'<{tag} name="o">' in raised.value.sentence


@pytest.mark.parametrize("tag", sorted(READABLE - {"Header"}))
def test_data_that_the_task_lacks_is_named(tag: str) -> None:
    (seen,) = read(parse(f'<View><{tag} name="o" value="$a.b"/></View>'), {"a": {"c": "x"}}).seen
    assert (seen.missing, seen.text) == ("$a.b", "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("tag", sorted(READABLE - {"Header"}))
def test_no_data_fails_otherwise_than_by_a_sentence(tag: str) -> None:
    configs = [
        parse(f'<View><Header value="$v"/><{tag} name="o" value="$v" encoding="{encoding}"/></View>')
        for encoding in ("none", "base64")
    ]
    values = JSON | st.lists(st.dictionaries(st.sampled_from(["author", "text", "id", "body", "html"]), JSON))

    @settings(max_examples=50)
    @given(st.sampled_from(configs), values)
    def holds(config: LabelingConfig, value: Any) -> None:
        with suppress(InputError):
            assert isinstance(read(config, {"v": value}).text, str)

    holds()


def test_every_tag_that_shows_data_is_read() -> None:
    assert set(OBJECTS.values()) <= READABLE


@pytest.mark.parametrize(
    ("tag", "kind"),
    [("Image", "image"), ("Pdf", "pdf"), ("Audio", "audio"), ("AudioPlus", "audio"), ("Video", "video")],
)
def test_media_are_known_by_their_tag(tag: str, kind: str) -> None:
    assert see(tag, "/data/upload/1/x").media == (MediaRef("o", kind, "/data/upload/1/x"),)


def test_a_medium_may_stand_in_the_config_itself() -> None:
    config = parse('<View><Audio name="a" value="https://labels.example/guide.mp3"/></View>')
    assert [ref.url for ref in read(config, {}).seen[0].media] == ["https://labels.example/guide.mp3"]


# Pictures in a List's HTML


def test_the_pictures_of_a_list_go_along_by_the_name_of_their_item() -> None:
    html = '<p>one <img src="/data/upload/1/a.png" alt="A"/><script><img src="no.png"></script></p><img src=" b.png ">'
    seen = see("List", [{"id": "x", "html": html}, {"html": "<img>"}, "words"])
    assert seen.media == (
        MediaRef("o", "image", "/data/upload/1/a.png", None, "item [x]"),
        MediaRef("o", "image", "b.png", None, "item [x]"),
    )
    assert "[x] one [A]" in seen.text


# What a Text holds, as the editor counts its characters


@pytest.mark.parametrize(
    ("value", "text", "shown"),
    [
        pytest.param("words", "words", "words", id="text"),
        pytest.param(["a", "b"], "a\nb", "a,b", id="list"),
        pytest.param(["a", ["b", None], {"c": 1}], None, "a,b,,[object Object]", id="nested list"),
        pytest.param(5, "5", "5", id="whole number"),
        pytest.param(5.0, "5.0", "5", id="number with a point"),
        pytest.param(0.00001, "1e-05", "0.00001", id="small number"),
        pytest.param(1e-7, "1e-07", "1e-7", id="smaller number"),
        pytest.param(1e21, "1e+21", "1e+21", id="large number"),
        pytest.param(True, "true", "true", id="truth"),
        pytest.param({"a": 1}, '{"a": 1}', "[object Object]", id="object"),
        pytest.param("a\r\n\u0301 😀", "a\r\n\u0301 😀", "a\r\n\u0301 😀", id="as it is"),
    ],
)
def test_a_text_tells_what_the_editor_holds(value: Any, text: str | None, shown: str) -> None:
    seen = see("Text", value)
    assert seen.shown == shown
    assert text is None or seen.text == text


def test_a_list_within_a_text_is_held_with_commas() -> None:
    (seen,) = read(parse('<View><Text name="t" value="Of $tags: $n"/></View>'), {"tags": ["a", "b"], "n": 2.0}).seen
    assert (seen.text, seen.shown) == ("Of a\nb: 2.0", "Of a,b: 2")


@pytest.mark.parametrize(
    ("encoding", "content", "text", "shown"),
    [
        ("base64", "Grüße".encode(), "Grüße", "GrÃ¼Ã\x9fe"),
        ("base64", "Grüße".encode("latin-1"), "Grüße", "Grüße"),
        ("base64unicode", "Grüße 😀".encode(), "Grüße 😀", "Grüße 😀"),
    ],
)
def test_base64_is_held_byte_by_byte_unless_it_is_said_to_be_unicode(
    encoding: str, content: bytes, text: str, shown: str
) -> None:
    seen = see("Text", base64.b64encode(content).decode(), encoding=encoding)
    assert (seen.text, seen.shown) == (text, shown)


def test_a_page_is_held_as_its_text_nodes() -> None:
    seen = see("HyperText", " <p>One <b>two</b></p><p>three</p>")
    assert (seen.text, seen.shown) == ("One two\n\nthree", "One twothree")
    assert list(seen.offsets) == [0, 1, 2, 3, 4, 5, 6, -1, -1, 7, 8, 9, 10, 11]
    assert see("HyperText", " <b>a</b>", inline="true").shown == " a"


def test_a_dialogue_is_held_without_its_authors() -> None:
    seen = see("Paragraphs", [{"author": "A", "text": "Hi 😀"}, {"text": "Yes\nno"}, "?"])
    assert (seen.text, seen.shown) == ("A: Hi 😀\nYes\nno\n?", "Hi 😀\nYes\nno\n?")
    assert list(seen.offsets) == [-1, -1, -1, *range(len(seen.shown))]


def test_of_what_has_no_text_nothing_is_held() -> None:
    tags = READABLE - {"Header", "Text", "HyperText", "Paragraphs", "Chat"}
    assert [see(tag, "words").shown for tag in sorted(tags)] == [""] * len(tags)


# Chat


def test_the_parts_of_a_chats_message_are_told() -> None:
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "https://a/x.png"}}]
    assert see("Chat", [{"role": "user", "content": parts}]).text == "user: Look:\n[image_url]"


# The words of a sound

AUDIO = '<View><Audio name="call" value="$call"/>{}</View>'


@pytest.mark.parametrize(
    ("more", "data", "transcript"),
    [
        pytest.param("", {"transcript": "Hello"}, "Hello", id="transcript"),
        pytest.param("", {"transcription": "Hello"}, "Hello", id="transcription"),
        pytest.param("", {"transcript": "no", "call_transcript": "Hello"}, "Hello", id="the sound's own first"),
        pytest.param("", {"text": "Hello", "caption": "Hi", "transcript_id": "7"}, "", id="other names say nothing"),
        pytest.param("", {"transcript": " "}, "", id="blank"),
        pytest.param(
            '<TextArea name="transcription" toName="call"/>', {"transcription": "Hello"}, "", id="what is asked for"
        ),
        pytest.param(
            '<Text name="words" value="$transcript"/>',
            {"transcript": "Hello"},
            '[What is said in it stands in "words".]',
            id="shown already",
        ),
    ],
)
def test_a_field_that_is_called_so_holds_the_words_of_a_sound(more: str, data: dict[str, Any], transcript: str) -> None:
    (ref,) = read(parse(AUDIO.format(more)), {"call": "a.wav", **data}).seen[0].media
    assert ref.transcript == transcript


def test_the_text_of_one_source_stands_alone_and_several_are_headed_by_their_names() -> None:
    config = parse(
        '<View><Header value="About: $title"/><Text name="review" value="$review"/><Text name="x" value="$x"/></View>'
    )
    inputs = read(config, {"title": "Kettle", "review": "It whistles.", "x": ""})
    assert inputs.text == "title:\nAbout: Kettle\n\nreview:\nIt whistles."
    assert read(config, {"review": "It whistles."}).text == "It whistles."


@pytest.mark.parametrize(
    ("value", "fields", "whole"),
    [
        ("$title", {"title"}, "title"),
        ("$a.b", {"a"}, ""),
        ("$a.dotted", {"a.dotted"}, "a.dotted"),
        ("About $title", {"title"}, ""),
        ("$title by $author", {"title", "author"}, ""),
        ("$gone", {"gone"}, ""),
    ],
)
def test_a_source_knows_which_data_it_shows(value: str, fields: set[str], whole: str) -> None:
    data = {"title": "T", "author": "A", "a": {"b": "x"}, "a.dotted": "y"}
    (seen,) = read(parse(f'<View><Text name="t" value="{value}"/></View>'), data).seen
    assert (seen.fields, seen.whole) == (fields, whole)


def test_a_plain_text_import_has_one_nameless_column_that_stands_for_what_is_shown() -> None:
    config = parse('<View><Text name="t" value="$review"/></View>')
    assert read(config, {"$undefined$": "It whistles."}).text == "It whistles."
    assert read(config, {"$undefined$": "a", "other": "b"}).seen[0].missing == "$review"


@pytest.mark.parametrize(
    ("data", "blank"),
    [({"t": "x"}, False), ({"t": " \n"}, True), ({}, True), ({"t": "", "i": "a.png"}, False), ({"t": 0}, False)],
)
def test_a_task_with_nothing_to_see_is_blank(data: dict[str, Any], blank: bool) -> None:
    config = parse('<View><Text name="t" value="$t"/><Image name="i" value="$i"/></View>')
    assert read(config, data).blank is blank


PICTURES = parse('<View><Text name="t" value="$t"/><Image name="a" value="$a"/><Image name="b" value="$b"/></View>')
TASK = {"t": "words", "a": ["a1", "a2"], "b": "b1"}


def bring(inputs: Inputs, *, reads: bool = False) -> Inputs:
    async def fetch(refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
        if "url" in takes:
            return [(TextPart(f"text of {ref.url}"),) for ref in refs]
        return [(ImagePart(f"data:{ref.url}"),) for ref in refs]

    return asyncio.run(fetched(inputs, fetch, frozenset(("url",) if reads else ())))


def test_fetched_pictures_keep_their_order_and_say_whose_they_are() -> None:
    assert bring(read(PICTURES, TASK)).parts == (
        ImagePart("data:a1", "a, picture 1 of 2"),
        ImagePart("data:a2", "a, picture 2 of 2"),
        ImagePart("data:b1", "b"),
    )


def test_a_single_picture_needs_no_words() -> None:
    assert bring(read(PICTURES, {"t": "words", "b": "b1"})).parts == (ImagePart("data:b1"),)


def test_pictures_that_come_as_words_join_the_text() -> None:
    inputs = bring(read(PICTURES, TASK), reads=True)
    assert inputs.parts == ()
    a = "a:\npicture 1 of 2:\ntext of a1\npicture 2 of 2:\ntext of a2"
    assert inputs.text == f"t:\nwords\n\n{a}\n\nb:\ntext of b1"


def by_url(xml: str, url: str, *texts: str) -> Inputs:
    """What is seen of a tag whose data lies at a URL, where these texts lie one after the other."""
    left = list(texts)

    async def fetch(refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
        return [(TextPart(left.pop(0)),) if ref.kind == "text" else (ImagePart(ref.url),) for ref in refs]

    inputs = read(parse(f"<View>{xml}</View>"), {"v": url})
    assert [(ref.kind, ref.url) for ref in inputs.seen[0].media] == [("text", url.strip())]
    assert not inputs.blank
    return asyncio.run(fetched(inputs, fetch, frozenset()))


@pytest.mark.parametrize(
    ("tag", "content", "text"),
    [
        ('Text name="o" value="$v" valueType="url"', "Grüße\r\n", "Grüße\r\n"),
        ('Text name="o" value="$v" valueType="URL" encoding="base64unicode"', "SGk=", "Hi"),
        ('HyperText name="o" value="$v" valueType="url"', "<p>Hi <b>you</b></p>", "Hi you"),
        ('Paragraphs name="o" value="$v" valueType="url"', '[{"author": "A", "text": "hi"}]', "A: hi"),
        ('List name="o" value="$v" valueType="url"', '[{"id": "x", "body": "b"}]', "[x] b"),
        ('Table name="o" value="$v" valueType="url"', '{"a": 1}', "a: 1"),
        ('Table name="o" value="$v" valueType="json|url"', '[{"a": 1}]', '{"a": 1}'),
        ('Table name="o" value="$v" valueType="csv,separator=;,url"', "a;b\n1;2", '{"a": "1", "b": "2"}'),
        ('TimeSeries name="o" value="$v" timeColumn="t"', "t,a\n0,1\n1,x", "t,a\n0,1\n1,x"),
    ],
)
def test_data_that_lies_at_a_url_is_read_as_if_it_stood_in_the_task(tag: str, content: str, text: str) -> None:
    inputs = by_url(f"<{tag}/>", "https://a/x ", content)
    assert (inputs.text, inputs.parts, inputs.seen[0].media) == (text, (), ())


def test_the_editor_holds_the_text_that_lies_at_the_url() -> None:
    inputs = by_url('<Text name="o" value="$v" valueType="url"/>', "https://a/x", "a\tb")
    assert inputs.seen[0].shown == "a\tb"


def test_what_a_fetched_text_shows_is_fetched_in_its_turn() -> None:
    inputs = by_url(
        '<List name="o" value="$v" valueType="url"/>', "https://a/x", '[{"id": "q", "html": "<img src=\'p.png\'>"}]'
    )
    assert inputs.parts == (ImagePart("p.png", "item [q]"),)


def test_a_fetched_text_of_the_wrong_kind_is_told_in_a_sentence() -> None:
    with pytest.raises(InputError, match='shows "text" of each turn'):
        by_url('<Paragraphs name="o" value="$v" valueType="url"/>', "https://a/x", '[{"role": "user"}]')


def test_a_source_by_url_without_an_address_is_missing() -> None:
    assert see("Text", " ", valueType="url").missing == "$v"


def test_a_task_without_pictures_fetches_nothing() -> None:
    inputs = read(PICTURES, {"t": "words"})
    assert bring(inputs) is inputs


def test_a_picture_that_cannot_be_had_fails_its_task() -> None:
    async def fetch(refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
        raise MediaError(f"{refs[0].source} is gone.")

    with pytest.raises(MediaError, match="a is gone"):
        asyncio.run(fetched(read(PICTURES, TASK), fetch, frozenset()))


def test_two_hundred_kilobytes_are_read_quickly() -> None:
    config = parse(
        '<View><HyperText name="h" value="$h"/><Paragraphs name="p" value="$p"/><List name="l" value="$l"/></View>'
    )
    data = {
        "h": "<div>word <b>word</b></div>" * 8000,
        "p": [{"author": "A", "text": "word " * 20}] * 2000,
        "l": [{"id": number, "html": "<p>word</p>" * 10} for number in range(2000)],
    }
    started = time.perf_counter()
    assert len(read(config, data).text) > 400_000
    assert time.perf_counter() - started < 3


def turn(text: str, start: float | None = None, **more: float) -> dict[str, object]:
    return {"author": "A", "text": text} | ({} if start is None else {"start": start}) | more


@pytest.mark.parametrize(
    ("turns", "order"),
    [
        pytest.param([turn("c", 3), turn("a", 1), turn("b", 2)], "abc", id="by their starts"),
        pytest.param([turn("z", 0, end=1.5), turn("a", 1.5, duration=3), turn("b", 4)], "abz", id="a start of 0 last"),
        pytest.param([turn("b", 1, end=9), turn("a", 1, duration=3)], "ab", id="by their ends"),
        pytest.param([turn("b"), turn("a")], "ba", id="as they are without times"),
    ],
)
def test_turns_that_scroll_with_a_sound_stand_as_the_editor_sorts_them(turns: list[object], order: str) -> None:
    config = parse('<View><Paragraphs name="p" value="$p" contextScroll="true"/></View>')
    (seen,) = read(config, {"p": turns}).seen
    assert "".join(one.text for one in seen.utterances) == order


def test_turns_in_no_order_that_can_be_told_are_read_but_cannot_be_marked() -> None:
    config = parse('<View><Paragraphs name="p" value="$p" contextScroll="true"/></View>')
    (seen,) = read(config, {"p": [turn("b", 2), turn("x"), turn("y")]}).seen
    assert seen.utterances == ()
    assert seen.text == "A: b\nA: x\nA: y"
