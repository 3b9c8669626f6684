"""Formats are written and read as the editor's d3-time-format does; the texts below were made by it."""

from datetime import datetime

import pytest

from llm_backend.core.controls.time_format import TimeFormat

MOMENT = datetime(2024, 2, 3, 15, 4)  # noqa: DTZ001
DAY = datetime(2024, 2, 3)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("form", "text", "read"),
    [
        ("%Y-%m-%dT%H:%M", "2024-02-03T15:04", MOMENT),
        ("%d.%m.%Y", "03.02.2024", DAY),
        ("%B %-d, %Y", "February 3, 2024", DAY),
        ("%e %b %y", " 3 Feb 24", DAY),
        ("%_d/%_m/%Y", " 3/ 2/2024", DAY),
        ("%c", "2/3/2024, 3:04:00 PM", MOMENT),
        ("%x", "2/3/2024", DAY),
        ("%A %d %B %Y at %I:%M %p", "Saturday 03 February 2024 at 03:04 PM", MOMENT),
        ("%a %j of %Y", "Sat 034 of 2024", DAY),
        ("%Y%m%d", "20240203", DAY),
        ("%d%%%m, %Y", "03%02, 2024", DAY),
        ("%%c %Y", "%c 2024", datetime(2024, 1, 1)),  # noqa: DTZ001
        ("%H:%M:%S.%L %f", "15:04:00.000 000000", datetime(1900, 1, 1, 15, 4)),  # noqa: DTZ001
        ("le %d à %Hh%M", "le 03 à 15h04", datetime(1900, 1, 3, 15, 4)),  # noqa: DTZ001
        ("%I", "03", datetime(1900, 1, 1, 3)),  # noqa: DTZ001
    ],
)
def test_a_moment_is_written_and_read_back(form: str, text: str, read: datetime) -> None:
    assert TimeFormat(form).write(MOMENT) == text
    assert TimeFormat(form).read(text) == read


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y-%m-%d", "2024"),
        ("%Y-%m-%d", "2024-02-03T15:04"),
        ("%Y-%m-%d", "2024-02-30"),
        ("%Y-%m-%d", ""),
        ("%B", "Febuary"),
        ("%H:%M", "25:00"),
    ],
)
def test_a_text_of_another_form_is_not_read(form: str, text: str) -> None:
    assert TimeFormat(form).read(text) is None


def test_names_are_read_in_any_case() -> None:
    assert TimeFormat("%d %B %Y %p").read("03 FEBRUARY 2024 pm") == datetime(2024, 2, 3, 12)  # noqa: DTZ001


@pytest.mark.parametrize("form", ["%Z", "%s", "%Q", "%V", "%k", "100%"])
def test_what_hangs_on_time_zones_or_weeks_or_is_unknown_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="%"):
        TimeFormat(form)
