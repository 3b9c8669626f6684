"""How are ranges of a time series asked for, and stored? By moments that the series has, as its data spells them."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

from llm_backend.core.controls.base import shown
from llm_backend.core.controls.places import Item, Place, Spot
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.inputs import Seen, as_text
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

_ENDS = ("start", "end")
_MOMENT: JSON = {"type": "string"}
# How many digits the editor takes for a fraction of a second, by the directive of `timeFormat`.
_FRACTIONS = {"%f": 6, "%L": 3}


class SeriesRange(Place):
    """A range of a time series, its first and its last moment counted in; the same one twice is an instant."""

    drawn: ClassVar[bool] = True

    def __init__(self) -> None:
        self._latest: tuple[Seen, _Moments] | None = None

    @property
    def schema(self) -> Mapping[str, JSON]:
        return dict.fromkeys(_ENDS, _MOMENT)

    def describe(self, where: str) -> Mapping[str, str]:
        return {
            "start": f"its first moment, copied letter for letter from the first column of {where}",
            "end": "its last moment, likewise; the same one for a single moment",
        }

    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        moments = self._moments(seen)
        return [_spot(item, moments, seen) for item in items]

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        moments = self._moments(seen)
        return {name: moments.told(region.value.get(name)) for name in _ENDS}

    def _moments(self, seen: Seen) -> "_Moments":
        """The moments of a series; those of the last one are kept, for each of its regions asks for them."""
        latest = self._latest
        if latest is None or latest[0] is not seen:
            latest = self._latest = (seen, _Moments(seen))
        return latest[1]


class TimeSeriesLabels(RegionMaker, tags=("TimeSeriesLabels",)):
    """Labelled ranges of a time series."""

    places: ClassVar[Mapping[str, Place]] = {"TimeSeries": SeriesRange()}


def _spot(item: Item, moments: "_Moments", seen: Seen) -> Spot | AnswerError:
    bounds = [moments.find(item.get(name)) for name in _ENDS]
    for name, at in zip(_ENDS, bounds, strict=True):
        if at is None:
            like = f", such as {moments.spelt[0]}" if moments.spelt else ""
            return AnswerError(f'"{seen.name}" has no moment {shown(item.get(name))}; copy one from it{like}.')
    start, end = (at for at in bounds if at is not None)
    if start > end:
        told = shown({name: item.get(name) for name in _ENDS})
        return AnswerError(f'A range of "{seen.name}" ends no earlier than it begins; the model gave {told}.')
    first, last = moments.stored[start], moments.stored[end]
    return Spot({"start": first, "end": last, "instant": first == last})


class _Moments:
    """The moments of a series, in order.

    Attributes:
        spelt: As its data spells them, and the model is shown them.
        stored: As results hold them: numbers, or with `timeFormat` texts in that format.
    """

    def __init__(self, seen: Seen) -> None:
        written = seen.attrs.get("timeformat", "") if seen.attrs.get("timecolumn") else ""
        self.spelt = tuple(as_text(time) for time in seen.times)
        numbers = [] if written else [_number(text) for text in self.spelt]
        self._numbers = [number for number in numbers if number is not None]
        if len(self._numbers) < len(self.spelt):
            self._numbers = []
        self.stored: Sequence[JSON] = self._numbers or [_padded(text, written) for text in self.spelt]
        # Of moments that are alike, the first counts.
        self._at: dict[JSON, int] = {}
        for at, spellings in enumerate(zip(self.spelt, self.stored, strict=True)):
            for spelling in spellings:
                self._at.setdefault(spelling, at)

    def find(self, told: JSON) -> int | None:
        """Where a moment stands, by its spelling or as a number; None where the series does not have it."""
        if isinstance(told, str):
            text = told.strip()
            number = _number(text) if self._numbers else None
            return self._at.get(text, self._at.get(number) if number is not None else None)
        return self._at.get(told) if self._numbers and type(told) in (int, float) else None

    def told(self, stored: JSON) -> str:
        """How the moment nearest to a stored one is spelt; a text that the series does not have stays as it is."""
        at = self.find(stored)
        number = _number(as_text(stored)) if self._numbers else None
        if at is None and number is not None:
            at = self._nearest(number)
        return as_text(stored) if at is None else self.spelt[at]

    def _nearest(self, number: float) -> int:
        return min(range(len(self._numbers)), key=lambda at: abs(self._numbers[at] - number))


def _number(text: str) -> float | None:
    """A number in words, whole ones without a point; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _padded(text: str, written: str) -> str:
    """A moment with as many digits after its point as the editor reads there: to it .5 is 5 of the smallest parts."""
    digits = next((digits for sign, digits in _FRACTIONS.items() if sign in written), 0)
    if not digits:
        return text
    return re.sub(r"\.([0-9]+)(?=\D*$)", lambda found: "." + found[1].ljust(digits, "0"), text)
