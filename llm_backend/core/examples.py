"""Which human answers go along with a question?

The nearest by their words, spread over the labels, within a budget of tokens. Nearness is the cosine of tf-idf vectors
(Salton and Buckley 1988), looked up in an inverted index; the spread is the greedy trade of maximal marginal relevance
(Carbonell and Goldstein 1998), here between nearness and labels that were shown already.
"""

import itertools
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import NamedTuple

from llm_backend.core.wire import JSON, TaskId

# Words, and single signs of scripts that put no spaces between words (Thai, Han, kana, hangul).
_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Of a long text, its rarest words tell most; more would only cost time.
_MOST_WORDS = 64
# What nearness an example loses for each earlier one with the same labels.
_SAME_LABELS = 0.25
# Texts nearer than this say the same with other punctuation or a word exchanged.
NEAR_DUPLICATE = 0.9
_CANDIDATES = 8
BUDGET = 6_000
"""Tokens that examples may take of a question."""
_BYTES_PER_TOKEN = 4.0


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person made of a task.

    Attributes:
        annotation: The annotation's id.
        answers: By the control's name, as its `encode` tells them; what was left empty is missing.
        by: Who made it, as the host tells it; "" where it does not.
        made: When, in seconds since 1970.
        accepted: True for the model's own answer that nobody changed. It is no evidence that it was right.
        from_model: Whether it was made from the model's answer, changed or not.
    """

    annotation: str
    data: Mapping[str, JSON]
    answers: Mapping[str, JSON]
    task: TaskId | None = None
    by: str = ""
    made: float = 0.0
    accepted: bool = False
    from_model: bool = False

    def to_json(self) -> dict[str, JSON]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Correction":
        return cls(**raw)


@dataclass(frozen=True, slots=True)
class Asked:
    """The task for which examples are wanted.

    Attributes:
        text: All that it shows, in words.
    """

    data: Mapping[str, JSON]
    text: str
    id: TaskId | None = None


@dataclass(slots=True)
class TokenMeter:
    """How many bytes make a token, by the usage seen; about four where none was."""

    bytes: float = 0.0
    tokens: float = 0.0

    def note(self, sent: int, tokens: int) -> None:
        """Take in a call: the bytes of its messages, and the prompt tokens that the provider counted."""
        if sent > 0 and tokens > 0:
            # Older calls fade, so that a change of language or model is followed.
            self.bytes, self.tokens = 0.95 * self.bytes + sent, 0.95 * self.tokens + tokens

    def tokens_in(self, size: int) -> float:
        """How many tokens so many bytes are likely to be."""
        return size / (self.bytes / self.tokens if self.tokens else _BYTES_PER_TOKEN)


class Pool:
    """A project's corrections, to choose examples from. Made once of a set of them; choosing changes nothing.

    What was merely accepted, and what shows no text, is never chosen.
    """

    def __init__(self, corrections: Iterable[Correction], text_of: Callable[[Correction], str]) -> None:
        """
        Args:
            text_of: All that a correction's task shows, in words.
        """
        told = [(correction, text_of(correction)) for correction in corrections if not correction.accepted]
        held = [(correction, text) for correction, text in told if text.strip() and correction.answers]
        self._corrections = [correction for correction, _ in held]
        self._sizes = [len(text.encode("utf-8", "replace")) + _size(one.answers) for one, text in held]
        self._names = [_name(one.data) for one in self._corrections]
        self._index = Index(text for _, text in held)
        self._gone: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return sum(one.annotation not in self._gone for one in self._corrections)

    def without(self, annotations: Collection[str]) -> "Pool":
        """The same pool as if it had never known these annotations, but for the weight of their words. It is quick."""
        other = copy(self)
        other._gone = self._gone | frozenset(annotations)
        return other

    def choose(
        self, asked: Asked, most: int, *, budget: int = BUDGET, meter: TokenMeter | None = None, apart: bool = False
    ) -> tuple[Correction, ...]:
        """The examples for a task, the nearest last, where it stands next to the question.

        The task itself is never among them, by its id or by its data.

        Args:
            most: How many at most.
            budget: Tokens that all of them may take.
            apart: Whether near-duplicates of the task are left out, too, so that trying a prompt out stays honest.
        """
        meter = meter or TokenMeter()
        own = _name(asked.data)
        free = (
            _Candidate(at, nearness, math.ceil(meter.tokens_in(self._sizes[at])), self._labels[at])
            for at, nearness in self._held(asked.text)
            if not self._is_task(at, asked, own) and not (apart and nearness >= NEAR_DUPLICATE)
        )
        fitting = (one for one in free if one.cost <= budget)
        chosen = _spread(itertools.islice(fitting, most * _CANDIDATES), most, budget)
        return tuple(self._corrections[one.at] for one in reversed(chosen))

    def has_like(self, asked: Asked) -> bool:
        """Whether the task itself, or a near-duplicate of it, is among the corrections."""
        own = _name(asked.data)
        return any(
            nearness >= NEAR_DUPLICATE or self._is_task(at, asked, own) for at, nearness in self._held(asked.text)
        )

    def _held(self, text: str) -> Iterator[tuple[int, float]]:
        """What is in the pool, by its place, each with its nearness to a text, the nearest first."""
        near = self._index.nearest(text)
        return ((at, nearness) for at, nearness in near if self._corrections[at].annotation not in self._gone)

    def _is_task(self, at: int, asked: Asked, name: str) -> bool:
        same_id = asked.id is not None and self._corrections[at].task == asked.id
        return same_id or self._names[at] == name

    @cached_property
    def _labels(self) -> list[str]:
        """What each correction says apart from free text: corrections with the same are of one kind."""
        return [json.dumps(_short(one.answers), sort_keys=True, default=str) for one in self._corrections]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What a project has learned, as one question meets it.

    Attributes:
        meter: Told of every call, so that the budget counts in tokens that were seen.
    """

    pool: Pool
    meter: TokenMeter
    apart: bool = False

    def choose(self, asked: Asked, most: int) -> tuple[Correction, ...]:
        """The examples for a task: `Pool.choose`."""
        return self.pool.choose(asked, most, meter=self.meter, apart=self.apart)


class _Candidate(NamedTuple):
    """A correction that may be chosen: its place in the pool, how near it is, its tokens, and what it says."""

    at: int
    nearness: float
    cost: int
    labels: str


def _spread(near: Iterable[_Candidate], most: int, budget: int) -> list[_Candidate]:
    """The best of the near ones, each time the one that is nearest when labels shown already count against it.

    What does not fit in what is left of the budget is passed over. The nearest stands first.
    """
    chosen: list[_Candidate] = []
    shown: Counter[str] = Counter()
    left = list(near)
    while left and len(chosen) < most:
        best = max(left, key=lambda one: one.nearness * (1 - _SAME_LABELS * shown[one.labels]))
        chosen.append(best)
        shown[best.labels] += 1
        budget -= best.cost
        left = [one for one in left if one is not best and one.cost <= budget]
    return sorted(chosen, key=lambda one: -one.nearness)


class Index:
    """Texts by their words."""

    def __init__(self, texts: Iterable[str]) -> None:
        counted = [Counter(_words(text)) for text in texts]
        spread = Counter(word for words in counted for word in words)
        self._rarity = {word: math.log(1 + len(counted) / count) for word, count in spread.items()}
        self._postings: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        self._size = len(counted)
        for at, words in enumerate(counted):
            for word, weight in self._weighted(words).items():
                self._postings[word].append((at, weight))

    def nearest(self, text: str) -> Iterator[tuple[int, float]]:
        """All texts, each with its nearness (0 to 1), the nearest first; of equally near ones the latest first."""
        nearness: defaultdict[int, float] = defaultdict(float)
        for word, weight in self.weights(text).items():
            for at, other in self._postings.get(word, ()):
                nearness[at] += weight * other
        yield from sorted(nearness.items(), key=lambda one: (-one[1], -one[0]))
        yield from ((at, 0.0) for at in reversed(range(self._size)) if at not in nearness)

    def weights(self, text: str) -> dict[str, float]:
        """The words of any text with their weights, of length one: nearness is the sum of their products."""
        return self._weighted(Counter(_words(text)))

    def _weighted(self, words: Mapping[str, int]) -> dict[str, float]:
        """A text's words with their weights, of length one; unknown ones count as the rarest."""
        unknown = math.log(1 + max(self._size, 1))
        weights = {word: (1 + math.log(n)) * self._rarity.get(word, unknown) for word, n in words.items()}
        if len(weights) > _MOST_WORDS:
            weights = dict(sorted(weights.items(), key=lambda one: (-one[1], one[0]))[:_MOST_WORDS])
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()} if length else {}


def _words(text: str) -> list[str]:
    """The words of a text; of a script without spaces, its signs two by two."""
    found = _WORD.findall(text.casefold())
    pairs = [a + b for a, b in itertools.pairwise(found) if _UNSPACED.match(a) and _UNSPACED.match(b)]
    return found + pairs


def _short(answers: Mapping[str, JSON]) -> dict[str, JSON]:
    """The answers that are labels or numbers, not texts of their own."""
    return {name: answer for name, answer in answers.items() if _size(answer) <= 64}


def _size(answer: JSON) -> int:
    return len(json.dumps(answer, ensure_ascii=False, default=str).encode("utf-8", "replace"))


def _name(data: Mapping[str, JSON]) -> str:
    return json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
