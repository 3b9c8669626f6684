"""How a prediction's regions come to say how sure the model is."""

import asyncio
import json
import math
import re
from typing import Any

import pytest

from llm_backend.core.chat import Call, Completion
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Outcome, Parameters, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.scores import joint
from llm_backend.core.wire import JSON, Task
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

TONE = '<Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>'
STARS = '<Rating name="stars" toName="text"/>'
WHO = '<Labels name="who" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>'
RESPONSE = '<TextArea name="response" toName="text"/>'


def with_logprobs(answer: JSON, **unsure: float) -> Completion:
    """An answer in tokens of a word each, certain but for the unsure ones."""
    text = json.dumps(answer)
    tokens = [{"token": piece, "logprob": math.log(unsure.get(piece, 1.0))} for piece in re.findall(r"\w+|\W", text)]
    return Completion((text,), ("stop",), ({"content": tokens},), structured=True)


def samples(*answers: JSON) -> Completion:
    return Completion(tuple(json.dumps(answer) for answer in answers), ("stop",) * len(answers), structured=True)


def outcome(tags: str, *said: Completion, **parameters: Any) -> tuple[Outcome, list[Call]]:
    config = parse(f'<View><Text name="text" value="$text"/>{tags}</View>')
    llm = ScriptedLLM(*said)
    plan = make_plan(config, texts(), Template(), Parameters(**parameters))
    task = Task(1, {"text": "Ann of Acme likes it"})
    return asyncio.run(predict(plan, task, Prompt("Go", "config"), llm, no_media)), llm.calls


def scores(outcome: Outcome) -> dict[str, float | None]:
    return {region.from_name: region.score for region in outcome.regions}


def test_regions_say_how_sure_the_model_is_of_their_labels() -> None:
    answer = {"tone": "good", "stars": 4, "response": "good it is"}
    said = with_logprobs(answer, good=0.8, it=0.1)
    made, calls = outcome(TONE + STARS + RESPONSE, said, logprobs=True)
    assert calls[0].logprobs
    assert scores(made) == {"tone": pytest.approx(0.8), "stars": 1.0, "response": None}
    assert joint(made.regions) == pytest.approx(0.8)


def test_labels_of_places_count_and_their_quotes_do_not() -> None:
    answer = {"who": [{"quote": "Ann", "before": "", "label": "PER"}, {"quote": "Acme", "before": "", "label": "ORG"}]}
    made, _ = outcome(WHO, with_logprobs(answer, Ann=0.1, PER=0.9, ORG=0.5), logprobs=True)
    assert [region.score for region in made.regions] == [pytest.approx(0.45)] * 2


def test_a_repaired_control_is_as_sure_as_its_repair() -> None:
    wrong = with_logprobs({"tone": "fine", "stars": 3}, fine=0.2)
    repaired = with_logprobs({"tone": "bad"}, bad=0.6)
    made, _ = outcome(TONE + STARS, wrong, repaired, logprobs=True)
    assert scores(made) == {"tone": pytest.approx(0.6), "stars": 1.0}


def test_without_logprobs_there_is_no_score() -> None:
    made, calls = outcome(TONE, samples({"tone": "good"}))
    assert not calls[0].logprobs
    assert scores(made) == {"tone": None}
    assert joint(made.regions) is None


def test_samples_that_agree_make_sure() -> None:
    said = samples(*({"tone": tone, "stars": 4, "response": tone} for tone in ("good", "bad", "good", "good")))
    made, calls = outcome(TONE + STARS + RESPONSE, said, samples=4)
    assert calls[0].n == 4
    assert scores(made) == {"tone": 0.75, "stars": 1.0, "response": None}
    (response,) = (region for region in made.regions if region.from_name == "response")
    assert response.value == {"text": ["good"]}


def test_a_sample_that_is_no_answer_is_no_voice() -> None:
    made, _ = outcome(TONE, samples({"tone": "good"}, {"tone": "fine"}, "nonsense", {"tone": "bad"}), samples=4)
    assert scores(made) == {"tone": 0.5}


def test_free_text_alone_is_asked_once() -> None:
    _, calls = outcome(RESPONSE, Completion(("A text",), ("stop",)), samples=5)
    assert calls[0].n == 1
