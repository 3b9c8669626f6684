"""Small pictures, made by code. They need Pillow, except PNG."""

import base64
import io
from typing import Any

# One red pixel.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC")


def drawn(size: tuple[int, int] = (40, 30), text: str = "") -> Any:
    """A white picture with large black words."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", size, "white")
    if text:
        lines = [text[start : start + 40] for start in range(0, len(text), 40)]
        ImageDraw.Draw(image).multiline_text((20, 20), "\n".join(lines), "black", ImageFont.load_default(48))
    return image


def saved(kind: str, image: Any = None) -> bytes:
    """A picture's file in a format of Pillow's, such as PNG."""
    content = io.BytesIO()
    (image or drawn()).save(content, kind)
    return content.getvalue()
