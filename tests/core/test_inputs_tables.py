"""What does a table of a task say, whether it comes as JSON or as CSV?"""

import csv

import pytest

from llm_backend.core.inputs import read
from llm_backend.core.inputs.tables import Shape, csv_rows
from llm_backend.core.labeling import parse
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError


@pytest.mark.parametrize(
    ("told", "shape"),
    [
        ("", Shape()),
        ("json", Shape()),
        ("url", Shape(by_url=True)),
        ("json|url", Shape(by_url=True)),
        ("CSV", Shape(csv=True)),
        ("csv,separator=;,headless", Shape(csv=True, separator=";", headless=True)),
        ("csv|url|separator=,", Shape(csv=True, by_url=True, separator=",")),
    ],
)
def test_a_value_type_is_read_by_whatever_sign_parts_it(told: str, shape: Shape) -> None:
    assert Shape.of(told) == shape


@pytest.mark.parametrize(
    ("value_type", "value", "text"),
    [
        ("json", {"a": 1, "b": ["x", "y"]}, "a: 1\nb: x\ny"),
        ("json", [{"a": 1}, {"a": 2}], '{"a": 1}\n{"a": 2}'),
        ("csv", 'a,b\n"1,5",2\n\n', '{"a": "1,5", "b": "2"}'),
        ("csv", "a\tb\n1\t2", '{"a": "1", "b": "2"}'),
        ("csv,separator=;", "a,x;b\n1;2", '{"a,x": "1", "b": "2"}'),
        ("csv,headless", "a,b\n1,2", "a | b\n1 | 2"),
        ("csv", "", ""),
    ],
)
def test_a_table_is_told_row_by_row(value_type: str, value: JSON, text: str) -> None:
    config = parse(f'<View><Table name="t" value="$t" valueType="{value_type}"/></View>')
    assert read(config, {"t": value}).text == text


@pytest.mark.parametrize("limit", [131_072, 2**31 - 1])
def test_what_is_no_csv_is_told_in_a_sentence(limit: int) -> None:
    before = csv.field_size_limit(limit)  # of the whole process: datasets lift it
    try:
        with pytest.raises(InputError, match="not readable CSV"):
            csv_rows('a,b\n"' + "x,y\n" * 50_000, ",")
    finally:
        csv.field_size_limit(before)
