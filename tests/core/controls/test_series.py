"""Ranges of time series: between moments that the series has, stored as the editor reads them."""

from typing import Any

import pytest

from llm_backend.core.checks import wrongs
from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.wire import Region
from llm_backend.errors import AnswerError

DAYS = ["2024-01-01", "2024-01-02", "2024-01-05"]


def seen(times: list[Any] | None, attrs: str = "") -> tuple[LabelingConfig, Control, Inputs]:
    named = "" if times is None else 'timeColumn="t"'
    config = parse(
        f'<View><TimeSeries name="s" value="$s" {named} {attrs}><Channel column="a"/></TimeSeries>'
        '<TimeSeriesLabels name="c" toName="s"><Label value="Run"/></TimeSeriesLabels></View>'
    )
    (control,), _ = bind(config, drawing=True)
    series = {"t": times or [], "a": [1.5, 2, 3][: len(times or "xyz")]}
    return config, control, read(config, {"s": series})


def stored(start: Any, end: Any, times: list[Any] | None, attrs: str = "") -> tuple[Any, Any, Any]:
    config, control, inputs = seen(times, attrs)
    made = control.read([{"start": start, "end": end, "label": "Run"}], inputs)
    assert wrongs(config, inputs, made) == []
    (value,) = [region.value for region in made]
    assert value["timeserieslabels"] == ["Run"]
    return value["start"], value["end"], value["instant"]


@pytest.mark.parametrize(
    ("start", "end", "times", "attrs", "held"),
    [
        pytest.param("0", 2, None, "", (0, 2, False), id="rows counted from 0"),
        pytest.param("1", "1", None, "", (1, 1, True), id="an instant"),
        pytest.param(" 1.50 ", "3e0", ["1.5", "2", "3.0"], "", (1.5, 3, False), id="numbers in words"),
        pytest.param(1.5, 3, [1.5, 2, 3.0], "", (1.5, 3, False), id="numbers"),
        pytest.param(DAYS[0], DAYS[2], DAYS, 'timeFormat="%Y-%m-%d"', (DAYS[0], DAYS[2], False), id="dates"),
        pytest.param("2001", "2003", [2001, 2002, 2003], 'timeFormat="%Y"', ("2001", "2003", False), id="years"),
        pytest.param(
            "10:00:00.5", "10:00:01.25", ["10:00:00.5", "10:00:01", "10:00:01.25"], 'timeFormat="%H:%M:%S.%f"',
            ("10:00:00.500000", "10:00:01.250000", False), id="millionths",
        ),
        pytest.param(
            "10:00:00.5", "10:00:01.25", ["10:00:00.5", "10:00:01.0", "10:00:01.25"], 'timeFormat="%H:%M:%S.%L"',
            ("10:00:00.500", "10:00:01.250", False), id="thousandths",
        ),
    ],
)  # fmt: skip
def test_a_range_is_stored_as_the_editor_reads_it(
    start: Any, end: Any, times: list[Any] | None, attrs: str, held: tuple[Any, Any, bool]
) -> None:
    assert stored(start, end, times, attrs) == held


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("2024-01-03", DAYS[2], '"s" has no moment "2024-01-03"; copy one from it, such as 2024-01-01.'),
        (DAYS[0], None, '"s" has no moment null; copy one from it, such as 2024-01-01.'),
        (0, 1, '"s" has no moment 0; copy one from it, such as 2024-01-01.'),
        (DAYS[2], DAYS[0], 'A range of "s" ends no earlier than it begins; the model gave {"start": "2024-01-05", '),
    ],
)
def test_a_range_between_other_moments_is_refused(start: Any, end: Any, wanted: str) -> None:
    _, control, inputs = seen(DAYS, 'timeFormat="%Y-%m-%d"')
    with pytest.raises(AnswerError) as raised:
        control.read([{"start": start, "end": end, "label": "Run"}], inputs)
    assert raised.value.sentence.startswith(wanted)


@pytest.mark.parametrize(
    ("times", "attrs", "value", "told"),
    [
        pytest.param([1, 2, 7], "", (1.2, 6), ("1", "7"), id="nearest"),
        pytest.param([1, 2, 7], "", (-5, 100), ("1", "7"), id="beyond the ends"),
        pytest.param(DAYS, 'timeFormat="%Y-%m-%d"', (DAYS[1], DAYS[2]), (DAYS[1], DAYS[2]), id="in the format"),
        pytest.param(DAYS, 'timeFormat="%Y-%m-%d"', (DAYS[1], "2024-01-04"), (DAYS[1], "2024-01-04"), id="between"),
        pytest.param(
            ["10:00:00.5", "10:00:01"], 'timeFormat="%H:%M:%S.%f"',
            ("10:00:00.500000", "10:00:00.500000"), ("10:00:00.5", "10:00:00.5"), id="as the editor writes it",
        ),
    ],
)  # fmt: skip
def test_a_persons_range_is_told_by_moments_of_the_series(times: Any, attrs: str, value: Any, told: Any) -> None:
    _, control, inputs = seen(times, attrs)
    held = {"start": value[0], "end": value[1], "instant": False, "timeserieslabels": ["Run"]}
    region = Region("c", "s", "timeserieslabels", held)
    assert control.encode([region], inputs) == [{"start": told[0], "end": told[1], "label": "Run"}]


def test_moments_that_are_the_same_number_are_one_instant() -> None:
    assert stored("2", "2.0", ["1", "2", "2.0"]) == (2, 2, True)


def test_a_series_without_a_moment_has_no_range() -> None:
    _, control, inputs = seen([])
    with pytest.raises(AnswerError, match=r'"s" has no moment "1"; copy one from it\.'):
        control.read([{"start": "1", "end": "1", "label": "Run"}], inputs)
