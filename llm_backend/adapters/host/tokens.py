"""What does Label Studio say of an access token, and how long does one live?"""

import base64
import binascii
import json

_USUAL_LIFE = 300.0


def access_in(status: int, body: bytes) -> str:
    """The access token of an answer to a refresh; "" if it holds none."""
    try:
        found = json.loads(body)["access"] if status < 300 else ""
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def life_of(access: str) -> float:
    """How many seconds an access token lives, by its own words; the two clocks need not agree."""
    try:
        middle = access.split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        life = float(told["exp"]) - float(told["iat"])
    except (IndexError, ValueError, KeyError, TypeError, binascii.Error):
        return _USUAL_LIFE
    return life if life > 0 else _USUAL_LIFE
