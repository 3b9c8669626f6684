"""A DateTime is asked in ISO form and stored as the editor writes it."""

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError
from tests.support.controls import by_person, config_of, made, one


def date(attrs: str = "") -> str:
    return f'<DateTime name="when" toName="text" {attrs}/>'


STORED = [
    pytest.param("", "2024-02-03T10:11", "2024-02-03T10:11", id="date and time"),
    pytest.param('only="date,time"', "2024-02-03T10:11", "2024-02-03T10:11", id="date,time"),
    pytest.param('only="date"', "2024-02-29", "2024-02-29", id="date"),
    pytest.param('only="time"', "09:05", "09:05", id="time"),
    pytest.param('only="time" format="%I:%M %p"', "15:05", "15:05", id="the editor does not format a lone time"),
    pytest.param('only="year"', "2024", "2024-01-01", id="year"),
    pytest.param('only="year" format="%Y"', "2024", "2024", id="year by format"),
    pytest.param('only="month,year"', "2024-02", "2024-02-01", id="month and year"),
    pytest.param('only="month"', "2024-02", "2024-02-01", id="a stored month has a year"),
    pytest.param('only="month" format="%B"', "02", "February", id="month by name"),
    pytest.param('only="month,year" format="%m/%y"', "2024-02", "02/24", id="month and year by format"),
    pytest.param('only="date" format="%d.%m.%Y"', "2024-02-03", "03.02.2024", id="date by format"),
    pytest.param('format="%x, %X"', "2024-02-03T15:04", "2/3/2024, 3:04:00 PM", id="American"),
    pytest.param('format="%Y-%m-%d"', "2024-02-03", "2024-02-03", id="a format without time"),
    pytest.param('format="%H:%M"', "10:11", "10:11", id="a format without date"),
    pytest.param('only="date,year"', "2024-02-03", "2024-02-03", id="a year beside a date"),
    pytest.param('only="date" min="2024-02-01" max="2024-02-10"', "2024-02-10", "2024-02-10", id="on the last day"),
    pytest.param('max="2024-02-10T12:00"', "2024-02-10T12:00", "2024-02-10T12:00", id="at the last minute"),
    pytest.param('only="year" min="1950" max="current"', "1950", "1950-01-01", id="an early year that min allows"),
    pytest.param('only="time" min="8:00" max="18:00"', "08:00", "08:00", id="an hour that min allows"),
]


@pytest.mark.parametrize(("attrs", "answer", "text"), STORED)
def test_a_date_is_stored_as_the_editor_writes_it_and_read_back(attrs: str, answer: str, text: str) -> None:
    assert made(date(attrs), answer) == {"datetime": text}
    assert by_person(date(attrs), {"datetime": text}) == answer


@pytest.mark.parametrize(
    ("attrs", "answer"),
    [
        pytest.param('only="date"', "2024-02-30", id="no such day"),
        pytest.param('only="date"', "2023-02-29", id="no leap year"),
        pytest.param('only="date"', "03.02.2024", id="another form"),
        pytest.param('only="date"', "2024-2-3", id="without zeros"),
        pytest.param('only="date"', "2024-02-03T10:11", id="with a time that is not asked"),
        pytest.param('only="date"', "0024-02-03", id="a year the editor does not take"),
        pytest.param('only="date"', "yesterday", id="words"),
        pytest.param('only="date"', "٢٠٢٤-٠٢-٠٣", id="other digits"),
        pytest.param("", "2024-02-03", id="without its time"),
        pytest.param("", "2024-02-03T24:00", id="no such hour"),
        pytest.param("", "2024-02-03T10:11:12", id="seconds that would be lost"),
        pytest.param("", "2024-02-03T10:11Z", id="time zone"),
        pytest.param('only="time"', "9:05", id="time without zero"),
        pytest.param('only="year"', 2024, id="a number"),
        pytest.param('only="year"', "1999", id="a year that the editor's list does not have"),
        pytest.param('only="month" format="%B"', "13", id="no such month"),
        pytest.param('only="date"', ["2024-02-03"], id="list"),
        pytest.param('only="date" min="2024-02-01"', "2024-01-31", id="too early"),
        pytest.param('only="date" max="2024-02-01"', "2024-02-02", id="too late"),
        pytest.param('max="2024-02-10T12:00"', "2024-02-10T12:01", id="a minute too late"),
        pytest.param('min="2024-02-10T12:00"', "2024-02-10T13:00", id="the editor counts min from the next day"),
        pytest.param('only="time" min="8:00" max="18:00"', "18:01", id="too late in the day"),
    ],
)
def test_anything_else_is_refused(attrs: str, answer: JSON) -> None:
    with pytest.raises(AnswerError, match='"when" takes a '):
        made(date(attrs), answer)


def test_a_date_that_the_format_cannot_hold_is_refused() -> None:
    with pytest.raises(AnswerError) as refusal:
        made(date('only="date" format="%d.%m.%y"'), "1950-02-03")
    assert refusal.value.sentence == '"when" cannot hold "1950-02-03": its format writes it as "03.02.50".'


@pytest.mark.parametrize(
    ("attrs", "words"),
    [
        ("", "a date and time, as YYYY-MM-DDTHH:MM"),
        (
            'only="date" min="2024-01-01" max="2024-12-31"',
            "a date, as YYYY-MM-DD, not before 2024-01-01, not after 2024-12-31",
        ),
        ('only="year" max="current"', "a year, as YYYY, not before 2000"),
        ('only="time" min="08:00"', "a time of day, as HH:MM (24 hours), not before 08:00"),
    ],
)
def test_the_question_names_form_and_limits(attrs: str, words: str) -> None:
    control, inputs = one(date(attrs))
    assert control.describe(inputs) == words


@pytest.mark.parametrize(
    ("attrs", "value", "answer"),
    [
        pytest.param('only="year"', {"datetime": "2024"}, "2024", id="a year as older versions wrote it"),
        pytest.param('only="date"', {"datetime": "someday"}, None, id="unreadable"),
        pytest.param('only="date"', {"datetime": 5}, None, id="no text"),
        pytest.param('only="date" min="2024-01-01"', {"datetime": "2023-01-01"}, None, id="out of bounds"),
        pytest.param('only="date"', {}, None, id="empty"),
    ],
)
def test_a_persons_date_is_read(attrs: str, value: JSON, answer: JSON) -> None:
    assert by_person(date(attrs), value) == answer


@pytest.mark.parametrize(
    ("form", "words"), [("%Y-%m-%d %Z", "uses %Z"), ("%A", "does not keep"), ("date", "does not keep")]
)
def test_a_format_that_cannot_be_read_back_is_said(form: str, words: str) -> None:
    controls, (other,) = bind(config_of(date(f'format="{form}"')))
    assert controls == ()
    assert other.reason.startswith('DateTime "when" writes dates in a format that cannot be filled')
    assert words in other.reason
