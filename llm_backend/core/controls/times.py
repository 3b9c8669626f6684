"""How are stretches of time in a sound or a video asked for, and stored? In seconds; a video's results count frames."""

import base64
import binascii
import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from llm_backend.core.chat import AudioPart
from llm_backend.core.controls.base import shown
from llm_backend.core.controls.places import Item, Place, Spot
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.inputs import Seen
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

_TIME: JSON = {"type": "number", "minimum": 0}
_LONGEST = 1e7  # seconds; no recording is longer than some months
_FRAME_RATE = 24.0  # the editor's own where the tag does not say
_HEADER = 8192  # characters of base64 that hold what a WAV says before its sound
_PLACES = 4  # of seconds, as the model is told them
_SLACK = 0.05  # seconds by which a stretch may end after a sound whose length was rounded


class Stretch(Place):
    """A stretch of time, told by the seconds of its start and its end."""

    drawn: ClassVar[bool] = True

    @property
    def schema(self) -> Mapping[str, JSON]:
        return dict.fromkeys(("start", "end"), _TIME)

    def describe(self, where: str) -> Mapping[str, str]:
        return {
            "start": f"when it begins, in seconds from the start of {where}, such as 12.5",
            "end": "when it ends, likewise; after its start",
        }

    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        length = self.length(seen)
        return [self._spot(item, seen, length) for item in items]

    def length(self, seen: Seen) -> float | None:
        """How long it is in seconds, where that is known."""
        return None

    @abstractmethod
    def value(self, start: float, end: float, seen: Seen) -> Mapping[str, JSON]:
        """What is stored of a stretch."""

    def _spot(self, item: Item, seen: Seen, length: float | None) -> Spot | AnswerError:
        start, end = _time(item.get("start")), _time(item.get("end"))
        if start is None or end is None or start >= end:
            told = shown({"start": item.get("start"), "end": item.get("end")})
            return AnswerError(f'A stretch of "{seen.name}" begins, then ends, told in seconds; {told} does not.')
        if length is not None and end > length + _SLACK:
            return AnswerError(f'"{seen.name}" is {length:g} s long; the model gave a stretch until {end:g} s.')
        return Spot(self.value(start, end, seen))


class SoundStretch(Stretch):
    """A stretch of a sound. Stored in seconds; of a sound with several channels all are meant, and the first stands."""

    def value(self, start: float, end: float, seen: Seen) -> Mapping[str, JSON]:
        return {"start": start, "end": end, "channel": 0}

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        return {name: region.value.get(name) for name in ("start", "end")}

    def length(self, seen: Seen) -> float | None:
        lengths = [_seconds(part) for part in seen.parts if isinstance(part, AudioPart)]
        return lengths[0] if len(lengths) == 1 else None


class VideoStretch(Stretch):
    """A stretch of a video. Stored by its first and its last frame, both counted in, from 1."""

    def value(self, start: float, end: float, seen: Seen) -> Mapping[str, JSON]:
        rate = frame_rate(seen)
        first = round(start * rate) + 1
        return {"ranges": [{"start": first, "end": max(first, round(end * rate))}]}

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        rate = frame_rate(seen)
        ranges = region.value.get("ranges")
        frames = ranges[0] if isinstance(ranges, list) and ranges and isinstance(ranges[0], Mapping) else {}
        first, last = frames.get("start"), frames.get("end")
        return {
            "start": round((first - 1) / rate, _PLACES) if type(first) is int else None,
            "end": round(last / rate, _PLACES) if type(last) is int else None,
        }


class TimelineLabels(RegionMaker, tags=("TimelineLabels",)):
    """Labelled stretches of a video."""

    places: ClassVar[Mapping[str, Place]] = {"Video": VideoStretch()}


def frame_rate(seen: Seen) -> float:
    """Frames per second of a video, as the editor reads its tag's `frameRate`: below 1 it is a frame's seconds."""
    try:
        told = float(seen.attrs.get("framerate", ""))
    except ValueError:
        return _FRAME_RATE
    if not math.isfinite(told) or told <= 0:
        return _FRAME_RATE
    return told if told >= 1 else 1 / told


def _time(told: JSON) -> float | None:
    fine = not isinstance(told, bool) and isinstance(told, int | float) and 0 <= told <= _LONGEST
    return told if fine else None


def _seconds(part: AudioPart) -> float | None:
    """The length of a WAV by its bytes and its bytes a second; None where it does not tell, or is of another kind."""
    try:
        head = base64.b64decode(part.data[:_HEADER]) if part.format == "wav" else b""
    except binascii.Error:
        return None
    at, a_second = len(b"RIFF....WAVE"), 0
    while at + 8 <= len(head):
        kind, size = head[at : at + 4], int.from_bytes(head[at + 4 : at + 8], "little")
        if kind == b"fmt ":
            a_second = int.from_bytes(head[at + 16 : at + 20], "little")
        if kind == b"data":
            return size / a_second if size and a_second else None
        at += 8 + size + size % 2
    return None
