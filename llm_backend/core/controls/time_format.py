"""How does the editor's DateTime tag write a moment by its `format`, and read it back?

The editor formats with d3-time-format, whose directives are close to C's strftime but not Python's: `%-d` and `%_d`
change the padding, `%e` pads with a space, `%x`, `%X` and `%c` are American English whatever the locale is.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SHORT_MONTHS = tuple(name[:3] for name in _MONTHS)
_SHORT_DAYS = tuple(name[:3] for name in _DAYS)
_PERIODS = ("AM", "PM")

_FILL = {"-": "", "_": " ", "0": "0"}
_COMPOSED = {"c": "%x, %X", "x": "%-m/%-d/%Y", "X": "%-I:%M:%S %p"}
_NUMBERS: dict[str, tuple[int, Callable[[datetime], int]]] = {
    "Y": (4, lambda moment: moment.year),
    "y": (2, lambda moment: moment.year % 100),
    "m": (2, lambda moment: moment.month),
    "d": (2, lambda moment: moment.day),
    "e": (2, lambda moment: moment.day),
    "j": (3, lambda moment: moment.timetuple().tm_yday),
    "H": (2, lambda moment: moment.hour),
    "I": (2, lambda moment: moment.hour % 12 or 12),
    "M": (2, lambda moment: moment.minute),
    "S": (2, lambda moment: moment.second),
    "L": (3, lambda moment: 0),
    "f": (6, lambda moment: 0),
}
_NAMES: dict[str, tuple[tuple[str, ...], Callable[[datetime], int]]] = {
    "B": (_MONTHS, lambda moment: moment.month - 1),
    "b": (_SHORT_MONTHS, lambda moment: moment.month - 1),
    "A": (_DAYS, datetime.weekday),
    "a": (_SHORT_DAYS, datetime.weekday),
    "p": (_PERIODS, lambda moment: moment.hour // 12),
}


class TimeFormat:
    """One `format`, taken apart.

    Raises:
        ValueError: It holds a directive that is unknown, or that depends on the annotator's time zone or on weeks.
    """

    def __init__(self, text: str) -> None:
        self._tokens = tuple(_tokens(text))

    def write(self, moment: datetime) -> str:
        """The moment as the editor writes it."""
        return "".join(words or _write(letter, fill, moment) for words, letter, fill in self._tokens)

    def read(self, text: str) -> datetime | None:
        """The moment that the editor reads from a text; what the text leaves open is 1900-01-01 00:00."""
        found: dict[str, int] = {}
        at = 0
        for words, letter, _ in self._tokens:
            end = _read_words(words, text, at) if words else _read(letter, text, at, found)
            if end is None:
                return None
            at = end
        return _moment(found) if at == len(text) else None


def _tokens(text: str) -> Iterator[tuple[str, str, str]]:
    """Words as (words, "", ""), directives as ("", letter, fill)."""
    for words, fill, letter in re.findall(r"([^%]+)|%([-_0]?)(.?)", text, re.DOTALL):
        if words or letter == "%":
            yield words or "%", "", ""
        elif letter in _COMPOSED:
            yield from _tokens(_COMPOSED[letter])
        elif letter in _NUMBERS or letter in _NAMES:
            yield "", letter, _FILL.get(fill, " " if letter == "e" else "0")
        else:
            raise ValueError(f"%{letter}")


def _write(letter: str, fill: str, moment: datetime) -> str:
    if letter in _NAMES:
        names, index = _NAMES[letter]
        return names[index(moment)]
    width, number = _NUMBERS[letter]
    digits = str(number(moment))
    return digits.rjust(width, fill) if fill else digits


def _read_words(words: str, text: str, at: int) -> int | None:
    return at + len(words) if text.startswith(words, at) else None


def _read(letter: str, text: str, at: int, found: dict[str, int]) -> int | None:
    if letter in _NAMES:
        names, _ = _NAMES[letter]
        for index, name in enumerate(names):
            if text[at : at + len(name)].lower() == name.lower():
                found[letter] = index
                return at + len(name)
        return None
    width, _ = _NUMBERS[letter]
    digits = re.match(r"\s*[0-9]+", text[at : at + width])
    if not digits:
        return None
    found[letter] = int(digits.group())
    return at + digits.end()


def _moment(found: dict[str, int]) -> datetime | None:
    """The moment that these fields make; None if there is no such day or time."""
    named = found.get("B", found.get("b", 0)) + 1
    month = found.get("m", named)
    hour = found.get("H", found.get("I", 0))
    if "p" in found:
        hour = hour % 12 + 12 * found["p"]
    try:
        # A moment on the annotator's calendar: no time zone is known, and none is stored.
        start = datetime(_year(found), month, 1, hour, found.get("M", 0), found.get("S", 0))  # noqa: DTZ001
        if "j" in found:
            return start.replace(month=1) + timedelta(days=found["j"] - 1)
        return start.replace(day=found.get("d", found.get("e", 1)))
    except (ValueError, OverflowError):
        return None


def _year(found: dict[str, int]) -> int:
    if "Y" in found:
        return found["Y"]
    short = found.get("y")
    return 1900 if short is None else short + (1900 if short > 68 else 2000)
