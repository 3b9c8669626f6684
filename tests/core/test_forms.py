"""A form keeps to what strict structured outputs take, whatever the labeling config and the task are."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.controls import bind
from llm_backend.core.controls.base import keys_for
from llm_backend.core.forms import Form, make_form
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from tests.support.strict import refusals

OBJECTS = '<Text name="text" value="$text"/><List name="list" value="$items"/>'
DATA = {"text": "Some words.", "items": [{"id": 1, "body": "one"}, {"id": 2, "body": "two"}]}


def form_of(tags: str, data: Mapping[str, Any] = DATA) -> Form:
    config = parse(f"<View>{OBJECTS}{tags}</View>")
    controls, _ = bind(config)
    keys = keys_for(control.name for control in controls)
    return make_form({keys[control.name]: control for control in controls}, read(config, data))


def choices(labels: Sequence[str], name: str = "c", more: str = "") -> str:
    inner = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    return f'<Choices name={quoteattr(name)} toName="text" {more}>{inner}</Choices>'


def numbered(count: int, length: int = 1) -> list[str]:
    return [f"{number:0{length}}" for number in range(count)]


def offered(form: Form, key: str = "c") -> Any:
    """The labels that the schema itself lists for a field; None if it takes any text."""
    one = form.schema["properties"][key]
    one = one["anyOf"][0] if "anyOf" in one else one
    return one.get("items", one).get("enum")


def test_up_to_the_limits_the_schema_lists_the_labels() -> None:
    for labels in (numbered(1000), numbered(250, 470), numbered(251, 59)):
        form = form_of(choices(labels))
        assert offered(form) == labels
        assert form.strict
        assert refusals(form.schema) == []


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(numbered(1001), id="values"),
        pytest.param(numbered(251, 60), id="a long enum"),
        pytest.param(numbered(240, 501), id="characters in all"),
    ],
)
def test_beyond_them_the_labels_stand_in_the_question_alone(labels: list[str]) -> None:
    form = form_of(choices(labels))
    assert offered(form) is None
    assert form.strict
    assert refusals(form.schema) == []
    assert all(f'- "{label}"' in form.words for label in (labels[0], labels[-1]))


def test_only_as_many_labels_as_need_be_leave_the_schema_the_longest_lists_first() -> None:
    form = form_of("".join(choices(numbered(count), name) for name, count in (("a", 400), ("b", 500), ("c", 300))))
    assert [offered(form, key) and len(offered(form, key)) for key in "abc"] == [400, None, 300]
    assert refusals(form.schema) == []


def test_a_list_too_long_for_itself_leaves_before_longer_ones_that_are_not() -> None:
    form = form_of(choices(numbered(200, 100), "a") + choices(numbered(260, 60), "b"))
    assert offered(form, "b") is None
    assert len(offered(form, "a")) == 200
    assert refusals(form.schema) == []


def test_a_field_of_any_name_counts() -> None:
    form = form_of("".join(choices(numbered(600), name) for name in ("enum", "type", "properties", "items")))
    assert [offered(form, key) is None for key in ("enum", "type", "properties", "items")] == [True, True, True, False]
    assert refusals(form.schema) == []


def test_a_list_that_stands_in_several_places_is_opened_in_those_that_need_it() -> None:
    items = [{"id": number, "body": "x"} for number in range(400)]
    buckets = "".join(f'<Bucket name="{name}"/>' for name in ("one", "two", "three"))
    form = form_of(f'<Ranker name="c" toName="list">{buckets}</Ranker>', {**DATA, "items": items})
    lists = form.schema["properties"]["c"]["anyOf"][0]["properties"].values()
    assert sorted("enum" in part["items"] for part in lists) == [False, True, True]
    assert refusals(form.schema) == []


def test_more_fields_than_a_schema_takes_are_only_told_in_words() -> None:
    tags = [f'<Rating name="r{number}" toName="text" required="true"/>' for number in range(5001)]
    assert form_of("".join(tags[:5000])).strict
    form = form_of("".join(tags))
    assert not form.strict
    assert '"r5000"' in form.schema_json
    assert '"r5000"' in form.words


def test_longer_names_than_a_schema_takes_are_only_told_in_words() -> None:
    form = form_of("".join(f'<Rating name="{"r" * 60}{number:04}" toName="text"/>' for number in range(2000)))
    assert not form.strict


def test_the_controls_keep_their_labels() -> None:
    config = parse(f"<View>{OBJECTS}{choices(numbered(1200))}</View>")
    (control,), _ = bind(config)
    inputs = read(config, DATA)
    before = json.dumps(control.schema(inputs))
    make_form({"c": control}, inputs)
    assert json.dumps(control.schema(inputs)) == before


def test_of_very_many_lists_as_many_stay_as_fit() -> None:
    tags = "".join(choices(["yes", "no"], f"c{number}") for number in range(4000))
    config = parse(f"<View>{OBJECTS}{tags}</View>")
    asked = {control.name: control for control in bind(config)[0]}
    inputs = read(config, DATA)
    form = make_form(asked, inputs)
    assert sum(offered(form, key) is not None for key in asked) == 500


# Any config

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=70).filter(
    lambda name: name.strip() == name and not set(name) & set("\ufffe\uffff")
)
LABELS = st.one_of(
    st.lists(NAMES, min_size=1, max_size=6),
    st.builds(numbered, st.sampled_from([1, 240, 260, 600, 1001, 3000]), st.sampled_from([1, 50, 500])),
)


@st.composite
def trees(draw: Any) -> str:
    """Options within options: wide, or very deep."""
    labels = draw(LABELS)
    deep = draw(st.sampled_from([1, 2, 7, 60]))
    chain = labels[:deep]
    opened = "".join(f"<Choice value={quoteattr(label)}>" for label in chain)
    inner = "".join(f"<Choice value={quoteattr(label)}/>" for label in labels)
    return opened + inner + "</Choice>" * len(chain)


@st.composite
def tags(draw: Any) -> str:
    name = quoteattr(draw(NAMES))
    options = draw(trees())
    more = draw(st.sampled_from(["", 'required="true"', 'choice="multiple"', 'allowNested="true"', 'leafsOnly="true"']))
    columns = "".join(f"<Bucket name={quoteattr(column)}/>" for column in draw(st.lists(NAMES, max_size=3)))
    return draw(
        st.sampled_from(
            [
                f'<Choices name={name} toName="text" {more}>{options}</Choices>',
                f'<Taxonomy name={name} toName="text" {more}>{options}</Taxonomy>',
                f'<Choices name={name} toName="text" value="$options" {more}/>',
                f'<Ranker name={name} toName="list">{columns}</Ranker>',
                f'<Rating name={name} toName="text" {more}/>',
                f'<Number name={name} toName="text" min="1" max="9" step="2" {more}/>',
                f'<DateTime name={name} toName="text" only="date" {more}/>',
                f'<TextArea name={name} toName="text" {more}/>',
            ]
        )
    )


@given(st.lists(tags(), min_size=1, max_size=5), LABELS, st.sampled_from([1, 3, 400, 1500]))
def test_any_form_keeps_to_the_rules_or_is_only_told_in_words(tags: list[str], labels: list[str], items: int) -> None:
    data = {
        **DATA,
        "options": [{"value": label} for label in labels],
        "items": [{"id": number, "body": "x"} for number in range(items)],
    }
    form = form_of("".join(tags), data)
    assert form.strict
    assert refusals(form.schema) == []
    assert json.loads(form.schema_json) == form.schema
    jsonschema.Draft202012Validator.check_schema(form.schema)
