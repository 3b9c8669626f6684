"""How far do two rankings of the same things say the same, and what do they say together?"""

from collections.abc import Sequence
from itertools import combinations


def pairs_alike(first: Sequence[str], other: Sequence[str]) -> tuple[int, int]:
    """How many pairs of things two rankings put in the same order, and how many pairs there are."""
    place = {ident: at for at, ident in enumerate(other)}
    pairs = list(combinations(first, 2))
    return sum(place[better] < place[worse] for better, worse in pairs), len(pairs)


def tau(alike: int, pairs: int) -> float:
    """Kendall's tau (1938): from 1, the same ranking, to -1, the reverse; of a single thing 1."""
    return 2 * alike / pairs - 1 if pairs else 1.0


def mean_ranking(first: Sequence[str], other: Sequence[str]) -> list[str]:
    """By the mean of both ranks (Borda's count); what they leave even stands as in the first."""
    place = {ident: at for at, ident in enumerate(other)}
    ranks = {ident: at + place[ident] for at, ident in enumerate(first)}
    return sorted(first, key=lambda ident: ranks[ident])
