"""What does a value in the host's JSON hold, if it is what it should be?"""

import math
from datetime import UTC, datetime
from typing import Any, TypeAlias

JSON: TypeAlias = Any


def text_or_none(raw: JSON) -> str | None:
    """A text, or what else there is as one; None where there is nothing."""
    if raw is None or raw == "":
        return None
    return raw if isinstance(raw, str) else str(raw)


def whole_or_none(raw: JSON) -> int | None:
    """A whole number, such as an id; None for everything else."""
    return raw if type(raw) is int else None


def number_or_none(raw: JSON) -> float | None:
    """A number that JSON can carry on; None for everything else, such as NaN."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        number = float(raw)
    except OverflowError:  # a whole number of more than 300 digits
        return None
    return number if math.isfinite(number) else None


def moment(raw: JSON) -> float:
    """Seconds since 1970 of a time in ISO 8601; 0 where it is none."""
    try:
        told = datetime.fromisoformat(raw)
    except (TypeError, ValueError):
        return 0.0
    try:
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return 0.0


def iso(seconds: float) -> str | None:
    """The time in ISO 8601; None for 0, which stands for none."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def kind(raw: JSON) -> str:
    """What a value is, as an error says it."""
    names = {dict: "an object", list: "a list", str: "text", type(None): "nothing", bool: "true/false"}
    return names.get(type(raw), "a number" if isinstance(raw, int | float) else type(raw).__name__)
