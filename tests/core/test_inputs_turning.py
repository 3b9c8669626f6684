"""A task is turned as if it had been imported with what is compared the other way round."""

from collections.abc import Mapping
from typing import Any

import pytest

from llm_backend.core.inputs import Turn, read
from llm_backend.core.labeling import LabelingConfig, Source, parse

TWO = {"question": "Which?", "one": "first", "two": "second"}


def config_of(tags: str) -> LabelingConfig:
    return parse(f"<View>{tags}</View>")


def exchange(config: LabelingConfig, one: str, other: str) -> Turn:
    sources = {source.name: source for source in config.sources}
    return Turn.exchange(sources[one], sources[other])


def shown(config: LabelingConfig, data: Mapping[str, Any], turn: Turn | None = None) -> dict[str, str]:
    turn = turn or Turn()
    return {seen.name: seen.text for seen in read(turn.config(config), turn.data(data)).seen}


@pytest.mark.parametrize(
    ("left", "right", "data"),
    [
        ("$one", "$two", {"one": "first", "two": "second"}),
        ("$all[0]", "$all[1]", {"all": ["first", "second", "third"]}),
        ("$all[0].text", "$all[1].text", {"all": [{"text": "first", "by": "m"}, {"text": "second", "by": "n"}]}),
        ("$pair.one", "$pair.two", {"pair": {"one": "first", "two": "second"}}),
        ("$a.one", "$a.two", {"a.one": "first", "a.two": "second"}),
        ("$Answer 1", "$Answer 2", {"Answer 1": "first", "Answer 2": "second"}),
    ],
    ids=["fields", "entries", "fields of entries", "nested", "names with dots", "names with spaces"],
)
def test_objects_show_each_others_data(left: str, right: str, data: dict[str, Any]) -> None:
    config = config_of(f'<Text name="a" value="{left}"/><Text name="b" value="{right}"/>')
    turn = exchange(config, "a", "b")
    before = repr(data)
    assert shown(config, data) == {"a": "first", "b": "second"}
    assert shown(config, data, turn) == {"a": "second", "b": "first"}
    assert repr(data) == before
    assert turn.data(turn.data(data)) == data


def test_fields_change_places_in_the_data_so_that_a_prompt_that_names_them_is_turned_too() -> None:
    config = config_of('<Text name="a" value="$one"/><Text name="b" value="$two"/>')
    assert exchange(config, "a", "b").data(TWO) == {"question": "Which?", "one": "second", "two": "first"}
    entries = config_of('<Text name="a" value="$all[1]"/><Text name="b" value="$all[0]"/>')
    assert exchange(entries, "a", "b").data({"all": ["first", "second"]}) == {"all": ["second", "first"]}


def test_what_both_show_and_what_the_form_says_of_a_place_stay() -> None:
    config = config_of(
        '<Header value="$question"/><Text name="a" value="A, $question: $one"/>'
        '<Text name="b" value="B, $question: $two"/>'
    )
    turned = shown(config, TWO, exchange(config, "a", "b"))
    assert turned == {"question": "Which?", "a": "A, Which?: second", "b": "B, Which?: first"}


def test_data_is_read_as_the_tag_reads_it_that_it_was_meant_for() -> None:
    config = config_of('<Text name="a" value="$one"/><HyperText name="b" value="$two"/>')
    turned = shown(config, {"one": "1 < 2", "two": "<b>bold</b>"}, exchange(config, "a", "b"))
    assert turned == {"a": "bold", "b": "1 < 2"}


def test_objects_that_show_more_than_one_field_each_exchange_all_they_show() -> None:
    config = config_of('<Text name="a" value="$x and $y"/><Text name="b" value="$z"/>')
    turned = shown(config, {"x": "1", "y": "2", "z": "3"}, exchange(config, "a", "b"))
    assert turned == {"a": "3", "b": "1 and 2"}


def test_another_tag_that_shows_the_same_field_is_turned_with_it() -> None:
    config = config_of('<Text name="a" value="$one"/><Text name="b" value="$two"/><Text name="c" value="$one!"/>')
    assert shown(config, TWO, exchange(config, "a", "b"))["c"] == "second!"


def test_a_list_stands_the_other_way_round_with_the_ids_of_its_items() -> None:
    turn = Turn.turn_round(Source("list", "List", "$found.items"))
    data = {"found": {"items": [{"id": 1}, {"id": 2}, {"id": 3}]}}
    assert turn.data(data) == {"found": {"items": [{"id": 3}, {"id": 2}, {"id": 1}]}}
    assert turn.data({"found": "nothing"}) == {"found": "nothing"}


def test_one_question_is_turned_in_several_ways_where_they_do_not_meet() -> None:
    config = config_of("".join(f'<Text name="{name}" value="${name}"/>' for name in "abcd"))
    ab, cd, ac = (exchange(config, *pair) for pair in ("ab", "cd", "ac"))
    assert ab.goes_with(cd)
    assert not ab.goes_with(ac)
    both = ab | cd
    assert both.goes_with(ab)
    assert not both.goes_with(ac)
    assert exchange(config, "b", "a") == ab
    assert both.data({"a": 1, "b": 2, "c": 3, "d": 4}) == {"a": 2, "b": 1, "c": 4, "d": 3}
