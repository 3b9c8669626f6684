"""What would a model answer that read the question? Quotes from the shown text, labels from the form, numbers in range.

It knows nothing of the labeling config: only the messages and the schema of its call. Everything it chooses follows
from a seed and from the question, so that it answers the same again.
"""

import hashlib
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from llm_backend.core.chat import Call, Completion, Takes, TextPart, Usage
from tests.support.stub_model import example

JSON = Any
_ITEMS = 2
_MOMENT = re.compile(r"YYYY[-MDTH:]*|HH:MM")
_PERCENT = {"x": (30, 45), "y": (30, 45), "width": (5, 25), "height": (5, 25), "radiusX": (5, 25), "radiusY": (5, 25)}
"""Shapes that lie within the picture wherever they begin."""


class ReadingModel:
    """An `LLM` that answers each question by itself."""

    model = "reading-model"

    def __init__(self, seed: int = 0, takes: Takes = frozenset()) -> None:
        self.takes = takes
        self.calls: list[Call] = []
        self._seed = seed

    async def complete(self, call: Call) -> Completion:
        self.calls.append(call)
        answers = tuple(answer(call, self._seed + number) for number in range(call.n))
        return Completion(answers, ("stop",) * call.n, usage=Usage(10, 5, 1), structured=call.schema is not None)


def answer(call: Call, seed: int = 0) -> str:
    """One completion's text."""
    asked = "\n".join(message.text for message in call.messages)
    question = _Question.of(call, random.Random(f"{seed}{asked}"))
    if call.schema is None:
        return question.sentence()
    return json.dumps(_value(call.schema, question, "", ""), ensure_ascii=False)


@dataclass
class _Question:
    """What was asked.

    Attributes:
        sections: The shown texts by the name of their object; a single one has no name.
        words: What the form says of each of its fields.
        parts: What goes along beside the text, by the name of its object.
        places: The numbers given to places so far.
    """

    sections: Mapping[str, str]
    words: Mapping[str, str]
    parts: Mapping[str, str]
    chance: random.Random
    text: str
    places: list[int] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    @classmethod
    def of(cls, call: Call, chance: random.Random) -> "_Question":
        system, user = call.messages[0].text, call.messages[1].text
        shown = user.removeprefix("Source Text: ").rpartition("\n\nTask Directive:")[0] or user
        parts = re.split(r"(?:^|\n\n)(\S+):\n", shown)
        sections = dict(zip(parts[1::2], parts[2::2], strict=True)) or {"": shown}
        fields = re.split(r'(?m)^- "([^"]+)"', system)
        beside = [part for part in call.messages[1].parts if not isinstance(part, TextPart)]
        parts = {part.caption.partition(",")[0]: repr(replace(part, caption="")) for part in beside}
        return cls(sections, dict(zip(fields[1::2], fields[2::2], strict=True)), parts, chance, user)

    def section(self, key: str) -> str:
        """The text that a field's words name as the one to look at; else the longest."""
        words = self.words.get(key, "")
        named = [text for name, text in self.sections.items() if f'"{name}"' in words and text]
        return named[0] if named else max(self.sections.values(), key=len)

    def better(self, key: str) -> str | None:
        """The side of a comparison that shows what it likes better, wherever that stands; None where there are none."""
        sides = re.findall(r'"(left|right)" if "([^"]+)" is better', self.words.get(key, ""))
        shown = {side: self.sections.get(name, self.parts.get(name, "")) for side, name in sides}
        return max(shown, key=lambda side: _liking(shown[side])) if shown else None

    def quote(self, key: str) -> tuple[str, str]:
        """A piece of one line of the shown text, and what stands before it."""
        lines = [line for line in self.section(key).splitlines() if line.strip()]
        line = self.chance.choice(lines or [self.text])
        said = re.match(r"(?:\[[^\]]+\]|\d+\.?|[^:]{1,30}:)\s+(.*)", line)
        spoken = said[1] if said and said[1] else line
        words = list(re.finditer(r"\S+", spoken))
        first = self.chance.randrange(len(words))
        last = min(len(words), first + self.chance.randint(1, 3)) - 1
        start = words[first].start()
        return spoken[start : words[last].end()], spoken[max(0, start - 20) : start]

    def moments(self, key: str) -> tuple[str, str]:
        """Two moments of the shown table, one after the other: the first cells of two of its rows."""
        rows = [line.split(",") for line in self.section(key).splitlines() if "," in line]
        first, last = sorted(self.chance.sample(range(1, len(rows)), 2))
        return rows[first][0], rows[last][0]

    def sentence(self) -> str:
        return f"It says: {self.quote('')[0]}"


def _liking(content: str) -> str:
    """How well something is liked: by chance, but always the same."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def _value(schema: JSON, question: _Question, key: str, control: str) -> JSON:
    """An answer to a part of the schema.

    Args:
        key: The name of the field it is for.
        control: The field of the form that it belongs to.
    """
    if "anyOf" in schema:
        return _value(next(part for part in schema["anyOf"] if part.get("type") != "null"), question, key, control)
    if "enum" in schema and (better := question.better(control)):
        return better
    if "enum" in schema:
        return question.chance.choice([option for option in schema["enum"] if option is not None])
    kinds = schema.get("type", "object")
    kind = next(kind for kind in kinds if kind != "null") if isinstance(kinds, list) else kinds
    return _MAKERS[kind](schema, question, key, control)


def _object(schema: JSON, question: _Question, key: str, control: str) -> JSON:
    fields: Mapping[str, JSON] = schema.get("properties", {})
    links = [name for name, part in fields.items() if _is_link(part)]
    shared = _shared(fields)
    if shared is not None:
        return dict(zip(fields, _dealt(shared, len(fields)), strict=True))
    in_order = [*(name for name in fields if name not in links), *links]  # links tell of places that were given
    made = {name: _value(fields[name], question, name, control or name) for name in in_order}
    if "quote" in fields:
        made["quote"], before = question.quote(control)
        if "before" in fields:
            made["before"] = before
    if {"start", "end"} <= made.keys():
        told = isinstance(made["start"], str)
        made["start"], made["end"] = question.moments(control) if told else sorted((made["start"], made["end"] + 1))
    return {name: made[name] for name in fields}


def _shared(fields: Mapping[str, JSON]) -> Sequence[JSON] | None:
    """The options that several lists are to share out among them, as the buckets of a ranking."""
    enums = [part.get("items", {}).get("enum") for part in fields.values() if part.get("type") == "array"]
    alike = len(enums) > 1 and len(enums) == len(fields) and enums[0] and all(enum == enums[0] for enum in enums)
    return enums[0] if alike else None


def _dealt(options: Sequence[JSON], hands: int) -> list[list[JSON]]:
    order = sorted(options, key=_liking)
    return [order[hand::hands] for hand in range(hands)]


def _is_link(schema: JSON) -> bool:
    return {"from", "to"} <= schema.get("items", {}).get("properties", {}).keys()


def _array(schema: JSON, question: _Question, key: str, control: str) -> JSON:
    item = schema.get("items", {"type": "string"})
    least, most = schema.get("minItems", 0), schema.get("maxItems", 10**6)
    if _is_link(schema):
        fields = item["properties"]
        made = {name: _value(part, question, name, control) for name, part in fields.items()}
        ends = question.places[:2]
        return [{**made, "from": ends[0], "to": ends[1]}] if len(ends) == 2 else []
    if "enum" in item:
        every = "each once" in question.words.get(control, "") or least == len(item["enum"])
        if every:
            return sorted(item["enum"], key=_liking)
        wanted = min(len(item["enum"]), max(least, min(most, _ITEMS)))
        return question.chance.sample(item["enum"], wanted)
    wanted = max(least, min(most, 3 if key == "points" else _ITEMS if item.get("type") == "object" else 1))
    return [_value(item, question, key, control) for _ in range(wanted)]


def _integer(schema: JSON, question: _Question, key: str, control: str) -> JSON:
    if key == "id":
        question.places.append(next(question.numbers))
        return question.places[-1]
    return int(_number(schema, question, key, control))


def _number(schema: JSON, question: _Question, key: str, control: str) -> JSON:
    least, most = schema.get("minimum"), schema.get("maximum")
    if schema.get("multipleOf") or least is None or most is None:
        return example(schema, question.text)
    if key in _PERCENT and most == 100:
        least, most = _PERCENT[key]
    return question.chance.randint(math.ceil(least), math.floor(most))


def _string(schema: JSON, question: _Question, key: str, control: str) -> JSON:
    told = _MOMENT.search(question.words.get(control, ""))
    if told:  # a day or a time, in the form that the question names
        return told[0].replace("YYYY", "2024").replace("HH:MM", "10:30").replace("MM", "05").replace("DD", "17")
    return question.sentence()


_MAKERS: Mapping[str, Callable[[JSON, _Question, str, str], JSON]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda schema, question, key, control: question.chance.random() < 0.5,
    "null": lambda schema, question, key, control: None,
}
