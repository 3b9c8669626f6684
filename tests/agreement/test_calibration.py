"""What is the model's word on its own certainty worth, and what is to be made of it?"""

from statistics import median

import numpy as np
import pytest

from llm_backend.agreement.calibration import ENOUGH, Case, calibration_error, certainty, fit, reliability
from llm_backend.agreement.resampling import Estimate
from llm_backend.core.scores import Calibration


def overconfident(rng: np.random.Generator, tasks: int) -> list[Case]:
    """A model that is far too sure, and sees itself better than it is: its log-odds are three times too large."""
    truth = rng.normal(0.4, 0.8, tasks)
    right = rng.random(tasks) < 1 / (1 + np.exp(-truth))
    scores = 1 / (1 + np.exp(-(3 * truth + 1.2)))
    return [Case(float(score), bool(hit)) for score, hit in zip(scores, right, strict=True)]


def in_ranges(rng: np.random.Generator, tasks: int) -> list[Case]:
    """A model whose score is the agreement of five samples, and far too high."""
    scores = rng.choice([0.2, 0.4, 0.6, 0.8, 1.0], tasks, p=[0.05, 0.1, 0.15, 0.2, 0.5])
    right = rng.random(tasks) < 0.15 + 0.5 * scores
    return [Case(float(score), bool(hit)) for score, hit in zip(scores, right, strict=True)]


@pytest.mark.parametrize("model", [overconfident, in_ranges])
def test_a_hundred_corrections_make_scores_probabilities(model: object) -> None:
    assert callable(model)
    raw, mended = [], []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        calibration = fit(model(rng, 100))
        assert calibration is not None
        fresh = model(rng, 10_000)
        raw.append(calibration_error(fresh))
        mended.append(calibration_error([Case(calibration(case.score), case.right) for case in fresh]))
    assert median(raw) >= 0.15
    assert median(mended) <= 0.05


def test_scores_that_are_probabilities_are_left_nearly_as_they_are() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random(5000)
    cases = [Case(float(score), bool(rng.random() < score)) for score in scores]
    calibration = fit(cases)
    assert calibration is not None
    assert all(calibration(score) == pytest.approx(score, abs=0.1) for score in (0.1, 0.3, 0.5, 0.7, 0.9))


def test_the_reliability_of_known_cases() -> None:
    cases = [Case(0.95, True), Case(0.95, False), Case(0.25, False), Case(1.0, True)]
    found = reliability(cases)
    low, high = found.bins
    assert (low.low, low.high, low.count, low.score, low.right) == (0.2, pytest.approx(0.3), 1, 0.25, Estimate(0.0))
    assert (high.count, high.right.value) == (3, pytest.approx(2 / 3))
    assert high.score == pytest.approx(2.9 / 3)
    assert found.ece == pytest.approx((0.25 + (2.9 - 2)) / 4)
    assert found.brier == pytest.approx((0.05**2 + 0.95**2 + 0.25**2) / 4)


@pytest.mark.parametrize(("count", "method"), [(100, "platt"), (1000, "isotonic")])
def test_what_is_measured_after_was_not_fitted_on(count: int, method: str) -> None:
    # A score that says nothing of the outcome: fitted to itself, a table finds some order in it.
    rng = np.random.default_rng(1)
    cases = [Case(float(rng.random()), bool(rng.random() < 0.5)) for _ in range(count)]
    found = certainty(cases)
    assert found is not None
    assert found.after is not None
    assert found.calibration is not None
    fitted = reliability([Case(found.calibration(case.score), case.right) for case in cases])
    assert fitted.brier < 0.25 <= found.after.brier
    assert found.method == method


def test_a_score_that_says_the_contrary_gives_the_plain_accuracy() -> None:
    calibration = fit([Case(0.9 if n % 3 else 0.1, not n % 3) for n in range(90)])
    assert calibration is not None
    assert [calibration(score) for score in (0.0, 0.3, 1.0)] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    "cases",
    [
        [],
        [Case(0.5, bool(n % 2)) for n in range(ENOUGH - 1)],
        [Case(0.5, True)] * 500,
        [Case(0.5, True)] * 500 + [Case(0.5, False)] * 4,
    ],
    ids=["none", "too few", "all right", "hardly any wrong"],
)
def test_too_little_makes_no_calibration(cases: list[Case]) -> None:
    assert fit(cases) is None
    found = certainty(cases)
    assert found is None if not cases else (found is not None and found.after is None)


@pytest.mark.parametrize("count", [60, 5000])
def test_the_table_is_small_and_can_be_stored(count: int) -> None:
    calibration = fit(overconfident(np.random.default_rng(3), count))
    assert calibration is not None
    assert len(calibration.knots) <= 41
    assert calibration.count == count
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_scores_at_the_very_ends_can_be_fitted() -> None:
    calibration = fit([Case(1.0, n % 4 > 0) for n in range(80)] + [Case(0.0, n % 4 == 0) for n in range(80)])
    assert calibration is not None
    assert calibration(1.0) == pytest.approx(0.75, abs=0.05)
    assert calibration(0.0) == pytest.approx(0.25, abs=0.05)
