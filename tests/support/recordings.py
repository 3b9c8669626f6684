"""Small documents, sounds and films, made by code."""

import io
import math
import struct
import wave
from fractions import Fraction
from typing import Any

from tests.support.pictures import drawn


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, written by hand; an empty text is a blank page."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 18 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    out, offsets = io.BytesIO(b""), []
    out.write(b"%PDF-1.4\n")
    for number, told in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{told}\nendobj\n".encode())
    start = out.tell()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    out.write(f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\n".encode())
    out.write(f"startxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def scan(*texts: str) -> bytes:
    """A PDF whose pages are pictures of texts. Needs Pillow."""
    images = [drawn((900, 300), text) for text in texts]
    content = io.BytesIO()
    images[0].save(content, "PDF", save_all=True, append_images=images[1:])
    return content.getvalue()


def wav(seconds: float = 0.5, rate: int = 8000, coding: int = 1) -> bytes:
    """A tone as WAV; `coding` is its format tag, 1 for plain samples."""
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        tone = (int(9000 * math.sin(at * 0.3)) for at in range(int(seconds * rate)))
        out.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
    told = bytearray(content.getvalue())
    told[20:22] = coding.to_bytes(2, "little")
    return bytes(told)


def sound(container: str, codec: str, seconds: float = 1.0) -> bytes:
    """A tone in another format, such as ("mp3", "libmp3lame"). Needs PyAV."""
    import av

    content, rate = io.BytesIO(), 16_000
    with av.open(content, "w", format=container) as out:
        _add_tone(av, out, out.add_stream(codec, rate=rate, layout="mono"), seconds, rate)
    return content.getvalue()


def film(
    container: str = "mp4",
    codec: str = "libx264",
    seconds: float = 4.0,
    rate: int = 10,
    *,
    size: tuple[int, int] = (160, 96),
    tone: bool = False,
    told: bool = True,
) -> bytes:
    """A film that grows brighter from black to white. Needs PyAV and Pillow.

    Args:
        tone: Whether it has a tone, too.
        told: Whether it says how long it is; a WebM need not.
    """
    import av
    from PIL import Image

    content, count = io.BytesIO(), round(seconds * rate)
    with av.open(content, "w", format=container, options={} if told else {"live": "1"}) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, "yuv420p", 10
        track = out.add_stream("aac", rate=16_000, layout="mono") if tone else None
        for number in range(count):
            grey = round(255 * number / max(count - 1, 1))
            frame = av.VideoFrame.from_image(Image.new("RGB", size, (grey, grey, grey)))
            frame.pts, frame.time_base = number, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if track is not None:
            _add_tone(av, out, track, seconds, 16_000)
    return content.getvalue()


def _add_tone(av: Any, out: Any, track: Any, seconds: float, rate: int) -> None:
    samples = b"".join(struct.pack("<h", int(9000 * math.sin(at * 0.3))) for at in range(int(seconds * rate)))
    resampler = av.AudioResampler(format=track.format, layout="mono", rate=rate, frame_size=track.frame_size or 1024)
    for start in range(0, len(samples), 2048):
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples[start : start + 2048]) // 2)
        frame.planes[0].update(samples[start : start + 2048].ljust(frame.planes[0].buffer_size, b"\0"))
        frame.sample_rate, frame.pts = rate, start // 2
        for piece in resampler.resample(frame):
            out.mux(track.encode(piece))
    for piece in resampler.resample(None):
        out.mux(track.encode(piece))
    out.mux(track.encode(None))
