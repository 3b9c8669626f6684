"""The model's text becomes one answer per field, or a sentence that says why not."""

import asyncio
import json
from typing import Any

import pytest

from llm_backend.core.answers import parse
from llm_backend.core.chat import Completion, Usage
from llm_backend.core.labeling import parse as parse_config
from llm_backend.core.predictor import Outcome, Parameters, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import Region, Task
from llm_backend.errors import AnswerError, InputError, PromptError, ProviderRefused
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

FORM = """
<View>
  <Text name="text" value="$text"/>
  <TextArea name="prompt" toName="text"/>
  <TextArea name="response" toName="text" smart="false"/>
  <Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>
  <Rating name="stars" toName="text"/>
</View>"""
CHOICE = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Negative"/></Choices>
</View>"""
TEXT = '<View><Text name="text" value="$text"/><TextArea name="answer" toName="text"/></View>'
GOOD = {"response": "Fine.", "sentiment": "Positive", "stars": 4}


def fill(
    llm: ScriptedLLM, config: str = FORM, data: dict[str, Any] | None = None, held: tuple[Region, ...] = (), n: int = 1
) -> Outcome:
    plan = make_plan(parse_config(config), texts(), Template(), Parameters(num_responses=n))
    task = Task(1, {"text": "I love it when my computer crashes"} if data is None else data)
    return asyncio.run(predict(plan, task, Prompt("Classify it", "annotator"), llm, no_media, held=held))


def values(outcome: Outcome) -> dict[str, Any]:
    return {region.from_name: next(iter(region.value.values())) for region in outcome.regions}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('{"a": 1}', {"a": 1}, id="bare"),
        pytest.param('```json\n{"a": 1}\n```', {"a": 1}, id="fenced"),
        pytest.param('Sure! Here it is:\n```\n{"a": 1}\n```\nAnything else?', {"a": 1}, id="fenced amid chatter"),
        pytest.param('The answer is {"a": 1}. Hope that helps {you}.', {"a": 1}, id="amid chatter"),
        pytest.param("positive", None, id="plain words"),
        pytest.param("4", {"a": 4}, id="bare value for a single field"),
        pytest.param("", None, id="empty"),
    ],
)
def test_json_is_found_wherever_it_stands(text: str, found: object) -> None:
    assert parse(text, ["a"]) == found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a": 1, "b', id="cut off"),
        pytest.param('{"a": 1} or rather {"a": 2}', id="contradiction"),
        pytest.param('{"a": 1, "a": 2}', id="one key told twice"),
        pytest.param('{"a": NaN}', id="not a number"),
        pytest.param('{"a":' * 5000, id="nested without end"),
    ],
)
def test_broken_or_contradicting_json_is_refused(text: str) -> None:
    with pytest.raises(AnswerError):
        parse(text, ["a"])


def test_a_hundred_thousand_braces_are_read_quickly() -> None:
    assert parse("{" * 100_000, ["a"]) is None


def test_every_control_is_filled_from_one_call() -> None:
    llm = ScriptedLLM(GOOD)
    assert values(fill(llm)) == {"response": ["Fine."], "sentiment": ["Positive"], "stars": 4}
    assert len(llm.calls) == 1


def test_an_answer_off_the_list_is_repaired_by_one_call_for_that_control_alone() -> None:
    llm = ScriptedLLM({**GOOD, "sentiment": "Positiv"}, {"sentiment": "Negative"})
    assert values(fill(llm))["sentiment"] == ["Negative"]
    assert len(llm.calls) == 2
    assert list(llm.calls[1].schema["properties"]) == ["sentiment"]
    assert '"Positiv"' in llm.asked


def test_what_stays_wrong_after_repair_is_left_empty_with_its_reason() -> None:
    outcome = fill(ScriptedLLM({**GOOD, "sentiment": "Positiv"}))
    assert "sentiment" not in values(outcome)
    assert values(outcome)["stars"] == 4
    (fault,) = outcome.faults
    assert '"sentiment"' in fault
    assert "Positiv" in fault


def test_a_required_control_that_stays_wrong_fails_the_task() -> None:
    config = FORM.replace('<Choices name="sentiment"', '<Choices name="sentiment" required="true"')
    with pytest.raises(AnswerError, match="sentiment"):
        fill(ScriptedLLM({**GOOD, "sentiment": "Positiv"}), config)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("I cannot help with that.", id="a refusal in words"),
        pytest.param("not positive at all", id="a label within a sentence"),
        pytest.param("Positive\nNegative", id="two labels"),
        pytest.param("Positivo", id="another language"),
        pytest.param("<html><body>502</body></html>", id="html"),
        pytest.param("", id="empty"),
        pytest.param('{"sentiment": ["Positive", "Negative"]}', id="two labels for a single choice"),
        pytest.param('{"sentiment": 1}', id="a number"),
        pytest.param('{"feeling": "Positive"}', id="another field"),
    ],
)
def test_no_label_is_ever_guessed(text: str) -> None:
    with pytest.raises(AnswerError):
        fill(ScriptedLLM(text, structured=False), CHOICE)


@pytest.mark.parametrize(
    "text", ["Positive", " positive \n", '"Positive"', '{"sentiment": "positive"}', '["Positive"]']
)
def test_a_label_is_taken_when_the_whole_answer_is_one(text: str) -> None:
    assert values(fill(ScriptedLLM(text, structured=False), CHOICE)) == {"sentiment": ["Positive"]}


def test_null_says_that_nothing_applies() -> None:
    assert fill(ScriptedLLM({"sentiment": None}), CHOICE).regions == ()


def test_a_field_left_out_is_asked_for_again() -> None:
    llm = ScriptedLLM({"response": "Fine.", "stars": 4}, {"sentiment": "Negative"})
    assert values(fill(llm)) == {"response": ["Fine."], "sentiment": ["Negative"], "stars": 4}


def test_a_refusal_of_the_repair_keeps_what_was_right() -> None:
    llm = ScriptedLLM({**GOOD, "stars": 99}, ProviderRefused("The model declined."))
    outcome = fill(llm)
    assert values(outcome) == {"response": ["Fine."], "sentiment": ["Positive"]}
    assert outcome.faults


def test_an_answer_cut_off_at_the_length_limit_says_so() -> None:
    cut = Completion(('{"sentiment": "Posi',), ("length",), structured=True)
    with pytest.raises(AnswerError, match=r"cut off|cut-off"):
        fill(ScriptedLLM(cut), CHOICE)


def test_a_lone_text_field_is_asked_in_plain_words() -> None:
    llm = ScriptedLLM("A joke.\n\nWith two lines.")
    assert values(fill(llm, TEXT)) == {"answer": ["A joke.\n\nWith two lines."]}
    assert llm.calls[0].schema is None


def test_a_thinking_models_thoughts_are_not_its_answer() -> None:
    assert values(fill(ScriptedLLM("<think>hm {}</think>A joke."), TEXT)) == {"answer": ["A joke."]}


@pytest.mark.parametrize(
    ("most", "asked", "entries"),
    [("1", 1, ["a"]), ("2", 2, ["a"]), ("", 4, ["a", "b", "c"]), ("0", 4, ["a", "b", "c"])],
)
def test_several_responses_are_distinct_entries_up_to_max_submissions(
    most: str, asked: int, entries: list[str]
) -> None:
    config = TEXT.replace('name="answer"', f'name="answer" maxSubmissions="{most}"')
    llm = ScriptedLLM(lambda call: Completion(("a", "a", "b", "c")[: call.n], ("stop",) * call.n))
    assert values(fill(llm, config, n=4)) == {"answer": entries}
    assert llm.calls[0].n == asked


def test_several_completions_fill_text_fields_while_labels_take_the_first_valid_answer() -> None:
    replies = ({**GOOD, "sentiment": "?"}, {"response": "Other.", "sentiment": "Negative", "stars": 2})
    llm = ScriptedLLM(Completion(tuple(json.dumps(reply) for reply in replies), ("stop",) * 2, usage=Usage(1, 1, 1)))
    assert values(fill(llm, n=2)) == {"response": ["Fine.", "Other."], "sentiment": ["Negative"], "stars": 4}


def test_what_a_person_filled_is_not_asked() -> None:
    mine = Region("sentiment", "text", "choices", {"choices": ["Negative"]}, origin="manual")
    llm = ScriptedLLM({"response": "Fine.", "stars": 4})
    outcome = fill(llm, held=(mine,))
    assert values(outcome) == {"response": ["Fine."], "stars": 4}
    assert "sentiment" not in llm.calls[0].schema["properties"]


def test_nothing_left_to_ask_is_said_without_a_call() -> None:
    mine = Region("sentiment", "text", "choices", {"choices": ["Negative"]}, origin="manual")
    llm = ScriptedLLM(GOOD)
    with pytest.raises(InputError, match="person's answer"):
        fill(llm, CHOICE, held=(mine,))
    assert not llm.calls


def test_a_task_that_lacks_the_field_is_told_what_it_has() -> None:
    with pytest.raises(InputError, match=r'shows "\$text".*it has "txt"'):
        fill(ScriptedLLM(GOOD), data={"txt": "x"})


def test_an_empty_task_is_not_asked_about() -> None:
    with pytest.raises(InputError, match="nothing to label"):
        fill(ScriptedLLM(GOOD), data={"text": "  "})


def test_a_misspelt_field_names_what_the_task_has() -> None:
    plan = make_plan(parse_config(CHOICE), texts(), Template(), Parameters())
    task = Task(1, {"text": "x", "review": "y"})
    with pytest.raises(PromptError, match=r"\{revew\}.*\{review\}"):
        asyncio.run(predict(plan, task, Prompt("Judge {revew}", "annotator"), ScriptedLLM(GOOD), no_media))


def test_a_hidden_controls_answer_is_not_sent_and_its_fault_not_told() -> None:
    config = """
    <View>
      <Text name="text" value="$text"/>
      <Choices name="spam" toName="text"><Choice value="Yes"/><Choice value="No"/></Choices>
      <Choices name="kind" toName="text" visibleWhen="choice-selected" whenTagName="spam" whenChoiceValue="Yes"
               required="true"><Choice value="Ad"/><Choice value="Scam"/></Choices>
    </View>"""
    assert values(fill(ScriptedLLM({"spam": "No", "kind": "Ad"}), config)) == {"spam": ["No"]}
    unneeded = ScriptedLLM({"spam": "No", "kind": None})
    assert values(fill(unneeded, config)) == {"spam": ["No"]}
    assert len(unneeded.calls) == 1
    assert values(fill(ScriptedLLM({"spam": "Yes", "kind": "Ad"}), config)) == {"spam": ["Yes"], "kind": ["Ad"]}


def test_five_thousand_labels_are_listed_in_the_question_and_checked_here() -> None:
    labels = "".join(f'<Choice value="label {number}"/>' for number in range(5000))
    config = f'<View><Text name="text" value="$text"/><Choices name="c" toName="text">{labels}</Choices></View>'
    llm = ScriptedLLM({"c": "label 4711"})
    assert values(fill(llm, config)) == {"c": ["label 4711"]}
    assert "enum" not in json.dumps(llm.calls[0].schema)
    assert "label 4999" in llm.calls[0].messages[0].text
    with pytest.raises(AnswerError):
        fill(ScriptedLLM({"c": "label 5000"}), config)


def test_more_fields_than_a_schema_takes_are_told_in_words_and_so_are_the_faulty_ones_of_them() -> None:
    stars = "".join(f'<Rating name="r{number}" toName="text" required="true"/>' for number in range(5001))
    good = {f"r{number}": 3 for number in range(5001)}
    llm = ScriptedLLM({**good, "r7": 9}, {"r7": 4})
    filled = values(fill(llm, f'<View><Text name="text" value="$text"/>{stars}</View>'))
    assert [call.strict for call in llm.calls] == [False, True]
    assert (filled["r6"], filled["r7"]) == (3, 4)
