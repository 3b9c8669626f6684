"""What is to be seen and heard in a film or a recording?

By FFmpeg's libraries (PyAV, extra `video`). A file's kind is told by its bytes, and FFmpeg is held to it: left to
guess, it would read play lists too, which lead to other files.
"""

import importlib
import io
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from llm_backend.adapters.pictures import Picture
from llm_backend.errors import MediaError

MOST_FRAMES = 12
LONGEST_SIDE = 768
MOST_PIXELS = 40_000_000
SECONDS = 30.0
"""How long the work on one film may take."""

_QUALITY = 85
_RATE = 16_000
_BITS = 48_000
_PLAIN_WAVE = (1, 3, 0xFFFE)  # whole numbers, floats, and either with more said about them


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of a film, and its time in seconds from the film's start."""

    seconds: float
    picture: Picture = field(repr=False)


@dataclass(frozen=True, slots=True)
class Film:
    """A film: frames evenly spread over it.

    Attributes:
        seconds: How long it is; 0 where that is not known.
        rate: Frames per second; 0 where that is not known.
    """

    frames: tuple[Frame, ...]
    seconds: float
    rate: float


def sound_format(content: bytes) -> Literal["wav", "mp3", ""]:
    """Which of the formats that models hear this is, or ""."""
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        at = content.find(b"fmt ", 12, 4096)
        return "wav" if at >= 0 and int.from_bytes(content[at + 8 : at + 10], "little") in _PLAIN_WAVE else ""
    return "mp3" if _container(content) == "mp3" else ""


def as_mp3(content: bytes, name: str, patience: float = SECONDS) -> bytes:
    """A recording's sound, or a film's, as MP3: one channel, as speech needs it. Slow: run it in a thread.

    Args:
        patience: Seconds that it may take.
    Raises:
        MediaError: The extra is not installed, there is no sound in it, or it is damaged.
    """
    saved = io.BytesIO()
    with _opened(content, name, "sound") as (av, box):
        if not box.streams.audio:
            raise MediaError(f"{name} has no sound in it.")
        ends = time.monotonic() + patience
        with av.open(saved, "w", format="mp3") as out:
            track = out.add_stream("libmp3lame", rate=_RATE, bit_rate=_BITS, layout="mono")
            resampler = av.AudioResampler(format="s16p", layout="mono", rate=_RATE)
            for frame in box.decode(box.streams.audio[0]):
                _refuse_late(ends, name)
                for piece in resampler.resample(frame):
                    out.mux(track.encode(piece))
            for piece in resampler.resample(None):
                out.mux(track.encode(piece))
            out.mux(track.encode(None))
    return saved.getvalue()


def film(content: bytes, name: str, patience: float = SECONDS) -> Film:
    """Frames of a film from the middles of equal stretches of it. Slow: run it in a thread.

    Args:
        patience: Seconds that it may take.
    Raises:
        MediaError: The extra is not installed, there are no pictures in it, or it is damaged.
    """
    with _opened(content, name, "video") as (_, box):
        if not box.streams.video:
            raise MediaError(f"{name} has no pictures in it.")
        stream = box.streams.video[0]
        stream.thread_type = "AUTO"
        if stream.codec_context.width * stream.codec_context.height > MOST_PIXELS:
            raise MediaError(f"{name} has over {MOST_PIXELS // 1_000_000} million pixels per frame.")
        seconds = _seconds(box, stream)
        ends = time.monotonic() + patience
        found = _spread(box, stream, seconds, ends, name) if seconds else _key_frames(box, stream, ends, name)
        if not found:
            raise MediaError(f"{name} has no picture that can be read.")
        return Film(tuple(found), seconds, float(stream.average_rate or 0))


def _spread(box: Any, stream: Any, seconds: float, ends: float, name: str) -> list[Frame]:
    start, frames = stream.start_time or 0, dict[float, Frame]()
    for part in range(MOST_FRAMES):
        wanted = seconds * (part + 0.5) / MOST_FRAMES
        box.seek(start + int(Fraction(wanted) / stream.time_base), stream=stream, backward=True)
        last = None
        for frame in box.decode(stream):
            _refuse_late(ends, name)
            if last is not None and _time(frame, stream) > wanted:
                break
            last = frame
        if last is not None:
            frames.setdefault(_time(last, stream), _drawn(last, stream))
    return [frames[at] for at in sorted(frames)]


def _key_frames(box: Any, stream: Any, ends: float, name: str) -> list[Frame]:
    """Where a film does not say how long it is: frames that stand on their own, thinned out as they become many."""
    stream.codec_context.skip_frame = "NONKEY"
    frames: list[Frame] = []
    step = 1
    for number, frame in enumerate(box.decode(stream)):
        _refuse_late(ends, name)
        if number % step == 0:
            frames.append(_drawn(frame, stream))
        if len(frames) > 2 * MOST_FRAMES:
            frames, step = frames[::2], step * 2
    return frames[:: math.ceil(len(frames) / MOST_FRAMES)] if frames else []


def _drawn(frame: Any, stream: Any) -> Frame:
    scale = min(1.0, LONGEST_SIDE / max(frame.width, frame.height))
    size = (max(2, round(frame.width * scale)), max(2, round(frame.height * scale)))
    image, saved = frame.reformat(width=size[0], height=size[1]).to_image(), io.BytesIO()
    if turned := getattr(frame, "rotation", 0):
        image = image.rotate(turned, expand=True)
    image.save(saved, "JPEG", quality=_QUALITY)
    return Frame(_time(frame, stream), Picture("image/jpeg", saved.getvalue()))


def _time(frame: Any, stream: Any) -> float:
    start = float((stream.start_time or 0) * stream.time_base)
    return max(0.0, (frame.time or 0.0) - start)


def _seconds(box: Any, stream: Any) -> float:
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return box.duration / 1_000_000 if box.duration else 0.0


@contextmanager
def _opened(content: bytes, name: str, kind: str) -> Iterator[tuple[Any, Any]]:
    av, container = _libraries(), _container(content)
    if not container:
        raise MediaError(f"{name} is no {kind} of a kind that is known; give MP4, WebM, Ogg, MP3, WAV or FLAC.")
    if av is None:
        known = "MP3 and WAV sounds" if kind == "sound" else "pictures"
        raise MediaError(
            f'{name} needs the extra "video" (pip install "llm-backend[video]"): without it only {known} are read.',
            lasting=False,
        )
    try:
        with av.open(io.BytesIO(content), format=container) as box:
            yield av, box
    except (av.FFmpegError, ValueError) as exc:
        raise MediaError(f"{name} cannot be read: it is damaged, cut short, or of an unusual variant.") from exc


def _container(content: bytes) -> str:
    """FFmpeg's name for the kind of file that this is, or ""."""
    head = content[:12]
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return "mov"
    if head.startswith(b"RIFF"):
        return {b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12], "")
    for beginning, kind in _BEGINNINGS.items():
        if head.startswith(beginning):
            return kind
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0:
        # The two bits of the layer: MP3 is layer III, and a stream of AAC has none.
        return {1: "mp3", 0: "aac"}.get((head[1] >> 1) & 3, "")
    return ""


_BEGINNINGS = {
    b"ID3": "mp3",
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"\x1aE\xdf\xa3": "matroska",
    b"FORM": "aiff",
    b"FLV\x01": "flv",
}


def _refuse_late(ends: float, name: str) -> None:
    if time.monotonic() > ends:
        raise MediaError(f"{name} was not read in time; give a shorter or smaller one.")


def _libraries() -> Any | None:
    """FFmpeg's libraries, and what writes pictures, or None. Imported when first needed, for they are large."""
    try:
        importlib.import_module("PIL.Image")
        return importlib.import_module("av")
    except ImportError:
        return None
