"""Which of the model's regions is which of a person's?"""

import pytest

from llm_backend.agreement.labels import Cell
from llm_backend.agreement.marks import Mark, Marks, Point, Stretch, Stretches
from llm_backend.agreement.matching import Matching, by_label, confusion, matched, places


def stretch(start: float, end: float, *labels: str) -> Mark:
    return Mark(Stretches((Stretch(("sound",), start, end),)), labels or ("Speech",))


def dot(x: float, y: float, label: str = "Eye") -> Mark:
    return Mark(Point(("page", 0), x, y), (label,))


def same(people: Marks, model: Marks) -> list[tuple[int, int]]:
    return [(pair.people, pair.model) for pair in matched(people, model).same]


def test_each_region_is_matched_once() -> None:
    people, model = (stretch(0, 10),), (stretch(0, 9), stretch(0, 10), stretch(1, 10))
    assert same(people, model) == [(0, 1)]
    assert same(model, people) == [(1, 0)]


def test_all_together_are_as_near_as_can_be() -> None:
    # The nearest pair of all, 2 and 0, would leave a person's 0-10 without any.
    people, model = (stretch(0, 10), stretch(2, 12)), (stretch(2, 11.9), stretch(4, 13))
    assert same(people, model) == [(0, 0), (1, 1)]


def test_less_than_half_shared_is_another_place() -> None:
    assert same((stretch(0, 10),), (stretch(5, 10),)) == [(0, 0)]
    assert same((stretch(0, 10),), (stretch(5.1, 10),)) == []


def test_another_label_is_told_as_such_and_is_no_match() -> None:
    people, model = (stretch(0, 10, "Cat"), stretch(20, 30, "Cat")), (stretch(0, 10, "Dog"), stretch(20, 30, "Cat"))
    found = matched(people, model)
    assert [(pair.people, pair.model) for pair in found.same] == [(1, 1)]
    assert [(pair.people, pair.model, pair.nearness) for pair in found.relabelled] == [(0, 0, 1.0)]
    assert found.quality == 0.5


def test_marking_nothing_agrees_with_nothing_only() -> None:
    assert matched((), ()).quality == 1.0
    assert matched((stretch(0, 1),), ()).quality == 0.0
    assert matched((), (stretch(0, 1),)).quality == 0.0


def tasks() -> list[list[Matching]]:
    """Two tasks: in the first one of two is found, and half of it; in the second a place too many and one renamed."""
    first = matched((stretch(0, 10, "Cat"), stretch(50, 60, "Dog")), (stretch(0, 5, "Cat"),))
    second = matched((stretch(0, 10, "Cat"),), (stretch(0, 10, "Dog"), stretch(70, 80, "Cat")))
    return [[first], [second]]


def test_places_are_counted_over_tasks() -> None:
    found = places(tasks())
    assert (found.people, found.model, found.matched) == (3, 3, 1)
    assert (found.found.precision.value, found.found.recall.value) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert found.iou is not None
    assert found.iou.value == 0.5
    assert found.distance is None


def test_points_have_a_distance() -> None:
    found = places([[matched((dot(10, 10), dot(50, 50)), (dot(13, 14), dot(90, 90)))]], points=True)
    assert (found.matched, found.iou) == (1, None)
    assert found.distance is not None
    assert found.distance.value == pytest.approx(5.0)


def test_the_model_is_held_against_every_person() -> None:
    model = (stretch(0, 10),)
    found = places([[matched((stretch(0, 10),), model), matched((), model)]])
    assert (found.people, found.model, found.matched) == (1, 2, 1)


def test_matching_throughout_is_no_certainty() -> None:
    found = places([[matched((stretch(0, 10),), (stretch(0, 10),))]] * 5).found.f1
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.566, abs=0.001)  # Wilson's for 5 of 5


def test_nothing_at_all_is_undefined() -> None:
    found = places([])
    assert found.iou is not None
    assert (found.matched, found.found.f1.value, found.iou.value) == (0, None, None)
    assert by_label([]) == confusion([]) == ()


def test_labels_fare_by_the_places_that_have_them() -> None:
    cat, dog = by_label(tasks())
    assert (cat.label, cat.people, cat.model, cat.precision, cat.recall) == ("Cat", 2, 2, 0.5, 0.5)
    assert (dog.label, dog.people, dog.model, dog.precision, dog.recall) == ("Dog", 1, 1, 0.0, 0.0)
    assert set(confusion(tasks())) == {
        Cell("Cat", "Cat", 1),
        Cell("Dog", None, 1),
        Cell("Cat", "Dog", 1),
        Cell(None, "Cat", 1),
    }


def test_of_several_labels_each_counts_for_itself() -> None:
    found = [[matched((stretch(0, 10, "Big", "Cat"),), (stretch(0, 10, "Cat"),))]]
    assert places(found).matched == 0
    big, cat = by_label(found)
    assert (big.recall, big.precision, cat.recall, cat.precision) == (0.0, None, 1.0, 1.0)
