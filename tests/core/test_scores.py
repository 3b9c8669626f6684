"""How sure a prediction is."""

import json
import math
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.scores import Calibration, agreement, joint, label_probability
from llm_backend.core.wire import Region

WHOLE = ((),)


def tokens(*pieces: tuple[str, float], with_bytes: bool = True) -> dict[str, Any]:
    """Tokens and their probabilities, as a provider tells them."""
    return {
        "content": [
            {"token": piece, "logprob": math.log(p)} | ({"bytes": list(piece.encode())} if with_bytes else {})
            for piece, p in pieces
        ]
    }


def spelled(text: str, unsure: dict[str, float]) -> dict[str, Any]:
    """A token for each word or sign; all are certain but the unsure ones."""
    return tokens(*((piece, unsure.get(piece, 1.0)) for piece in re.findall(r"\w+|\W", text)))


def test_label_tokens_alone_count() -> None:
    text = '{"why": "It is fine.", "tone": "good"}'
    unsure = {"fine": 0.1, "good": 0.8, "tone": 0.5, '"': 0.9}
    assert label_probability(text, spelled(text, unsure), "tone", WHOLE) == pytest.approx(0.8)


def test_a_label_of_several_tokens_is_as_sure_as_all_of_them_together() -> None:
    text = '{"tone": "rather good"}'
    told = tokens(('{"tone": "', 1.0), ("rather", 0.5), (" go", 0.9), ('od"}', 0.8))
    assert label_probability(text, told, "tone", WHOLE) == pytest.approx(0.5 * 0.9 * 0.8)


def test_several_labels_numbers_and_null_count_too() -> None:
    text = '{"tags": ["a", "b"], "stars": 4, "none": null}'
    told = spelled(text, {"a": 0.9, "b": 0.5, "4": 0.7, "null": 0.6})
    assert label_probability(text, told, "tags", WHOLE) == pytest.approx(0.45)
    assert label_probability(text, told, "stars", WHOLE) == pytest.approx(0.7)
    assert label_probability(text, told, "none", WHOLE) == pytest.approx(0.6)


def test_of_a_list_of_places_the_labels_count() -> None:
    text = '{"who": [{"quote": "Ann", "label": "PER"}, {"quote": "label", "label": "ORG"}]}'
    told = spelled(text, {"Ann": 0.1, "PER": 0.9, "ORG": 0.8, "label": 0.7})
    assert label_probability(text, told, "who", (("*", "label"),)) == pytest.approx(0.72)


def test_plain_words_are_the_label() -> None:
    assert label_probability("good", spelled("good", {"good": 0.8}), "tone", WHOLE) == pytest.approx(0.8)


def test_what_stands_around_the_answer_does_not_count() -> None:
    said = 'Sure! {"tone": "good"}'
    told = tokens(("<think>", 0.1), ("hm good", 0.2), ("</think>", 0.3), *((piece, 1.0) for piece in said[:-6]))
    told["content"] += tokens(("good", 0.75), ('"}', 1.0))["content"]
    assert label_probability(said, told, "tone", WHOLE) == pytest.approx(0.75)


def test_labels_beyond_ascii_are_found_by_their_bytes() -> None:
    text = '{"א": "טוב 👍", "b": "x"}'
    told = tokens(*((sign, {"ט": 0.5, "x": 0.9}.get(sign, 1.0)) for sign in text), with_bytes=False)
    assert label_probability(text, told, "א", WHOLE) == pytest.approx(0.5)
    assert label_probability(text, told, "b", WHOLE) == pytest.approx(0.9)


@pytest.mark.parametrize(
    "logprobs",
    [
        None,
        {},
        {"content": None},
        {"content": ["x"]},
        tokens(("other", 0.5)),
        {"content": [{"token": '{"tone": "good"}'}]},
    ],
)
def test_logprobs_that_do_not_spell_the_answer_tell_nothing(logprobs: Any) -> None:
    assert label_probability('{"tone": "good"}', logprobs, "tone", WHOLE) is None


def test_a_field_that_is_not_there_has_no_probability() -> None:
    text = '{"tone": "good"}'
    assert label_probability(text, spelled(text, {}), "other", (("*", "label"),)) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from([0, 2]),
)
def test_any_json_is_read_without_losing_the_way(value: Any, indent: int) -> None:
    text = json.dumps({"a": value, "b": "x"}, indent=indent, ensure_ascii=False)
    told = tokens(*((sign, 0.5 if sign == "x" else 1.0) for sign in text), with_bytes=False)
    for paths in (WHOLE, (("*", "label"),), (("a", "*"),)):
        found = label_probability(text, told, "a", paths)
        assert found is None or 0 < found <= 1
    whole = label_probability(text, told, "b", WHOLE)
    assert whole == pytest.approx(0.5)


def test_agreement_is_the_share_of_samples_that_say_the_same() -> None:
    assert agreement("a", ["a", "b", "a", "a"]) == 0.75
    assert agreement("a", ["a"]) is None


def test_a_prediction_is_as_sure_as_its_controls_together() -> None:
    def region(name: str, score: float | None) -> Region:
        return Region(name, "text", "choices", {"choices": ["a"]}, score=score)

    assert joint([region("a", 0.5), region("a", 0.5), region("b", 0.8), region("c", None)]) == pytest.approx(0.4)
    assert joint([region("c", None)]) is None


def test_a_calibration_interpolates_and_holds_on_beyond_its_ends() -> None:
    table = Calibration(((0.2, 0.1), (0.6, 0.5), (1.0, 0.9)), 100)
    assert [table(score) for score in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)] == pytest.approx([0.1, 0.1, 0.3, 0.5, 0.7, 0.9])
    assert Calibration.from_json(json.loads(json.dumps(table.to_json()))) == table


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"knots": []},
        {"knots": [[0.5, 0.5], [0.5, 0.6]]},
        {"knots": [[0, 0.9], [1, 0.1]]},
        {"knots": [[0, 2]]},
        {"knots": 3},
    ],
)
def test_what_is_no_calibration_is_refused(raw: Any) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        Calibration.from_json(raw)
