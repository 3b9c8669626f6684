"""Our own check of what we send: the rules of the SDK's checker and of the editor, type by type."""

from dataclasses import replace
from typing import Any

import pytest

from llm_backend.core.checks import sound, wrongs
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.wire import Region

TREE = '<Choice value="A" alias="a"><Choice value="B"/></Choice><Choice value="C"/>'
LABEL = '<Label value="Person" alias="PER"/><Label value="Place"/>'
OBJECTS = """
<Text name="text" value="$text"/><Text name="second" value="$text"/><HyperText name="page" value="$page"/>
<Paragraphs name="talk" value="$talk"/><List name="list" value="$items"/><Image name="image" value="$image"/>
<Audio name="audio" value="$audio"/><Video name="video" value="$video"/>
<TimeSeries name="series" value="$series"><Channel column="v"/></TimeSeries>"""
DATA = {
    "text": "Zoë 👍 went.",
    "page": "<p>Zoë <b>went</b></p>",
    "talk": [{"author": "Ann", "text": "So 👍 be it."}, {"author": "Bob", "text": "Yes."}],
    "items": [{"id": 1, "title": "One"}, {"id": "b", "title": "Two"}],
    "image": "data:image/png;base64,",
    "audio": "/data/a.wav",
    "video": "/data/a.mp4",
    "series": {"time": [0, 1], "v": [1, 2]},
    "options": [{"value": "Three", "alias": "3"}],
}
BOX = {"x": 10, "y": 10.5, "width": 20, "height": 30, "rotation": 0}
SPOT = {"x": 10, "y": 20, "width": 0.5}
TRIANGLE = [[0, 0], [100, 0], [50, 50.5]]

# Tag, object, and values: one that can be sent, and some that cannot.
VALUES: list[tuple[str, str, dict[str, Any], list[dict[str, Any]]]] = [
    (
        f'<Choices name="c" toName="text">{TREE}</Choices>',
        "text",
        {"choices": ["a"]},
        [{"choices": "a"}, {"choices": ["A"]}, {"choices": []}, {"choices": ["a", "C"]}, {"choices": ["B"]}, {}],
    ),
    (
        f'<Choices name="c" toName="text" choice="multiple">{TREE}</Choices>',
        "text",
        {"choices": ["a", "C"]},
        [{"choices": ["a", "a"]}, {"choices": ["a", None]}, {"choices": ["a"], "text": ["b"]}],
    ),
    (
        f'<Choices name="c" toName="text" allowNested="true">{TREE}</Choices>',
        "text",
        {"choices": [["a", "B"]]},
        [{"choices": ["C"]}, {"choices": [["a"]]}, {"choices": [["B"]]}, {"choices": [[]]}],
    ),
    (
        '<Choices name="c" toName="text" value="$options"/>',
        "text",
        {"choices": ["3"]},
        [{"choices": ["Three"]}, {"choices": ["4"]}],
    ),
    (
        f'<Taxonomy name="c" toName="text" leafsOnly="true" maxUsages="1">{TREE}</Taxonomy>',
        "text",
        {"taxonomy": [["a", "B"]]},
        [{"taxonomy": [["B"]]}, {"taxonomy": [["a"]]}, {"taxonomy": ["C"]}, {"taxonomy": [["a", "B"], ["C"]]}],
    ),
    (
        '<TextArea name="c" toName="text" maxSubmissions="2"/>',
        "text",
        {"text": ["one", "two"]},
        [{"text": "one"}, {"text": [1]}, {"text": []}, {"text": ["a", "b", "c"]}],
    ),
    (
        '<Rating name="c" toName="text" maxRating="3"/>',
        "text",
        {"rating": 3},
        [{"rating": 0}, {"rating": 4}, {"rating": "3"}, {"rating": 2.5}, {"rating": True}],
    ),
    (
        '<Number name="c" toName="text" min="1" max="9"/>',
        "text",
        {"number": 1.5},
        [{"number": "2"}, {"number": 10}, {"number": float("nan")}, {"number": None}],
    ),
    ('<DateTime name="c" toName="text"/>', "text", {"datetime": "2024-02-03T10:11"}, [{"datetime": 2024}]),
    ('<Pairwise name="c" toName="text,second"/>', "text", {"selected": "left"}, [{"selected": "none"}, {}]),
    (
        '<Ranker name="c" toName="list"/>',
        "list",
        {"ranker": {"c": ["b", "1"]}},
        [{"ranker": ["b"]}, {"ranker": {"c": [1]}}, {"ranker": {"d": ["b"]}}, {"ranker": {"c": ["b", "b"]}}],
    ),
    (
        '<Ranker name="c" toName="list"><Bucket name="good"/></Ranker>',
        "list",
        {"ranker": {"good": ["b"], "_": ["1"]}},
        [{"ranker": {"c": ["b"]}}, {"ranker": {"good": ["z"]}}, {"ranker": {"good": "b"}}],
    ),
    (
        f'<Labels name="c" toName="text">{LABEL}</Labels>',
        "text",
        {"start": 4, "end": 5, "text": "👍", "labels": ["PER"]},
        [
            {"start": 4, "end": 5, "text": "W", "labels": ["PER"]},
            {"start": 4, "end": 5, "labels": ["Person"]},
            {"start": 4, "end": 5, "labels": ["PER", "Place"]},
            {"start": 4, "end": 99, "labels": ["PER"]},
            {"start": 5, "end": 5, "labels": ["PER"]},
            {"start": "4", "end": "5", "labels": ["PER"]},
            {"labels": ["PER"]},
        ],
    ),
    (
        f'<HyperTextLabels name="c" toName="page">{LABEL}</HyperTextLabels>',
        "page",
        {"start": 0, "end": 3, "text": "Zoë", "hypertextlabels": ["Place"]},
        [{"start": 0, "end": 3, "labels": ["Place"]}, {"start": -1, "end": 3, "hypertextlabels": ["Place"]}],
    ),
    (
        f'<ParagraphLabels name="c" toName="talk">{LABEL}</ParagraphLabels>',
        "talk",
        {"start": "0", "end": "0", "startOffset": 3, "endOffset": 5, "text": "👍", "paragraphlabels": ["PER"]},
        [
            {"start": 0, "end": 0, "startOffset": 3, "endOffset": 5, "paragraphlabels": ["PER"]},
            {"start": "2", "end": "2", "startOffset": 0, "endOffset": 1, "paragraphlabels": ["PER"]},
            {"start": "1", "end": "0", "startOffset": 0, "endOffset": 1, "paragraphlabels": ["PER"]},
            {"start": "0", "end": "0", "startOffset": 3, "endOffset": 4, "text": "👍", "paragraphlabels": ["PER"]},
            {"start": "1", "end": "1", "startOffset": 0, "endOffset": 5, "paragraphlabels": ["PER"]},
            {"start": "1", "end": "1", "paragraphlabels": ["PER"]},
        ],
    ),
    (
        f'<Labels name="c" toName="audio">{LABEL}</Labels>',
        "audio",
        {"start": 0, "end": 1.25, "channel": 0, "labels": ["PER"]},
        [{"start": 2, "end": 1, "labels": ["PER"]}, {"start": -1, "end": 1, "labels": ["PER"]}],
    ),
    (
        f'<RectangleLabels name="c" toName="image">{LABEL}</RectangleLabels>',
        "image",
        {**BOX, "rectanglelabels": ["PER"]},
        [{**BOX, "x": 90, "rectanglelabels": ["PER"]}, {**BOX, "width": 0, "rectanglelabels": ["PER"]}, BOX],
    ),
    ('<Rectangle name="c" toName="image"/>', "image", BOX, [{**BOX, "y": -1}, {**BOX, "height": None}]),
    (
        f'<EllipseLabels name="c" toName="image">{LABEL}</EllipseLabels>',
        "image",
        {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "ellipselabels": ["PER"]},
        [
            {"x": 50, "y": 50, "radiusX": 60, "radiusY": 5, "ellipselabels": ["PER"]},
            {"x": 50, "y": 50, "radiusX": 10, "radiusY": 5, "rotation": [1], "ellipselabels": ["PER"]},
        ],
    ),
    (
        f'<KeyPointLabels name="c" toName="image">{LABEL}</KeyPointLabels>',
        "image",
        {**SPOT, "keypointlabels": ["PER"]},
        [{**SPOT, "x": 101, "keypointlabels": ["PER"]}, {**SPOT, "keypointlabels": ["Nose"]}],
    ),
    (
        f'<PolygonLabels name="c" toName="image">{LABEL}</PolygonLabels>',
        "image",
        {"points": TRIANGLE, "polygonlabels": ["PER"]},
        [
            {"points": TRIANGLE[:2], "polygonlabels": ["PER"]},
            {"points": [*TRIANGLE, [101, 0]], "polygonlabels": ["PER"]},
            {"points": [*TRIANGLE, 5], "polygonlabels": ["PER"]},
        ],
    ),
    (
        f'<TimelineLabels name="c" toName="video">{LABEL}</TimelineLabels>',
        "video",
        {"ranges": [{"start": 1, "end": 25}], "timelinelabels": ["PER"]},
        [
            {"ranges": [], "timelinelabels": ["PER"]},
            {"ranges": [{"start": 9, "end": 2}], "timelinelabels": ["PER"]},
            {"ranges": [{"start": 0, "end": 2}], "timelinelabels": ["PER"]},
        ],
    ),
    (
        f'<TimeSeriesLabels name="c" toName="series">{LABEL}</TimeSeriesLabels>',
        "series",
        {"start": 0, "end": 1, "instant": False, "timeserieslabels": ["PER"]},
        [
            {"start": 0, "end": 1, "timeserieslabels": ["PER"]},
            {"start": 1, "end": 0, "instant": False, "timeserieslabels": ["PER"]},
            {"start": "0", "end": 1, "instant": False, "timeserieslabels": ["PER"]},
        ],
    ),
]
GOOD = [pytest.param(tag, to_name, value, id=tag[:70]) for tag, to_name, value, _ in VALUES]
BROKEN = [
    pytest.param(tag, to_name, value, id=f"{tag[:50]}-{value}")
    for tag, to_name, _, values in VALUES
    for value in values
]


def seen(tags: str) -> tuple[LabelingConfig, Inputs]:
    config = parse(f"<View>{OBJECTS}{tags}</View>")
    return config, read(config, DATA)


def region(config: LabelingConfig, to_name: str, value: dict[str, Any], name: str = "c", **more: Any) -> Region:
    type_ = next(output.type for output in config.outputs if output.name == name)
    return Region(name, to_name, type_, value, **more)


@pytest.mark.parametrize(("tag", "to_name", "value"), GOOD)
def test_what_the_editor_loads_passes(tag: str, to_name: str, value: dict[str, Any]) -> None:
    config, inputs = seen(tag)
    assert wrongs(config, inputs, [region(config, to_name, value)]) == []


@pytest.mark.parametrize(("tag", "to_name", "value"), BROKEN)
def test_what_the_editor_or_the_sdk_refuses_is_found(tag: str, to_name: str, value: dict[str, Any]) -> None:
    config, inputs = seen(tag)
    made = region(config, to_name, value)
    (wrong,) = wrongs(config, inputs, [made])
    assert wrong.region is made
    assert wrong.sentence.endswith(".")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"from_name": "d"}, id="no such control"),
        pytest.param({"to_name": "talk"}, id="not its object"),
        pytest.param({"to_name": "r"}, id="an object named after the control"),
        pytest.param({"type": "choices"}, id="another type"),
        pytest.param({"score": 1.5}, id="no probability"),
        pytest.param({"item_index": -1}, id="an item before the first"),
    ],
)
def test_names_types_and_scores_are_those_of_the_config(changes: dict[str, Any]) -> None:
    config, inputs = seen('<Rating name="r" toName="text"/>')
    made = region(config, "text", {"rating": 1}, "r")
    assert wrongs(config, inputs, [made]) == []
    assert len(wrongs(config, inputs, [replace(made, **changes)])) == 1


def test_one_control_answers_once_and_each_item_once() -> None:
    config, inputs = seen('<Rating name="r" toName="text"/>')
    made = region(config, "text", {"rating": 1}, "r")
    assert len(wrongs(config, inputs, [made, made])) == 1
    assert wrongs(config, inputs, [replace(made, item_index=0), replace(made, item_index=1)]) == []


LINKED = f"""
<Relations><Relation value="knows"/></Relations>
<Labels name="who" toName="text">{LABEL}</Labels><TextArea name="why" toName="text" perRegion="true"/>"""


def linked() -> tuple[LabelingConfig, Inputs, list[Region]]:
    config, inputs = seen(LINKED)
    first, second = ({"start": at, "end": at + 1, "labels": ["PER"]} for at in (0, 1))
    link = {"from_id": "1", "to_id": "2", "direction": "right", "labels": ["knows"]}
    return (
        config,
        inputs,
        [
            region(config, "text", first, "who", id="1"),
            region(config, "text", second, "who", id="2"),
            region(config, "text", {**first, "text": ["so"]}, "why", id="1"),
            Region("", "", "relation", link),
        ],
    )


def test_what_hangs_on_a_region_and_what_links_regions_needs_them() -> None:
    config, inputs, regions = linked()
    assert wrongs(config, inputs, regions) == []
    assert {wrong.region.type for wrong in wrongs(config, inputs, regions[1:])} == {"textarea", "relation"}
    assert len(wrongs(config, inputs, [*regions, regions[2]])) == 1


@pytest.mark.parametrize(
    "changes", [{"direction": "up"}, {"labels": ["near"]}, {"to_id": "1"}, {"from_id": None}, {"labels": "knows"}]
)
def test_a_relation_is_one_of_the_config(changes: dict[str, Any]) -> None:
    config, inputs, regions = linked()
    link = replace(regions[3], value={**regions[3].value, **changes})
    assert len(wrongs(config, inputs, [*regions[:3], link])) == 1


def test_bare_labels_stand_on_the_shape_that_they_label() -> None:
    config, inputs = seen(f'<Labels name="c" toName="image">{LABEL}</Labels><Rectangle name="box" toName="image"/>')
    box = region(config, "image", BOX, "box", id="1")
    labels = region(config, "image", {**BOX, "labels": ["PER"]}, id="1")
    assert wrongs(config, inputs, [box, labels]) == []
    assert len(wrongs(config, inputs, [box, replace(labels, id="2")])) == 1
    assert len(wrongs(config, inputs, [box, replace(labels, value={**labels.value, "x": 11})])) == 1
    assert len(wrongs(config, inputs, [box, replace(labels, value={"labels": ["PER"]})])) == 1


def test_a_control_with_a_wrong_region_is_left_out_with_all_that_hangs_on_it() -> None:
    config, inputs, regions = linked()
    stars = region(seen('<Rating name="r" toName="text"/>')[0], "text", {"rating": 1}, "r")
    config = replace(config, outputs=(*config.outputs, *seen('<Rating name="r" toName="text"/>')[0].outputs))
    wrong = replace(regions[1], value={**regions[1].value, "end": 99})
    kept, found = sound(config, inputs, [regions[0], wrong, *regions[2:], stars])
    assert kept == [stars]
    assert [one.region.type for one in found] == ["labels", "textarea", "relation"]
    assert sound(config, inputs, regions) == (regions, [])
