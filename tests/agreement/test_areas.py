"""How much of two areas on a picture is shared?"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.agreement.areas import Corners, corners_of, overlap
from llm_backend.core.wire import Region

SQUARE: Corners = ((0, 0), (10, 0), (10, 10), (0, 10))
# A U, open at the top: 10 wide and high, less a slot of 4 by 8.
CLASP: Corners = ((0, 0), (3, 0), (3, 8), (7, 8), (7, 0), (10, 0), (10, 10), (0, 10))


def moved(corners: Corners, right: float, down: float = 0) -> Corners:
    return tuple((x + right, y + down) for x, y in corners)


def shape(kind: str = "rectanglelabels", proportions: float | None = None, **value: Any) -> Corners | None:
    return corners_of(Region("a", "page", kind, value, "r", proportions=proportions))


def area(corners: Corners) -> float:
    """By the shoelace formula."""
    following = (*corners[1:], corners[0])
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, following, strict=True))) / 2


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        pytest.param(SQUARE, SQUARE, 1, id="the same"),
        pytest.param(SQUARE, SQUARE[::-1], 1, id="the same the other way round"),
        pytest.param(SQUARE, SQUARE[2:] + SQUARE[:2], 1, id="the same from another corner"),
        pytest.param(SQUARE, moved(SQUARE, 5), 50 / 150, id="half"),
        pytest.param(SQUARE, moved(SQUARE, 5, 5), 25 / 175, id="a quarter"),
        pytest.param(SQUARE, moved(SQUARE, 10), 0, id="side by side"),
        pytest.param(SQUARE, moved(SQUARE, 30), 0, id="apart"),
        pytest.param(SQUARE, ((2, 2), (4, 2), (4, 4), (2, 4)), 4 / 100, id="inside"),
        pytest.param(SQUARE, ((0, 0), (10, 0), (0, 10)), 0.5, id="a triangle"),
        pytest.param(((0, 0), (10, 0), (0, 10)), ((10, 0), (10, 10), (0, 0)), 25 / 75, id="two triangles"),
        pytest.param(CLASP, SQUARE, 68 / 100, id="concave"),
        pytest.param(CLASP, ((3, 0), (7, 0), (7, 8), (3, 8)), 0, id="in the slot of a clasp"),
        pytest.param(CLASP, moved(CLASP, 4), 12 / (68 + 68 - 12), id="two clasps"),
        pytest.param(SQUARE, ((0, 0), (10, 10), (10, 0), (0, 10)), 0.5, id="crossing itself"),
        pytest.param(SQUARE, ((5, -2), (12, 5), (5, 12), (-2, 5)), 82 / 116, id="a lozenge over its sides"),
    ],
)
def test_what_is_shared_of_what_is_covered(first: Corners, second: Corners, share: float) -> None:
    assert overlap(first, second) == pytest.approx(share)
    assert overlap(second, first) == pytest.approx(share)


coordinate = st.integers(0, 20).map(float)
polygon = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=7, unique=True).map(tuple)


@settings(deadline=None)
@given(polygon, polygon)
def test_it_is_what_counting_small_squares_comes_to(first: Corners, second: Corners) -> None:
    centres = (np.arange(400) + 0.5) / 20
    ours, theirs = (_inside(corners, centres) for corners in (first, second))
    union = (ours | theirs).sum()
    counted = (ours & theirs).sum() / union if union else 0.0
    # What the squares along the edges may be off by, where little is covered.
    assert overlap(first, second) == pytest.approx(counted, abs=min(1.0, 0.02 + 60 / max(union, 1)))


def _inside(corners: Corners, centres: Any) -> Any:
    """Which of a grid's squares lie inside by their middle: to whose left an odd number of edges is."""
    inside = np.zeros((len(centres), len(centres)), dtype=bool)
    x, y = centres[np.newaxis], centres[:, np.newaxis]
    for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if y1 != y2:
            inside ^= ((y1 > y) != (y2 > y)) & (x > x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    return inside


def test_boxes_are_told_by_their_corner_and_size() -> None:
    assert shape(x=10, y=20, width=30, height=25.5, rotation=0) == ((10, 20), (40, 20), (40, 45.5), (10, 45.5))


def test_a_box_is_turned_about_its_corner_in_the_pictures_pixels() -> None:
    # On a picture of 200 by 100 pixels, a box of 40 by 20 pixels at (100, 50), turned right by 90 degrees: 20 by 40.
    turned = shape(x=50, y=50, width=20, height=20, rotation=90, proportions=2.0)
    assert turned is not None
    assert np.allclose(turned, ((50, 50), (50, 90), (40, 90), (40, 50)))
    square = shape(x=50, y=50, width=20, height=20, rotation=90)
    assert square is not None
    assert np.allclose(square, ((50, 50), (50, 70), (30, 70), (30, 50)))


def test_a_whole_turn_changes_nothing() -> None:
    value = {"x": 10, "y": 20, "width": 30, "height": 25}
    turned, upright = shape(**value, rotation=360, proportions=1.5), shape(**value)
    assert turned is not None
    assert upright is not None
    assert overlap(turned, upright) == pytest.approx(1.0)


def test_an_ellipse_is_as_large_as_it_is() -> None:
    oval = shape("ellipselabels", x=50, y=50, radiusX=20, radiusY=10, rotation=0)
    assert oval is not None
    assert area(oval) == pytest.approx(math.pi * 200)
    around = shape(x=30, y=40, width=40, height=20)
    assert around is not None
    assert overlap(oval, around) == pytest.approx(math.pi / 4, abs=1e-3)
    lying = shape("ellipselabels", x=50, y=50, radiusX=10, radiusY=20, rotation=90)
    assert lying is not None
    assert overlap(oval, lying) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"x": 1, "y": 2},
        {"x": 1, "y": 2, "width": 0, "height": 5},
        {"x": 1, "y": 2, "width": float("nan"), "height": 5},
        {"x": 1, "y": 2, "width": True, "height": 5},
        {"x": 1, "y": 2, "radiusX": 0, "radiusY": 1},
        {"points": [[0, 0], [1, 1]]},
        {"points": [[0, 0], [1, 1], [0, 0]]},
        {"points": [[0, 0], [1, 1], ["a", 2], [3, 3]]},
        {"points": [[0, 0], 5, [1, 1], [2, 0]]},
    ],
    ids=repr,
)
def test_what_has_no_area_has_no_corners(value: dict[str, Any]) -> None:
    assert shape(**value) is None
