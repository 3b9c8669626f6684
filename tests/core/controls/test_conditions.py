"""What the form hides, given the other answers, is not sent and not missed."""

import pytest

from llm_backend.core.controls import bind, hidden, shown_regions
from llm_backend.core.inputs import read
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError
from tests.support.controls import DATA, config_of

FORM = """
<Choices name="tone" toName="text" choice="multiple"><Choice value="Good" alias="g"/><Choice value="Bad"/></Choices>
<Taxonomy name="kind" toName="text"><Choice value="Top"><Choice value="Leaf" alias="l"/></Choice></Taxonomy>
<View {view}>
  <Choices name="why" toName="text" required="true" {why}><Choice value="Late"/><Choice value="Rude"/></Choices>
</View>
<TextArea name="other" toName="text"/>
<View visibleWhen="choice-selected" whenTagName="why" whenChoiceValue="Late">
  <Rating name="days" toName="text" required="true"/>
</View>"""
LATE = Region("why", "text", "choices", {"choices": ["Late"]})
DAYS = Region("days", "text", "rating", {"rating": 3})
OTHER = Region("other", "text", "textarea", {"text": ["x"]})


def tone(*labels: str) -> Region:
    return Region("tone", "text", "choices", {"choices": list(labels)})


def kind(*path: str) -> Region:
    return Region("kind", "text", "taxonomy", {"taxonomy": [list(path)]})


def when(how: str, tag: str = "", values: str = "") -> str:
    named = (("visibleWhen", how), ("whenTagName", tag), ("whenChoiceValue", values))
    return " ".join(f'{name}="{value}"' for name, value in named if value)


SELECTED, UNSELECTED = "choice-selected", "choice-unselected"


@pytest.mark.parametrize(
    ("condition", "others", "shown"),
    [
        pytest.param("", [], True, id="no condition"),
        pytest.param(when(SELECTED, "tone", "Bad"), [tone("Bad")], True, id="selected"),
        pytest.param(when(SELECTED, "tone", "Bad"), [tone("g")], False, id="another selected"),
        pytest.param(when(SELECTED, "tone", "Bad"), [], False, id="nothing selected"),
        pytest.param(when(SELECTED, "tone", "Bad"), [tone("g", "Bad")], True, id="among others"),
        pytest.param(when(SELECTED, "tone", "Good"), [tone("g")], True, id="named by value, stored by alias"),
        pytest.param(when(SELECTED, "tone", "g"), [tone("g")], True, id="named by alias"),
        pytest.param(when(SELECTED, "tone", "Good,Bad"), [tone("Bad")], True, id="one of two values"),
        pytest.param(when(SELECTED, "tone"), [tone("Bad")], True, id="any value"),
        pytest.param(when(SELECTED, "tone"), [], False, id="any value, none selected"),
        pytest.param(when(SELECTED), [tone("Bad")], True, id="any tag"),
        pytest.param(when(SELECTED), [kind("Top")], False, id="any tag means Choices"),
        pytest.param(when(SELECTED, "kind", "Leaf"), [kind("Top", "l")], True, id="last name of a path"),
        pytest.param(when(SELECTED, "kind", "Top"), [kind("Top", "l")], False, id="not the first name of a path"),
        pytest.param(when(SELECTED, "elsewhere", "Bad"), [tone("Bad")], False, id="a tag that is not there"),
        pytest.param(when(SELECTED, "other", "x"), [OTHER], False, id="a tag without choices"),
        pytest.param(when(UNSELECTED, "tone", "Bad"), [tone("g")], True, id="unselected"),
        pytest.param(when(UNSELECTED, "tone", "Bad"), [], True, id="unselected, nothing chosen"),
        pytest.param(when(UNSELECTED, "tone", "Bad"), [tone("Bad")], False, id="unselected, but it is"),
        pytest.param(when("", "", "Bad"), [tone("Bad")], True, id="value alone"),
        pytest.param(when("", "", "Bad"), [tone("g")], False, id="value alone, not selected"),
        pytest.param(when("region-selected"), [tone("Bad")], False, id="regions are not selected here"),
        pytest.param(when("no-region-selected"), [], True, id="no region is selected"),
    ],
)
@pytest.mark.parametrize("place", ["view", "why"])
def test_a_control_is_shown_as_the_editor_shows_it(
    place: str, condition: str, others: list[Region], shown: bool
) -> None:
    places = {"view": "", "why": ""} | {place: condition}
    controls, _ = bind(config_of(FORM.format(**places)))
    regions = [*others, LATE, DAYS]
    assert shown_regions(controls, regions) == (regions if shown else others)
    assert hidden(controls, regions) == (frozenset() if shown else {"why", "days"})


def test_regions_of_other_controls_stay_and_count() -> None:
    controls, _ = bind(config_of(FORM.format(view=when(SELECTED, "held", "yes"), why="")))
    held = Region("held", "text", "choices", {"choices": ["yes"]})
    assert shown_regions(controls, [LATE, held]) == [LATE, held]
    assert shown_regions(controls, [LATE]) == []


def test_controls_that_hide_each_other_come_to_an_end() -> None:
    pair = "".join(
        f'<Choices name="{name}" toName="text" {when(UNSELECTED, other, "x")}><Choice value="x"/></Choices>'
        for name, other in (("a", "b"), ("b", "a"))
    )
    controls, _ = bind(config_of(pair))
    regions = [Region(name, "text", "choices", {"choices": ["x"]}) for name in "ab"]
    assert shown_regions(controls, regions) in ([], regions)


@pytest.mark.parametrize("value", [None, [], [[]], [None, 5, [None]], {"a": 1}, "Bad"])
def test_odd_values_of_a_person_do_no_harm(value: JSON) -> None:
    controls, _ = bind(config_of(FORM.format(view=when(SELECTED, "tone", "Bad"), why="")))
    odd = Region("tone", "text", "choices", {"choices": value})
    assert shown_regions(controls, [odd, LATE]) == ([odd, LATE] if value == "Bad" else [odd])


def test_a_control_that_may_be_hidden_may_be_left_open_and_is_reported() -> None:
    config = config_of(FORM.format(view="", why=""))
    controls, _ = bind(config)
    days, inputs = controls[-1], read(config, DATA)
    assert days.question(inputs)["anyOf"][1] == {"type": "null"}
    with pytest.raises(AnswerError, match='"days" must be answered'):
        days.read(None, inputs)
