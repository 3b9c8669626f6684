"""How human answers to other tasks go along with a question."""

import asyncio
import json

from llm_backend.core.chat import Call, Completion, Usage
from llm_backend.core.examples import Correction, Lessons, Pool, TokenMeter
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, Plan, ask, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON, Task
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

TEXT = '<Text name="text" value="$text"/>'
TONE = '<Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>'
ALL = '<Choices name="all" toName="text" choice="multiple"><Choice value="x"/></Choices>'
RESPONSE = '<TextArea name="response" toName="text"/>'
PROMPT = Prompt("Say the tone.", "config")


def plan_of(*tags: str, few_shot: int = 2) -> Plan:
    config = parse(f"<View>{TEXT}{''.join(tags)}</View>")
    return make_plan(config, texts(), Template(), Parameters(few_shot=few_shot))


def correction(ident: int, text: str, **answers: JSON) -> Correction:
    return Correction(str(ident), {"text": text}, answers, task=ident)


def lessons_of(plan: Plan, *corrections: Correction) -> Lessons:
    return Lessons(Pool(corrections, lambda one: read(plan.config, one.data).text), TokenMeter())


def counted(call: Call) -> Completion:
    """An answer that took as many tokens as there were bytes."""
    size = sum(len(message.text.encode()) for message in call.messages)
    return Completion(('{"tone": "bad"}',), usage=Usage(size, 1, 1))


def test_examples_are_earlier_turns_rendered_like_the_question() -> None:
    plan = plan_of(TONE, ALL, RESPONSE)
    inputs = read(plan.config, {"text": "So so."})
    example = correction(1, "Lovely.", tone="good", response="Thanks!")
    question = ask(plan, inputs, PROMPT, examples=[example])
    roles = [message.role for message in question.messages]
    assert roles == ["system", "user", "assistant", "user"]
    shown, answer, asked = question.messages[1:]
    assert shown.text == asked.text.replace("So so.", "Lovely.")
    assert json.loads(answer.text) == {"tone": "good", "all": [], "response": "Thanks!"}


def test_a_single_text_is_shown_as_it_is_asked_for_in_plain_words() -> None:
    plan = plan_of(RESPONSE)
    inputs = read(plan.config, {"text": "So so."})
    examples = [correction(1, "Lovely.", response=["Thanks!", "Thank you."]), correction(2, "Bad.", response="Sorry.")]
    question = ask(plan, inputs, PROMPT, examples=examples)
    assert [message.text for message in question.messages[2::2]] == ["Thanks!", "Sorry."]


def test_an_example_that_answers_nothing_asked_or_cannot_be_shown_is_left_out() -> None:
    plan = plan_of(TONE)
    inputs = read(plan.config, {"text": "So so."})
    examples = [correction(1, "Lovely.", gone="good"), Correction("2", {"text": {"a": 1}, "other": 2}, {"tone": None})]
    assert len(ask(plan, inputs, PROMPT, examples=examples).messages) == 2


def test_predict_takes_the_nearest_within_few_shot_and_never_the_task_itself() -> None:
    plan = plan_of(TONE, few_shot=1)
    lessons = lessons_of(
        plan,
        correction(1, "The parcel is broken", tone="bad"),
        correction(2, "The parcel came broken", tone="bad"),
        correction(3, "What a day", tone="good"),
    )
    llm = ScriptedLLM(counted)
    asyncio.run(predict(plan, Task(1, {"text": "The parcel is broken"}), PROMPT, llm, no_media, lessons=lessons))
    assert [message.role for message in llm.calls[0].messages] == ["system", "user", "assistant", "user"]
    assert "came broken" in llm.calls[0].messages[1].text


def test_no_examples_go_along_where_none_are_wanted() -> None:
    plan = plan_of(TONE, few_shot=0)
    lessons = lessons_of(plan, correction(1, "The parcel is broken", tone="bad"))
    llm = ScriptedLLM(counted)
    asyncio.run(predict(plan, Task(2, {"text": "The parcel"}), PROMPT, llm, no_media, lessons=lessons))
    assert len(llm.calls[0].messages) == 2


def test_the_budget_learns_how_large_tokens_are() -> None:
    plan = plan_of(TONE)
    lessons = lessons_of(plan)
    assert lessons.meter.tokens_in(100) == 25
    llm = ScriptedLLM(counted)
    asyncio.run(predict(plan, Task(2, {"text": "The parcel"}), PROMPT, llm, no_media, lessons=lessons))
    assert lessons.meter.tokens_in(100) == 100


def test_what_was_published_moves_the_version_only_where_it_goes_along() -> None:
    with_examples, without = plan_of(TONE, few_shot=2), plan_of(TONE, few_shot=0)
    assert with_examples.version(PROMPT, "m", "p1") != with_examples.version(PROMPT, "m", "p2")
    assert with_examples.version(PROMPT, "m", "p1") != with_examples.version(PROMPT, "m")
    assert without.version(PROMPT, "m", "p1") == without.version(PROMPT, "m")
