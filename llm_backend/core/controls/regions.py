"""What do we ask for a control that makes regions within an object, how does its answer become them, and back?

Each entry of the answer says where a region lies, what label it has, and what the controls say that hang on it
(`perRegion`). Where to look, and how a place is told, differs from object to object: that is a `Place`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

from llm_backend.core.controls.base import Control, Regions, keys_for, shown
from llm_backend.core.controls.chooser import Chooser
from llm_backend.core.controls.conditions import applies
from llm_backend.core.controls.options import Options, flat
from llm_backend.core.controls.per_item import shown_places
from llm_backend.core.controls.places import Item, Place, Spot
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Choice, Output
from llm_backend.core.wire import JSON, RELATION, Region
from llm_backend.errors import AnswerError

_ID, _IN, _PAGE, _LABEL, _LABELS = "id", "in", "page", "label", "labels"
_ID_LENGTH = 10
# What the values of regions that lie somewhere have one of: pieces and stretches, shapes, polygons, stretches of films.
_WHERE = frozenset(("start", "x", "points", "ranges"))


class Labeling(Chooser):
    """The labels of a region: one, or with choice="multiple" several.

    By itself it is a control that labels regions which another one places, such as Labels beside Rectangle.
    """

    def __init__(self, output: Output) -> None:
        self.multiple = output.attrs.get("choice", "").strip().lower() == "multiple"
        super().__init__(output)
        self.required = True

    def read(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        """As for every control; but no region is without a label."""
        made = super().read(answer, inputs, regions)
        if not made:
            raise AnswerError(f'"{self.name}" gives every place a label; the model gave {shown(answer)}.')
        return made

    def _options(self, choices: Sequence[Choice]) -> Options:
        return Options(self.name, flat(choices))


class RegionMaker(Control):
    """A control that makes regions. Answer: a list with an entry for each, in order.

    An entry has the fields of its place, `label` (or `labels`) where the control has labels, a field for each
    hanging control, `in` (the object's name) where it labels several objects, `page` (counted from 1) where these show
    several pictures, and `id`, a number that relations refer to, where there are any. Entries that cannot be taken do
    not spoil the others (`AnswerError.made`).

    Attributes:
        places: How it places regions, by the tag of the object.
        labelled: Whether its regions have labels of its own.
    """

    places: ClassVar[Mapping[str, Place]] = {}
    labelled: ClassVar[bool] = True
    label_paths = (("*", _LABEL), ("*", _LABELS))

    def __init__(
        self,
        output: Output,
        objects: Mapping[str, str],
        hanging: Sequence[Control] = (),
        linked: bool = False,
        pages: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """
        Args:
            objects: The tag of each object that it labels, by name; all placed in the same way.
            linked: Whether there are relations that refer to its regions.
            pages: Where the objects that show several pictures have them from, such as `$pages`, by name.
        """
        super().__init__(output)
        self.objects = tuple(objects)
        self.place = self.places[next(iter(objects.values()))]
        self.hanging = tuple(hanging)
        self.linked = linked
        self.pages = pages
        self.labeling = Labeling(output) if self.labelled else None
        self.dynamic = any(part.dynamic for part in self._parts)
        ours = (*self.place.schema, _ID, _IN, _PAGE, *((_LABEL, _LABELS) if self.labelled else ()))
        keys = keys_for([*ours, *(control.name for control in self.hanging)])
        self._hung = {keys[control.name]: control for control in self.hanging}
        self._outputs = {control.name: control.output for control in self.hanging}

    @classmethod
    def cannot(cls, output: Output) -> str:
        return Labeling.cannot(output) if cls.labelled else ""

    def schema(self, inputs: Inputs) -> JSON:
        fields: dict[str, JSON] = {_ID: {"type": "integer"}} if self.linked else {}
        if len(self.objects) > 1:
            fields[_IN] = {"type": "string", "enum": list(self.objects)}
        if self.pages:
            fields[_PAGE] = {"type": "integer", "minimum": 1}
        fields |= self.place.schema
        if self.labeling:
            fields[self._label_key] = self.labeling.schema(inputs)
        fields |= {key: control.question(inputs) for key, control in self._hung.items()}
        item = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
        return {"type": "array", "items": item} | ({"minItems": 1} if self.required else {})

    def describe(self, inputs: Inputs) -> str:
        return "a list with an entry for each place" + "".join(f"\n- {line}" for line in self._lines(inputs))

    def _lines(self, inputs: Inputs) -> Iterator[str]:
        where = f'"{self.objects[0]}"' if len(self.objects) == 1 else "the object"
        if self.linked:
            yield f'"{_ID}": a number for this place, another for each place of the whole answer'
        if len(self.objects) > 1:
            yield f'"{_IN}": which object it is in, one of {json.dumps(list(self.objects), ensure_ascii=False)[1:-1]}'
        if self.pages:
            yield f'"{_PAGE}": which of the pictures of {where} it is on, counted from 1'
        for key, words in self.place.describe(where).items():
            yield f'"{key}": {words}'
        if self.labeling:
            yield set_in(f'"{self._label_key}": {self.labeling.describe(inputs)}')
        for key, control in self._hung.items():
            heading = control.output.heading.rstrip(" :")
            named = ", ".join(part for part in (control.name if control.name != key else "", heading) if part)
            yield set_in(f'"{key}"{f" ({named})" if named else ""}: {control.describe(inputs)}{_only_for(control)}')

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        items = [answer] if isinstance(answer, Mapping) else answer
        if not isinstance(items, list):
            raise AnswerError(f'"{self.name}" takes a list of places; the model gave {shown(answer)}.')
        made: list[Region] = []
        faults: list[str] = []
        for number, (item, spot) in enumerate(zip(items, self._spots(items, inputs), strict=True), 1):
            try:
                made += self._of_item(item, spot, number, inputs, (*regions, *made))
            except AnswerError as exc:
                faults.append(exc.sentence)
        if faults:
            raise AnswerError(" ".join(dict.fromkeys(faults)), made)
        return made

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        numbers = numbered(regions)
        return [self._item(region, numbers, regions, inputs) for region in self.own(regions)] or None

    def labels(self, inputs: Inputs) -> tuple[str, ...]:
        return self.labeling.labels(inputs) if self.labeling else ()

    @property
    def _label_key(self) -> str:
        return _LABELS if self.labeling and self.labeling.multiple else _LABEL

    @property
    def _parts(self) -> tuple[Control, ...]:
        return (*([self.labeling] if self.labeling else []), *self.hanging)

    def _spots(self, items: Sequence[JSON], inputs: Inputs) -> list[Spot | AnswerError]:
        """Where each item lies, found object by object; an item that is none has its fault in its place."""
        spots: list[Spot | AnswerError] = [
            AnswerError(f'"{self.name}" takes objects that tell a place each; the model gave {shown(item)}.')
            if not isinstance(item, Mapping)
            else AnswerError(f'"{self.name}" says in which object each place is; the model gave {shown(item)}.')
            for item in items
        ]
        for name in self.objects:
            seen = inputs.of(name)
            here = [n for n, item in enumerate(items) if isinstance(item, Mapping) and self._object(item) == name]
            if seen is not None:
                for n, spot in zip(here, self.place.find([items[n] for n in here], seen), strict=True):
                    spots[n] = spot
        return spots

    def _object(self, item: Item) -> str | None:
        return self.objects[0] if len(self.objects) == 1 else item.get(_IN)

    def _of_item(
        self, item: Item, spot: Spot | AnswerError, number: int, inputs: Inputs, regions: Regions
    ) -> list[Region]:
        """An item's regions: the place with its labels first, then what hangs on it, all with one id."""
        if isinstance(spot, AnswerError):
            raise spot
        to_name = self._object(item) or ""
        whole = Region(
            self.name,
            to_name,
            self.output.type,
            spot.value,
            self._id(item, number, regions),
            item_index=self._page(item, to_name, inputs),
        )
        if self.labeling:
            labelled = self.labeling.read(item.get(_LABEL, item.get(_LABELS)), inputs)
            whole = _on(whole, labelled[0])
        if not self.place.drawn and any(replace(region, id=whole.id) == whole for region in regions):
            raise AnswerError(f'"{self.name}" marks the same place in the same way twice: {shown(item)}.')
        made = [whole]
        for key, control in self._hung.items():
            if applies(control.output, made, self._outputs):
                answer = item.get(key, item.get(control.name))
                made += [_on(replace(whole, value=spot.value), part) for part in control.read(answer, inputs)]
        return made

    def _id(self, item: Item, number: int, regions: Regions) -> str:
        if not self.linked:
            return f"{self.name} {number}"
        told = item.get(_ID)
        if type(told) is not int:
            raise AnswerError(f'"{self.name}" numbers its places ("{_ID}"); the model gave {shown(told)}.')
        if any(region.id == str(told) for region in regions):
            raise AnswerError(f'"{self.name}" gives each place a number of its own; the model gave {told} twice.')
        return str(told)

    def _page(self, item: Item, to_name: str, inputs: Inputs) -> int | None:
        """Which of an object's pictures a place is on, as regions count them; None where there is but one."""
        if to_name not in self.pages:
            return None
        told, places = item.get(_PAGE), shown_places(self.pages[to_name], inputs)
        if type(told) is not int or not 1 <= told <= len(places):
            raise AnswerError(f'"{to_name}" shows the pictures 1 to {len(places)}; the model gave {shown(told)}.')
        return places[told - 1]

    def _item(self, region: Region, numbers: Mapping[str | None, int], regions: Regions, inputs: Inputs) -> Item:
        seen = inputs.of(region.to_name)
        item: dict[str, JSON] = {_ID: numbers.get(region.id)} if self.linked else {}
        if len(self.objects) > 1:
            item[_IN] = region.to_name
        if self.pages:
            places = shown_places(self.pages.get(region.to_name, ""), inputs)
            item[_PAGE] = places.index(region.item_index) + 1 if region.item_index in places else 1
        if seen is not None:
            item |= self.place.tell(region, seen)
        if self.labeling:
            item[self._label_key] = self.labeling.encode([region], inputs)
        together = [part for part in regions if part.id == region.id and part.id is not None]
        return item | {key: control.encode(together, inputs) for key, control in self._hung.items()}


def numbered(regions: Regions) -> dict[str | None, int]:
    """The numbers by which answers refer to regions: in order, from 1; a region's parts count once."""
    ids = dict.fromkeys(region.id for region in regions if region.id is not None and region.type != RELATION)
    return {ident: number for number, ident in enumerate(ids, 1)}


def placed(region: Region) -> bool:
    """Whether it lies somewhere within its object, or hangs on one that does."""
    return not _WHERE.isdisjoint(region.value)


def identified(regions: Regions, salt: str = "") -> tuple[Region, ...]:
    """The same regions with ids that may stand beside any other's; relations follow, or fall with what they link.

    An id is a digest of the region it belongs to, so that asking again gives a region the same one.

    Args:
        salt: Enters the digests; another one gives other ids.
    """
    ids: dict[str | None, str] = {}
    for region in regions:
        if region.id is not None and region.id not in ids:
            ids[region.id] = _digest(region, set(ids.values()), salt)
    final = []
    for region in regions:
        if region.type == RELATION:
            ends = {end: ids.get(region.value[end]) for end in ("from_id", "to_id")}
            if None not in ends.values():
                final.append(replace(region, value={**region.value, **ends}))
        else:
            final.append(region if region.id is None else replace(region, id=ids[region.id]))
    return tuple(final)


def without_repeats(made: Regions, held: Regions) -> list[Region]:
    """Those made that are not there already.

    Where a person has marked a place with the same control, it is theirs, however they labelled it. What a machine
    marked is a repeat only where the labels are the same, too.
    """
    theirs = [_place(region) for region in held if region.by_person]
    marked = [(_place(region), region.value.get(region.type)) for region in held]
    whole = {region.id: region for region in reversed(made) if region.id is not None}
    repeated = {
        ident
        for ident, region in whole.items()
        if (at := _place(region)) in theirs or (at, region.value.get(region.type)) in marked
    }
    return [region for region in made if region.id is None or region.id not in repeated]


def _place(region: Region) -> tuple[str, str, int | None, Mapping[str, JSON]]:
    """Where a region lies, whatever else the editor keeps with it. In HTML it tells places by path, and by offset."""
    where = region.value.get("globalOffsets")
    if not isinstance(where, Mapping):
        where = {key: held for key, held in region.value.items() if key not in (region.type, "text", "channel")}
    return region.from_name, region.to_name, region.item_index, where


def _digest(region: Region, taken: set[str], salt: str) -> str:
    told = salt + json.dumps(replace(region, id=None).to_json(), sort_keys=True)
    for again in range(len(taken) + 1):
        ident = hashlib.sha256(f"{told}{again or ''}".encode()).hexdigest()[:_ID_LENGTH]
        if ident not in taken:
            break
    return ident


def _on(whole: Region, part: Region) -> Region:
    """A part of a region: its own payload at the place and under the id of the whole."""
    value = {**whole.value, **part.value}
    return replace(part, to_name=whole.to_name, id=whole.id, item_index=whole.item_index, value=value)


def _only_for(control: Control) -> str:
    """For which labels a hanging control is asked, in words."""
    labels = [label for condition in control.output.conditions for label in condition.label_values]
    return f" (only for {json.dumps(labels, ensure_ascii=False)[1:-1]}; else null)" if labels else ""


def set_in(words: str) -> str:
    """Words of several lines, the further ones set in below the first."""
    return words.replace("\n", "\n  ")
