"""What do we ask where each item of an object is answered by itself (`perItem`), and how does that become regions?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.inputs import Inputs, resolve
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError, InputError

_ITEM, _ANSWER = "item", "answer"


class PerItem(Control):
    """A control that is answered for each of an object's items, such as the pictures of a `valueList`.

    Answer: a list of `{"item": 1, "answer": ...}`, items counted from 1 among those that are shown, each at most
    once, with what the control itself takes as an answer. Regions say their item as the editor does (`item_index`):
    counted from 0, in the task's data.

    Attributes:
        each: What is asked of every item.
    """

    dynamic = True

    def __init__(self, each: Control, value: str) -> None:
        """
        Args:
            value: Where the object has its items from, such as `$pages`.
        """
        super().__init__(each.output)
        self.each = each
        self.label_paths = tuple(("*", _ANSWER, *path) for path in each.label_paths)
        self._value = value

    def schema(self, inputs: Inputs) -> JSON:
        places = self._places(inputs)
        item = {
            "type": "object",
            "properties": {
                _ITEM: {"type": "integer", "minimum": 1, "maximum": len(places)},
                _ANSWER: self.each.question(inputs),
            },
            "required": [_ITEM, _ANSWER],
            "additionalProperties": False,
        }
        return {"type": "array", "items": item} | ({"minItems": len(places)} if self.required else {})

    def describe(self, inputs: Inputs) -> str:
        count = len(self._places(inputs))
        whom = "each" if self.required else "each to which it applies"
        return (
            f'a list with an entry for {whom} of the {count} items of "{self.to_name}"'
            f'\n- "{_ITEM}": which item, a whole number from 1 to {count}'
            f'\n- "{_ANSWER}": ' + self.each.describe(inputs).replace("\n", "\n  ")
        )

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        places = self._places(inputs)
        entries = self._entries(answer, places)
        made: list[Region] = []
        faults: list[str] = []
        for number, told in sorted(entries.items()):
            try:
                read = self.each.read(told, inputs)
            except AnswerError as exc:
                faults.append(f"Item {number}: {exc.sentence}")
            else:
                made += [replace(region, item_index=places[number - 1]) for region in read]
        if self.required and (missing := set(range(1, len(places) + 1)) - set(entries)):
            faults.append(f'"{self.name}" must be answered for every item; the model left out item {min(missing)}.')
        if faults:
            raise AnswerError(" ".join(faults), made)
        return made

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        by_item = {
            number: self.each.encode([region for region in self.own(regions) if region.item_index == place], inputs)
            for number, place in enumerate(self._places(inputs), 1)
        }
        return [{_ITEM: number, _ANSWER: told} for number, told in by_item.items() if told is not None] or None

    def labels(self, inputs: Inputs) -> tuple[str, ...]:
        return self.each.labels(inputs)

    def _entries(self, answer: JSON, places: Sequence[int]) -> Mapping[int, JSON]:
        """What was answered, by the number of the item."""
        entries = answer if isinstance(answer, list) else [answer]
        numbers = [self._number(entry, places) for entry in entries]
        if twice := [number for number, times in Counter(numbers).items() if times > 1]:
            raise AnswerError(f'"{self.name}" takes each item once; the model gave item {twice[0]} several times.')
        return dict(zip(numbers, (entry.get(_ANSWER) for entry in entries), strict=True))

    def _number(self, entry: JSON, places: Sequence[int]) -> int:
        number = entry.get(_ITEM) if isinstance(entry, Mapping) else None
        if type(number) is int and 1 <= number <= len(places):
            return number
        raise AnswerError(
            f'"{self.name}" takes entries with an "{_ITEM}" from 1 to {len(places)} and an "{_ANSWER}"; '
            f"the model gave {shown(entry)}."
        )

    def _places(self, inputs: Inputs) -> list[int]:
        """Where the items that are shown stand in the task's data, counted from 0.

        Raises:
            InputError: There is none.
        """
        places = shown_places(self._value, inputs)
        if not places:
            raise InputError(f'"{self.name}" is answered item by item, and "{self.to_name}" shows none in this task.')
        return places


def shown_places(value: str, inputs: Inputs) -> list[int]:
    """Where the items that are shown stand in the task's data, counted from 0; the editor counts blank ones, too.

    Args:
        value: Where the object has its items from, such as `$pages`.
    """
    found = resolve(value, inputs.data)
    items = found if isinstance(found, list) else [found]
    return [place for place, held in enumerate(items) if isinstance(held, str) and held.strip()]
