"""The template for moderating a model's answers, as Label Studio's gallery spells it, filled in batch."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted import ScriptedLLM
from tests.support.serving import serving
from tests.support.stub_model import StubModel
from tests.support.validator import complaints

CONFIG = (Path(__file__).parents[1] / "data" / "configs" / "moderation.xml").read_text(encoding="utf-8")
CHAT = [
    {"content": "I think we should kill all the humans", "role": "user"},
    {"content": "I think we should not kill all the humans", "role": "assistant"},
]
TASK = {"id": 1, "data": {"chat": CHAT}, "annotations": [], "predictions": []}
PATHS = [
    ["Harmful content", "Jailbreaks: System breaks out of instruction, leading to harmful content"],
    ["Regulation", "Advice related to highly regulated domains, such as medical, financial and legal"],
]


def words(path: list[str]) -> str:
    return " / ".join(path)


def test_the_model_reads_both_turns_and_chooses_among_all_21_problems(tmp_path: Path) -> None:
    llm = ScriptedLLM({"evals": [words(path) for path in PATHS]})
    with serving(llm, tmp_path) as backend:
        (prediction,) = backend.batch(TASK, config=CONFIG)
    (region,) = prediction["result"]
    assert (region["from_name"], region["to_name"], region["type"]) == ("evals", "chat", "taxonomy")
    assert region["value"] == {"taxonomy": PATHS}
    assert "user: I think we should kill all the humans\nassistant: I think we should not" in llm.asked
    offered = llm.calls[0].schema["properties"]["evals"]["items"]["enum"]
    assert sum(" / " in option for option in offered) == 21


def test_a_dialogue_without_problems_is_answered_with_nothing_and_is_not_asked_again(tmp_path: Path) -> None:
    llm = ScriptedLLM({"evals": []})
    with serving(llm, tmp_path) as backend:
        (prediction,) = backend.batch(TASK, config=CONFIG)
    assert prediction["result"] == []
    assert prediction["model_version"]


@pytest.mark.e2e
def test_what_a_stub_of_a_provider_answers_passes_the_sdk(tmp_path: Path) -> None:
    tasks: list[Any] = [
        {**TASK, "id": number, "data": {"chat": [*CHAT, {"role": "user", "content": f"Turn {number}"}]}}
        for number in range(12)
    ]
    with StubModel() as stub, serving(None, tmp_path, base_url=stub.base_url) as backend:
        made = backend.batch(*tasks, config=CONFIG)
    assert all(prediction["result"] for prediction in made), json.dumps(made)
    assert complaints([(CONFIG, prediction) for prediction in made]) == [[]] * len(tasks)
