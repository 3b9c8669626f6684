"""How are numbers, faults and texts from elsewhere worded in a terminal?"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_backend.interchange.tasks import Fault


def time_left(seconds: float) -> str:
    """A time as a person would tell it, such as `2 h 5 min`, `3 min 20 s` or `7 s`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


def plain(text: str) -> str:
    """A text in one line, without signs that a terminal obeys."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def counted(count: int, what: str) -> str:
    """Such as `1 row` or `1,000 rows`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def faults_told(faults: Sequence["Fault"], count: int, named: str, so: str = "is skipped") -> Iterator[str]:
    """What cannot be used of a file, line by line.

    Args:
        faults: The first of them.
        count: How many there are.
        named: What their numbers count, such as `answers.csv line`.
    """
    for fault in faults:
        yield f"{named} {fault.place} {so}: {plain(fault.sentence)}"
    if (more := count - len(faults)) > 0:
        yield f"... and {more:,} more."
