"""How are media shown that stand as HTML in a message or a model's output?

What was written is kept as it is and is never shown as HTML itself: it may hold scripts, or reach out to anywhere. What
is shown is made anew, of its words and of the media that it names.
"""

import re
from collections.abc import Iterator
from html import escape

from llm_backend.core.markup import media_urls, readable_text

_HAS_MEDIA = re.compile(r"<(?:img|video|audio)\b", re.IGNORECASE)
_SHOWN_FROM = re.compile(r"https?://|data:(?:image|video|audio)/|/", re.IGNORECASE)
_TAGS = {
    "img": '<img src="{}" style="max-width:100%">',
    "video": '<video src="{}" style="max-width:100%" controls></video>',
    "audio": '<audio src="{}" controls></audio>',
}


def html_of(content: str) -> str:
    """HTML of a content's words and media; "" where it names no medium, for then it is shown as the text that it is."""
    if not _HAS_MEDIA.search(content):
        return ""
    media = list(_media(content))
    words = readable_text(content)
    told = [f"<p>{escape(words)}</p>"] if words and media else []
    return "".join([*told, *media])


def _media(content: str) -> Iterator[str]:
    for tag, url in media_urls(content):
        if _SHOWN_FROM.match(url):
            yield _TAGS[tag].format(escape(url))
