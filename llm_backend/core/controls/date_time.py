"""What do we ask for a DateTime, how does its answer become a region, and back?"""

import re
from dataclasses import dataclass
from datetime import datetime

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.controls.time_format import TimeFormat
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError


@dataclass(frozen=True, slots=True)
class Shape:
    """How a moment is asked for: its parts, in words, and as ISO 8601 writes it."""

    parts: frozenset[str]
    words: str
    pattern: str
    iso: str


_SHAPES = tuple(
    Shape(frozenset(parts), words, pattern, iso)
    for parts, words, pattern, iso in (
        (
            *(("year", "month", "day", "time"), "a date and time, as YYYY-MM-DDTHH:MM"),
            *("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$", "%Y-%m-%dT%H:%M"),
        ),
        (("year", "month", "day"), "a date, as YYYY-MM-DD", "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "%Y-%m-%d"),
        (("year", "month"), "a month, as YYYY-MM", "^[0-9]{4}-[0-9]{2}$", "%Y-%m"),
        (("year",), "a year, as YYYY", "^[0-9]{4}$", "%Y"),
        (("month",), "a month, as a number from 01 to 12", "^[0-9]{2}$", "%m"),
        (("time",), "a time of day, as HH:MM (24 hours)", "^[0-9]{2}:[0-9]{2}$", "%H:%M"),
    )
)
# A moment of which no part is what a format that leaves it out would give back.
_PROBE = datetime(2013, 11, 25, 17, 43)  # noqa: DTZ001 (calendars here have no time zone)
_BOUND = re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d.*)?)?)?")
_TIME_BOUND = re.compile(r"\d?\d:\d\d")


class DateTime(Control, tags=("DateTime",)):
    """A date, a time, both, or a part. Answer: ISO 8601 (`2024-02-03`, `2024-02-03T10:11`, `10:11`, `2024-02`, `2024`).

    Asked are the parts that the tag shows (`only`) and its stored text keeps; the text is written by the tag's
    `format`, else by the editor's default, which is a whole date or date and time:

        only="year"          asks 2024      stores "2024-01-01", which the editor shows as 2024
        only="month,year"    asks 2024-02   stores "2024-02-01"
        only="time"          asks 10:11     stores "10:11" whatever the format is

    The editor reads stored text by that same format, so a bare "2024" would show nothing (with format="%Y" it is what
    is stored). A year is picked from a list that starts at 2000 unless `min` says otherwise; earlier ones cannot be
    shown and are refused. min and max bind as in the editor, which compares texts in ISO form.
    """

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._only = output.attrs.get("only", "")
        self._format = TimeFormat(_format(output))
        self._shape = _shape(output)
        self._iso = TimeFormat(self._shape.iso)
        self._lowest, self._highest = self._bound("min"), self._bound("max")
        if self._shape.parts == {"year"} and not self._lowest:
            self._lowest = "2000"

    @classmethod
    def cannot(cls, output: Output) -> str:
        try:
            _shape(output)
        except ValueError as exc:
            return f'writes dates in a format that cannot be filled: format="{_format(output)}" {exc}'
        return ""

    def schema(self, inputs: Inputs) -> JSON:
        return {"type": "string", "pattern": self._shape.pattern}

    def describe(self, inputs: Inputs) -> str:
        bounds = [("not before", self._lowest), ("not after", self._highest)]
        return ", ".join([self._shape.words, *(f"{words} {bound}" for words, bound in bounds if bound)])

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        moment = self._moment(answer)
        if moment is None or not self._within(moment):
            raise AnswerError(f'"{self.name}" takes {self.describe(inputs)}; the model gave {shown(answer)}.')
        text = self._format.write(moment)
        if self._asked(self._format.read(text)) != self._asked(moment):
            raise AnswerError(f'"{self.name}" cannot hold {shown(answer)}: its format writes it as {shown(text)}.')
        return [self.region({"datetime": text})]

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        for region in self.own(regions):
            held = region.value.get("datetime")
            moment = self._format.read(held) or self._iso.read(held) if isinstance(held, str) else None
            if moment is not None and moment.year >= 1000 and self._within(moment):
                return self._asked(moment)
        return None

    def _asked(self, moment: datetime | None) -> str | None:
        """The parts of it that are asked, in ISO form."""
        return None if moment is None else self._iso.write(moment)

    def _moment(self, answer: JSON) -> datetime | None:
        if not isinstance(answer, str) or not re.fullmatch(self._shape.pattern, answer.strip()):
            return None
        moment = self._iso.read(answer.strip())
        return moment if moment is not None and moment.year >= 1000 else None

    def _within(self, moment: datetime) -> bool:
        if self._shape.parts == {"month"}:
            return True
        if self._shape.parts == {"time"}:
            seen = whole = moment.strftime("%H:%M")
        else:
            whole = moment.strftime("%Y-%m-%dT%H:%M")
            seen = whole[:4] if "year" in self._only else whole[:10]
        if self._lowest and seen < self._lowest:
            return False
        return not self._highest or (seen <= self._highest and whole[: len(self._highest)] <= self._highest)

    def _bound(self, name: str) -> str:
        """The bound as ISO text; "" where there is none that can be compared, such as `current`."""
        told = self.output.attrs.get(name, "").strip()
        if self._shape.parts != {"time"}:
            return told if _BOUND.fullmatch(told) else ""
        time = _TIME_BOUND.search(told)
        return time.group().zfill(5) if time else ""


def _format(output: Output) -> str:
    only = output.attrs.get("only", "")
    if only == "time":
        return "%H:%M"
    if given := output.attrs.get("format"):
        return given
    return "%Y-%m-%d" if only and "time" not in only else "%Y-%m-%dT%H:%M"


def _shape(output: Output) -> Shape:
    """What to ask for.

    Raises:
        ValueError: The format cannot be written and read back in any form that could be asked for.
    """
    try:
        form = TimeFormat(_format(output))
    except ValueError as exc:
        raise ValueError(f"uses {exc}, which a model's answer cannot be written by") from exc
    kept = _kept(form)
    asked = kept & _visible(output.attrs.get("only", ""))
    if "time" in asked and asked != {"time"}:
        asked |= kept & {"year", "month", "day"}
    elif "month" in asked:
        asked |= kept & {"year"}
    for shape in _SHAPES:
        if shape.parts == asked:
            return shape
    raise ValueError("does not keep what the tag asks for")


def _kept(form: TimeFormat) -> frozenset[str]:
    """The parts of a moment that can be read back from its text."""
    read = form.read(form.write(_PROBE))
    if read is None:
        return frozenset()
    return frozenset(
        part
        for part, get in (
            ("year", lambda moment: moment.year),
            ("month", lambda moment: moment.month),
            ("day", lambda moment: moment.day),
            ("time", lambda moment: (moment.hour, moment.minute)),
        )
        if get(read) == get(_PROBE)
    )


def _visible(only: str) -> frozenset[str]:
    """The parts that the editor shows, which looks for words within `only`."""
    shown_parts = {"year", "month", "day", "time"} if not only else set()
    if "date" in only:
        shown_parts |= {"year", "month", "day"}
    return frozenset(shown_parts | {part for part in ("year", "month", "time") if part in only})
