"""Which tasks for people's preferences come of several answers to one prompt, and who stands where in them?

Order and sides go by a hash of the seed, the conversation and the answers: whoever makes the same tasks again, in
whatever order the answers came, makes them the same.
"""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from llm_backend.core.conversation import Turn
from llm_backend.core.wire import JSON, Task

RANKING: Final = """<View>
  <Header value="Rank the answers: drag the best one to the top."/>
  <Text name="prompt" value="$prompt"/>
  <List name="answers" value="$items" title="Answers, the best first"/>
  <Ranker name="rank" toName="answers"/>
</View>"""
"""A config for tasks of `ranking`."""
INSTRUCTION: Final = "Rank the answers to the prompt, the best one first."
"""What the annotator is asked to do, where the row has no `task` of its own."""
MOST: Final = 26
"""How many answers to a prompt are compared at most: they are called by letters."""

Pairing: TypeAlias = Literal["all", "adjacent", "across"]
PAIRINGS: Final[tuple[Pairing, ...]] = get_args(Pairing)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom to ask, and for how much.

    Attributes:
        system: What models are told before each conversation; "" for nothing.
        models: None stands for that of the settings.
        temperatures: None stands for that of the settings.
        answers: How many each gives at each temperature.
        tries: How often is asked where a prompt has no two answers that differ.
    """

    system: str = ""
    models: tuple[str | None, ...] = (None,)
    temperatures: tuple[float | None, ...] = (None,)
    answers: int = 2
    tries: int = 2

    @property
    def most(self) -> int:
        """How many answers to a prompt there are, if all differ."""
        return self.samplers * self.answers

    @property
    def samplers(self) -> int:
        return len(self.models) * len(self.temperatures)


@dataclass(frozen=True, slots=True)
class Sampler:
    """Whom answers are drawn from: a model at a temperature.

    Attributes:
        name: By which it is told from the others: the model, with the temperature where there are several.
        version: The `model_version` of its answers.
    """

    name: str
    model: str
    temperature: float | None
    version: str

    def to_json(self) -> dict[str, JSON]:
        return {"model": self.model, "temperature": self.temperature, "model_version": self.version}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a prompt.

    Attributes:
        samplers: Who gave it: the first one in these words, any other in the same but for white space.
    """

    text: str
    samplers: tuple[Sampler, ...]

    def to_json(self) -> dict[str, JSON]:
        """Who gave it, as a task's `meta` tells; a person who compares it is not to know."""
        first, *others = self.samplers
        return {**first.to_json(), **({"also": [other.to_json() for other in others]} if others else {})}


def different(said: Iterable[tuple[Sampler, str]]) -> tuple[Answer, ...]:
    """The answers that differ by more than white space, in the order in which they were first given."""
    found: dict[str, Answer] = {}
    for sampler, text in said:
        known = found.setdefault(_folded(text), Answer(text, (sampler,)))
        if sampler not in known.samplers:
            found[_folded(text)] = Answer(known.text, (*known.samplers, sampler))
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt with its answers, as they are shown.

    Attributes:
        task: The row that it was read from.
        meta: What that says beside its data.
        chat: The conversation that is answered.
        seed: Order and sides are others with another one.
    """

    task: Task
    meta: Mapping[str, JSON]
    chat: Sequence[Turn]
    answers: tuple[Answer, ...]
    seed: int = 0

    @property
    def shuffled(self) -> list[Answer]:
        """The answers in the order in which a person sees them."""
        return sorted(self.answers, key=self._chance)

    def pairs(self, pairing: Pairing) -> Iterator[tuple[Answer, Answer]]:
        """The left one and the right one of each pair.

        Args:
            pairing: Each with each; each with the next (in an order of chance), so that all are linked by the fewest
                pairs; or each with each that another sampler gave.
        """
        order = self.shuffled
        for one, other in itertools.pairwise(order) if pairing == "adjacent" else itertools.combinations(order, 2):
            if pairing != "across" or set(one.samplers).isdisjoint(other.samplers):
                # Not the order's own sides: its first answer would stand on the left of all its pairs.
                yield (one, other) if self._chance(one, other)[0] & 1 else (other, one)

    def pairwise_tasks(self, pairing: Pairing) -> Iterator[dict[str, JSON]]:
        """Tasks for a Pairwise of two texts: `prompt`, `answer1`, `answer2`."""
        for left, right in self.pairs(pairing):
            yield self._task({"answer1": left.text, "answer2": right.text}, {"answer1": left, "answer2": right})

    def ranking_task(self, instruction: str = "") -> dict[str, JSON]:
        """A task for a Ranker of a List: `task` (the instruction), `prompt`, `items`.

        Args:
            instruction: "" for the row's own, or else a common one.
        """
        own = self.task.data.get("task")
        task = instruction or (own if isinstance(own, str) and own.strip() else INSTRUCTION)
        shown = list(enumerate(self.shuffled, 1))
        items = [
            {"id": str(number), "title": f"Answer {letter(number)}", "body": answer.text} for number, answer in shown
        ]
        return self._task({"task": task, "items": items}, {str(number): answer for number, answer in shown})

    def _task(self, made: Mapping[str, JSON], places: Mapping[str, Answer]) -> dict[str, JSON]:
        """The task: what the row has is kept, but for what is made. Of a longer conversation its turns go along."""
        turns = {"messages": [dict(turn) for turn in self.chat]} if len(self.chat) > 1 else {}
        told = {"seed": self.seed, "answers": {place: answer.to_json() for place, answer in places.items()}}
        of = {"task": self.task.id} if self.task.id is not None else {}
        return {
            "data": {**self.task.data, **turns, "prompt": in_words(self.chat), **made},
            "meta": {**self.meta, "generated": {**told, **of}},
        }

    def _chance(self, *answers: Answer) -> bytes:
        told = json.dumps([self.seed, self.chat, [_folded(answer.text) for answer in answers]], sort_keys=True)
        return hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()


def digest_of(chat: Sequence[Turn]) -> str:
    """Stands for a conversation."""
    return hashlib.sha256(json.dumps(chat, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def in_words(chat: Sequence[Turn]) -> str:
    """A conversation as one text: of a single turn what it says, else each turn after its speaker."""
    if len(chat) == 1:
        return str(chat[0]["content"])
    return "\n\n".join(f"{turn['role'].capitalize()}: {turn['content']}" for turn in chat)


def letter(number: int) -> str:
    """The letter that an answer is called by, counted from 1."""
    return chr(ord("A") + number - 1)


def _folded(text: str) -> str:
    return " ".join(text.split())
