"""How is a piece of a text asked for by quote, and stored by its characters?"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from llm_backend.core.controls.base import shown
from llm_backend.core.controls.places import Item, Place, Spot
from llm_backend.core.controls.quotes import Quotes
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.controls.times import SoundStretch
from llm_backend.core.inputs import Seen
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError


class TextSpan(Place):
    """A piece of a Text or HyperText: `start` and `end` in code points of the text that the editor shows."""

    @property
    def schema(self) -> Mapping[str, JSON]:
        return {"quote": {"type": "string"}, "before": {"type": "string"}}

    def describe(self, where: str) -> Mapping[str, str]:
        return {
            "quote": f"the words, copied letter for letter from {where}",
            "before": "the few words that stand right before them there, to tell this place from others with the same "
            'words; "" where the quote stands there but once',
        }

    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        quotes = Quotes(seen.text)
        return [self._spot(item, quotes, seen) for item in items]

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        start, end = region.value.get("start"), region.value.get("end")
        if type(start) is not int or type(end) is not int:
            return {"quote": region.value.get("text") or "", "before": ""}
        return {"quote": seen.text[start:end], "before": Quotes(seen.text).context(start, end)}

    def _spot(self, item: Item, quotes: Quotes, seen: Seen) -> Spot | AnswerError:
        quote, before = item.get("quote"), item.get("before") or ""
        if not isinstance(quote, str) or not isinstance(before, str) or not quote.strip():
            return AnswerError(f'A place in "{seen.name}" is told by its words; the model gave {shown(quote)}.')
        found = quotes.next(quote, before)
        if found is None:
            return AnswerError(f'"{seen.name}" does not hold {shown(quote)} (once more).')
        start, end = found
        return Spot({"start": start, "end": end, "text": seen.text[start:end]})


class Labels(RegionMaker, tags=("Labels", "HyperTextLabels")):
    """Labelled pieces of a text, or of a sound."""

    places: ClassVar[Mapping[str, Place]] = {
        **dict.fromkeys(("Text", "HyperText"), TextSpan()),
        **dict.fromkeys(("Audio", "AudioPlus"), SoundStretch()),
    }
