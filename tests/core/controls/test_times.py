"""Stretches of sounds and videos: what is asked in seconds, stored as the editor has it, and refused."""

import base64
import io
import wave
from dataclasses import replace
from typing import Any

import pytest

from llm_backend.core.chat import AudioPart
from llm_backend.core.checks import wrongs
from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.wire import Region
from llm_backend.errors import AnswerError

SOUND = '<Labels name="c" toName="o"><Label value="Speech"/><Label value="Noise"/></Labels><Audio name="o" value="$o"/>'
BROKEN = b"RIFF1234WAVEjunk\x04\0\0\0four"
FILM = '<TimelineLabels name="c" toName="o"><Label value="Still"/></TimelineLabels><Video name="o" value="$o"{}/>'


def seen(tags: str, **data: Any) -> tuple[LabelingConfig, Control, Inputs]:
    config = parse(f"<View>{tags}</View>")
    (control,), others = bind(config, drawing=True)
    assert others == ()
    return config, control, read(config, {"o": "https://a/1", **data})


def heard(inputs: Inputs, *sounds: AudioPart) -> Inputs:
    (sound,) = inputs.seen
    return replace(inputs, seen=(replace(sound, parts=sounds),))


def wav(seconds: float) -> AudioPart:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(round(16000 * seconds)))
    return AudioPart("wav", base64.b64encode(content.getvalue()).decode())


@pytest.mark.parametrize("tags", [SOUND, FILM.format("")], ids=["sound", "video"])
def test_stretches_are_marked_only_where_that_is_wanted(tags: str) -> None:
    controls, (other,) = bind(parse(f"<View>{tags}</View>"))
    assert controls == ()
    assert "FILL_GEOMETRY=1" in other.reason


def test_a_stretch_of_a_sound_is_stored_in_seconds() -> None:
    config, control, inputs = seen(SOUND)
    made = control.read([{"start": 0, "end": 2.5, "label": "Noise"}], inputs)
    assert [region.value for region in made] == [{"start": 0, "end": 2.5, "channel": 0, "labels": ["Noise"]}]
    assert wrongs(config, inputs, made) == []


@pytest.mark.parametrize(
    ("start", "end"),
    [(2, 1), (1, 1), (-1, 1), ("1", 2), (1, None), (True, 2), (0, float("nan")), (0, float("inf")), (0, 10**400)],
)
def test_what_is_no_stretch_is_refused(start: Any, end: Any) -> None:
    _, control, inputs = seen(SOUND)
    with pytest.raises(AnswerError) as raised:
        control.read([{"start": 0, "end": 1, "label": "Noise"}, {"start": start, "end": end, "label": "Noise"}], inputs)
    assert raised.value.sentence.startswith('A stretch of "o" begins, then ends, told in seconds; {')
    assert len(raised.value.made) == 1


def test_a_stretch_beyond_the_end_of_a_sound_is_refused_and_not_clipped() -> None:
    _, control, inputs = seen(SOUND)
    inputs = heard(inputs, wav(3))
    assert control.read([{"start": 0, "end": 3, "label": "Noise"}], inputs)
    with pytest.raises(AnswerError, match=r'"o" is 3 s long; the model gave a stretch until 3\.5 s\.'):
        control.read([{"start": 0, "end": 3.5, "label": "Noise"}], inputs)


@pytest.mark.parametrize(
    "sounds",
    [
        pytest.param((), id="nothing was fetched"),
        pytest.param((AudioPart("mp3", base64.b64encode(b"ID3").decode()),), id="mp3"),
        pytest.param((AudioPart("wav", base64.b64encode(BROKEN).decode()),), id="broken header"),
        pytest.param((AudioPart("wav", "?"),), id="no base64"),
    ],
)
def test_a_sound_of_unknown_length_takes_any_stretch(sounds: tuple[AudioPart, ...]) -> None:
    _, control, inputs = seen(SOUND)
    assert control.read([{"start": 0, "end": 3000, "label": "Noise"}], heard(inputs, *sounds))


@pytest.mark.parametrize(
    ("attr", "data", "frames"),
    [
        pytest.param("", {}, (25, 48), id="the editor's own 24"),
        pytest.param(' frameRate="10"', {}, (11, 20), id="told"),
        pytest.param(' framerate="0.1"', {}, (11, 20), id="seconds of a frame"),
        pytest.param(' frameRate="$fps"', {"fps": 50}, (51, 100), id="by the task"),
        pytest.param(' frameRate="$fps"', {}, (25, 48), id="not in the task"),
        pytest.param(' frameRate="none"', {}, (25, 48), id="no number"),
        pytest.param(' frameRate="0"', {}, (25, 48), id="zero"),
    ],
)
def test_a_stretch_of_a_video_is_stored_in_frames(attr: str, data: Any, frames: tuple[int, int]) -> None:
    config, control, inputs = seen(FILM.format(attr), **data)
    made = control.read([{"start": 1, "end": 2, "label": "Still"}], inputs)
    first, last = frames
    assert [region.value for region in made] == [
        {"ranges": [{"start": first, "end": last}], "timelinelabels": ["Still"]}
    ]
    assert wrongs(config, inputs, made) == []
    assert control.encode(made, inputs) == [{"start": 1, "end": 2, "label": "Still"}]


def test_a_stretch_shorter_than_a_frame_is_one_frame() -> None:
    _, control, inputs = seen(FILM.format(' frameRate="10"'))
    (region,) = control.read([{"start": 0.5, "end": 0.51, "label": "Still"}], inputs)
    assert region.value["ranges"] == [{"start": 6, "end": 6}]


def test_a_range_that_a_person_left_open_is_told_as_open() -> None:
    _, control, inputs = seen(FILM.format(""))
    value = {"ranges": [{"start": 25, "end": None}], "timelinelabels": ["Still"]}
    told = control.encode([Region("c", "o", "timelinelabels", value)], inputs)
    assert told == [{"start": 1, "end": None, "label": "Still"}]


def test_texts_and_choices_hang_on_stretches() -> None:
    more = (
        '<TextArea name="said" toName="o" perRegion="true" whenTagName="c" whenLabelValue="Speech"/>'
        '<Choices name="mood" toName="o" perRegion="true"><Choice value="Calm"/></Choices>'
    )
    config, control, inputs = seen(SOUND + more)
    told = [
        {"start": 0, "end": 1, "label": "Speech", "said": "Good morning", "mood": "Calm"},
        {"start": 1, "end": 2, "label": "Noise", "said": None, "mood": None},
    ]
    made = control.read(told, inputs)
    assert [(region.type, region.id) for region in made] == [
        ("labels", "c 1"),
        ("textarea", "c 1"),
        ("choices", "c 1"),
        ("labels", "c 2"),
    ]
    assert made[1].value == {"start": 0, "end": 1, "channel": 0, "text": ["Good morning"]}
    assert wrongs(config, inputs, made) == []
    assert control.encode(made, inputs) == told


def test_the_model_is_told_the_units() -> None:
    _, control, inputs = seen(FILM.format(""))
    assert '"start": when it begins, in seconds from the start of "o", such as 12.5' in control.describe(inputs)
