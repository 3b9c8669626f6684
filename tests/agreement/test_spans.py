"""How far do two agree on stretches of a text, a sound or a series?"""

import pytest

from llm_backend.agreement.spans import Span, by_overlap, exactly, overlap, spans_of
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Region

HERE = ("text",)
TEXT = '<View><Text name="text" value="$text"/></View>'
TURNS = '<View><Paragraphs name="text" value="$turns" nameKey="who" textKey="said"/></View>'
DATA = {"text": "Ann met Bob.", "turns": [{"who": "A", "said": "Hello Ann"}, {"who": "B", "said": "Bye"}]}


def placed(config: str, kind: str, value: dict[str, object]) -> list[tuple[tuple[str | int, ...], float, float, str]]:
    inputs = read(parse(config), DATA)
    found = spans_of([Region("ner", "text", kind, value, "r")], inputs)
    return [(span.where, span.start, span.end, span.label) for span in found]


@pytest.mark.parametrize(
    ("config", "kind", "value", "found"),
    [
        (TEXT, "labels", {"start": 0, "end": 3, "labels": ["PER", "X"]}, [(HERE, 0, 3, "PER"), (HERE, 0, 3, "X")]),
        (TEXT, "labels", {"start": 0, "end": 3}, [(HERE, 0, 3, "")]),
        (
            TEXT,
            "hypertextlabels",
            {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "globalOffsets": {"start": 8, "end": 11}},
            [(HERE, 8, 11, "")],
        ),
        (TEXT, "hypertextlabels", {"start": "/p[1]", "end": "/p[1]", "text": "Bob"}, [(HERE, 8, 11, "")]),
        (TEXT, "hypertextlabels", {"start": "/p[1]", "end": "/p[1]"}, []),
        (
            TURNS,
            "paragraphlabels",
            {"start": "0", "end": "0", "startOffset": 6, "endOffset": 9, "paragraphlabels": ["PER"]},
            [(("text", 0), 6, 9, "PER")],
        ),
        (
            TURNS,
            "paragraphlabels",
            {"start": "0", "end": "1", "startOffset": 6, "endOffset": 2},
            [(("text", 0), 6, 9, ""), (("text", 1), 0, 2, "")],
        ),
        (TURNS, "paragraphlabels", {"start": "0", "end": "9", "startOffset": 0, "endOffset": 1}, None),
        (TEXT, "labels", {"start": 1.5, "end": 2.25, "labels": ["noise"]}, [(HERE, 1.5, 2.25, "noise")]),
        (
            TEXT,
            "timelinelabels",
            {"ranges": [{"start": 1, "end": 10}], "timelinelabels": ["run"]},
            [(HERE, 1, 11, "run")],
        ),
        (
            TEXT,
            "timeserieslabels",
            {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-01T00:00:05+00:00"},
            [(HERE, 1767225600, 1767225605, "")],
        ),
        (TEXT, "labels", {"start": True, "end": None}, []),
    ],
    ids=[
        *(
            "two labels",
            "no label",
            "by offsets of the whole",
            "by words",
            "without a place",
            "in a turn",
            "over turns",
        ),
        *("past the last turn", "seconds", "frames", "moments", "nonsense"),
    ],
)
def test_where_a_region_lies(
    config: str, kind: str, value: dict[str, object], found: list[tuple[object, ...]] | None
) -> None:
    told = placed(config, kind, value)
    assert told == found if found is not None else {place[0] for place in told} <= {("text", 0), ("text", 1)}


def span(start: float, end: float, label: str = "PER", where: str = "text") -> Span:
    return Span((where,), start, end, label)


def test_what_is_shared_needs_the_same_label_and_the_same_object() -> None:
    assert overlap([span(0, 10)], [span(5, 15)]) == 0.5
    assert overlap([span(0, 10)], [span(0, 10, "ORG")]) == 0.0
    assert overlap([span(0, 10)], [span(0, 10, where="title")]) == 0.0


def test_what_is_marked_twice_counts_once() -> None:
    assert overlap([span(0, 10)], [span(0, 6), span(4, 10)]) == 1.0


def test_marking_nothing_agrees_with_nothing_only() -> None:
    assert overlap([], []) == 1.0
    assert overlap([span(0, 1)], []) == 0.0
    found = by_overlap([[[]]], [[]])
    assert found.f1.value is None


def test_exact_matches_are_counted_over_tasks_and_people() -> None:
    people = [[[span(0, 3), span(5, 9)], [span(0, 3)]], [[span(1, 2)]]]
    found = exactly(people, [[span(0, 3)], [span(7, 9)]])
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.recall.value == pytest.approx(2 / 4)
