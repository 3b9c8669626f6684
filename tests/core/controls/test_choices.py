"""Choices take the words that annotators read, and store what the editor stores."""

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError, InputError
from tests.support.controls import by_person, config_of, made, one

OPTIONS = '<Choice value="Good" alias="g"/><Choice value="Bad" hint="broken or late"/><Choice value="N/A"/>'
TREE = (
    '<Choice value="Animal" alias="an">'
    '<Choice value="Bird"/><Choice value="Fish" alias="f"/><Choice value="Other"/>'
    "</Choice>"
    '<Choice value="Plant"><Choice value="Other"/></Choice><Choice value="Stone"/>'
)


def choices(options: str = OPTIONS, attrs: str = "") -> str:
    return f'<Choices name="tone" toName="text" {attrs}>{options}</Choices>'


SINGLE = choices()
SEVERAL = choices(attrs='choice="multiple"')
NESTED = choices(TREE, 'allowNested="true"')
NESTED_SEVERAL = choices(TREE, 'allowNested="true" choice="multiple"')


@pytest.mark.parametrize(
    ("tag", "answer", "held"),
    [
        pytest.param(SINGLE, "Bad", ["Bad"], id="as written"),
        pytest.param(SINGLE, "Good", ["g"], id="alias is stored"),
        pytest.param(SINGLE, "g", ["g"], id="named by its alias"),
        pytest.param(SINGLE, " bad\n", ["Bad"], id="other case and spacing"),
        pytest.param(SINGLE, "G", ["g"], id="alias in other case"),
        pytest.param(SINGLE, ["Bad"], ["Bad"], id="a list of one"),
        pytest.param(choices(attrs='choice="single-radio"'), "n/a", ["N/A"], id="radio"),
        pytest.param(SEVERAL, ["N/A", "Good"], ["N/A", "g"], id="several, in the model's order"),
        pytest.param(SEVERAL, ["Bad", "bad", "Bad"], ["Bad"], id="the same twice"),
        pytest.param(SEVERAL, "Good", ["g"], id="one without a list"),
        pytest.param(SEVERAL, [], None, id="none applies"),
        pytest.param(choices('<Choice value="A" alias="B"/><Choice value="B" alias="A"/>'), "A", ["B"], id="swapped"),
        pytest.param(choices('<Choice value="A"/><Choice value="a"/>'), "a", ["a"], id="differ by case alone"),
        pytest.param(choices('<Choice value="Two"/><Choice value="Two"/>'), "two", ["Two"], id="written twice"),
        pytest.param(choices('<Choice value="Caf\u00e9"/>'), "cafe\u0301", ["Caf\u00e9"], id="composed otherwise"),
        pytest.param(choices('<Choice value="straße 🚀"/>'), "STRASSE 🚀", ["straße 🚀"], id="folded"),
        pytest.param(
            choices('<Choice value="a"><Choice value="b"/></Choice>'), "a", ["a"], id="nested, not allowed to"
        ),
    ],
)
def test_an_option_is_taken(tag: str, answer: JSON, held: JSON) -> None:
    assert made(tag, answer) == (None if held is None else {"choices": held})


@pytest.mark.parametrize(
    ("tag", "answer", "words"),
    [
        pytest.param(SINGLE, "fine", '"tone" takes Good, Bad or N/A; the model gave "fine".', id="off the list"),
        pytest.param(SINGLE, "Goo", "the model gave", id="nearly"),
        pytest.param(SINGLE, "not Good at all", "the model gave", id="contains a label"),
        pytest.param(SINGLE, "I cannot help with that.", "the model gave", id="refusal"),
        pytest.param(SINGLE, "Good, Bad", "the model gave", id="several in one text"),
        pytest.param(SINGLE, ["Good", "Bad"], '"tone" takes one option', id="two for one"),
        pytest.param(SINGLE, ["Good", "Good"], '"tone" takes one option', id="the same twice for one"),
        pytest.param(SINGLE, 1, "the model gave 1", id="number"),
        pytest.param(SINGLE, True, "the model gave true", id="boolean"),
        pytest.param(SINGLE, {"choices": ["Good"]}, "the model gave", id="object"),
        pytest.param(SEVERAL, ["Good", "fine"], 'the model gave "fine"', id="one of several off the list"),
        pytest.param(SEVERAL, [""], "the model gave", id="blank entry"),
        pytest.param(SEVERAL, [None], "the model gave", id="null entry"),
        pytest.param(
            choices('<Choice value="A"/><Choice value="a "/>'), "  A  ", "several options like", id="two fold alike"
        ),
        pytest.param(
            choices('<Choice value="a"><Choice value="b"/></Choice>'), "b", "takes a;", id="child not offered"
        ),
    ],
)
def test_anything_else_is_refused(tag: str, answer: JSON, words: str) -> None:
    with pytest.raises(AnswerError) as refusal:
        made(tag, answer)
    assert words in refusal.value.sentence


@pytest.mark.parametrize(
    ("tag", "answer", "held"),
    [
        pytest.param(NESTED, "Animal / Bird", [["an", "Bird"]], id="path"),
        pytest.param(NESTED, "Stone", [["Stone"]], id="top level is a path too"),
        pytest.param(NESTED, ["Animal", "Fish"], [["an", "f"]], id="list of names"),
        pytest.param(NESTED, ["an", "f"], [["an", "f"]], id="list of aliases"),
        pytest.param(NESTED, [["Animal", "Fish"]], [["an", "f"]], id="list of one path"),
        pytest.param(NESTED, "bird", [["an", "Bird"]], id="lone leaf"),
        pytest.param(NESTED, "an / f", [["an", "f"]], id="path of aliases"),
        pytest.param(
            NESTED_SEVERAL, ["Plant / Other", ["Animal", "Other"]], [["Plant", "Other"], ["an", "Other"]], id="several"
        ),
    ],
)
def test_nested_options_are_stored_as_paths(tag: str, answer: JSON, held: JSON) -> None:
    assert made(tag, answer) == {"choices": held}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("Animal", 'takes an entry below "Animal"'),
        ("Other", "several options like"),
        ("Bird / Animal", "the model gave"),
        ("Animal / Other / Bird", "the model gave"),
        (["Stone", "Animal / Bird"], "takes one option"),
        ([["Animal"]], "takes an entry below"),
        ([[]], "the model gave"),
        ([["Animal", 3]], "the model gave"),
    ],
)
def test_a_path_that_is_none_or_unclear_is_refused(answer: JSON, words: str) -> None:
    with pytest.raises(AnswerError) as refusal:
        made(NESTED, answer)
    assert words in refusal.value.sentence


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a", "b"), "a / b"),
        (("a / b", "c"), "a / b > c"),
        (("a /", "b"), "a / > b"),
        (("a / b > c", "d | e → f :: g"), "a / b > c // d | e → f :: g"),
    ],
)
def test_paths_are_joined_by_signs_that_stand_in_no_name(names: tuple[str, str], told: str) -> None:
    tree = f'<Choice value="{names[0].replace(">", "&gt;")}"><Choice value="{names[1]}"/></Choice>'
    control, inputs = one(choices(tree, 'allowNested="true"'))
    assert control.labels(inputs) == (told,)


def test_few_options_stand_on_a_line_and_hints_ask_for_more() -> None:
    control, inputs = one(choices('<Choice value="a"/><Choice value="b &quot;c&quot;"/>'))
    assert control.describe(inputs) == r'one of: "a", "b \"c\""'
    control, inputs = one(SEVERAL)
    assert control.describe(inputs) == (
        'a list of any number of these (empty if none applies):\n- "Good"\n- "Bad": broken or late\n- "N/A"'
    )


def test_the_schema_is_an_enum_of_what_annotators_read() -> None:
    control, inputs = one(SINGLE)
    assert control.schema(inputs) == {"type": "string", "enum": ["Good", "Bad", "N/A"]}
    control, inputs = one(choices(attrs='choice="multiple" required="true"'))
    one_of = {"type": "string", "enum": ["Good", "Bad", "N/A"]}
    assert control.question(inputs) == {"type": "array", "items": one_of, "minItems": 1}


@pytest.mark.parametrize(
    ("tag", "value", "answer"),
    [
        (SINGLE, {"choices": ["g"]}, "Good"),
        (SINGLE, {"choices": "Bad"}, "Bad"),
        (SINGLE, {"choices": ["gone from the config"]}, None),
        (SINGLE, {"choices": []}, None),
        (SINGLE, {"choices": [["g"], {"a": 1}, None]}, None),
        (SEVERAL, {"choices": ["N/A", "g"]}, ["N/A", "Good"]),
        (NESTED, {"choices": [["an", "f"]]}, "Animal / Fish"),
        # The editor lists a parent whose children are all chosen.
        (NESTED_SEVERAL, {"choices": [["Plant"], ["Plant", "Other"]]}, ["Plant / Other"]),
        (choices('<Choice value="Yes" alias="1"/><Choice value="Yes" alias="2"/>'), {"choices": ["2"]}, "Yes"),
    ],
)
def test_a_persons_choice_is_read(tag: str, value: JSON, answer: JSON) -> None:
    assert by_person(tag, value) == answer


DYNAMIC = choices('<Choice value="None of these"/>', 'value="$options"')
OBJECTS = [
    {"value": "First", "alias": "1"},
    {"value": "Second", "hint": "later"},
    {"value": "Third", "html": "<b>Third</b>"},
]


def test_options_of_the_task_come_after_those_of_the_config() -> None:
    control, inputs = one(DYNAMIC, {"options": OBJECTS})
    assert control.dynamic
    assert control.labels(inputs) == ("None of these", "First", "Second", "Third")
    assert made(DYNAMIC, "first", {"options": OBJECTS}) == {"choices": ["1"]}
    assert by_person(DYNAMIC, {"choices": ["1"]}, {"options": OBJECTS}) == "First"


def test_options_of_the_task_may_be_nested() -> None:
    nested = choices("", 'value="$a.options" allowNested="true"')
    data = {"a": {"options": [{"value": "Top", "children": [{"value": "Leaf", "alias": "l"}]}]}}
    assert made(nested, "Top / Leaf", data) == {"choices": [["Top", "l"]]}


def test_each_task_has_its_own_options() -> None:
    control, first = one(DYNAMIC, {"options": [{"value": "a"}]})
    _, second = one(DYNAMIC, {"options": [{"value": "b"}]})
    assert [control.labels(inputs)[-1] for inputs in (first, second, first)] == ["a", "b", "a"]


DEEP: JSON = {"value": "end"}
for _ in range(200):
    DEEP = {"value": "level", "children": [DEEP]}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, "takes its options from $options; the task has nothing there instead of a list"),
        ({"options": "a, b"}, 'the task has "a, b" there'),
        ({"options": [{"name": "a"}]}, 'which is no object with a text as its "value"'),
        ({"options": [{"value": "a"}, 5]}, 'the task has 5 among them, which is no object with a text as its "value"'),
        ({"options": ["a", "b"]}, 'the task has "a" among them'),
        ({"options": [{"html": "<b>a</b>"}]}, "among them"),
        ({"options": [DEEP]}, 'which is no object with a text as its "value"'),
    ],
)
def test_a_task_without_usable_options_is_an_input_error(data: dict[str, JSON], words: str) -> None:
    control, inputs = one(DYNAMIC, data)
    with pytest.raises(InputError) as lack:
        control.schema(inputs)
    assert words in lack.value.sentence


def test_an_empty_list_of_options_offers_nothing() -> None:
    control, inputs = one(choices("", 'value="$options"'), {"options": []})
    with pytest.raises(InputError, match=r'Choices "tone" offers no option for this task\.'):
        control.schema(inputs)


def test_a_reference_in_an_options_words_is_filled_in() -> None:
    tag = choices('<Choice value="$first" alias="1"/><Choice value="Like $second"/><Choice value="$5"/>')
    control, inputs = one(tag, {"first": "Apple", "second": "Pear"})
    assert control.dynamic
    assert control.labels(inputs) == ("Apple", "Like Pear")
    assert made(tag, "apple", {"first": "Apple", "second": "Pear"}) == {"choices": ["1"]}


def test_choices_without_options_cannot_be_filled() -> None:
    _, (other,) = bind(config_of(choices("")))
    assert other.reason == 'Choices "tone" offers nothing to choose from; add <Choice> tags to it.'
