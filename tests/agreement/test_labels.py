"""How well do two agree on labels?"""

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from llm_backend.agreement.labels import Cell, Labels, accuracy, alpha, by_label, confusion, kappa
from llm_backend.agreement.resampling import Estimate


def one(*labels: str | int) -> list[Labels]:
    return [(label,) for label in labels]


def judged(rng: np.random.Generator, tasks: int, kept: float, labels: int = 3) -> tuple[list[Labels], list[Labels]]:
    """People's labels and a model's that repeats them with probability `kept`, and else guesses evenly."""
    people = rng.integers(labels, size=tasks)
    model = np.where(rng.random(tasks) < kept, people, rng.integers(labels, size=tasks))
    return one(*map(str, people)), one(*map(str, model))


def test_a_planted_kappa_lies_within_its_interval_in_90_of_100_simulations() -> None:
    # With labels spread evenly on both sides, chance agreement is 1/3 and kappa is the share that was kept.
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(100):
        found = kappa(*judged(rng, 200, kept=0.6))
        assert found.low is not None
        assert found.high is not None
        hits += found.low <= 0.6 <= found.high
        assert found.high - found.low < 0.25, "an interval that always holds it would tell nothing"
    assert hits >= 90


PLANTED = [
    # How often each label is given, how often the model repeats people, and how many tasks there are.
    pytest.param([1 / 3] * 3, 0.6, 200, id="even labels"),
    pytest.param([0.7, 0.2, 0.1], 0.97, 60, id="hardly ever wrong"),
    pytest.param([0.5, 0.5], 0.97, 30, id="hardly ever wrong on few tasks"),
    pytest.param([0.9, 0.1], 0.9, 60, id="a rare label"),
    pytest.param([0.9, 0.1], 0.0, 60, id="by chance alone"),
]


@pytest.mark.parametrize("measure", ["kappa", "weighted kappa", "alpha", "alpha of stars"])
@pytest.mark.parametrize(("often", "kept", "tasks"), PLANTED)
def test_what_was_planted_lies_within_its_interval_in_90_of_100_simulations(
    often: list[float], kept: float, tasks: int, measure: str
) -> None:
    """A model that repeats people's label so often, and else draws one as they do, has that share as its kappa."""
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(100):
        people = rng.choice(len(often), size=tasks, p=often)
        model = np.where(rng.random(tasks) < kept, people, rng.choice(len(often), size=tasks, p=often))
        first, second = one(*people.tolist()), one(*model.tolist())
        if "kappa" in measure:
            found = kappa(first, second, weighted=measure == "weighted kappa")
        else:
            found = alpha(list(zip(first, second, strict=True)), interval=measure == "alpha of stars")
        if found.value is not None:
            assert found.low is not None
            assert found.high is not None
            hits += found.low <= kept <= found.high
    assert hits >= 90


def test_agreeing_throughout_is_no_certainty_of_kappa() -> None:
    for found in (
        kappa(one(*"aabbaabbab"), one(*"aabbaabbab")),
        kappa(one(*[1, 2, 1, 2, 1, 2]), one(*[1, 2, 1, 2, 1, 2]), weighted=True),
        alpha([one("a", "a"), one("b", "b"), one("a", "a", "a")]),
    ):
        assert found.value == found.high == 1.0
        assert found.low is not None
        assert -1 <= found.low < 0.6


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_are_those_of_the_libraries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.integers(1, 6, size=(2, 60))
    people, model = one(*first.tolist()), one(*second.tolist())
    assert kappa(people, model).value == pytest.approx(cohen_kappa_score(first, second))
    weighted = cohen_kappa_score(first, second, weights="quadratic", labels=range(1, 6))
    assert kappa(people, model, weighted=True).value == pytest.approx(weighted)
    for level in ("nominal", "interval"):
        found = alpha(list(zip(people, model, strict=True)), interval=level == "interval")
        assert found.value == pytest.approx(krippendorff.alpha(np.stack([first, second]), level_of_measurement=level))


@pytest.mark.parametrize("interval", [False, True])
def test_what_is_too_large_for_the_library_gets_the_same_alpha(interval: bool) -> None:
    rng = np.random.default_rng(1)
    units = [one(*rng.integers(1, 5, size=rng.integers(1, 4)).tolist()) for _ in range(50)]
    told, found = alpha(units, interval), alpha(units, interval, library=0)
    assert found.value == pytest.approx(told.value)
    assert (found.low, found.high) == (told.low, told.high)


def test_kappa_does_not_depend_on_the_order_of_tasks_nor_on_the_run() -> None:
    people, model = judged(np.random.default_rng(2), 50, kept=0.5)
    assert kappa(people, model) == kappa(people, model)
    assert kappa(people[::-1], model[::-1]).value == pytest.approx(kappa(people, model).value)


def test_where_all_is_one_label_kappa_and_alpha_are_undefined_and_accuracy_is_not() -> None:
    same = one("good", "good", "good")
    assert kappa(same, same) == Estimate()
    assert kappa(one(3, 3), one(3, 3), weighted=True) == Estimate()
    assert alpha(list(zip(same, same, strict=True))) == Estimate()
    assert accuracy(same, same).value == 1.0


def test_where_a_side_gives_one_label_only_kappa_is_nought() -> None:
    assert kappa(one("a", "b", "a", "b"), one("a", "a", "a", "a")).value == 0.0


def test_agreement_throughout_is_not_certainty() -> None:
    found = accuracy(one(*"aaaaaaaaaa"), one(*"aaaaaaaaaa"))
    assert found.value == found.high == 1.0
    assert found.low == pytest.approx(0.722, abs=0.001)  # Wilson's for 10 of 10


def test_nothing_and_a_single_task_have_no_interval() -> None:
    assert accuracy([], []) == kappa([], []) == alpha([]) == Estimate()
    assert accuracy(one("a"), one("a")) == Estimate(1.0)
    assert kappa(one("a"), one("b")) == Estimate(0.0)


def test_precision_and_recall_of_each_label() -> None:
    people = [("a",), ("a",), ("b",), ("c",)]
    model = [("a",), ("b",), ("b",), ("d",)]
    a, b, c, d = by_label(people, model)
    assert (a.label, a.precision, a.recall, a.people, a.model) == ("a", 1.0, 0.5, 2, 1)
    assert (b.label, b.precision, b.recall) == ("b", 0.5, 1.0)
    assert (c.label, c.precision, c.recall, c.f1) == ("c", None, 0.0, 0.0)
    assert (d.label, d.precision, d.recall, d.f1) == ("d", 0.0, None, 0.0)


def test_stars_stand_in_their_order_and_other_labels_by_how_often_they_were_given() -> None:
    assert [row.label for row in by_label(one(5, 5, 1), one(5, 3, 1))] == [1, 3, 5]
    assert [row.label for row in by_label(one("b", "a", "b"), one("a", "a", "c"))] == ["b", "a", "c"]


def test_sets_count_label_by_label_and_have_no_confusion_matrix() -> None:
    people: list[Labels] = [("a", "b"), (), ("b",)]
    model: list[Labels] = [("a",), (), ("b", "c")]
    found = {figures.label: (figures.precision, figures.recall) for figures in by_label(people, model)}
    assert found == {"a": (1.0, 1.0), "b": (1.0, 0.5), "c": (0.0, None)}
    assert confusion(people, model) == ()
    assert accuracy(people, model).value == pytest.approx(1 / 3)


def test_an_empty_answer_is_an_answer_of_its_own() -> None:
    people: list[Labels] = [("a",), (None,)]
    model: list[Labels] = [(None,), (None,)]
    assert set(confusion(people, model)) == {Cell("a", None, 1), Cell(None, None, 1)}
