"""How far do two agree on stretches of a text, a sound or a series?"""

from llm_backend.agreement.spans import Span, Sums, by_length, same, summed


def span(start: float, end: float, label: str = "PER", where: str = "text") -> Span:
    return Span((where,), start, end, label)


def test_what_is_shared_needs_the_same_label_and_the_same_object() -> None:
    assert by_length([span(0, 10)], [span(5, 15)]).f1 == 0.5
    assert by_length([span(0, 10)], [span(0, 10, "ORG")]) == Sums(0, 10, 10)
    assert by_length([span(0, 10)], [span(0, 10, where="title")]).f1 == 0.0
    assert by_length([span(0, 2), span(4, 6), span(8, 10)], [span(1, 5), span(9, 20)]) == Sums(3, 15, 6)


def test_what_is_marked_twice_counts_once() -> None:
    assert by_length([span(0, 10)], [span(0, 6), span(4, 10)]).f1 == 1.0


def test_marking_nothing_agrees_with_nothing_only() -> None:
    assert by_length([], []).f1 == 1.0
    assert by_length([span(0, 1)], []).f1 == 0.0


def test_exact_matches_are_counted_over_people() -> None:
    model = [span(0, 3)]
    assert summed(same(people, model) for people in ([span(0, 3), span(5, 9)], [span(0, 3)])) == Sums(2, 2, 3)
