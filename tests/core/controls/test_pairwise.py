"""A Pairwise takes the better of two objects."""

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Region
from llm_backend.errors import AnswerError

TEXTS = '<Text name="a" value="$a"/><Text name="b" value="$b"/>'
CONFIG = parse(f'<View>{TEXTS}<Pairwise name="better" toName="a, b"/></View>')
(PAIRWISE,), _ = bind(CONFIG)
INPUTS = read(CONFIG, {"a": "one", "b": "two"})


@pytest.mark.parametrize(("answer", "side"), [("left", "left"), ("right", "right"), (" Left\n", "left")])
def test_a_side_is_taken_and_names_the_first_object(answer: str, side: str) -> None:
    assert PAIRWISE.read(answer, INPUTS) == [Region("better", "a", "pairwise", {"selected": side})]


@pytest.mark.parametrize("answer", ["none", "tie", "both", "a", "leftish", 1, True, ["left"], {"selected": "left"}])
def test_anything_else_is_refused(answer: object) -> None:
    with pytest.raises(AnswerError, match='"better" takes left or right; the model gave '):
        PAIRWISE.read(answer, INPUTS)


def test_null_says_that_neither_is_better() -> None:
    assert PAIRWISE.read(None, INPUTS) == []
    assert PAIRWISE.question(INPUTS) == {"anyOf": [{"type": "string", "enum": ["left", "right"]}, {"type": "null"}]}


def test_the_question_says_which_object_is_which() -> None:
    assert PAIRWISE.describe(INPUTS) == '"left" if "a" is better, "right" if "b" is better, null if neither is'


@pytest.mark.parametrize("to_name", ["a", "better", "a,b"])
def test_a_persons_choice_is_read_whichever_object_it_names(to_name: str) -> None:
    assert PAIRWISE.encode([Region("better", to_name, "pairwise", {"selected": "right"})], INPUTS) == "right"


def test_the_editor_shows_it_under_the_object_that_the_prompt_labels() -> None:
    assert (PAIRWISE.to_name, PAIRWISE.shown_at("question")) == ("a", "question")


def test_what_says_neither_is_no_answer() -> None:
    assert PAIRWISE.encode([Region("better", "better", "pairwise", {"selected": "none"})], INPUTS) is None


@pytest.mark.parametrize("to_name", ["a", "a,a"])
def test_two_objects_are_needed(to_name: str) -> None:
    _, (other,) = bind(parse(f'<View>{TEXTS}<Pairwise name="better" toName="{to_name}"/></View>'))
    assert other.reason.startswith('Pairwise "better" compares two objects; set its toName to their two names')
