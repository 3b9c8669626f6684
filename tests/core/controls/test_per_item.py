"""Controls that are answered for each picture of an object by itself."""

from typing import Any

import pytest

from llm_backend.core.controls import Control, bind
from llm_backend.core.controls.conditions import shown_regions
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Region
from llm_backend.errors import AnswerError, InputError

PAGES = ["https://a/1.png", None, "https://a/2.png"]
KIND = '<Choices name="kind" toName="pages" perItem="true" {}><Choice value="Bill"/><Choice value="Letter"/></Choices>'
NOTE = '<TextArea name="note" toName="pages" perItem="true" {}/>'


def bound(tags: str, pages: Any = PAGES, shows: str = "valueList") -> tuple[tuple[Control, ...], Inputs]:
    config = parse(f'<View><Image name="pages" {shows}="$pages"/>{tags}</View>')
    controls, others = bind(config)
    assert others == ()
    return controls, read(config, {"pages": pages})


def made(tag: str, answer: Any, pages: Any = PAGES, shows: str = "valueList") -> Any:
    (control,), inputs = bound(tag, pages, shows)
    return [(region.item_index, dict(region.value)) for region in control.read(answer, inputs)]


def test_items_are_counted_from_one_in_answers_and_from_zero_in_the_tasks_data() -> None:
    answer = [{"item": 2, "answer": "Letter"}, {"item": 1, "answer": "Bill"}]
    assert made(KIND.format(""), answer) == [(0, {"choices": ["Bill"]}), (2, {"choices": ["Letter"]})]


def test_a_single_picture_is_an_item_too() -> None:
    assert made(NOTE.format(""), [{"item": 1, "answer": "x"}], "https://a/1.png", "value") == [(0, {"text": ["x"]})]


@pytest.mark.parametrize("answer", [None, [], [{"item": 1, "answer": None}], [{"item": 2}]], ids=repr)
def test_items_may_stay_unanswered(answer: Any) -> None:
    assert made(KIND.format(""), answer) == []


@pytest.mark.parametrize(
    ("answer", "sentence", "kept"),
    [
        pytest.param(
            [{"item": 3, "answer": "Bill"}],
            '"kind" takes entries with an "item" from 1 to 2 and an "answer"; '
            'the model gave {"item": 3, "answer": "Bill"}.',
            0,
            id="no such item",
        ),
        pytest.param(
            "Bill",
            '"kind" takes entries with an "item" from 1 to 2 and an "answer"; the model gave "Bill".',
            0,
            id="no list",
        ),
        pytest.param(
            [{"item": True, "answer": "Bill"}],
            '"kind" takes entries with an "item" from 1 to 2 and an "answer"; '
            'the model gave {"item": true, "answer": "Bill"}.',
            0,
            id="no number",
        ),
        pytest.param(
            [{"item": 1, "answer": "Bill"}, {"item": 1, "answer": "Letter"}],
            '"kind" takes each item once; the model gave item 1 several times.',
            0,
            id="twice",
        ),
        pytest.param(
            [{"item": 1, "answer": "Bill"}, {"item": 2, "answer": "Bills"}],
            'Item 2: "kind" takes Bill or Letter; the model gave "Bills".',
            1,
            id="off the list, for one item",
        ),
    ],
)
def test_what_cannot_be_taken_is_refused_and_the_rest_of_it_kept(answer: Any, sentence: str, kept: int) -> None:
    with pytest.raises(AnswerError) as caught:
        made(KIND.format(""), answer)
    assert caught.value.sentence == sentence
    assert len(caught.value.made) == kept


def test_where_it_is_required_every_item_must_be_answered() -> None:
    tag = KIND.format('required="true"')
    with pytest.raises(AnswerError, match="must be answered for every item; the model left out item 2"):
        made(tag, [{"item": 1, "answer": "Bill"}])
    (control,), inputs = bound(tag)
    assert control.question(inputs)["minItems"] == 2


def test_the_question_says_how_many_items_there_are() -> None:
    (control,), inputs = bound(KIND.format(""))
    assert control.describe(inputs) == (
        'a list with an entry for each to which it applies of the 2 items of "pages"\n'
        '- "item": which item, a whole number from 1 to 2\n'
        '- "answer": one of: "Bill", "Letter"'
    )
    assert control.schema(inputs)["items"]["properties"]["item"] == {"type": "integer", "minimum": 1, "maximum": 2}


def test_a_task_without_items_is_told() -> None:
    (control,), inputs = bound(KIND.format(""), [])
    with pytest.raises(InputError, match='"kind" is answered item by item, and "pages" shows none in this task'):
        control.schema(inputs)


def test_a_persons_answers_are_read_item_by_item() -> None:
    (control,), inputs = bound(KIND.format(""))
    regions = [
        Region("kind", "pages", "choices", {"choices": ["Letter"]}, item_index=2),
        Region("kind", "pages", "choices", {"choices": ["Bill"]}, item_index=1),  # of a picture that is gone
    ]
    assert control.encode(regions, inputs) == [{"item": 2, "answer": "Letter"}]


def test_a_condition_looks_at_the_item_that_is_on_the_screen() -> None:
    when = 'visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="Bill"'
    controls, inputs = bound(KIND.format("") + NOTE.format(when))
    kinds = controls[0].read([{"item": 1, "answer": "Bill"}, {"item": 2, "answer": "Letter"}], inputs)
    notes = controls[1].read([{"item": 1, "answer": "a"}, {"item": 2, "answer": "b"}], inputs)
    assert shown_regions(controls, [*kinds, *notes]) == [*kinds, notes[0]]
