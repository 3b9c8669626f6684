"""What do we ask for a Ranker, how does its answer become a region, and back?"""

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from llm_backend.core.controls.base import Regions, keys_for, listed, shown
from llm_backend.core.controls.comparing import Comparison, Verdict
from llm_backend.core.controls.rankings import mean_ranking, pairs_alike, tau
from llm_backend.core.inputs import Inputs, Turn
from llm_backend.core.labeling import Choice, Output, Source
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError, InputError

# The column in which the editor shows what is in no bucket; it makes it up by itself.
_REST = "_"
# Two answers say together what three of four pairs of items, or items, have in common: a tau of at least 0.5. By chance
# one in six rankings of four items comes so near to another, and one in nine of five.
_ENOUGH = 0.75


class Ranker(Comparison, tags=("Ranker",)):
    """The items of a List in order, or sorted into Buckets.

    Answer: a list of all ids, the best first; with Buckets an object that holds such a list for each, in which no id
    stands twice. What is in no bucket stays in the list, unless a bucket is the default, where all items begin: then
    there is no list to stay in, and every id must be placed. Results hold ids as texts, as the editor makes them.

    In the other order the items stand the other way round. Rankings that are near enough come to the mean of both. Of
    buckets, what is in the same one both times stays there, and the rest in the list, if there is one to stay in.
    """

    dynamic = True

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        named = {bucket.value: bucket for bucket in output.choices if bucket.value != _REST}
        self.buckets = {key: named[name] for name, key in keys_for(named).items()}
        self.whole = not self.buckets or any(bucket.default for bucket in self.buckets.values())

    def schema(self, inputs: Inputs) -> JSON:
        ids = self.ids(inputs)
        some = {"type": "array", "items": {"type": "string", "enum": list(ids)}}
        if not self.buckets:
            return some | {"minItems": len(ids), "maxItems": len(ids)}
        return {
            "type": "object",
            "properties": dict.fromkeys(self.buckets, some),
            "required": list(self.buckets),
            "additionalProperties": False,
        }

    def describe(self, inputs: Inputs) -> str:
        ids = ", ".join(map(_quoted, self.ids(inputs)))
        if not self.buckets:
            return f"a list of all these ids, best first: {ids}"
        place = "each of these ids in one of the lists" if self.whole else "each of these ids in at most one of them"
        lines = "".join(f"\n- {_told(key, bucket)}" for key, bucket in self.buckets.items())
        return f"an object with a list of ids, best first, for each of the following; {place}: {ids}{lines}"

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        ids = self.ids(inputs)
        lists = self._lists(answer)
        held = {name: [self._id(entry, ids) for entry in entries] for name, entries in lists.items()}
        self._refuse_uneven(list(chain(*held.values())), ids)
        return [self.region({self.output.type: held})] if any(held.values()) else []

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        ids = self.ids(inputs)
        for region in self.own(regions):
            held = region.value.get(self.output.type)
            lists = held if isinstance(held, Mapping) else {}
            names = [bucket.value for bucket in self.buckets.values()] or [self.name]
            told = [[entry for entry in _entries(lists.get(name)) if entry in ids] for name in names]
            placed = list(chain(*told))
            if len(set(placed)) == len(placed) and (not self.whole or len(placed) == len(ids)):
                return dict(zip(self.buckets, told, strict=True)) if self.buckets else told[0]
        return None

    def turn(self, sources: Mapping[str, Source]) -> Turn | None:
        source = sources.get(self.to_name)
        return Turn.turn_round(source) if source else None

    def turned(self, answer: JSON) -> JSON:
        return answer

    def weigh(self, first: Regions, other: Regions) -> Verdict:
        told, again = self._held(first), self._held(other)
        if told == again:
            return Verdict(list(first))
        # What stands in the same place both times, in the order of each.
        both = {
            name: (
                [ident for ident in ids if ident in again.get(name, ())],
                [i for i in again.get(name, ()) if i in ids],
            )
            for name, ids in told.items()
        }
        items = len({*chain(*told.values()), *chain(*again.values())})
        common = _Common.of(both.values(), items)
        asked = f"Asked again with the items the other way round, the model {self._in_common(common)}"
        if not self._enough(common):
            return Verdict([], 0.0, f'{asked}: "{self.name}" stays empty.')
        held = {name: mean_ranking(*orders) for name, orders in both.items()}
        kept = "what both say" if self.buckets else "the mean of both rankings"
        sentence = f'{asked}: "{self.name}" holds {kept}, with a lower score.'
        return Verdict([self.region({self.output.type: held})], common.share, sentence)

    def _held(self, regions: Regions) -> Mapping[str, list[str]]:
        """The ids in each list of an answer; none where it says that nothing applies."""
        return next((region.value[self.output.type] for region in self.own(regions)), {})

    def _enough(self, common: "_Common") -> bool:
        if self.whole:  # there is no list in which the others could stay
            return common.kept == common.items and (bool(self.buckets) or common.ordered >= _ENOUGH)
        return common.kept >= _ENOUGH * common.items

    def _in_common(self, common: "_Common") -> str:
        if not self.buckets and not common.kept:
            return "ranked them only once"
        order = f"put {common.alike} of {common.pairs} pairs in the same order"
        if not self.buckets:
            return f"{order} (Kendall's tau {tau(common.alike, common.pairs):.2f})"
        placed = f"put {common.kept} of {common.items} items into the same bucket"
        return f"{placed}, and {order.removeprefix('put ')}" if common.pairs else placed

    def ids(self, inputs: Inputs) -> Mapping[str, str]:
        """The ids of the items that the editor shows in this task, and the words of each.

        Raises:
            InputError: There are none, or they do not tell the items apart.
        """
        items = next((seen.items for seen in inputs.seen if seen.name == self.to_name), ())
        texts = {item.id: item.text for item in items}
        if not texts:
            raise InputError(f'Ranker "{self.name}" has nothing to rank: "{self.to_name}" shows no list of items.')
        if "" in texts:
            raise InputError(
                f'Ranker "{self.name}" takes the items of "{self.to_name}" by their ids; '
                'an item of this task has none. Give each an "id" of its own.'
            )
        if doubled := next((item.id for item in items if texts[item.id] != item.text), None):
            raise InputError(
                f'Ranker "{self.name}" takes the items of "{self.to_name}" by their ids; '
                f"several items of this task have the id {shown(doubled)}. Give each one of its own."
            )
        return texts

    def _lists(self, answer: JSON) -> Mapping[str, list[JSON]]:
        """The ids told for each key of a result; an answer may call a bucket by its key or by its name."""
        if not self.buckets and isinstance(answer, list):
            return {self.name: answer}
        keys = {bucket.value: key for key, bucket in self.buckets.items()} | {key: key for key in self.buckets}
        told = {keys.get(key, key): entries for key, entries in answer.items()} if isinstance(answer, Mapping) else {}
        if not self.buckets or not told or not all(isinstance(entries, list) for entries in told.values()):
            what = f"a list of ids for each of {listed(list(self.buckets))}" if self.buckets else "a list of ids"
            raise AnswerError(f'"{self.name}" takes {what}; the model gave {shown(answer)}.')
        if unknown := [key for key in told if key not in self.buckets]:
            raise AnswerError(f'"{self.name}" takes {listed(list(self.buckets))}; the model gave {shown(unknown[0])}.')
        return {bucket.value: told.get(key, []) for key, bucket in self.buckets.items()}

    def _refuse_uneven(self, placed: Sequence[str], ids: Collection[str]) -> None:
        if twice := [ident for ident, times in Counter(placed).items() if times > 1]:
            raise AnswerError(f'"{self.name}" takes each id once; the model gave {shown(twice[0])} several times.')
        missing = [ident for ident in ids if ident not in set(placed)] if self.whole else []
        if missing:
            raise AnswerError(f'"{self.name}" takes every id; the model left out {listed(missing)}.')

    def _id(self, entry: JSON, ids: Collection[str]) -> str:
        told = str(entry) if type(entry) is int else entry  # an id that is a number in the task may come back as one
        if isinstance(told, str) and told in ids:
            return told
        raise AnswerError(f'"{self.name}" takes the ids {listed(list(ids))}; the model gave {shown(entry)}.')


@dataclass(frozen=True, slots=True)
class _Common:
    """What two answers have in common.

    Attributes:
        kept: How many of the items stand in the same list.
        alike: How many pairs of these stand in the same order.
    """

    kept: int
    items: int
    alike: int
    pairs: int

    @classmethod
    def of(cls, both: Collection[tuple[Sequence[str], Sequence[str]]], items: int) -> "_Common":
        counted = [pairs_alike(*orders) for orders in both]
        kept = sum(len(ids) for ids, _ in both)
        return cls(kept, items, sum(alike for alike, _ in counted), sum(pairs for _, pairs in counted))

    @property
    def ordered(self) -> float:
        return self.alike / self.pairs if self.pairs else 1.0

    @property
    def share(self) -> float:
        return self.kept / self.items * self.ordered


def _told(key: str, bucket: Choice) -> str:
    words = ": ".join(part for part in (bucket.value if bucket.value != key else "", bucket.hint) if part)
    return f"{_quoted(key)} ({words})" if words else _quoted(key)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _entries(held: JSON) -> list[str]:
    return [str(entry) for entry in held] if isinstance(held, list) else []
