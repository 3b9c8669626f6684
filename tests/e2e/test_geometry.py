"""What the editor shows of shapes on pictures, and of stretches of sounds, videos and time series."""

import base64
from collections.abc import Sequence
from pathlib import Path

from llm_backend.core.wire import JSON
from tests.support.browser import SELECTED, Editor
from tests.support.lab import Lab, fills
from tests.support.pictures import drawn, saved
from tests.support.recordings import film, wav

PICTURE = "data:image/png;base64," + base64.b64encode(saved("PNG", drawn((400, 300)))).decode()
LABELS = '<Label value="Cat"/><Label value="Dog"/>'
SHAPES = f"""
<View>
  <Image name="page" value="$page"/>
  <RectangleLabels name="boxes" toName="page">{LABELS}</RectangleLabels>
  <EllipseLabels name="ovals" toName="page">{LABELS}</EllipseLabels>
  <PolygonLabels name="outlines" toName="page">{LABELS}</PolygonLabels>
  <KeyPointLabels name="dots" toName="page">{LABELS}</KeyPointLabels>
</View>"""
SCAN = f"""
<View>
  <Image name="pages" valueList="$pages"/>
  <Labels name="kind" toName="pages">{LABELS}</Labels>
  <Rectangle name="box" toName="pages"/>
  <Polygon name="outline" toName="pages"/>
  <TextArea name="words" toName="pages" perRegion="true" required="true" maxSubmissions="1" editable="true"/>
</View>"""
CORNERS = [{"x": 60, "y": 10}, {"x": 90, "y": 10}, {"x": 75, "y": 40}]
OUTLINE = {"points": [[60, 10], [90, 10], [75, 40]], "closed": True}
DRAWN = "document.querySelector('.konvajs-content canvas') !== null"


def opened(
    lab: Lab, editor: Editor, title: str, config: str, data: dict[str, JSON], files: Sequence[Path] = ()
) -> None:
    """Open a task of a project that has shapes filled; uploaded files are its `file`."""
    project = lab.api.create_project(title, config, show_collab_predictions=True)
    if files:
        data = {**data, "file": lab.api.upload(project, files)[0]}
    (task,) = lab.api.import_tasks(project, [data])
    lab.api.connect(project, lab.backend, extra_params={"fill_geometry": True})
    editor.open(project, task)


def held(editor: Editor) -> list[tuple[str, JSON]]:
    """What the annotation holds, as the editor would store it again."""
    return [(region["from_name"], region["value"]) for region in editor.result()]


def regions(editor: Editor) -> list[str]:
    """The kinds of the regions that the editor has on its screen; what it could not place is none of them."""
    return list(editor.page.evaluate(f"() => {SELECTED}.regions.map(region => region.type)"))


def test_shapes_stand_on_the_picture_where_the_model_put_them(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(
        boxes=[{"x": 10, "y": 20, "width": 30, "height": 25.5, "label": "Cat"}],
        ovals=[{"x": 30, "y": 75, "radiusX": 20, "radiusY": 10, "label": "Dog"}],
        outlines=[{"points": CORNERS, "label": "Cat"}],
        dots=[{"x": 75, "y": 75, "label": "Dog"}],
    )
    opened(lab, editor, "shapes", SHAPES, {"page": PICTURE})

    editor.wait_for_region("dots")
    editor.wait(DRAWN)
    assert regions(editor) == ["rectangleregion", "ellipseregion", "polygonregion", "keypointregion"]
    assert held(editor) == [
        ("boxes", {"x": 10, "y": 20, "width": 30, "height": 25.5, "rotation": 0, "rectanglelabels": ["Cat"]}),
        ("ovals", {"x": 30, "y": 75, "radiusX": 20, "radiusY": 10, "rotation": 0, "ellipselabels": ["Dog"]}),
        ("outlines", {**OUTLINE, "polygonlabels": ["Cat"]}),
        ("dots", {"x": 75, "y": 75, "width": 2, "keypointlabels": ["Dog"]}),
    ]
    editor.screenshot(shots / "shapes.png")


def test_words_and_labels_hang_on_bare_shapes_page_by_page(lab: Lab, editor: Editor, shots: Path) -> None:
    box = {"x": 10, "y": 20, "width": 30, "height": 25}
    lab.stub.responder = fills(
        box=[{"page": 1, **box, "kind": "Cat", "words": "Tom"}, {"page": 2, **box, "kind": "Dog", "words": "Rex"}],
        outline=[{"page": 2, "points": CORNERS, "kind": "Dog", "words": "Max"}],
    )
    opened(lab, editor, "scan", SCAN, {"pages": [PICTURE, PICTURE]})

    editor.wait_for_region("outline")
    assert regions(editor) == ["rectangleregion", "rectangleregion", "polygonregion"]
    result = editor.result()
    assert [(part["from_name"], part["item_index"]) for part in result] == [
        *[(name, 0) for name in ("box", "kind", "words")],
        *[(name, 1) for name in ("box", "kind", "words")],
        *[(name, 1) for name in ("outline", "kind", "words")],
    ]
    assert len({part["id"] for part in result}) == 3
    assert [part["value"]["text"] for part in result if part["from_name"] == "words"] == [["Tom"], ["Rex"], ["Max"]]
    editor.screenshot(shots / "scan.png")


SOUND = """
<View>
  <Audio name="sound" value="$file"/>
  <Labels name="kind" toName="sound"><Label value="Speech"/><Label value="Noise"/></Labels>
  <TextArea name="said" toName="sound" perRegion="true" whenTagName="kind" whenLabelValue="Speech"/>
  <Choices name="mood" toName="sound" perRegion="true"><Choice value="Calm"/><Choice value="Cross"/></Choices>
</View>"""


def test_stretches_of_a_sound_have_their_seconds_and_words(
    lab: Lab, editor: Editor, shots: Path, tmp_path: Path
) -> None:
    file = tmp_path / "tone.wav"
    file.write_bytes(wav(4.0))
    lab.stub.responder = fills(
        kind=[
            {"start": 0.5, "end": 1.25, "label": "Speech", "said": "Good morning", "mood": "Calm"},
            {"start": 2, "end": 4, "label": "Noise", "said": None, "mood": None},
        ]
    )
    opened(lab, editor, "sound", SOUND, {}, [file])

    editor.wait_for_region("mood")
    assert regions(editor) == ["audioregion", "audioregion"]
    first = {"start": 0.5, "end": 1.25, "channel": 0}
    assert held(editor) == [
        ("kind", {**first, "labels": ["Speech"]}),
        ("said", {**first, "text": ["Good morning"]}),
        ("mood", {**first, "choices": ["Calm"]}),
        ("kind", {"start": 2, "end": 4, "channel": 0, "labels": ["Noise"]}),
    ]
    # The waveform has them, too, once the sound has been decoded.
    editor.wait(f"{SELECTED}.regions.every(region => region._ws_region)")
    editor.screenshot(shots / "sound.png")


VIDEO = """
<View>
  <Video name="film" value="$file" frameRate="10"/>
  <TimelineLabels name="cuts" toName="film"><Label value="Dark"/><Label value="Bright"/></TimelineLabels>
</View>"""


def test_stretches_of_a_video_stand_on_its_timeline(lab: Lab, editor: Editor, shots: Path, tmp_path: Path) -> None:
    file = tmp_path / "film.mp4"
    file.write_bytes(film(seconds=4.0, rate=10))
    lab.stub.responder = fills(
        cuts=[{"start": 0, "end": 2, "label": "Dark"}, {"start": 2.5, "end": 4, "label": "Bright"}]
    )
    opened(lab, editor, "video", VIDEO, {}, [file])

    editor.wait_for_region("cuts")
    assert regions(editor) == ["timelineregion", "timelineregion"]
    assert held(editor) == [
        ("cuts", {"ranges": [{"start": 1, "end": 20}], "timelinelabels": ["Dark"]}),
        ("cuts", {"ranges": [{"start": 26, "end": 40}], "timelinelabels": ["Bright"]}),
    ]
    editor.wait(f"{SELECTED}.names.get('film').length === 40")
    editor.screenshot(shots / "video.png")


SERIES = """
<View>
  <TimeSeries name="ride" valueType="json" value="$ride" timeColumn="at" timeFormat="%Y-%m-%d %H:%M:%S.%f">
    <Channel column="speed"/>
  </TimeSeries>
  <TimeSeriesLabels name="kind" toName="ride"><Label value="Run"/><Label value="Rest"/></TimeSeriesLabels>
  <Rating name="sure" toName="ride" perRegion="true"/>
</View>"""
STEPS = """
<View>
  <TimeSeries name="steps" valueType="url" value="$file" timeColumn="n"><Channel column="height"/></TimeSeries>
  <TimeSeriesLabels name="kind" toName="steps"><Label value="Up"/><Label value="Top"/></TimeSeriesLabels>
</View>"""
MOMENTS = [f"2024-02-03 10:11:{second:02}.5" for second in range(30)]


def test_ranges_of_a_series_begin_and_end_at_its_own_moments(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(
        kind=[
            {"start": MOMENTS[2], "end": MOMENTS[9], "label": "Run", "sure": 4},
            {"start": MOMENTS[20], "end": MOMENTS[20], "label": "Rest", "sure": None},
        ]
    )
    opened(lab, editor, "ride", SERIES, {"ride": {"at": MOMENTS, "speed": [at % 7 for at in range(30)]}})

    editor.wait_for_region("sure")
    assert regions(editor) == ["timeseriesregion", "timeseriesregion"]
    first = {"start": f"{MOMENTS[2]}00000", "end": f"{MOMENTS[9]}00000", "instant": False}
    instant = {"start": f"{MOMENTS[20]}00000", "end": f"{MOMENTS[20]}00000", "instant": True}
    assert held(editor) == [
        ("kind", {**first, "timeserieslabels": ["Run"]}),
        ("sure", {**first, "rating": 4}),
        ("kind", {**instant, "timeserieslabels": ["Rest"]}),
    ]
    # Half past the second, by the series' own clock: the editor's milliseconds since 1970.
    starts = editor.page.evaluate(f"() => {SELECTED}.regions.map(region => region.start % 60000)")
    assert starts == [2500, 20500]
    editor.page.locator(".htx-timeseries-channel svg, svg .region").first.wait_for()
    editor.screenshot(shots / "series.png")


def test_ranges_of_a_series_in_a_file_are_numbers(lab: Lab, editor: Editor, shots: Path, tmp_path: Path) -> None:
    file = tmp_path / "steps.csv"
    file.write_text("n,height\n" + "".join(f"{at / 2},{at % 5}\n" for at in range(40)))
    lab.stub.responder = fills(
        kind=[{"start": "1.5", "end": "3.0", "label": "Up"}, {"start": "8.0", "end": "8.0", "label": "Top"}]
    )
    opened(lab, editor, "steps", STEPS, {}, [file])

    editor.wait_for_region("kind")
    assert regions(editor) == ["timeseriesregion", "timeseriesregion"]
    assert held(editor) == [
        ("kind", {"start": 1.5, "end": 3, "instant": False, "timeserieslabels": ["Up"]}),
        ("kind", {"start": 8, "end": 8, "instant": True, "timeserieslabels": ["Top"]}),
    ]
    editor.screenshot(shots / "steps.png")
