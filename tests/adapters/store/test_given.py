"""What is remembered in memory of what was handed over: bounded in time and number."""

from llm_backend.adapters.store.given import REMEMBERED_SECONDS, Given
from tests.adapters.store.homes import Clock

ASKED = 1_000.0


def remembered(given: Given, *digests: str) -> set[str]:
    return {digest for digest in digests if given.since("1.1", "m-1", digest, ASKED)}


def test_hand_overs_are_forgotten_with_time() -> None:
    clock = Clock(ASKED)
    given = Given(clock)
    given.give("1.1", "m-1", ["a"], ASKED)
    clock.now += REMEMBERED_SECONDS
    given.give("1.1", "m-1", ["b"], ASKED)
    assert remembered(given, "a", "b") == {"a", "b"}
    clock.now += 1
    given.give("1.1", "m-1", ["c"], ASKED)
    assert remembered(given, "a", "b", "c") == {"b", "c"}


def test_oldest_hand_overs_give_way_to_newer_ones() -> None:
    clock = Clock(ASKED)
    given = Given(clock, most=3)
    for digest in "abcd":
        clock.now += 1
        given.give("1.1", "m-1", [digest], ASKED)
    given.give("1.1", "m-1", ["b"], clock.now)  # asked once more, and so among the newest
    clock.now += 1
    given.give("1.1", "m-1", ["e"], ASKED)
    assert remembered(given, *"abcde") == {"b", "d", "e"}


def test_clock_that_is_set_back_keeps_nobody_from_an_answer() -> None:
    clock = Clock(ASKED)
    given = Given(clock)
    given.give("1.1", "m-1", ["a"], ASKED)
    clock.now -= 300
    assert given.give("1.1", "m-1", ["a"], clock.now) == {"a"}


def test_clock_that_is_set_back_keeps_nobody_from_what_is_held() -> None:
    clock = Clock(ASKED)
    given = Given(clock)
    given.hold("1.1", "m-1", ["a"], "one", 15.0)
    clock.now -= 3_600
    assert given.give("1.1", "m-1", ["a"], clock.now) == {"a"}
