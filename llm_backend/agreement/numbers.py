"""How far are two apart in numbers?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llm_backend.agreement.resampling import Estimate, Groups, mean


@dataclass(frozen=True, slots=True)
class Errors:
    """How far the model's numbers lie from people's.

    Attributes:
        absolute: Mean absolute error.
        signed: Mean error: above 0 where the model's are larger.
    """

    absolute: Estimate
    signed: Estimate


def errors(people: Sequence[float], model: Sequence[float], groups: Groups = None) -> Errors:
    """Compare numbers, pair by pair."""
    apart = np.array(model, dtype=float) - np.array(people, dtype=float)
    return Errors(mean(np.abs(apart), groups), mean(apart, groups))
