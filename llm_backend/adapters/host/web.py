"""What does a web server answer, within bounds, and where does it send us?"""

import aiohttp
from yarl import URL

REDIRECTS = frozenset((301, 302, 303, 307, 308))
_CHUNK = 64 * 1024


class TooLarge(Exception):
    """A body went over its limit; whoever reads it says the sentence."""


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of an answer, as long as it stays within `limit` bytes.

    Raises:
        TooLarge: It is longer, or says that it will be.
    """
    if response.content_length is not None and response.content_length > limit:
        raise TooLarge
    whole = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        whole += chunk
        if len(whole) > limit:
            raise TooLarge
    return bytes(whole)


def joined(base: URL, location: str) -> URL | None:
    """Where a redirect leads; None if it does not say so in a way that can be read."""
    target = exact(location)
    if target is None or not location.strip():
        return None
    try:
        return base.join(target)
    except ValueError:
        return None


def exact(text: str) -> URL | None:
    """A URL as it was written, for signatures are made over the spelling; None if it cannot be read."""
    text = text.strip()
    plain = text.isascii() and text.isprintable() and not set(text) & set(' \\"<>^`{}|')
    try:
        url = URL(text)
        return URL(text, encoded=True) if plain and URL(text, encoded=True).raw_host == url.raw_host else url
    except ValueError:
        return None


def megabytes(count: int) -> str:
    return f"{count / 1024 / 1024:.3g} MB"
