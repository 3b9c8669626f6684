"""Shapes on pictures: what is asked, what is refused, and what hangs on them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.checks import wrongs
from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.wire import Region
from llm_backend.errors import AnswerError

LABELS = '<Label value="Cat"/><Label value="Dog"/>'
IMAGE = '<Image name="image" value="$image"/>'
PAGES = '<Image name="image" valueList="$image"/>'
BOX = {"x": 10, "y": 20, "width": 30, "height": 40}


def seen(tags: str, image: Any = "https://a/1.png") -> tuple[LabelingConfig, list[Control], Inputs]:
    config = parse(f"<View>{tags}</View>")
    controls, _ = bind(config, drawing=True)
    return config, list(controls), read(config, {"image": image})


def drawn(tag: str) -> str:
    labels = LABELS if tag.endswith("Labels") else ""
    return f'{IMAGE}<{tag} name="c" toName="image">{labels}</{tag}>'


def refusal(tags: str, answer: Any, image: Any = "https://a/1.png") -> tuple[str, list[Region]]:
    _, (control,), inputs = seen(tags, image)
    with pytest.raises(AnswerError) as raised:
        control.read(answer, inputs)
    return raised.value.sentence, list(raised.value.made)


SHAPES = ["Rectangle", "RectangleLabels", "Ellipse", "EllipseLabels", "Polygon", "PolygonLabels", "KeyPoint"]


@pytest.mark.parametrize("tag", [*SHAPES, "KeyPointLabels"])
def test_shapes_are_drawn_only_where_that_is_wanted(tag: str) -> None:
    config = parse(f"<View>{drawn(tag)}</View>")
    controls, (other,) = bind(config)
    assert controls == ()
    why = "draws shapes or marks times, which most models misplace; FILL_GEOMETRY=1 has it filled all the same"
    assert other.reason == f'{tag} "c" {why}.'
    (control,), others = bind(config, drawing=True)
    assert (control.name, others) == ("c", ())


@pytest.mark.parametrize(
    ("tag", "answer", "value"),
    [
        ("Rectangle", BOX, {**BOX, "rotation": 0}),
        (
            "Ellipse",
            {"x": 5, "y": 50, "radiusX": 5, "radiusY": 9},
            {"x": 5, "y": 50, "radiusX": 5, "radiusY": 9, "rotation": 0},
        ),
        ("KeyPoint", {"x": 1, "y": 99.5}, {"x": 1, "y": 99.5, "width": 2}),
        ("Polygon", {"points": [[0, 0], [9, 0], [9, 9.5]]}, {"points": [[0, 0], [9, 0], [9, 9.5]], "closed": True}),
    ],
)
def test_a_shape_is_stored_as_the_editor_stores_it(tag: str, answer: Any, value: Any) -> None:
    config, (control,), inputs = seen(drawn(tag))
    made = control.read([answer], inputs)
    assert [region.value for region in made] == [value]
    assert wrongs(config, inputs, made) == []


@pytest.mark.parametrize(
    ("tag", "item"),
    [
        pytest.param("Rectangle", {**BOX, "x": 70.5}, id="right of the picture"),
        pytest.param("Rectangle", {**BOX, "height": 81}, id="below the picture"),
        pytest.param("Rectangle", {**BOX, "y": -1}, id="above the picture"),
        pytest.param("Rectangle", {**BOX, "width": 0}, id="no width"),
        pytest.param("Rectangle", {**BOX, "x": "10"}, id="text for a number"),
        pytest.param("Rectangle", {**BOX, "x": True}, id="truth for a number"),
        pytest.param("Rectangle", {**BOX, "x": float("nan")}, id="not a number"),
        pytest.param("Rectangle", {**BOX, "x": 10**400}, id="huge"),
        pytest.param("Rectangle", {"x": 120, "y": 200, "width": 640, "height": 480}, id="pixels"),
        pytest.param("Rectangle", {"x": 1, "y": 2, "width": 3}, id="no height"),
        pytest.param("Ellipse", {"x": 4, "y": 50, "radiusX": 5, "radiusY": 9}, id="ellipse left of the picture"),
        pytest.param("Ellipse", {"x": 50, "y": 50, "radiusX": 5, "radiusY": 0}, id="flat ellipse"),
        pytest.param("KeyPoint", {"x": 50, "y": 100.1}, id="point below the picture"),
        pytest.param("Polygon", {"points": [[0, 0], [9, 0]]}, id="two corners"),
        pytest.param("Polygon", {"points": [[0, 0], [9, 0], [0, 0]]}, id="a corner twice"),
        pytest.param("Polygon", {"points": [[0, 0], [9, 0], [9, 101]]}, id="corner below the picture"),
        pytest.param("Polygon", {"points": [[0, 0], [9, 0], [9]]}, id="half a corner"),
        pytest.param("Polygon", {"points": "0,0 9,0 9,9"}, id="corners as text"),
    ],
)
def test_a_shape_that_leaves_the_picture_or_is_none_is_refused_and_not_clipped(tag: str, item: Any) -> None:
    fine = {"Rectangle": BOX, "Ellipse": {"x": 9, "y": 9, "radiusX": 1, "radiusY": 1}, "KeyPoint": {"x": 1, "y": 1}}
    first = fine.get(tag, {"points": [[0, 0], [9, 0], [9, 9]]})
    sentence, made = refusal(drawn(tag), [first, item])
    assert sentence.startswith('A place in "image" lies within the picture, from 0 to 100 percent; {')
    assert sentence.endswith(" does not.")
    assert len(made) == 1


@pytest.mark.parametrize("page", [0, 3, "1", None, True])
def test_a_page_that_is_not_there_is_refused(page: Any) -> None:
    tags = f'{PAGES}<Rectangle name="c" toName="image"/>'
    sentence, _ = refusal(tags, [{"page": page, **BOX}], ["https://a/1.png", "https://a/2.png"])
    assert sentence.startswith('"image" shows the pictures 1 to 2; the model gave ')


def test_a_page_is_stored_by_its_place_in_the_tasks_data() -> None:
    tags = f'{PAGES}<RectangleLabels name="c" toName="image">{LABELS}</RectangleLabels>'
    config, (control,), inputs = seen(tags, ["https://a/1.png", " ", "https://a/2.png"])
    made = control.read([{"page": 2, **BOX, "label": "Cat"}], inputs)
    assert [region.item_index for region in made] == [2]
    assert wrongs(config, inputs, made) == []


def test_the_model_is_told_the_units() -> None:
    _, (control,), inputs = seen(drawn("Rectangle"))
    words = control.describe(inputs)
    assert '"x": its left edge in "image", in percent of the picture\'s width, from the left (0 to 100)\n' in words
    assert '"height": its height, in percent of the picture\'s height' in words


OCR = f"""{IMAGE}<Labels name="label" toName="image">{LABELS}</Labels>
<Rectangle name="bbox" toName="image"/><Polygon name="poly" toName="image"/>
<TextArea name="words" toName="image" perRegion="true" required="true" maxSubmissions="1"/>"""


def test_labels_and_texts_hang_on_the_shapes_beside_them() -> None:
    config, controls, inputs = seen(OCR)
    assert [control.name for control in controls] == ["bbox", "poly"]
    boxes, outlines = controls
    made = boxes.read([{**BOX, "label": "Dog", "words": "Rex"}], inputs)
    place = {**BOX, "rotation": 0}
    assert [(region.type, region.value) for region in made] == [
        ("rectangle", place),
        ("labels", {**place, "labels": ["Dog"]}),
        ("textarea", {**place, "text": ["Rex"]}),
    ]
    assert len({region.id for region in made}) == 1
    assert boxes.encode(made, inputs) == [{**BOX, "label": "Dog", "words": "Rex"}]
    assert outlines.encode(made, inputs) is None
    more = outlines.read([{"points": [[0, 0], [9, 0], [9, 9]], "label": "Cat", "words": "Tom"}], inputs)
    assert wrongs(config, inputs, [*made, *more]) == []


@pytest.mark.parametrize("tag", ["Ellipse", "KeyPoint"])
def test_labels_beside_other_bare_shapes_can_be_sent(tag: str) -> None:
    config, (control,), inputs = seen(f'{drawn(tag)}<Labels name="kind" toName="image">{LABELS}</Labels>')
    made = control.read([{"x": 9, "y": 9, "radiusX": 1, "radiusY": 1, "kind": "Cat"}], inputs)
    assert [region.type for region in made] == [tag.lower(), "labels"]
    assert wrongs(config, inputs, made) == []


def test_labels_of_shapes_that_nobody_draws_stay_with_a_person() -> None:
    xml = '<Video name="v" value="$image"/><Labels name="kind" toName="v"><Label value="Man"/></Labels>'
    controls, others = bind(parse(f'<View>{xml}<VideoRectangle name="box" toName="v"/></View>'), drawing=True)
    assert controls == ()
    assert "VideoRectangle" in others[1].reason


NUMBERS = st.one_of(st.integers(-5, 120), st.floats(-1, 101), st.sampled_from([0, 100, 33.3, 66.7, 1e-9, None, "5"]))
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["x", "y", "width", "height", "radiusX", "radiusY"], NUMBERS),
        "points": st.lists(st.lists(NUMBERS, min_size=1, max_size=3), max_size=5),
    },
)


@given(st.sampled_from([tag for tag in SHAPES if not tag.endswith("Labels")]), st.lists(ITEMS, max_size=3))
def test_whatever_is_made_of_any_numbers_can_be_sent(tag: str, items: list[Any]) -> None:
    config, (control,), inputs = seen(drawn(tag))
    try:
        made = control.read(items, inputs)
    except AnswerError as exc:
        made = list(exc.made)
    assert wrongs(config, inputs, made) == []
    if made:
        assert control.read(control.encode(made, inputs), inputs) == [
            Region(**{**_fields(region), "id": f"c {number}"}) for number, region in enumerate(made, 1)
        ]


def _fields(region: Region) -> dict[str, Any]:
    return {name: getattr(region, name) for name in Region.__slots__}
