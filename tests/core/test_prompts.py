"""Which prompt applies, and what the model reads of it: fields filled once, braces left alone, the data shown once."""

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.prompts import (
    Origin,
    Prompt,
    Rendered,
    Template,
    Texts,
    choose,
    entries_of,
    labels_in_words,
    prompt_in,
    render,
)
from llm_backend.core.wire import Region
from llm_backend.errors import PromptError

REVIEW = '<View><Text name="shown" value="$review"/></View>'
BOTH = '<View><Text name="a" value="$title"/><HyperText name="b" value="$page"/></View>'
PICTURE = '<View><Image name="i" value="$image"/></View>'
INTERNAL, PLAIN = Template(internal=True), Template(internal=False)


def fill(
    prompt: str,
    data: dict[str, Any] | None = None,
    *,
    config: str = REVIEW,
    template: Template = PLAIN,
    labels: str = "Good, Bad",
) -> Rendered:
    task = {"review": "It whistles.", "title": "Kettle"} if data is None else data
    return render(Prompt(prompt, "annotator"), read(parse(config), task), labels, template)


ORIGINS: list[Origin] = ["annotator", "draft", "manager", "saved", "default"]


@pytest.mark.parametrize("first", range(len(ORIGINS)), ids=ORIGINS)
@pytest.mark.parametrize("empty", [None, "", " \n"], ids=["none", "empty", "blank"])
def test_the_first_that_holds_words_is_the_prompt(first: int, empty: str | None) -> None:
    told = [(empty if number < first else f"p{number}", origin) for number, origin in enumerate(ORIGINS)]
    assert choose(told, "own") == Prompt(f"p{first}", ORIGINS[first])


def test_without_any_prompt_the_config_itself_is_the_instruction() -> None:
    assert choose([(None, "saved"), (" ", "default")], " Label it. ") == Prompt("Label it.", "config")


def textarea(value: Any, name: str = "prompt") -> Region:
    return Region(name, "shown", "textarea", {"text": value})


@pytest.mark.parametrize(
    ("regions", "prompt"),
    [
        pytest.param([textarea(["one"])], "one", id="one entry"),
        pytest.param([textarea(["one", "two\nthree"])], "one\ntwo\nthree", id="several entries are joined by newlines"),
        pytest.param([textarea(["one"]), textarea(["two"])], "one\ntwo", id="several regions"),
        pytest.param([textarea("one")], "one", id="a text alone"),
        pytest.param([textarea(["other"], "response"), textarea(["one"])], "one", id="the prompt box alone"),
        pytest.param([textarea([" one "])], "one", id="spaces around"),
        pytest.param([textarea([])], "", id="no entry"),
        pytest.param([textarea([5, None, "one"])], "one", id="entries that are no text"),
        pytest.param([textarea(None)], "", id="no text"),
        pytest.param([textarea({"0": "one"})], "", id="an object"),
        pytest.param([Region("prompt", "shown", "choices", {"choices": ["one"]})], "", id="another type"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_the_prompt_is_what_stands_in_the_prompt_box(regions: list[Region], prompt: str) -> None:
    assert prompt_in(regions, "prompt") == prompt


def test_a_config_without_a_prompt_box_has_no_prompt() -> None:
    assert prompt_in([textarea(["one"]), textarea(["two"], "")], None) == ""


def test_entries_are_those_of_the_region() -> None:
    assert entries_of(textarea(["a", "b"])) == ["a", "b"]


@pytest.mark.parametrize(
    ("prompt", "filled"),
    [
        pytest.param("Judge {review}", "Judge It whistles.", id="field on show"),
        pytest.param("{review} {title}", "It whistles. Kettle", id="two fields"),
        pytest.param("{text}", "It whistles.", id="all sources"),
        pytest.param("{review} as {labels}", "It whistles. as Good, Bad", id="labels"),
        pytest.param("{review}{review}", "It whistles.It whistles.", id="twice"),
        pytest.param('{"label": {review}}', '{"label": It whistles.}', id="within JSON"),
        pytest.param(r"\frac{a}{b} {review}", r"\frac{a}{b} It whistles.", id="within LaTeX"),
    ],
)
def test_fields_are_filled_and_the_data_is_not_added(prompt: str, filled: str) -> None:
    assert fill(prompt).text == filled
    assert fill(prompt, template=INTERNAL).text == filled


@pytest.mark.parametrize(
    "prompt",
    [
        '{"label": "x"}',
        r"\frac{a}{b}",
        "{text.__class__}",
        "{text[0]}",
        "{text!r}",
        "{text:>10}",
        "{0}",
        "{}",
        "{{text}}",
        "{{{text}}}",
        "{ text }",
        "{te xt}",
        "{review-2}",
        "{1st}",
        "{text",
        "text}",
        "}{",
        "%s %(text)s $text ${text.x}",
        "{__import__('os')}",
        "{ünïcode_nöthing}",
    ],
)
def test_every_other_brace_is_left_as_it_stands(prompt: str) -> None:
    assert fill(prompt).text == f"{prompt}\n\nIt whistles."
    assert fill(prompt, template=INTERNAL).text == f"Source Text: It whistles.\n\nTask Directive: {prompt}"


def test_what_stayed_in_braces_is_told_once_and_json_is_not() -> None:
    prompt = r'\frac{a}{b} {a} {review} {{review}} {text.upper} {0} {} {"label": "x"}'
    assert fill(prompt).literal == ("a", "b", "{review}", "text.upper", "0", "")


@pytest.mark.parametrize("template", [PLAIN, INTERNAL], ids=["plain", "internal"])
@pytest.mark.parametrize("review", ["{labels}", "{prompt} {text}", "{review}", "{title", r"\1 \g<0>", "{0} %s"])
def test_a_value_is_never_read_again(review: str, template: Template) -> None:
    data = {"review": review, "title": "}"}
    assert fill("{review}{title}", data, template=template).text == f"{review}}}"
    assert fill("Judge.", data, template=template).text.count(review) == 1
    assert "Good" not in fill("Judge.", data, template=template).text


def test_a_prompt_is_not_read_again_in_the_template() -> None:
    text = fill("{title}", {"review": "r", "title": "{text}{labels}"}, template=INTERNAL).text
    assert text == "Source Text: r\n\nTask Directive: {text}{labels}"


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        pytest.param("{revew}", "The prompt uses {revew}; the task has {review} and {title}.", id="a letter lost"),
        pytest.param("{Review}", "{Review}; the task has {review} and {title}.", id="another case"),
        pytest.param("{label}", "{label}; the task has {review} and {title}. {text} and {labels}", id="ours misspelt"),
        pytest.param("{review} {titel}", "{titel}", id="one of two"),
    ],
)
def test_a_misspelt_field_is_refused_with_what_the_task_has(prompt: str, told: str) -> None:
    with pytest.raises(PromptError) as raised:
        fill(prompt)
    assert told in raised.value.sentence


def test_the_sentence_names_only_fields_that_a_prompt_can_use_and_not_too_many() -> None:
    data = {f"field_{number}": "x" for number in range(300)} | {"two words": "y"}
    with pytest.raises(PromptError) as raised:
        fill("{fields_1}", data)
    assert "two words" not in raised.value.sentence
    assert "and 270 more" in raised.value.sentence
    assert len(raised.value.sentence) < 1000


@pytest.mark.parametrize(
    ("data", "told"),
    [({}, "no fields"), ({"one": 1}, "{one}"), ({"a": 1, "b": 2, "c": 3}, "{a}, {b} and {c}")],
)
def test_the_fields_of_a_task_read_as_a_list(data: dict[str, Any], told: str) -> None:
    with pytest.raises(PromptError) as raised:
        fill("{labelz}", data)
    assert f"the task has {told}." in raised.value.sentence


def test_a_misspelt_field_of_the_template_is_blamed_on_the_template() -> None:
    with pytest.raises(PromptError, match=r"The prompt template uses \{promt\}"):
        fill("Judge.", template=Template(True, "{text} {promt}"))


def test_no_value_of_the_task_stands_in_a_sentence() -> None:
    with pytest.raises(PromptError) as raised:
        fill("{revew}", {"review": "secret"})
    assert "secret" not in raised.value.sentence


@pytest.mark.parametrize(
    ("prompt", "data", "filled"),
    [
        pytest.param("{text}!", {"review": "r", "text": "own"}, "own!\n\nr", id="text, not on show: the data is added"),
        pytest.param("{labels}!", {"review": "r", "labels": "own"}, "own!\n\nr", id="labels"),
        pytest.param("{review}{labels}", {"review": "r", "labels": None}, "r", id="labels without a value"),
        pytest.param("{prompt}", {"review": "r"}, "{prompt}\n\nr", id="prompt is no field of a prompt"),
        pytest.param("{prompt}", {"review": "r", "prompt": "own"}, "own\n\nr", id="unless the task has it"),
    ],
)
def test_the_tasks_own_field_wins_over_ours_in_a_prompt(prompt: str, data: dict[str, Any], filled: str) -> None:
    assert fill(prompt, data).text == filled


def test_a_field_called_text_on_show_is_the_data() -> None:
    config = '<View><Text name="t" value="$text"/></View>'
    assert fill("{text}!", {"text": "own"}, config=config).text == "own!"


def test_in_the_template_prompt_and_text_are_ours() -> None:
    data = {"review": "r", "text": "not this", "prompt": "nor this"}
    assert fill("Judge.", data, template=Template(True, "{prompt}|{text}")).text == "Judge.|r"


@pytest.mark.parametrize("prompt", ["", "{title}"], ids=["empty", "filled with nothing"])
def test_an_empty_prompt_is_not_replaced_by_a_field_of_that_name(prompt: str) -> None:
    data = {"review": "r", "prompt": "not this", "title": ""}
    assert fill(prompt, data, template=Template(True, "{prompt}|{text}")).text == "|r"


MARKER = "the-marker-7"
TEMPLATES = [
    pytest.param(PLAIN, id="USE_INTERNAL_PROMPT_TEMPLATE=0"),
    pytest.param(INTERNAL, id="USE_INTERNAL_PROMPT_TEMPLATE=1"),
    pytest.param(Template(True, "Do this: {prompt}"), id="template without text"),
    pytest.param(Template(True, "{review} <- {prompt}"), id="template that names the field"),
    pytest.param(Template(True, "Labels: {labels}. {text} {prompt}"), id="template with labels"),
    pytest.param(Template(True, "no field at all"), id="template without fields"),
]
PROMPTS = [
    pytest.param("Judge the tone.", id="names nothing"),
    pytest.param("Judge {review}", id="names the field"),
    pytest.param("Judge {text}", id="names all sources"),
    pytest.param("Judge {title} as {labels}", id="names what is not on show"),
    pytest.param('Answer as {"tone": "x"}', id="holds braces"),
    pytest.param("", id="empty"),
]


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_model_sees_the_data_exactly_once(prompt: str, template: Template) -> None:
    text = fill(prompt, {"review": f"It {MARKER}.", "title": "Kettle"}, template=template).text
    assert text.count(MARKER) == 1


def test_without_the_internal_template_the_prompt_is_the_template() -> None:
    prompt = "Source Text: {input_text}, Custom instruction : {instruction}"
    config = '<View><Text name="t" value="$input_text"/></View>'
    data = {"input_text": "user text", "instruction": "user instruction"}
    assert fill(prompt, data, config=config).text == "Source Text: user text, Custom instruction : user instruction"


def test_several_sources_are_headed_by_their_names_and_hypertext_is_read() -> None:
    data = {"title": "Kettle", "page": "<p>It <b>whistles</b>.</p>"}
    assert fill("Judge.", data, config=BOTH).text == "Judge.\n\na:\nKettle\n\nb:\nIt whistles."
    assert fill("{page}", data, config=BOTH).text == "It whistles."


@pytest.mark.parametrize(
    ("value", "prompt", "filled"),
    [
        pytest.param("Title: $title", "{title}", "Kettle", id="shown among words"),
        pytest.param("$a.b", "{a}", '{"b": "x", "c": "y"}', id="shown in part"),
        pytest.param("$rows", "{rows}", "one\ntwo", id="shown as a list"),
        pytest.param("$zero", "{zero}", "0", id="zero"),
        pytest.param("$title", "{turns}", '[{"text": "hi"}]', id="not shown, no text"),
    ],
)
def test_a_field_is_the_tasks_value_as_far_as_it_is_shown_whole(value: str, prompt: str, filled: str) -> None:
    data = {"title": "Kettle", "a": {"b": "x", "c": "y"}, "rows": ["one", "two"], "zero": 0, "turns": [{"text": "hi"}]}
    assert fill(prompt, data, config=f'<View><Text name="t" value="{value}"/></View>').text.startswith(filled)


def test_a_dialogue_is_filled_in_as_it_is_shown() -> None:
    config = '<View><Paragraphs name="d" value="$turns"/></View>'
    assert fill("{turns}!", {"turns": [{"author": "A", "text": "hi"}]}, config=config).text == "A: hi!"


@pytest.mark.parametrize("template", [PLAIN, INTERNAL], ids=["plain", "internal"])
@pytest.mark.parametrize(
    ("prompt", "filled"),
    [
        ("What is this?", "What is this?"),
        ("What is {image}?", "What is (the attached image)?"),
        ("What is {text}?", "What is ?"),
    ],
)
def test_a_task_of_pictures_alone_gets_the_prompt_alone(prompt: str, filled: str, template: Template) -> None:
    assert fill(prompt, {"image": "a.png"}, config=PICTURE, template=template).text == filled


def test_naming_the_picture_does_not_hide_the_text_beside_it() -> None:
    config = '<View><Text name="t" value="$review"/><Image name="i" value="$image"/></View>'
    text = fill("See {image}.", {"review": "words", "image": "a.png"}, config=config).text
    assert text == "See (the attached image).\n\nwords"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"c": ("Good", "Bad")}, "Good, Bad"),
        ({"c": ("Good, really", "Bad")}, '"Good, really", "Bad"'),
        ({"c": ("Good",), "t": ("A / B", "A / C")}, "c: Good\nt: A / B, A / C"),
        ({"c": ("Good",), "r": ()}, "Good"),
        ({"r": ()}, ""),
        ({}, ""),
    ],
)
def test_labels_are_told_by_control_where_several_have_some(labels: dict[str, tuple[str, ...]], words: str) -> None:
    assert labels_in_words(labels) == words


def seconds(prompt: str, data: dict[str, Any] | None = None) -> float:
    started = time.perf_counter()
    fill(prompt, data)
    return time.perf_counter() - started


@pytest.mark.parametrize(
    "prompt",
    [
        pytest.param("{" * 10_000, id="opening"),
        pytest.param("{}" * 10_000, id="pairs"),
        pytest.param("{a" * 10_000, id="never closed"),
        pytest.param("{{a" * 10_000 + "}", id="doubled, never closed"),
        pytest.param("{" + "a" * 100_000, id="endless name"),
        pytest.param("".join(f"{{unknown_{number}}}" for number in range(10_000)), id="unknown names"),
        pytest.param("{review}" * 10_000, id="one field again and again"),
    ],
)
def test_ten_thousand_braces_are_read_quickly(prompt: str) -> None:
    assert seconds(prompt) < 2
    assert seconds(prompt, {f"key_{number}": "x" for number in range(500)} | {"review": "r"}) < 4


def test_a_prompt_that_repeats_long_data_without_end_is_refused() -> None:
    with pytest.raises(PromptError, match="over 10,000,000 characters; name each field once"):
        fill("{review}" * 1000, {"review": "x" * 200_000})


def pieces(*names: str) -> st.SearchStrategy[str]:
    """Prompts of fields, braces and words, in any order."""
    braces = ["{", "}", "{{", "}}", "{}", "{0}", "{{text}}", "{text.x}", '{"k": "v"}', "\\1"]
    piece = st.sampled_from([*(f"{{{name}}}" for name in names), *braces]) | st.text(max_size=5)
    return st.lists(piece, max_size=8).map("".join)


WORDS = st.text(max_size=20) | st.sampled_from(["{labels}", "{text}", "{prompt}", "}{", "\\1"])
SILENT = ["title", "labels", "a", "prompt"]  # names that bring in nothing of what is on show


@given(prompt=pieces(*SILENT), template=pieces(*SILENT), internal=st.booleans(), title=WORDS, around=WORDS)
def test_a_prompt_that_names_no_source_gets_the_data_once(
    prompt: str, template: str, internal: bool, title: str, around: str
) -> None:
    data = {"review": f"{around}{MARKER}", "title": title}
    with suppress(PromptError):
        assert fill(prompt, data, template=Template(internal, template)).text.count(MARKER) == 1


NAMES = ["review", "title", "text", "labels", "prompt", "a", "revew", "x1"]


@given(
    prompt=pieces(*NAMES),
    template=pieces(*NAMES),
    internal=st.booleans(),
    data=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), WORDS, max_size=5),
)
def test_whatever_is_typed_nothing_but_a_sentence_is_raised(
    prompt: str, template: str, internal: bool, data: dict[str, str]
) -> None:
    with suppress(PromptError):
        fill(prompt, data, template=Template(internal, template))


def test_each_of_our_texts_moves_their_digest() -> None:
    texts = Texts("a", "b", "c", "d", "e")
    parts = ["form", "answer", "instruction", "schema", "repair"]
    assert len({replace(texts, **{part: "other"}).digest for part in parts} | {texts.digest}) == 6
    assert Texts("ab", "", "c", "d", "e").digest != Texts("a", "b", "c", "d", "e").digest
