"""What holds for every control: answers and regions stand for each other, and nothing outside the config is made."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_backend.core.checks import wrongs
from llm_backend.core.controls import Control, bind
from llm_backend.core.controls.per_item import PerItem
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError
from tests.support.strict import outside_the_subset
from tests.support.validator import complaints, templates

OBJECTS = (
    '<Text name="text" value="$text"/><Text name="second" value="$text"/><List name="list" value="$items"/>'
    '<HyperText name="html" value="$html"/><Paragraphs name="talk" value="$talk"/>'
    '<Image name="pages" valueList="$pages"/><Image name="image" value="$image"/>'
    '<Audio name="sound" value="$sound"/><Video name="film" value="$film" frameRate="25.0"/>'
    '<TimeSeries name="counted" value="$series"><Channel column="a"/></TimeSeries>'
    '<TimeSeries name="numbers" value="$series" timeColumn="n"><Channel column="a"/></TimeSeries>'
    '<TimeSeries name="moments" value="$series" timeColumn="t" timeFormat="%Y-%m-%d %H:%M:%S.%f">'
    '<Channel column="a"/></TimeSeries>'
)
DATA = {
    "text": "Some words.",
    "html": "<p>a <b>bold 👍</b></p> <p>Next line<br/>b</p>",
    "talk": [{"author": "Ann", "text": "👍 Ann?"}, {"author": "Bob", "text": "yes yes."}],
    "options": [{"value": "Drei", "alias": "3"}, {"value": "Vier 🚀"}],
    "pages": ["https://a/1.png", "", "https://a/2.png"],
    "image": "https://a/3.png",
    "sound": "https://a/4.wav",
    "film": "https://a/5.mp4",
    "series": {
        "a": [1, 2, 3],
        "n": [1, "2.50", 7],
        "t": ["2024-02-03 10:11:12.5", "2024-02-03 10:11:12.75", "2024-02-03 10:11:13.25"],
    },
    "items": [{"id": 7, "body": "seven"}, {"id": "seven ✨", "body": "7"}, {"id": "__proto__", "title": "none"}],
}
IDS = ["7", "seven ✨", "__proto__"]
ODD = [
    "a, b",
    "a/b",
    "Say “yes” & <b>go</b>",
    "'",
    "שלום",
    "مرحبا",
    "👩‍👩‍👧",
    "x\u200by",
    "null",
    "5",
    "true",
    "{text}",
    "a:b;c",
]
ODD_CHOICES = "".join(f'<Choice value="{label.replace("&", "&amp;").replace("<", "&lt;")}"/>' for label in ODD)
FEW = '<Choice value="Good" alias="g"/><Choice value="Bad"/><Choice value="g"/>'
TREE = '<Choice value="A" alias="a"><Choice value="B / C"/><Choice value="D"/></Choice><Choice value="E"/>'
LABELS = '<Label value="A" alias="a"/><Label value="B"/>'
MOMENTS = ["2024-02-03 10:11:12.500000", "2024-02-03 10:11:12.750000", "2024-02-03 10:11:13.250000"]
BOX = {"x": 10, "y": 20.5, "width": 30, "height": 40}
CORNERS = [{"x": 0, "y": 0}, {"x": 100, "y": 0.5}, {"x": 50, "y": 100}, {"x": 0, "y": 100}]

# Tag, and canonical answers to it.
CANONICAL: dict[str, list[JSON]] = {
    '<TextArea name="c" toName="text"/>': ["a text", ["one", "two"], "<b>ה</b> 👍\n"],
    '<TextArea name="c" toName="text" maxSubmissions="1"/>': ["a text"],
    f'<Choices name="c" toName="text">{FEW}</Choices>': ["Good", "Bad"],
    f'<Choices name="c" toName="text" choice="multiple" required="true">{FEW}</Choices>': [["Good"], ["Bad", "Good"]],
    f'<Choices name="c" toName="text">{ODD_CHOICES}</Choices>': ODD,
    f'<Choices name="c" toName="text" choice="multiple">{ODD_CHOICES}</Choices>': [ODD, ODD[::-1]],
    f'<Choices name="c" toName="text" allowNested="true">{TREE}</Choices>': ["A > B / C", "E"],
    f'<Choices name="c" toName="text" allowNested="true" choice="multiple">{TREE}</Choices>': [["E", "A > D"]],
    '<Choices name="c" toName="text" value="$options"/>': ["Drei", "Vier 🚀"],
    f'<Taxonomy name="c" toName="text">{TREE}</Taxonomy>': [["A"], ["A > D", "A", "E"]],
    f'<Taxonomy name="c" toName="text" leafsOnly="true" maxUsages="2">{TREE}</Taxonomy>': [["A > B / C", "E"]],
    f'<Taxonomy name="c" toName="text">{ODD_CHOICES}</Taxonomy>': [ODD],
    '<Rating name="c" toName="text" maxRating="3"/>': [1, 2, 3],
    '<Number name="c" toName="text"/>': [0, -1, 2.5, 1e300],
    '<Number name="c" toName="text" min="0" max="1" step="0.1"/>': [0, 0.3, 1],
    '<Number name="c" toName="text" min="1" max="9" step="2"/>': [1, 9],
    '<DateTime name="c" toName="text"/>': ["2024-02-03T10:11"],
    '<DateTime name="c" toName="text" only="date" min="2024-01-01"/>': ["2024-01-01", "2400-12-31"],
    '<DateTime name="c" toName="text" only="time"/>': ["00:00", "23:59"],
    '<DateTime name="c" toName="text" only="year"/>': ["2000", "2024"],
    '<DateTime name="c" toName="text" only="month,year" format="%B %Y"/>': ["2024-02"],
    '<Pairwise name="c" toName="text,second"/>': ["left", "right"],
    '<Ranker name="c" toName="list"/>': [IDS, IDS[::-1]],
    '<Ranker name="c" toName="list"><Bucket name="a"/><Bucket name="b"/></Ranker>': [
        {"a": ["7"], "b": []},
        {"a": [], "b": IDS[::-1]},
    ],
    '<Ranker name="c" toName="list"><Bucket name="a" default="true"/><Bucket name="schön gut"/></Ranker>': [
        {"a": IDS, "sch_n_gut": []},
        {"a": ["7"], "sch_n_gut": ["__proto__", "seven ✨"]},
    ],
    f'<Choices name="c" toName="pages" perItem="true">{FEW}</Choices>': [
        [{"item": 1, "answer": "Bad"}],
        [{"item": 1, "answer": "Good"}, {"item": 2, "answer": "Good"}],
    ],
    '<TextArea name="c" toName="pages" perItem="true" required="true"/>': [
        [{"item": 1, "answer": "One."}, {"item": 2, "answer": "Two."}],
    ],
    f'<Labels name="c" toName="text">{LABELS}</Labels>': [
        [{"quote": "words", "before": "", "label": "A"}, {"quote": "Some words", "before": "", "label": "B"}],
    ],
    f'<HyperTextLabels name="c" toName="html">{LABELS}</HyperTextLabels>': [
        [
            {"quote": "bold 👍\n\nNext", "before": "", "label": "A"},
            {"quote": "b", "before": "a bold 👍\n\nNext line\n", "label": "B"},
        ],
    ],
    f'<Labels name="c" toName="html">{LABELS}</Labels>': [[{"quote": "line\nb", "before": "", "label": "A"}]],
    f'<ParagraphLabels name="c" toName="talk">{LABELS}</ParagraphLabels>': [
        [
            {"quote": "👍 Ann", "before": "", "label": "A"},
            {"quote": "yes", "before": "Ann: 👍 Ann?\nBob: ", "label": "B"},
        ],
        [{"quote": "Ann?\nBob: yes", "before": "", "label": "B"}],
    ],
    f'<Labels name="c" toName="talk">{LABELS}</Labels>': [[{"quote": "yes.", "before": "", "label": "A"}]],
    '<Labels name="c" toName="text" choice="multiple" value="$options"/>': [
        [{"quote": "Some", "before": "", "labels": ["Vier 🚀", "Drei"]}],
    ],
    f'<RectangleLabels name="c" toName="image">{LABELS}</RectangleLabels>': [
        [{**BOX, "label": "A"}, {"x": 99, "y": 0.25, "width": 1, "height": 99.75, "label": "B"}],
        [{"x": 33.3, "y": 66.7, "width": 66.7, "height": 33.3, "label": "B"}],
    ],
    f'<RectangleLabels name="c" toName="pages">{LABELS}</RectangleLabels>': [
        [{"page": 2, **BOX, "label": "A"}, {"page": 1, **BOX, "label": "A"}],
    ],
    '<Rectangle name="c" toName="image"/>': [[BOX, BOX]],
    '<EllipseLabels name="c" toName="image" choice="multiple" value="$options"/>': [
        [{"x": 50, "y": 50.5, "radiusX": 50, "radiusY": 0.5, "labels": ["Vier 🚀", "Drei"]}],
    ],
    '<Ellipse name="c" toName="image"/>': [[{"x": 1, "y": 2, "radiusX": 1, "radiusY": 1}]],
    f'<PolygonLabels name="c" toName="image">{LABELS}</PolygonLabels>': [[{"points": CORNERS, "label": "A"}]],
    '<Polygon name="c" toName="pages"/>': [[{"page": 1, "points": CORNERS[:3]}]],
    f'<KeyPointLabels name="c" toName="image">{LABELS}</KeyPointLabels>': [
        [{"x": 0, "y": 100, "label": "B"}, {"x": 12.5, "y": 0, "label": "B"}],
    ],
    '<KeyPoint name="c" toName="image"/>': [[{"x": 1, "y": 2}]],
    f'<Labels name="c" toName="sound">{LABELS}</Labels>': [
        [{"start": 0, "end": 1.25, "label": "A"}, {"start": 1, "end": 3600, "label": "B"}],
    ],
    f'<TimelineLabels name="c" toName="film">{LABELS}</TimelineLabels>': [
        [{"start": 0.0, "end": 0.04, "label": "A"}, {"start": 1.0, "end": 2.52, "label": "B"}],
    ],
    f'<TimeSeriesLabels name="c" toName="counted">{LABELS}</TimeSeriesLabels>': [
        [{"start": "0", "end": "2", "label": "A"}, {"start": "1", "end": "1", "label": "B"}],
    ],
    f'<TimeSeriesLabels name="c" toName="numbers">{LABELS}</TimeSeriesLabels>': [
        [{"start": "1", "end": "2.50", "label": "A"}],
    ],
    f'<TimeSeriesLabels name="c" toName="moments">{LABELS}</TimeSeriesLabels>': [
        [{"start": "2024-02-03 10:11:12.5", "end": "2024-02-03 10:11:13.25", "label": "A"}],
    ],
}
CASES = [
    pytest.param(tag, answer, id=f"{tag[:60]}-{number}")
    for tag, all_ in CANONICAL.items()
    for number, answer in enumerate(all_)
]


def config_of(tag: str) -> str:
    return f"<View>{OBJECTS}{tag}</View>"


def control_of(tag: str) -> tuple[Control, Inputs]:
    config = parse(config_of(tag))
    (control,), _ = bind(config, drawing=True)
    return control, read(config, DATA)


CONFIGS = {tag: parse(config_of(tag)) for tag in CANONICAL}
BOUND = {tag: control_of(tag) for tag in CANONICAL}


@pytest.mark.parametrize(("tag", "answer"), CASES)
def test_a_canonical_answer_comes_back_from_its_region(tag: str, answer: JSON) -> None:
    control, inputs = BOUND[tag]
    again = control.encode(control.read(answer, inputs), inputs)
    assert again == answer
    assert type(again) is type(answer)


@pytest.mark.parametrize(("tag", "answer"), CASES)
def test_a_canonical_answer_is_one_that_the_schema_asks_for(tag: str, answer: JSON) -> None:
    control, inputs = BOUND[tag]
    schema = control.question(inputs)
    if not (control.textual and isinstance(answer, list)):  # several texts come from several completions
        jsonschema.Draft202012Validator(schema).validate(answer)
    if not control.required:
        jsonschema.Draft202012Validator(schema).validate([] if schema.get("type") == "array" else None)


@pytest.mark.parametrize("tag", CANONICAL)
def test_a_schema_keeps_to_the_strict_subset(tag: str) -> None:
    control, inputs = BOUND[tag]
    schema = control.question(inputs)
    assert outside_the_subset(schema) == []
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("tag", CANONICAL)
def test_every_offered_label_is_taken_for_itself(tag: str) -> None:
    control, inputs = BOUND[tag]
    chooser = control.labeling or control if isinstance(control, RegionMaker) else control
    chooser = control.each if isinstance(control, PerItem) else chooser
    told = [chooser.encode(chooser.decode(label, inputs), inputs) for label in control.labels(inputs)]
    flat = [answer[0] if isinstance(answer, list) else answer for answer in told]
    # Two labels whose results are spelled alike cannot be told apart afterwards: the first stands for both.
    assert [label for label, answer in zip(control.labels(inputs), flat, strict=True) if label != answer] in ([], ["g"])


# Answers that come near the truth are as telling as nonsense.
WORDS = sorted({word for answers in CANONICAL.values() for word in json.dumps(answers, ensure_ascii=False).split('"')})
NEAR = [*WORDS, *(word.upper() for word in WORDS), *(f" {word} " for word in WORDS), "a", "b / c", "d", "3", "left "]
KEYS = [
    "a",
    "b",
    "schön gut",
    "sch_n_gut",
    "item",
    "answer",
    "quote",
    "label",
    "page",
    "points",
    "start",
    "end",
    *BOX,
    "_",
    "",
]
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(allow_nan=True),
    st.sampled_from(NEAR),
    st.text(st.characters(), max_size=12),
    st.dates().map(str),
    st.datetimes().map(lambda moment: moment.isoformat()[:16]),
)
ANSWERS = st.recursive(
    LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.sampled_from(KEYS), below, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(CANONICAL)), ANSWERS)
def test_any_answer_makes_a_region_that_the_config_allows_or_is_refused(tag: str, answer: JSON) -> None:
    control, inputs = BOUND[tag]
    made, refusal = read_by(control, answer, inputs)
    assert "\n" not in refusal
    assert len(refusal.encode("utf-8")) < 2000
    if not made:
        return
    for region in made:
        assert (region.from_name, region.to_name, region.type) == ("c", control.to_name, control.output.type)
        assert allowed(tag, control, dict(region.value))
        json.dumps(region.to_json(), allow_nan=False).encode("utf-8")
    assert len({region.item_index for region in made}) == len(made) or isinstance(control, RegionMaker)
    assert {region.item_index for region in made} <= ({0, 2} if control.to_name == "pages" else {None})
    assert wrongs(CONFIGS[tag], inputs, made) == []
    told = control.encode(made, inputs)
    assert told is not None
    assert control.read(told, inputs) == made


def read_by(control: Control, answer: JSON, inputs: Inputs) -> tuple[list[Region], str]:
    try:
        return control.read(answer, inputs), ""
    except AnswerError as exc:
        return [], exc.sentence


def allowed(tag: str, control: Control, value: dict[str, JSON]) -> bool:
    """Whether the editor shows this value, by rules spelled out anew here."""
    attrs = control.output.attrs
    if "x" in value or "points" in value:
        return value.get("rotation", 0) == 0 and value.get("closed", True)  # the rest is held by `wrongs`
    if "ranges" in value:
        ((first, last),) = [tuple(frames.values()) for frames in value["ranges"]]
        return 1 <= first <= last
    if "instant" in value:
        known = {"counted": [0, 1, 2], "numbers": [1, 2.5, 7]}.get(control.to_name, MOMENTS)
        return known.index(value["start"]) <= known.index(value["end"])
    if control.to_name == "sound":
        return 0 <= value["start"] < value["end"] and value["channel"] == 0
    if "start" in value:
        known = ["a", "B"] if "alias" in tag else ["3", "Vier 🚀"]
        return set(value.pop("labels")) <= set(known) and DATA["text"][value["start"] : value["end"]] == value["text"]
    ((key, held),) = value.items()
    if key in ("choices", "taxonomy"):
        known = [list(path) for path in paths(tag, nested=key == "taxonomy" or "allowNested" in tag)]
        entries = [entry if isinstance(entry, list) else [entry] for entry in held]
        several = key == "taxonomy" or attrs.get("choice") == "multiple"
        most = int(attrs.get("maxusages", 99))
        return all(entry in known for entry in entries) and len(entries) <= (most if several else 1)
    if key == "text":
        return isinstance(held, list) and all(type(text) is str and text.strip() for text in held)
    if key == "rating":
        return type(held) is int and 1 <= held <= 3
    if key == "ranker":
        placed = [ident for ids in held.values() for ident in ids]
        columns = [bucket.value for bucket in control.output.choices] or ["c"]
        most = sorted(placed) == sorted(IDS) if columns == ["c"] or "default" in tag else set(placed) <= set(IDS)
        return list(held) == columns and most and len(placed) == len(set(placed))
    if key == "number":
        low, high = float(attrs.get("min", "-inf")), float(attrs.get("max", "inf"))
        return type(held) in (int, float) and low <= held <= high
    return isinstance(held, str) if key == "datetime" else value in ({"selected": "left"}, {"selected": "right"})


def paths(tag: str, *, nested: bool) -> list[tuple[str, ...]]:
    if "$options" in tag:
        return [("3",), ("Vier 🚀",)]
    if TREE not in tag:
        return [(label,) for label in (("g", "Bad") if FEW in tag else ODD)]
    assert nested
    leaves = [("a", "B / C"), ("a", "D"), ("E",)]
    return leaves if "allowNested" in tag or "leafsOnly" in tag else [("a",), *leaves]


@pytest.mark.e2e
def test_the_hosts_validator_takes_every_region_but_nested_choices() -> None:
    cases = []
    for tag, answers in CANONICAL.items():
        control, inputs = BOUND[tag]
        for answer in answers:
            result = [{"id": "r1", **region.to_json()} for region in control.read(answer, inputs)]
            cases.append((config_of(tag), {"model_version": "m", "score": 0.5, "result": result}))
    said = complaints(cases)
    refused = {config for (config, _), errors in zip(cases, said, strict=True) if errors}
    assert refused == {config for config, _ in cases if "allowNested" in config}


@pytest.mark.e2e
def test_every_template_of_the_host_is_bound() -> None:
    shipped = templates()
    assert len(shipped) > 50
    for name, xml in shipped.items():
        config = parse(xml)
        controls, others = bind(config)
        assert len(controls) + len(others) >= len(config.outputs), name
        assert all(other.reason.endswith(".") for other in others)
