"""What does a time series say, as a table that a model can read?"""

import itertools
import re
from typing import Any

import pytest

from llm_backend.core.inputs import Seen, read
from llm_backend.core.inputs.series import MOST_CELLS, MOST_ROWS
from llm_backend.core.labeling import parse
from llm_backend.errors import InputError

CHANNELS = '<Channel column="Velocity" units="miles/h" legend="Speed"/><Channel column="acceleration"/>'


def series(value: Any, channels: str = CHANNELS, **attrs: str) -> Seen:
    told = " ".join(f'{name}="{text}"' for name, text in {"valueType": "json", "timeColumn": "time", **attrs}.items())
    config = parse(f'<View><TimeSeries name="ts" value="$ts" {told}>{channels}</TimeSeries></View>')
    (seen,) = read(config, {"ts": value}).seen
    return seen


def test_the_channels_that_the_config_shows_are_told_with_their_units_and_real_times() -> None:
    seen = series(
        {
            "time": ["2020-01-01 00:00", "2020-01-02 00:00"],
            "velocity": [1, 2.123456789],
            "other": [9, 9],
            "acceleration": [None, 1234567.25],
        }
    )
    assert seen.text == (
        'time,"velocity (Speed, miles/h)",acceleration\n2020-01-01 00:00,1,\n2020-01-02 00:00,2.12346,1234567'
    )
    assert seen.times == ("2020-01-01 00:00", "2020-01-02 00:00")


def test_channels_are_found_through_multichannel_and_views() -> None:
    nested = f"<MultiChannel>{CHANNELS}</MultiChannel><View><Channel column='z'/></View>"
    seen = series({"time": [0], "velocity": [1], "acceleration": [2], "z": [3]}, nested)
    assert seen.text.endswith("\n0,1,2,3")


@pytest.mark.parametrize(
    ("text", "attrs", "channels", "told"),
    [
        pytest.param("time,a\n0,1\n2,3", {}, "", "time,a\n0,1\n2,3", id="header"),
        pytest.param("Time,A\r\n0,1\r\n", {}, '<Channel column="a"/>', "Time,A\n0,1", id="any case, CRLF"),
        pytest.param("0,1\n2,3", {"timeColumn": "0"}, '<Channel column="1"/>', "0,1\n0,1\n2,3", id="no header"),
        pytest.param("t,a\n5,1\n6,2", {"timeColumn": "0"}, '<Channel column="1"/>', "t,a\n5,1\n6,2", id="by number"),
        pytest.param("a,b\n5,1\n6,2", {"timeColumn": ""}, '<Channel column="b"/>', "index,b\n0,1\n1,2", id="no time"),
        pytest.param("time\ta\n0\t1", {"sep": "tab"}, "", "time,a\n0,1", id="tabs"),
        pytest.param("time;a\n0;1,5", {"sep": "auto"}, "", 'time,a\n0,"1,5"', id="found out"),
        pytest.param('time,a\n"1, Jan",5', {}, "", 'time,a\n"1, Jan",5', id="quoted"),
        pytest.param("time,a\n0,1\n1", {}, "", "time,a\n0,1\n1,", id="ragged"),
        pytest.param('{"time": [0], "a": [1]}', {}, "", "time,a\n0,1", id="JSON as text"),
        pytest.param('[{"time": 0, "a": 1}]', {}, "", "time,a\n0,1", id="rows of JSON"),
    ],
)
def test_a_series_may_be_csv_or_json(text: str, attrs: dict[str, str], channels: str, told: str) -> None:
    assert series(text, channels, **attrs).text == told


def test_a_long_series_is_thinned_to_even_steps_and_says_so() -> None:
    count = 20_160
    seen = series({"time": list(range(count)), "a": [0.5] * count}, "")
    note, _, *rows = seen.text.splitlines()
    times = [int(row.split(",")[0]) for row in rows]
    assert note == "(Thinned: 400 of 20,160 rows, evenly spread, the first and the last among them.)"
    assert (times[0], times[-1], len(times)) == (0, count - 1, MOST_ROWS)
    assert {later - earlier for earlier, later in itertools.pairwise(times)} <= {50, 51}
    assert len(seen.times) == count


def test_a_wide_series_is_thinned_more() -> None:
    columns = {f"c{number}": list(range(1000)) for number in range(39)}
    rows = series({"time": list(range(1000)), **columns}, "").text.splitlines()[2:]
    assert len(rows) * 40 <= MOST_CELLS
    assert re.match("999,", rows[-1])


def test_a_series_of_two_rows_keeps_both() -> None:
    assert series({"time": [0, 1], "a": [1, 2]}, "").text == "time,a\n0,1\n1,2"


@pytest.mark.parametrize("attrs", [{"timeColumn": "when"}, {}], ids=["time", "channel"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(attrs: dict[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        series({"time": [0], "speed": [1]}, **attrs)
    assert 'its data has "time", "speed"' in caught.value.sentence


@pytest.mark.parametrize(
    ("value", "value_type", "fetched"),
    [
        ("/samples/time-series.csv?time=time", "", True),
        ("https://a/x.json", "url", True),
        ("t,a\n0,1", "", False),
        ('{"t": [0]}', "url", False),
        ({"t": [0]}, "url", False),
        ("t,a", "json", False),
    ],
)
def test_a_series_lies_at_a_url_unless_it_plainly_does_not(value: Any, value_type: str, fetched: bool) -> None:
    config = parse(f'<View><TimeSeries name="ts" value="$ts" valueType="{value_type}"/></View>')
    (seen,) = read(config, {"ts": value}).seen
    assert [ref.kind for ref in seen.media] == (["text"] if fetched else [])
