"""Whatever a model says, nothing but a sentence or a result that can be sent comes of it: for every control."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.core.predictor import Outcome
from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError
from tests.support.rich import RICH, Asked, asked

COMPLETIONS = 10_000

# What comes near the truth is as telling as nonsense.
WORDS = (
    *("Good", "good ", "g", "Bad", "A > D", "A", "a", "E", "B / C", ["A", "D"], "Drei", "3", "Vier 🚀", "left"),
    *("Person", "PER", "Place", "time 🕑", "X", "Head", "Body", "Asks", "knows", "text", "page", "c c", "2", 2, "a"),
    *("right", "hello", "HELLO", "“hello”", "Zoë", "Cafe\u0301 Noir", "Café Noir"),
    *("👩‍👩‍👧", "👩", "\u200d", "שלום", "\r\n", "\n", "twice"),
    *("2024-05-17", "2024-02-30", "24:00", "null", "NaN", "\ud800", "\u0000", " ", "", "{", "x" * 5000),
    *(-1, 0, 1, 2, 3, 99, 100, 100.1, 1e308, 10**40, 0.5, 2.25, 7, 8, None, True, False),
)
LEAVES = st.one_of(
    st.sampled_from(WORDS),
    st.text(st.characters(), max_size=8),
    st.integers(-3, 130),
    st.floats(-10, 110),
    st.sampled_from([[], {}, [[]], [{}], [None], {"id": 1}, {"quote": "hello"}, {"from": 1, "to": 1}]),
)
EDITS = st.tuples(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 6), LEAVES)
TOLD: tuple[Callable[[str, int], str], ...] = (
    lambda text, n: text,
    lambda text, n: text,
    lambda text, n: text,
    lambda text, n: f"Sure!\n```json\n{text}\n```\nMore?",
    lambda text, n: text[: n % (len(text) + 1)],
    lambda text, n: f"{text} or rather {text.replace('1', '2')}",
    lambda text, n: text.replace(":", ": NaN ,", 1),
    lambda text, n: text[: n % 40],
)


@pytest.mark.parametrize("name", RICH)
@settings(max_examples=COMPLETIONS // len(RICH))
@given(
    edits=st.lists(EDITS, min_size=1, max_size=4),
    how=st.integers(0, len(TOLD) - 1),
    cut=st.integers(0, 5000),
)
def test_a_bad_answer_makes_nothing_that_cannot_be_sent(
    name: str, edits: list[tuple[int, int, int, JSON]], how: int, cut: int
) -> None:
    case = asked(name)
    reply = TOLD[how](json.dumps(edited(case.good, edits)), cut)
    outcome, failure = told(case, reply)
    assert "\n" not in failure
    assert outcome.wrong == ()
    assert {region.from_name for region in outcome.regions} <= case.names
    json.dumps([region.to_json() for region in outcome.regions], allow_nan=False).encode("utf-8")
    assert all("\n" not in fault for fault in outcome.faults)


def told(case: Asked, reply: str) -> tuple[Outcome, str]:
    """What comes of a reply, or why nothing does. A bad answer raises nothing else."""
    try:
        return case.told(reply), ""
    except AnswerError as exc:
        return Outcome((), wrong=exc.wrong), exc.sentence


def edited(good: JSON, edits: list[tuple[int, int, int, JSON]]) -> JSON:
    """A copy with some of its parts replaced, dropped, doubled, wrapped or swapped."""
    whole = {"": copy.deepcopy(good)}
    for first, second, kind, leaf in edits:
        places = list(_places(whole))
        holder, key = places[first % len(places)]
        other, at = places[second % len(places)]
        if kind == 0 and isinstance(holder, list):
            holder.insert(key, copy.deepcopy(other[at]))
        elif kind == 1 and key != "":
            del holder[key]
        elif kind == 2:
            holder[key] = [holder[key]]
        elif kind == 3:
            holder[key] = copy.deepcopy(other[at])
        else:
            holder[key] = copy.deepcopy(leaf)
    return whole[""]


def _places(held: Any) -> Iterator[tuple[Any, Any]]:
    """Every part of a JSON value, as what holds it and under which key."""
    keys = list(held) if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
    for key in keys:
        yield held, key
        yield from _places(held[key])
