"""Which corrections go along with a question."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.examples import Asked, Correction, Pool, TokenMeter


def correction(ident: int, text: str, label: str = "good", **more: Any) -> Correction:
    return Correction(str(ident), {"text": text}, {"tone": label}, task=ident, **more)


def pool(*corrections: Correction) -> Pool:
    return Pool(corrections, lambda one: one.data["text"])


def asked(text: str, ident: int | None = None, data: Mapping[str, Any] | None = None) -> Asked:
    return Asked({"text": text} if data is None else data, text, ident)


def ids(chosen: tuple[Correction, ...]) -> list[str]:
    return [one.annotation for one in chosen]


def test_the_nearest_by_its_words_stands_last_next_to_the_question() -> None:
    held = pool(
        correction(1, "The parcel arrived broken."),
        correction(2, "My invoice shows the wrong sum."),
        correction(3, "A parcel is missing."),
    )
    assert ids(held.choose(asked("The invoice has a wrong sum"), 1)) == ["2"]
    assert ids(held.choose(asked("The parcel arrived late and broken"), 2)) == ["3", "1"]


def test_a_task_never_sees_its_own_answer() -> None:
    held = pool(correction(1, "red green blue"), correction(2, "red green blue"), correction(3, "yellow"))
    assert "1" not in ids(held.choose(asked("red green blue", 1, {"text": "changed since"}), 3))
    assert ids(held.choose(asked("red green blue"), 3)) == ["3"]


def test_near_duplicates_are_left_out_where_the_measure_must_be_honest() -> None:
    text = "The quick brown fox jumps over the lazy dog near the river bank today"
    held = pool(correction(1, text + "!"), correction(2, "The lazy dog sleeps"))
    assert ids(held.choose(asked(text), 2)) == ["2", "1"]
    assert ids(held.choose(asked(text), 2, apart=True)) == ["2"]


@pytest.mark.parametrize(
    ("text", "ident", "found"),
    [
        pytest.param("The quick brown fox jumps over the lazy dog near the river bank today!", None, True, id="near"),
        pytest.param("Something else", 1, True, id="the task itself"),
        pytest.param("A quick dog", None, False, id="another"),
        pytest.param("", None, False, id="nothing"),
    ],
)
def test_a_pool_knows_whether_it_holds_a_task_or_one_like_it(text: str, ident: int | None, found: bool) -> None:
    words = "the quick brown fox jumps over the lazy dog near the river bank today"
    held = pool(correction(1, words), correction(2, "lazy dog"), correction(3, "something other"))
    assert held.has_like(asked(text, ident)) == found
    assert not pool().has_like(asked(text, ident))
    assert pool(*(correction(n, f"text {n}") for n in range(9))).without(["0", "1", "2"]).has_like(asked("", 8))
    assert not held.without(["1"]).has_like(asked(text, ident))


def test_examples_are_spread_over_the_labels() -> None:
    alike = [correction(n, f"good film number {n} with fine actors", "good") for n in range(6)]
    other = correction(9, "a film with fine actors, and yet dull", "bad")
    chosen = pool(*alike, other).choose(asked("good film with fine actors"), 4)
    assert {one.answers["tone"] for one in chosen} == {"good", "bad"}


def test_examples_keep_within_the_budget_of_tokens() -> None:
    held = pool(correction(1, "word " * 4000), correction(2, "a word or two"))
    assert ids(held.choose(asked("word"), 2, budget=100)) == ["2"]
    assert held.choose(asked("word"), 2, budget=0) == ()


def test_what_is_too_large_makes_room_for_the_next_best() -> None:
    held = pool(correction(1, "word " * 4000), correction(2, "a word or two"), correction(3, "some other words"))
    assert ids(held.choose(asked("word"), 1, budget=100)) == ["2"]
    texts = [correction(n, f"word number {n} " + "and so on " * 20) for n in range(10, 20)]
    chosen = pool(*texts, correction(1, "a word"), correction(2, "a word or two")).choose(asked("word"), 4, budget=75)
    assert len(chosen) == 3
    assert {"1", "2"} < set(ids(chosen))


def test_a_budget_counts_in_the_tokens_seen() -> None:
    meter = TokenMeter()
    assert meter.tokens_in(400) == 100
    for _ in range(50):
        meter.note(1000, 1000)
    assert meter.tokens_in(400) == pytest.approx(400)
    held = pool(correction(1, "word " * 60))
    assert ids(held.choose(asked("word"), 1, budget=120)) == ["1"]
    assert ids(held.choose(asked("word"), 1, budget=120, meter=meter)) == []


def test_what_was_merely_accepted_or_shows_no_text_is_no_example() -> None:
    empty = Correction("3", {"text": "words"}, {})
    held = pool(correction(1, "words", accepted=True), correction(2, " "), empty)
    assert len(held) == 0
    assert held.choose(asked("words"), 5) == ()


def test_scripts_without_spaces_are_compared_by_their_signs() -> None:
    held = pool(correction(1, "这部电影很好看"), correction(2, "发票金额错误"))
    assert ids(held.choose(asked("电影不好看"), 1)) == ["1"]
    assert ids(held.choose(asked("金额是错误的"), 1)) == ["2"]


def test_relevant_examples_are_found_among_many() -> None:
    draw = random.Random(7)
    topics = [[f"topic{t}word{w}" for w in range(30)] for t in range(20)]

    def text(topic: int) -> str:
        return " ".join(draw.choices(topics[topic], k=12) + draw.choices(["the", "a", "of", "and"], k=12))

    held = pool(*(correction(n, text(n % 20), label=str(n % 20)) for n in range(200)))
    chosen = [held.choose(asked(text(topic)), 3)[-1] for topic in range(20)]
    assert [one.answers["tone"] for one in chosen] == [str(topic) for topic in range(20)]


@given(st.lists(st.text(max_size=40), max_size=12), st.text(max_size=40), st.integers(0, 6))
def test_no_more_than_wanted_no_repeats_and_never_the_task(texts: list[str], text: str, most: int) -> None:
    chosen = pool(*(correction(n, held) for n, held in enumerate(texts))).choose(asked(text), most)
    assert len(chosen) <= most
    assert len(set(ids(chosen))) == len(chosen)
    assert all(one.data["text"] != text for one in chosen)
