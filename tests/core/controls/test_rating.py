"""A Rating takes whole stars, and coerces nothing."""

import pytest

from llm_backend.core.controls import bind
from llm_backend.errors import AnswerError
from tests.support.controls import by_person, config_of, made, one

FIVE = '<Rating name="stars" toName="text"/>'
SEVEN = '<Rating name="stars" toName="text" maxRating="7"/>'


@pytest.mark.parametrize(("tag", "answer"), [(FIVE, 1), (FIVE, 5), (SEVEN, 7)])
def test_a_whole_number_of_stars_is_taken(tag: str, answer: int) -> None:
    assert made(tag, answer) == {"rating": answer}


@pytest.mark.parametrize(
    "answer", [0, 6, -1, 99, 4.0, 3.5, "4", "four", True, [4], {"rating": 4}, float("nan"), 10**400]
)
def test_anything_else_is_refused(answer: object) -> None:
    with pytest.raises(AnswerError, match=r'"stars" takes a whole number from 1 to 5; the model gave '):
        made(FIVE, answer)


@pytest.mark.parametrize("answer", [None, "", "  ", []])
def test_no_answer_makes_no_region(answer: object) -> None:
    assert made(FIVE, answer) is None


def test_a_required_rating_must_be_answered() -> None:
    with pytest.raises(AnswerError, match="must be answered"):
        made('<Rating name="stars" toName="text" required="true"/>', None)


def test_the_question_names_the_limits() -> None:
    control, inputs = one(SEVEN)
    assert control.schema(inputs) == {"type": "integer", "minimum": 1, "maximum": 7}
    assert control.describe(inputs) == "a whole number from 1 to 7"


@pytest.mark.parametrize(
    ("value", "answer"),
    [({"rating": 4}, 4), ({"rating": 4.0}, 4), ({"rating": 0}, None), ({"rating": "4"}, None), ({}, None)],
)
def test_a_persons_rating_is_read(value: object, answer: object) -> None:
    assert by_person(FIVE, value) == answer


def test_a_rating_without_stars_cannot_be_filled() -> None:
    controls, (other,) = bind(config_of('<Rating name="stars" toName="text" maxRating="0"/>'))
    assert controls == ()
    assert other.reason == 'Rating "stars" has no star to give: its maxRating is 0.'
