"""What can go wrong with a result? Copies of a good one, each damaged a little, the same ones for the same seed."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_backend.core.wire import Region

JSON = Any
_ODD: tuple[JSON, ...] = (
    *(None, True, 0, -1, 1, 5, 101, 2.5, 1e9, "", "x", "5", "left", [], {}, ["x"], [1], [[1]], {"x": 1}, [["x"]]),
    *("Good", "g", ["g"], [["a", "B / C"]], ["a"], "0", "99"),
)


def damaged(regions: Sequence[Region], count: int, seed: int = 0) -> Iterator[list[Region]]:
    """`count` results, each with one thing changed."""
    chance = random.Random(seed)
    for _ in range(count):
        result = list(regions)
        at = chance.randrange(len(result))
        result[at] = _changed(result[at], result, chance)
        if chance.random() < 0.1:
            del result[chance.randrange(len(result))]
        if chance.random() < 0.1:
            result.append(chance.choice(result or list(regions)))
        yield result


def spoilt(answer: JSON, count: int, seed: int = 0) -> Iterator[JSON]:
    """`count` copies of a JSON value, each with a few of its parts changed."""
    chance = random.Random(seed)
    for _ in range(count):
        changed = answer
        for _ in range(chance.randint(1, 4)):
            changed = _other(changed, chance)
        yield changed


def _changed(region: Region, others: Sequence[Region], chance: random.Random) -> Region:
    other = chance.choice(others)
    kind = chance.randrange(8)
    if kind == 0:
        return replace(region, value=other.value)
    if kind == 1:
        return replace(region, from_name=chance.choice((other.from_name, "nobody")))
    if kind == 2:
        return replace(region, to_name=chance.choice((other.to_name, "nothing", region.from_name)))
    if kind == 3:
        return replace(region, type=other.type)
    return replace(region, value=_other(region.value, chance))


def _other(value: JSON, chance: random.Random) -> JSON:
    """A value with one part of it replaced, dropped or added."""
    if isinstance(value, Mapping) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.2:
            return {name: held for name, held in value.items() if name != key}
        return {**value, key: _other(value[key], chance)}
    if isinstance(value, Mapping):
        return {**value, "more": chance.choice(_ODD)}
    if isinstance(value, list) and value and chance.random() < 0.8:
        at = chance.randrange(len(value))
        return [*value[:at], _other(value[at], chance), *value[at + 1 :]]
    if type(value) in (int, float) and chance.random() < 0.3:
        return value + chance.choice((-1, 1, 0.5, 50))
    return chance.choice(_ODD)
