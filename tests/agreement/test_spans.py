"""How far do two agree on stretches of a text, a sound or a series?"""

import pytest

from llm_backend.agreement.spans import Span, by_overlap, exactly, overlap


def span(start: float, end: float, label: str = "PER", where: str = "text") -> Span:
    return Span((where,), start, end, label)


def test_what_is_shared_needs_the_same_label_and_the_same_object() -> None:
    assert overlap([span(0, 10)], [span(5, 15)]) == 0.5
    assert overlap([span(0, 10)], [span(0, 10, "ORG")]) == 0.0
    assert overlap([span(0, 10)], [span(0, 10, where="title")]) == 0.0


def test_what_is_marked_twice_counts_once() -> None:
    assert overlap([span(0, 10)], [span(0, 6), span(4, 10)]) == 1.0


def test_marking_nothing_agrees_with_nothing_only() -> None:
    assert overlap([], []) == 1.0
    assert overlap([span(0, 1)], []) == 0.0
    found = by_overlap([[[]]], [[]])
    assert found.f1.value is None


def test_exact_matches_are_counted_over_tasks_and_people() -> None:
    people = [[[span(0, 3), span(5, 9)], [span(0, 3)]], [[span(1, 2)]]]
    found = exactly(people, [[span(0, 3)], [span(7, 9)]])
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 4)
