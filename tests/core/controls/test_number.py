"""A Number takes finite JSON numbers that lie within its bounds and on its steps."""

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError
from tests.support.controls import by_person, config_of, made, one


def number(attrs: str = "") -> str:
    return f'<Number name="n" toName="text" {attrs}/>'


@pytest.mark.parametrize(
    ("attrs", "answer"),
    [
        ("", 3),
        ("", -3.25),
        ("", 0),
        ("", 1e300),
        ('min="0" max="10"', 10),
        ('min="0" max="10"', 0.5),
        ('step="0.1"', 0.3),
        ('step="0.1"', 123456.7),
        ('min="1" step="2"', 5),
        ('min="0.5" step="0.25" max="2"', 1.75),
        ('step="5"', 10.0),
        ('min="-1.7e308" step="3"', -1.7e308),
    ],
)
def test_a_number_is_stored_as_it_was_given(attrs: str, answer: float) -> None:
    held = made(number(attrs), answer)["number"]
    assert held == answer
    assert type(held) is type(answer)


@pytest.mark.parametrize(
    ("attrs", "answer"),
    [
        ("", "4"),
        ("", True),
        ("", float("nan")),
        ("", float("inf")),
        ("", 10**400),
        ("", [1]),
        ('min="0"', -0.001),
        ('max="10"', 11),
        ('step="0.1"', 0.35),
        ('min="1" step="2"', 4),
        ('min="-1.7e308" step="3"', 1.7e308),
    ],
)
def test_what_does_not_fit_is_refused(attrs: str, answer: JSON) -> None:
    with pytest.raises(AnswerError, match='"n" takes a number'):
        made(number(attrs), answer)


@pytest.mark.parametrize(
    ("attrs", "schema", "words"),
    [
        ("", {"type": "number"}, "a number"),
        ('min="0"', {"type": "number", "minimum": 0}, "a number of at least 0"),
        ('max="1.5"', {"type": "number", "maximum": 1.5}, "a number of at most 1.5"),
        (
            'min="0" max="9" step="3"',
            {"type": "integer", "minimum": 0, "maximum": 9},
            "a number from 0 to 9 in steps of 3 from 0",
        ),
        ('min="0.5" step="1"', {"type": "number", "minimum": 0.5}, "a number of at least 0.5 in steps of 1 from 0.5"),
        ('min="few" max="nan" step="0"', {"type": "number"}, "a number"),
    ],
)
def test_the_question_names_the_limits(attrs: str, schema: JSON, words: str) -> None:
    control, inputs = one(number(attrs))
    assert control.schema(inputs) == schema
    assert control.describe(inputs) == words


@pytest.mark.parametrize(("value", "answer"), [({"number": 4.5}, 4.5), ({"number": "4"}, None), ({}, None)])
def test_a_persons_number_is_read(value: JSON, answer: JSON) -> None:
    assert by_person(number(), value) == answer


def test_bounds_that_exclude_each_other_cannot_be_filled() -> None:
    _, (other,) = bind(config_of(number('min="5" max="1"')))
    assert other.reason == 'Number "n" takes no number: its min is 5 and its max 1.'
