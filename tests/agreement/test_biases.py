"""Does a judge of pairs lean towards a place, or towards length?"""

import numpy as np
import pytest

from llm_backend.agreement.biases import Judged, Side, against_people, by_length, by_swapping, lean, mid_p, swapped

OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


def answers(rng: np.random.Generator, flipped: int, noise: float = 0.02) -> list[tuple[Side, Side]]:
    """100 pairs, of which a judge flips some towards the first place, and some others by chance either way."""
    made: list[tuple[Side, Side]] = []
    for number in range(100):
        side: Side = "left" if rng.random() < 0.5 else "right"
        if number < flipped:
            made.append(("left", "left"))
        elif rng.random() < noise:
            made.append((side, side))
        else:
            made.append((side, OTHER[side]))
    return made


@pytest.mark.parametrize(("flipped", "biased"), [(10, True), (0, False)])
def test_a_judge_that_flips_10_of_100_pairs_is_biased_and_one_that_flips_none_is_not(
    flipped: int, biased: bool
) -> None:
    rng = np.random.default_rng(7)
    found = [by_swapping(answers(rng, flipped)).biased for _ in range(100)]
    assert found.count(biased) >= 90


def test_a_judge_whose_every_flip_is_by_chance_is_rarely_called_biased() -> None:
    rng = np.random.default_rng(8)
    found = [by_swapping(answers(rng, 0, noise=0.3)).biased for _ in range(100)]
    assert found.count(False) >= 90


def test_a_lean_to_the_second_place_is_a_bias_too() -> None:
    found = by_swapping([("right", "right")] * 10 + [("left", "right")] * 90)
    assert (found.towards, found.away, found.biased) == (0, 10, True)


def test_pairs_in_both_orders_are_found_in_the_material() -> None:
    told = [
        Judged("a", "b", "left"),
        Judged("c", "d", "left"),
        Judged("b", "a", "left"),
        Judged("d", "c", "right", context="of another question"),
        Judged("e", "e", "left"),
        Judged("b", "a", "right"),
    ]
    assert swapped(told) == [("left", "left")]


def test_a_judge_is_held_against_people_for_sides_and_for_length() -> None:
    long, short = "a long answer", "short"
    told = [Judged(short, long, "right", "left") for _ in range(8)] + [Judged(long, short, "left", "left")]
    assert (by_length(told).towards, by_length(told).away, by_length(told).biased) == (8, 0, True)
    assert (against_people(told).towards, against_people(told).away, against_people(told).biased) == (0, 8, True)
    same = [Judged("same", "size", "left", "right")] * 20
    assert by_length(same).pairs == 0
    assert not by_length(same).biased


def test_the_p_of_a_known_split() -> None:
    assert mid_p(1, 3) == pytest.approx(0.625 - 0.25)  # by hand: 2 (1 + 4) / 16, less 4 / 16
    assert mid_p(10, 0) == pytest.approx(2 / 1024 - 1 / 1024)
    assert mid_p(4, 4) == 1.0


def test_nothing_is_no_bias() -> None:
    assert lean(0, 0, 0).p == 1.0
    assert not by_swapping([]).biased
