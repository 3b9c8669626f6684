"""What is the model's word on its own certainty worth, and what is to be made of it?

Measured by the expected calibration error over bins of equal width (Naeini et al. 2015), the Brier score (1950) and the
reliability table that the former is made of. Mended by Platt scaling (1999) on the log-odds of the score, or, with a
thousand cases or more, by isotonic regression: below that it follows the accidents of the sample (Niculescu-Mizil and
Caruana 2005).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.model_selection import StratifiedKFold

from llm_backend.agreement.resampling import Estimate, Numbers, share
from llm_backend.core.scores import Calibration

BINS = 10
ENOUGH = 50
"""Cases that a calibration needs at least, of them some right and some wrong."""
_ENOUGH_OF_EACH = 5
_ISOTONIC_FROM = 1000
_KNOTS = 41
_FOLDS = 5
_NEAREST = 1e-4  # to 0 and 1, where log-odds have no end
_SEED = 20_240_607


@dataclass(frozen=True, slots=True)
class Case:
    """A score that the model gave to an answer, and whether people hold it to be right."""

    score: float
    right: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """The cases whose score lies from `low` to `high`: how sure the model was on average, how often it was right."""

    low: float
    high: float
    count: int
    score: float
    right: Estimate


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far scores are probabilities.

    Attributes:
        ece: Expected calibration error: by how much score and accuracy differ on average, over ten bins of equal
            width. It has no interval: drawn again from a sample, it is too large by its nature.
        brier: Mean squared difference between score and outcome; 0 is best.
        bins: Those that hold any case.
    """

    count: int
    ece: float
    brier: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Certainty:
    """What scores are worth as they are, and what they would be worth recalibrated.

    Attributes:
        after: On cases that the calibration was not fitted on (cross-validation); None where there are too few.
        calibration: Fitted on all cases; None where there are too few.
        method: `platt` or `isotonic`; "" where there are too few.
    """

    before: Reliability
    after: Reliability | None = None
    calibration: Calibration | None = None
    method: str = ""


def certainty(cases: Sequence[Case]) -> Certainty | None:
    """Measure scores, and recalibrate them where there is enough to go by; None where there are none."""
    if not cases:
        return None
    calibration = fit(cases)
    if calibration is None:
        return Certainty(reliability(cases))
    method = "isotonic" if len(cases) >= _ISOTONIC_FROM else "platt"
    return Certainty(reliability(cases), reliability(_held_out(cases)), calibration, method)


def reliability(cases: Sequence[Case]) -> Reliability:
    """Hold scores against outcomes; at least one."""
    scores, right = _arrays(cases)
    at = _bins(scores)
    bins = tuple(_bin(number, scores[at == number], right[at == number]) for number in np.unique(at).tolist())
    return Reliability(len(cases), calibration_error(cases), float(brier_score_loss(right, scores, pos_label=1)), bins)


def calibration_error(cases: Sequence[Case]) -> float:
    """The expected calibration error."""
    scores, right = _arrays(cases)
    gaps = np.bincount(_bins(scores), weights=scores - right, minlength=BINS)
    return float(np.abs(gaps).sum() / len(cases))


def fit(cases: Sequence[Case]) -> Calibration | None:
    """What to make of scores, as a small table; None where there are too few cases.

    A score that says nothing, or the contrary of what it should, makes a table that gives the plain accuracy.
    """
    scores, right = _arrays(cases)
    if len(cases) < ENOUGH or min(right.sum(), len(cases) - right.sum()) < _ENOUGH_OF_EACH:
        return None
    knots = _isotonic(scores, right) if len(cases) >= _ISOTONIC_FROM else _platt(scores, right)
    return Calibration(knots, len(cases))


def _held_out(cases: Sequence[Case]) -> list[Case]:
    """The cases with scores recalibrated by the others: each fold by what the other folds teach."""
    scores, right = _arrays(cases)
    mended = list(cases)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for others, fold in folds.split(scores, right):
        table = _isotonic if len(cases) >= _ISOTONIC_FROM else _platt
        calibration = Calibration(table(scores[others], right[others]), len(others))
        for at in fold:
            mended[at] = Case(calibration(scores[at]), cases[at].right)
    return mended


def _platt(scores: Numbers, right: Numbers) -> tuple[tuple[float, float], ...]:
    model = LogisticRegression().fit(_log_odds(scores), right)
    if model.coef_[0, 0] <= 0:
        return ((0.0, float(right.mean())),)
    # Evenly over the log-odds, so that the table is dense near 0 and 1, where the curve is steep.
    edge = np.log((1 - _NEAREST) / _NEAREST)
    grid = 1 / (1 + np.exp(-np.linspace(-edge, edge, _KNOTS)))
    grid[0], grid[-1] = 0.0, 1.0
    return _table(grid, model.predict_proba(_log_odds(grid))[:, 1])


def _isotonic(scores: Numbers, right: Numbers) -> tuple[tuple[float, float], ...]:
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, right)
    grid = np.unique(model.X_thresholds_)
    if len(grid) > _KNOTS:
        grid = np.unique(np.quantile(scores, np.linspace(0, 1, _KNOTS)))
    return _table(grid, model.predict(grid))


def _table(scores: Numbers, chances: Numbers) -> tuple[tuple[float, float], ...]:
    rising = np.maximum.accumulate(np.clip(chances, 0, 1))
    return tuple((float(score), float(chance)) for score, chance in zip(scores, rising, strict=True))


def _log_odds(scores: Numbers) -> Numbers:
    inside = np.clip(scores, _NEAREST, 1 - _NEAREST)
    return np.asarray(np.log(inside / (1 - inside)))[:, np.newaxis]


def _arrays(cases: Sequence[Case]) -> tuple[Numbers, Numbers]:
    return np.array([case.score for case in cases]), np.array([float(case.right) for case in cases])


def _bins(scores: Numbers) -> NDArray[np.int_]:
    return np.asarray(np.minimum((scores * BINS).astype(int), BINS - 1))


def _bin(number: int, scores: Numbers, right: Numbers) -> Bin:
    return Bin(
        number / BINS, (number + 1) / BINS, len(scores), float(scores.mean()), share(int(right.sum()), len(right))
    )
