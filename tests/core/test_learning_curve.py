"""How many corrections does it take? Simulated people, and a model that is as good as its examples are relevant."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pytest

from llm_backend.core.chat import Call
from llm_backend.core.corrections import pool_of
from llm_backend.core.examples import Asked, Correction, Lessons, TokenMeter
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, Plan, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import Task
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

LABELS = ("yes", "no", "maybe")
TOPICS = 12
SIZES = (8, 16, 32, 64, 128, 256)
TARGET = 0.8
EXAMPLES = 4
FRESH = 150
# How often the model is right where an example is about the question's topic, and where none is.
SHOWN, UNSHOWN = 0.95, 0.4
CONFIG = f"""
<View>
  <Text name="text" value="$text"/>
  <Choices name="answer" toName="text">{"".join(f'<Choice value="{label}"/>' for label in LABELS)}</Choices>
</View>"""


@dataclass
class World:
    """Tasks about topics, each with words of its own amid words that all share; a topic does not tell the label."""

    seed: int

    @cached_property
    def dice(self) -> random.Random:
        return random.Random(self.seed)

    def task(self, ident: int) -> tuple[Task, str]:
        """A task and its right label."""
        topic = self.dice.randrange(TOPICS)
        words = [f"t{topic}w{self.dice.randrange(40)}" for _ in range(8)]
        words += [f"common{self.dice.randrange(60)}" for _ in range(8)]
        self.dice.shuffle(words)
        return Task(ident, {"text": " ".join(words)}), self.dice.choice(LABELS)

    def correction(self, ident: int) -> Correction:
        task, label = self.task(ident)
        return Correction(str(ident), task.data, {"answer": label}, task=ident)


def topics(text: str) -> set[str]:
    return {word.partition("w")[0] for word in text.split() if word.startswith("t") and "w" in word}


class AtRandom:
    """Chooses any corrections."""

    def __init__(self, corrections: Sequence[Correction], dice: random.Random) -> None:
        self._corrections = corrections
        self._dice = dice

    def choose(self, asked: Asked, most: int, **_: object) -> tuple[Correction, ...]:
        return tuple(self._dice.sample(self._corrections, min(most, len(self._corrections))))


def accuracy(plan: Plan, lessons: Lessons, fresh: Sequence[tuple[Task, str]], seed: int) -> float:
    dice = random.Random(seed)
    right = 0
    for task, label in fresh:

        def answer(call: Call, label: str = label) -> str:
            *shown, question = [message.text for message in call.messages if message.role == "user"]
            relevant = any(topics(question) & topics(example) for example in shown)
            wrong = [other for other in LABELS if other != label]
            said = label if dice.random() < (SHOWN if relevant else UNSHOWN) else dice.choice(wrong)
            return json.dumps({"answer": said})

        asking = predict(plan, task, Prompt("Answer.", "config"), ScriptedLLM(answer), no_media, lessons=lessons)
        (region,) = asyncio.run(asking).regions
        right += region.value["choices"] == [label]
    return right / len(fresh)


def needed(plan: Plan, seed: int, *, nearest: bool) -> int:
    """The least number of corrections with which the target is reached; twice the most tried if none reaches it."""
    world = World(seed)
    corrections = [world.correction(ident) for ident in range(SIZES[-1])]
    fresh = [world.task(10_000 + ident) for ident in range(FRESH)]
    for size in SIZES:
        held = corrections[:size]
        pool = pool_of(plan, held) if nearest else AtRandom(held, random.Random(seed))
        lessons = Lessons(pool, TokenMeter())  # type: ignore[arg-type]
        if accuracy(plan, lessons, fresh, seed) >= TARGET:
            return size
    return 2 * SIZES[-1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_target_takes_at_most_half_the_corrections_that_random_examples_need(seed: int) -> None:
    plan = make_plan(parse(CONFIG), texts(), Template(), Parameters(few_shot=EXAMPLES))
    ours = needed(plan, seed, nearest=True)
    assert ours <= 32
    assert 2 * ours <= needed(plan, seed, nearest=False)
