"""How is a piece of a text asked for by quote, and stored by its characters?"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from llm_backend.core.controls.base import shown
from llm_backend.core.controls.places import Item, Place, Spot
from llm_backend.core.controls.quotes import Quotes, Span
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.controls.times import SoundStretch
from llm_backend.core.inputs import Seen, Utterance
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError


class Quoted(Place):
    """A piece of a text that is told by its words, and by those before it where the same words stand there again.

    The words are looked for in what the model sees (`Seen.text`), and stored by where they stand in what the editor
    counts in (`Seen.shown`).
    """

    @property
    def schema(self) -> Mapping[str, JSON]:
        return {"quote": {"type": "string"}, "before": {"type": "string"}}

    def describe(self, where: str) -> Mapping[str, str]:
        return {
            "quote": f"the words, copied letter for letter from {where}",
            "before": "the few words that stand right before them there, copied as well, to tell this place from "
            'others with the same words; "" where the quote stands there but once',
        }

    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        quotes = Quotes(_searched(seen))
        return [self._spot(item, quotes, seen) for item in items]

    def tell(self, region: Region, seen: Seen) -> dict[str, JSON]:
        held = self.span(region.value, seen)
        if held is None:
            return {"quote": region.value.get("text") or "", "before": ""}
        text = _searched(seen)
        start, end = _seen_at(held, seen)
        return {"quote": text[start:end], "before": Quotes(text).context(start, end)}

    @abstractmethod
    def value(self, held: Span, seen: Seen) -> dict[str, JSON]:
        """How a region stores a place in `Seen.shown`."""

    @abstractmethod
    def span(self, value: Mapping[str, JSON], seen: Seen) -> Span | None:
        """The place in `Seen.shown` that a region stores; None where it cannot be told."""

    def _spot(self, item: Item, quotes: Quotes, seen: Seen) -> Spot | AnswerError:
        quote, before = item.get("quote"), item.get("before") or ""
        if not isinstance(quote, str) or not isinstance(before, str) or not quote.strip():
            return AnswerError(f'A place in "{seen.name}" is told by its words; the model gave {shown(quote)}.')
        found = quotes.next(quote, before)
        held = found and _held_at(found, seen)
        if held is None:
            return AnswerError(f'"{seen.name}" does not hold {shown(quote)} (once more).')
        text = (seen.shown or seen.text)[slice(*held)]
        return Spot({**self.value(held, seen), "text": text})


class TextSpan(Quoted):
    """A piece of a Text or HyperText: `start` and `end` in code points of the text that the editor holds."""

    def value(self, held: Span, seen: Seen) -> dict[str, JSON]:
        return {"start": held[0], "end": held[1]}

    def span(self, value: Mapping[str, JSON], seen: Seen) -> Span | None:
        """As `Quoted.span`. Of a piece that a person marked in HTML, `start` and `end` are paths to its text nodes."""
        told = value.get("globalOffsets")
        told = told if isinstance(told, Mapping) else value
        start, end = told.get("start"), told.get("end")
        return (start, end) if type(start) is int and type(end) is int else None


class TurnSpan(Quoted):
    """A piece of a dialogue, which may go on in the turns that follow.

    `start` and `end` are the numbers of its turns, as text; `startOffset` and `endOffset` count UTF-16 units in them.
    """

    def find(self, items: Sequence[Item], seen: Seen) -> Sequence[Spot | AnswerError]:
        if not seen.utterances:
            return [AnswerError(f'"{seen.name}" shows no turns in this task, so nothing in them can be marked.')] * len(
                items
            )
        return super().find(items, seen)

    def value(self, held: Span, seen: Seen) -> dict[str, JSON]:
        first, start = _turn_at(held[0], seen.utterances)
        last, end = _turn_at(held[1] - 1, seen.utterances)
        return {
            "start": str(first),
            "end": str(last),
            "startOffset": _units(seen.utterances[first].text[:start]),
            "endOffset": _units(seen.utterances[last].text[: end + 1]),
        }

    def span(self, value: Mapping[str, JSON], seen: Seen) -> Span | None:
        ends = [_from_units(value.get(turn), value.get(at), seen) for turn, at in _TURN_ENDS]
        return None if None in ends else (ends[0] or 0, ends[1] or 0)


_TURN_ENDS = (("start", "startOffset"), ("end", "endOffset"))


class Labels(RegionMaker, tags=("Labels",)):
    """Labelled pieces of a text, a page, a dialogue or a sound."""

    places: ClassVar[Mapping[str, Place]] = {
        **dict.fromkeys(("Text", "HyperText"), TextSpan()),
        "Paragraphs": TurnSpan(),
        **dict.fromkeys(("Audio", "AudioPlus"), SoundStretch()),
    }


class HyperTextLabels(RegionMaker, tags=("HyperTextLabels",)):
    """Labelled pieces of a page."""

    places: ClassVar[Mapping[str, Place]] = {"Text": TextSpan(), "HyperText": TextSpan()}


class ParagraphLabels(RegionMaker, tags=("ParagraphLabels",)):
    """Labelled pieces of a dialogue."""

    places: ClassVar[Mapping[str, Place]] = {"Paragraphs": TurnSpan()}


def _searched(seen: Seen) -> str:
    """The text in which quotes are looked for."""
    return seen.text if seen.offsets else seen.shown or seen.text


def _held_at(found: Span, seen: Seen) -> Span | None:
    """Where what was found in the searched text stands in what the editor holds; None where none of it does."""
    if not seen.offsets:
        return found
    start, end = found
    signs = [at for at in range(start, end) if seen.offsets[at] >= 0]
    if signs and (signs[0], signs[-1] + 1) != found:  # what is not held goes with the space that set it off
        signs = [at for at in signs if not seen.text[at].isspace()]
    return (seen.offsets[signs[0]], seen.offsets[signs[-1]] + 1) if signs else None


def _seen_at(held: Span, seen: Seen) -> Span:
    """Where in the searched text a piece of what the editor holds is seen; nowhere gives an empty place."""
    if not seen.offsets:
        return held
    signs = [at for at, place in enumerate(seen.offsets) if held[0] <= place < held[1]]
    return (signs[0], signs[-1] + 1) if signs else (0, 0)


def _turn_at(at: int, turns: Sequence[Utterance]) -> Span:
    """The number of the turn in which a sign of the dialogue stands, and where in it."""
    number = 0
    while at > len(turns[number].text):
        at -= len(turns[number].text) + 1
        number += 1
    return number, at


def _from_units(turn: JSON, units: JSON, seen: Seen) -> int | None:
    """Where in the dialogue an end of a region stands."""
    number = int(turn) if isinstance(turn, str) and turn.isdecimal() else turn
    if type(number) is not int or type(units) is not int or not 0 <= number < len(seen.utterances) or units < 0:
        return None
    before = sum(len(turn.text) + 1 for turn in seen.utterances[:number])
    encoded = seen.utterances[number].text.encode("utf-16-le", "surrogatepass")
    return before + len(encoded[: 2 * units].decode("utf-16-le", "ignore"))


def _units(text: str) -> int:
    """The length of a text in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
