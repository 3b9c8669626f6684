"""What answers in the demo where no model is connected?

A stand-in that follows a handful of plain rules: it looks for words, counts and cuts. It is there to show the form
being filled, and nothing it writes can be taken for a model's answer: every text begins with `MARK`, and its name
stands in `model_version`.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from llm_backend.core.chat import Call, Completion, ImagePart, Message, Takes, Usage
from llm_backend.core.wire import JSON

MARK = "[stand-in, not a real model] "
MODEL = "stand-in-demo"
DELAY = 0.4
"""Seconds that an answer takes, so that waiting can be seen."""

_POSITIVE = "wonderful great love lovely good nice thank thanks best happy better perfect enjoy glad سعيد כיף 🌻 😊"
_NEGATIVE = "cold broken late cancelled crash crashes bad worst awful complained wrong asked twice מאחרת"
_IRONY = ("just what i needed", "could have been", "another update", "my computer crashes", "🙃", "בדיוק מה שהיה חסר")

# What makes a label fit, where the label's own words hardly ever stand in the text: label, text, weight.
_CUES: tuple[tuple[str, str, float], ...] = (
    (r"^relevant$|^correct$", r".", 0.5),
    (r"regulated domains", r"\b(pills?|doctor|medicine|dose|tax|lawyer|invest)", 2.0),
    (r"privacy", r"\b(home address|password|phone number)", 1.0),
    (r"non-factual", r"\b(captain|whale|in four days|\d{3,4};)", 1.0),
    (r"stereotyping", r"\b(only for|all (men|women))\b|فقط", 1.0),
    (r"groceries", r"\b(bread|milk|tomato|apple|grocer)", 1.0),
    (r"dining", r"\b(caf|soup|lunch|dinner|espresso|restaurant)", 1.0),
    (r"gasoline", r"\b(fuel|petrol|unleaded|litres?)", 1.0),
    (r"books", r"\b(book|atlas|notebook)", 1.0),
)
_WORD = re.compile(r"\w+|[\U0001f300-\U0001faff]")
_TEMPLATE = re.compile(r"\ASource Text:\s*(?P<source>.*)\s*Task Directive:\s*(?P<directive>.*)\Z", re.DOTALL)
_PATH = re.compile(r" (?:/|>|\||→|::) ")
_SECTION = re.compile(r"^(?P<name>[\w.-]+):\n", re.MULTILINE)
_TURN = re.compile(r"^(?P<author>\w{1,30}): (?P<words>.+)$", re.MULTILINE)
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?\b")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question as the rules see it."""

    source: str
    directive: str
    picture: bool = False
    words: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "_Asked":
        """From the first thing that the user said; what follows it is a request to mend an answer."""
        said = next((message for message in messages if message.role == "user"), None)
        text = said.text if said else ""
        picture = said is not None and any(isinstance(part, ImagePart) for part in said.parts)
        found = _TEMPLATE.match(text)
        source = (found["source"] if found else text).strip()
        directive = (found["directive"] if found else text).strip()
        return cls(source, directive, picture, frozenset(_words(text)))

    @property
    def mood(self) -> int:
        """Pleasant words less unpleasant ones."""
        words = _words(self.source)
        return sum(word in _POSITIVE.split() for word in words) - sum(word in _NEGATIVE.split() for word in words)

    @property
    def ironic(self) -> bool:
        text = self.source.casefold()
        pleased = any(word in _POSITIVE.split() for word in _words(text))
        annoyed = any(word in _NEGATIVE.split() for word in _words(text))
        return any(turn in text for turn in _IRONY) or (pleased and annoyed)


class StandIn:
    """An `LLM` that is none.

    Args:
        delay: Seconds that each answer takes.
    """

    def __init__(self, delay: float = DELAY) -> None:
        self._delay = delay

    @property
    def model(self) -> str:
        return MODEL

    @property
    def takes(self) -> Takes:
        return frozenset(("file", "audio"))

    async def complete(self, call: Call) -> Completion:
        """Answer by rule; the same question gets the same answer, and its n completions differ."""
        await asyncio.sleep(self._delay)
        asked = _Asked.of(call.messages)
        texts = tuple(_answer(call.schema, asked, variant) for variant in range(max(call.n, 1)))
        spent = sum(len(text.split()) for text in texts)
        read = sum(len(message.text.split()) for message in call.messages)
        return Completion(
            texts=texts,
            finish_reasons=("stop",) * len(texts),
            usage=Usage(read, spent, calls=1),
            structured=call.schema is not None,
            seconds=self._delay,
        )


def _answer(schema: JSON, asked: _Asked, variant: int) -> str:
    if schema is None:
        return _text(asked, variant)
    return json.dumps(_value(schema, asked, variant), ensure_ascii=False)


def _value(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    """A value that fits the schema, or null where it may be null and the rules find nothing."""
    if "anyOf" in schema:
        return _open_value(schema["anyOf"], asked, variant)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return _pick(schema["enum"], asked)
    kind = schema.get("type", "string")
    if isinstance(kind, list):
        return _open_value([{**schema, "type": one} for one in kind], asked, variant)
    return _BY_TYPE[kind](schema, asked, variant)


def _open_value(branches: Sequence[Mapping[str, JSON]], asked: _Asked, variant: int) -> JSON:
    telling = [branch for branch in branches if branch.get("type") != "null"]
    if not telling:
        return None
    nullable = len(telling) < len(branches)
    if nullable and "pattern" in telling[0] and not re.search(telling[0]["pattern"], _patterned(telling[0], asked)):
        return None
    return _value(telling[0], asked, variant)


def _object(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    return {key: _value(part, asked, variant) for key, part in schema.get("properties", {}).items()}


def _array(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    items = schema.get("items", {})
    if "enum" not in items:
        fewest = int(schema.get("minItems", 0))
        return [_value(items, asked, variant + extra) for extra in range(fewest)]
    scores = {label: _fit(label, items["enum"], asked) for label in items["enum"]}
    found = [label for label in items["enum"] if scores[label] >= max(scores.values()) * 0.6 and scores[label] > 0]
    chosen = found[: min(int(schema.get("maxItems", 2)), 2)]
    others = sorted((label for label in items["enum"] if label not in chosen), key=str)  # in whatever order they stand
    return chosen + others[: max(int(schema.get("minItems", 0)) - len(chosen), 0)]


def _pick(labels: Sequence[JSON], asked: _Asked) -> JSON:
    """The label that fits best; where none does, one that depends on the question alone."""
    if set(labels) == {"left", "right"}:
        return _longer(asked)
    scores = [_fit(label, labels, asked) for label in labels]
    if max(scores) > 0:
        return labels[scores.index(max(scores))]
    others = [label for label in labels if str(label).casefold() in ("other", "neutral", "none")]
    return others[0] if others else labels[_digest(asked.source) % len(labels)]


def _fit(label: JSON, labels: Sequence[JSON], asked: _Asked) -> float:
    """How well a label fits: shared words, cues, mood, and the opposite of what it negates."""
    name = _PATH.split(str(label))[-1].strip().casefold()
    opposite = re.sub(r"^(not|non|no)[ -]", "", name)
    if opposite != name and any(str(other).casefold() == opposite for other in labels):
        return 0.0 if _fit(opposite, labels, asked) > 0 else 1.0
    if name in ("sarcastic", "sarcasm", "ironic", "irony"):
        return 1.0 if asked.ironic else 0.0
    if name in ("positive", "negative"):
        mood = -asked.mood if asked.ironic else asked.mood
        return float(mood if name == "positive" else -mood)
    text = asked.source.casefold()
    cued = sum(weight for of, cue, weight in _CUES if re.search(of, name) and re.search(cue, text, re.DOTALL))
    told = {word for word in _words(name) if len(word) > 3}
    return cued + 0.8 * len(told & set(_words(asked.source)))


def _longer(asked: _Asked) -> str:
    """The longer of the last two sections, whichever stands first; `left` where there are none."""
    bodies = _SECTION.split(asked.source)[2::2]
    if len(bodies) < 2:
        return "left"
    left, right = ((len(body.strip()), body.strip()) for body in bodies[-2:])
    return "left" if left >= right else "right"


def _integer(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    return int(_number(schema, asked, variant))


def _number(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    """On a scale, the middle and more for pleasant words; else the first number of the text."""
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        middle = least + (most - least + 1) // 2
        return max(least, min(most, middle + asked.mood))
    found = _NUMBER.search(asked.source)
    number = float(found.group()) if found else 0.0
    number = max(number, least) if least is not None else number
    return min(number, most) if most is not None else number


def _boolean(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    return asked.mood >= 0


def _null(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    return None


def _string(schema: Mapping[str, JSON], asked: _Asked, variant: int) -> JSON:
    return _patterned(schema, asked) if "pattern" in schema or "format" in schema else _text(asked, variant)


def _patterned(schema: Mapping[str, JSON], asked: _Asked) -> str:
    """A date or time in the wanted spelling, from the first date of the text if it has one."""
    dated = _DATE.search(asked.source)
    day = dated.group() if dated else "2000-01-01"
    spellings = (f"{day}T12:00", day, day[:7], day[:4], day[5:7], "12:00")
    pattern = schema.get("pattern", "")
    return next((spelling for spelling in spellings if pattern and re.search(pattern, spelling)), day)


_BY_TYPE: Mapping[str, Callable[[Mapping[str, JSON], _Asked, int], JSON]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "null": _null,
}


def _text(asked: _Asked, variant: int) -> str:
    again = f"(version {variant + 1}) " if variant else ""
    return MARK + again + _said(asked)


def _said(asked: _Asked) -> str:
    if asked.picture:
        return "I cannot look at pictures; with a real model, what it sees would stand here."
    turns = _TURN.findall(asked.source)
    if turns and asked.source.startswith(f"{turns[0][0]}: "):
        return f'You ask: "{_first_words(turns[-1][1], 16)}" A real model would reply to that here.'
    typed = asked.directive != asked.source and "\n" not in asked.directive  # several lines: the form's own words
    wish = asked.directive.casefold() if typed else ""
    if re.search(r"sarcas|iron", wish):
        found = "words that do not go together" if asked.ironic else "nothing that looks ironic"
        return f'Looking at the words alone, I find {found} in "{_first_words(asked.source, 8)}".'
    if re.search(r"\b(sum|summar|short|brief|gist|one sentence)", wish):
        return f"In short: {_first_words(asked.source, 14)}"
    if wish:
        return f'Asked to "{_first_words(asked.directive, 12)}", I can only repeat: {_first_words(asked.source, 12)}'
    return f"The text begins: {_first_words(asked.source, 14)}"


def _first_words(text: str, most: int) -> str:
    words = text.split()
    return " ".join(words[:most]) + (" …" if len(words) > most else "")


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], "big")
