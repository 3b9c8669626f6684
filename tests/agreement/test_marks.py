"""Where in what they label do regions lie, and how near is one to another?"""

import pytest

from llm_backend.agreement.marks import Area, Mark, Point, Stretch, Stretches, apart, marks_of
from llm_backend.agreement.spans import spans_of
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Region

HERE = ("text",)
TEXT = '<View><Text name="text" value="$text"/></View>'
SERIES = """<View><TimeSeries name="text" value="$series" timeColumn="t" timeFormat="%m/%d/%Y %H:%M">
  <Channel column="v"/></TimeSeries></View>"""
TURNS = '<View><Paragraphs name="text" value="$turns" nameKey="who" textKey="said"/></View>'
DATA = {
    "text": "Ann met Bob.",
    "turns": [{"who": "A", "said": "Hello Ann"}, {"who": "B", "said": "Bye"}],
    "series": {"t": ["1/2/2026 10:00"], "v": [1]},
}


def placed(config: str, kind: str, value: dict[str, object]) -> list[tuple[tuple[str | int, ...], float, float, str]]:
    inputs = read(parse(config), DATA)
    found = spans_of(marks_of([Region("ner", "text", kind, value, "r")], inputs))
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
            {"ranges": [{"start": 1, "end": 10}, 7], "timelinelabels": ["run"]},
            [(HERE, 1, 11, "run")],
        ),
        (
            TEXT,
            "timeserieslabels",
            {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-01T00:00:05+00:00"},
            [(HERE, 1767225600, 1767225605, "")],
        ),
        (
            SERIES,
            "timeserieslabels",
            {"start": "1/2/2026 10:00", "end": "1/2/2026 10:01"},
            [(HERE, 1767348000, 1767348060, "")],
        ),
        (TEXT, "timeserieslabels", {"start": "1/2/2026 10:00", "end": "1/2/2026 10:01"}, []),
        (TEXT, "labels", {"start": True, "end": None}, []),
        (TEXT, "labels", {"start": float("inf"), "end": float("nan")}, []),
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
        *("past the last turn", "seconds", "frames", "moments", "moments as the tag writes them"),
        *("moments in a form unknown", "nonsense", "no end"),
    ],
)
def test_where_a_region_lies(
    config: str, kind: str, value: dict[str, object], found: list[tuple[object, ...]] | None
) -> None:
    told = placed(config, kind, value)
    assert told == found if found is not None else {place[0] for place in told} <= {("text", 0), ("text", 1)}


def stretch(*pieces: tuple[float, float], where: str = "text") -> Mark:
    return Mark(Stretches(tuple(Stretch((where,), *piece) for piece in pieces)))


def test_stretches_are_as_near_as_what_they_share_of_what_they_cover() -> None:
    assert stretch((0, 10)).nearness(stretch((5, 15))) == pytest.approx(5 / 15)
    assert stretch((0, 10)).nearness(stretch((10, 20))) == 0.0
    assert stretch((0, 10)).nearness(stretch((0, 10), where="title")) == 0.0
    assert stretch((0, 4), (10, 14)).nearness(stretch((2, 12))) == pytest.approx(4 / 14)


def test_moments_are_near_only_where_they_are_the_same() -> None:
    assert stretch((3, 3)).nearness(stretch((3, 3))) == 1.0
    assert stretch((3, 3)).nearness(stretch((4, 4))) == 0.0
    assert stretch((3, 3)).nearness(stretch((2, 4))) == 0.0


def test_points_are_as_near_as_their_distance() -> None:
    here = Mark(Point(("page", 0), 10, 20))
    assert here.nearness(Mark(Point(("page", 0), 10, 20))) == 1.0
    assert here.nearness(Mark(Point(("page", 0), 13, 24))) == 0.5
    assert apart(0.5) == 5.0
    assert apart(here.nearness(Mark(Point(("page", 0), 11, 20)))) == pytest.approx(1.0)
    assert here.nearness(Mark(Point(("page", 0), 50, 20))) == 0.0
    assert here.nearness(Mark(Point(("page", 1), 10, 20))) == 0.0


def test_marks_of_different_kinds_are_never_near() -> None:
    square = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
    marks = [Mark(Area(("page", 0), square)), Mark(Point(("page", 0), 5, 5)), stretch((0, 10), where="page")]
    assert [[one.nearness(other) for other in marks] for one in marks] == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_shapes_on_pictures_lie_in_their_picture_and_are_the_same_whatever_their_id() -> None:
    inputs = read(parse(TEXT), DATA)

    def shape(kind: str, ident: str, page: int | None, **value: object) -> Region:
        return Region("boxes", "page", kind, {**value, kind: ["Cat", "Big"]}, ident, item_index=page)

    box = {"x": 10, "y": 20, "width": 30, "height": 40}
    first, second = (
        marks_of([shape("rectanglelabels", ident, page, **box)], inputs) for ident, page in (("a", None), ("b", 0))
    )
    assert first == second
    assert [mark.id for mark in (*first, *second)] == ["a", "b"]
    assert first[0].labels == ("Big", "Cat")
    assert str(first[0]) == "Big + Cat 10-40 x 20-60"
    assert marks_of([shape("rectanglelabels", "a", 1, **box)], inputs)[0].nearness(first[0]) == 0.0
    (dot,) = marks_of([shape("keypointlabels", "k", None, x=1, y=2, width=1)], inputs)
    assert (dot.form, str(dot)) == (Point(("page", 0), 1, 2), "Big + Cat 1 x 2")
    assert marks_of([shape("polygonlabels", "p", None, points=[[0, 0], [1, 1]])], inputs) == ()
