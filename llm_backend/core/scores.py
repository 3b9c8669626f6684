"""How sure is it? A probability from the logprobs of the label tokens, or from the agreement of samples, and what is
made of it in the light of how often the model was right before.

In autoregressive decoding the probabilities of an answer's label tokens multiply to that of these labels, given the
rest of the answer. Free text has no such number: there are many ways to say the same.
"""

import bisect
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.wire import JSON, Region

Path = tuple[str, ...]
"""Where in an answer labels stand: names of fields, `*` for every entry of a list."""
Span = tuple[int, int]

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
# What carries the meaning of a value: the inside of texts, numbers, and the words of JSON.
_MEANING = re.compile(r'"((?:[^"\\]|\\.)*)"|(-?\d[\d.eE+-]*|null|true|false)')
_TRIES = 64


def label_probability(text: str, logprobs: JSON, key: str, paths: Sequence[Path]) -> float | None:
    """The probability of the labels that stand in an answer.

    Args:
        logprobs: As the provider gives them: `{"content": [{"token", "logprob", "bytes"}, ...]}`.
        key: The field of the answer.
        paths: Where below it labels stand.
    Returns:
        The product of the probabilities of the label tokens; None where there are none, or they cannot be told.
    """
    tokens = _tokens(text, logprobs)
    places = [span for path in paths for span in _places(text, (key, *path))]
    found = {number for start, end in places for number, token in enumerate(tokens) if token.meets(start, end)}
    if not found:
        return None
    return min(1.0, math.exp(sum(tokens[number].logprob for number in found)))


def agreement(answer: JSON, others: Sequence[JSON]) -> float | None:
    """The share of samples that answer alike, the answer itself among them; None where there is but one."""
    if len(others) < 2:
        return None
    return sum(1 for other in others if other == answer) / len(others)


def over_orders(scores: Sequence[float | None], share: float) -> float | None:
    """How sure the model is of what it said in several orders of the same: the mean, as if an order were drawn by lot.

    Args:
        share: How much of the answer all orders have in common, which lowers it. Where nothing else is known, it is all
            that is: an answer that an order takes back in part is not sure.
    """
    told = [score for score in scores if score is not None]
    if not told:
        return None if share == 1.0 else share
    return sum(told) / len(told) * share


def joint(regions: Iterable[Region]) -> float | None:
    """How sure a whole prediction is: the product of what its controls' regions say; None where none says anything."""
    told = {region.from_name: region.score for region in regions if region.score is not None}
    return math.prod(told.values(), start=1.0) if told else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a score has been worth so far: a small table, applied by linear interpolation.

    Attributes:
        knots: (score, probability) pairs, both rising, from 0 to 1.
        count: How many corrections it was fitted on.
    """

    knots: tuple[tuple[float, float], ...]
    count: int = 0

    def __post_init__(self) -> None:
        scores, chances = [score for score, _ in self.knots], [chance for _, chance in self.knots]
        if not self.knots or scores != sorted(set(scores)) or chances != sorted(chances):
            raise ValueError("a calibration is a table of (score, probability) pairs, the scores rising, none twice")
        if not all(0 <= number <= 1 for number in (*scores, *chances)):
            raise ValueError("scores and probabilities lie between 0 and 1")

    def __call__(self, score: float) -> float:
        """The probability that answers of this score are right."""
        scores = [known for known, _ in self.knots]
        at = bisect.bisect_right(scores, score)
        if at == 0 or at == len(scores):
            return self.knots[min(at, len(scores) - 1)][1]
        (low, first), (high, last) = self.knots[at - 1], self.knots[at]
        return first + (last - first) * (score - low) / (high - low)

    def to_json(self) -> dict[str, JSON]:
        return {"knots": [list(knot) for knot in self.knots], "count": self.count}

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Calibration":
        """Read one.

        Raises:
            ValueError: It is no such table.
        """
        try:
            knots = tuple((float(score), float(chance)) for score, chance in raw["knots"])
            return cls(knots, int(raw.get("count", 0)))
        except (KeyError, TypeError) as exc:
            raise ValueError(
                'a calibration is an object such as {"knots": [[0, 0.1], [1, 0.9]], "count": 100}'
            ) from exc


@dataclass(frozen=True, slots=True)
class _Token:
    """A token and the bytes of the answer that it covers."""

    start: int
    end: int
    logprob: float

    def meets(self, start: int, end: int) -> bool:
        return self.start < end and start < self.end


def _tokens(text: str, logprobs: JSON) -> list[_Token]:
    """The tokens of a text; none where they do not spell it."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    pieces = [(_bytes(entry), _logprob(entry)) for entry in content] if isinstance(content, list) else []
    before = b"".join(piece for piece, _ in pieces).find(text.encode("utf-8", "replace"))
    tokens, at = [], -before
    for piece, logprob in pieces:
        if before < 0 or logprob is None:
            return []
        tokens.append(_Token(at, at + len(piece), logprob))
        at += len(piece)
    return tokens


def _bytes(entry: JSON) -> bytes:
    told = entry.get("bytes") if isinstance(entry, Mapping) else None
    if isinstance(told, list) and all(type(byte) is int and 0 <= byte < 256 for byte in told):
        return bytes(told)
    token = entry.get("token") if isinstance(entry, Mapping) else None
    return token.encode("utf-8", "replace") if isinstance(token, str) else b""


def _logprob(entry: JSON) -> float | None:
    told = entry.get("logprob") if isinstance(entry, Mapping) else None
    if isinstance(told, bool) or not isinstance(told, int | float) or math.isnan(told):
        return None
    return min(float(told), 0.0)


def _places(text: str, path: Path) -> Iterator[Span]:
    """Where, in bytes, the meaning of the values at a path stands in an answer; of plain words, all of them."""
    begin = _object_with(text, path[0])
    if begin is None:
        spans = [] if "{" in text else [(0, len(text))]
    else:
        found = (one for span in _values(text, begin, path) for one in _MEANING.finditer(text, *span))
        spans = [one.span(1) if one[1] is not None else one.span(2) for one in found]
    for start, end in spans:
        yield len(text[:start].encode("utf-8", "replace")), len(text[:end].encode("utf-8", "replace"))


def _object_with(text: str, key: str) -> int | None:
    """Where the JSON object begins that holds the field; None where the answer is no JSON."""
    at = text.find("{")
    for _ in range(_TRIES):
        if at < 0:
            break
        try:
            value, _ = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, Mapping) and key in value:
            return at
        at = text.find("{", at + 1)
    return None


def _values(text: str, at: int, path: Path) -> Iterator[Span]:
    """The spans of the values at a path below the value that begins at `at`, which is sound JSON."""
    if not path:
        yield at, _DECODER.raw_decode(text, at)[1]
        return
    for name, start in _children(text, at):
        if path[0] in ("*", name):
            yield from _values(text, start, path[1:])


def _children(text: str, at: int) -> Iterator[tuple[str, int]]:
    """Where each member of an object or list begins, by its name; entries of a list are called `*`."""
    opened = text[at]
    if opened not in "{[":
        return
    at = _skip(text, at + 1)
    while text[at] not in "}]":
        name = "*"
        if opened == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        yield name, at
        at = _skip(text, _DECODER.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
