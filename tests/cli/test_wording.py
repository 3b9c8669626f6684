"""Words for a terminal."""

import pytest

from llm_backend.cli.wording import plain, time_left


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0 s"),
        (7.4, "7 s"),
        (59.6, "1 min 0 s"),
        (200.0, "3 min 20 s"),
        (3600.0, "1 h 0 min"),
        (7530.0, "2 h 5 min"),
    ],
)
def test_a_time_is_told_in_two_units_at_most(seconds: float, told: str) -> None:
    assert time_left(seconds) == told


def test_a_text_becomes_one_line_that_no_terminal_obeys() -> None:
    assert plain("a\x1b[31mb\r\n\tc\u202e d") == "a [31mb c d"
