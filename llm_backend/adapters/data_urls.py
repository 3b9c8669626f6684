"""What does a `data:` URL hold?"""

import base64
import binascii
import re
from urllib.parse import unquote_to_bytes

from llm_backend.adapters.host import megabytes
from llm_backend.errors import MediaError

_CHARSET = re.compile(r";\s*charset=\"?([\w.:-]+)", re.IGNORECASE)


def charset_of(content_type: str) -> str:
    """The charset that a Content-Type names, or ""."""
    found = _CHARSET.search(content_type)
    return found[1] if found else ""


def content_of(url: str, name: str, limit: int) -> tuple[bytes, str]:
    """The bytes in a `data:` URL, and the charset that it names, or "".

    Raises:
        MediaError: It is damaged, or holds over `limit` bytes.
    """
    head, comma, body = url.partition(",")
    if not comma:
        raise MediaError(f'{name} is a data URL that cannot be read; it should begin like "data:image/png;base64,".')
    # Four signs for three bytes, and some room for line breaks and percent signs.
    if len(body) > limit * 3:
        raise MediaError(f"{name} is over {megabytes(limit)}.")
    content = unquote_to_bytes(body)
    if head.lower().endswith(";base64"):
        try:
            content = base64.b64decode(b"".join(content.split()), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise MediaError(f"{name} is a data URL whose base64 is damaged.") from exc
    if len(content) > limit:
        raise MediaError(f"{name} is over {megabytes(limit)}.")
    return content, charset_of(head)
