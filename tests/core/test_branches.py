"""Of a tree with more options than a schema lists, the branches are asked for first."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from llm_backend.core.controls.trees import below, upper
from llm_backend.core.labeling import Choice, parse
from llm_backend.core.predictor import Outcome, Parameters, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import Task
from llm_backend.errors import AnswerError, ProviderRefused
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media
from tests.support.strict import refusals


def nodes(*sizes: int, above: str = "") -> str:
    """A tree with so many entries on each level below each entry of the one above."""
    if not sizes:
        return ""
    names = [f"{above}{number}." for number in range(sizes[0])]
    return "".join(f'<Choice value="{name}">{nodes(*sizes[1:], above=name)}</Choice>' for name in names)


def tree(*sizes: int, more: str = "", tag: str = "Taxonomy") -> str:
    return f'<{tag} name="topic" toName="text" {more}>{nodes(*sizes)}</{tag}>'


def fill(llm: ScriptedLLM, tags: str, data: Mapping[str, Any] | None = None) -> Outcome:
    config = parse(f'<View><Text name="text" value="$text"/>{tags}</View>')
    plan = make_plan(config, texts(), Template(), Parameters())
    task = Task(1, {"text": "Some words.", **(data or {})})
    return asyncio.run(predict(plan, task, Prompt("Sort it", "annotator"), llm, no_media))


def values(outcome: Outcome) -> dict[str, Any]:
    return {region.from_name: next(iter(region.value.values())) for region in outcome.regions}


def offered(llm: ScriptedLLM, call: int) -> list[str]:
    schema = llm.calls[call].schema
    assert refusals(schema) == []
    one = schema["properties"]["topic"]
    one = one["anyOf"][0] if "anyOf" in one else one
    return list(one.get("items", one)["enum"])


WHOLE = {"topic": ["3. / 3.4. / 3.4.7."]}


def test_only_what_is_below_the_chosen_branches_is_offered() -> None:
    llm = ScriptedLLM({"topic": ["3. / 3.4.", "0. / 0.1."]}, WHOLE)
    outcome = fill(llm, tree(10, 10, 20))
    assert values(outcome) == {"topic": [["3.", "3.4.", "3.4.7."]]}
    assert len(offered(llm, 0)) == 100
    assert len(offered(llm, 1)) == 2 * (1 + 1 + 20)  # the branches, what is above them, and what is below
    assert outcome.usage.calls == 2
    assert llm.calls[1].patience <= llm.calls[0].patience


def test_it_is_asked_again_while_what_is_left_is_too_much() -> None:
    llm = ScriptedLLM({"topic": ["1.", "2."]}, {"topic": ["1. / 1.7."]}, {"topic": ["1. / 1.7. / 1.7.9."]})
    outcome = fill(llm, tree(40, 30, 30))
    assert values(outcome) == {"topic": [["1.", "1.7.", "1.7.9."]]}
    assert [len(offered(llm, call)) for call in range(3)] == [40, 60, 32]


def test_a_tree_that_a_schema_can_list_is_asked_at_once() -> None:
    llm = ScriptedLLM({"topic": ["3. / 3.4."]})
    fill(llm, tree(10, 99))
    assert len(offered(llm, 0)) == 1000
    assert len(llm.calls) == 1


@pytest.mark.parametrize("sizes", [(1001,), (1, 1001), (1200, 2)], ids=repr)
def test_where_there_are_no_branches_to_choose_all_stand_in_the_question(sizes: tuple[int, ...]) -> None:
    whole = " / ".join([".".join("0" * (depth + 1)) + "." for depth in range(len(sizes))])
    llm = ScriptedLLM({"topic": [whole]})
    assert len(values(fill(llm, tree(*sizes)))["topic"][0]) == len(sizes)
    assert len(llm.calls) == 1
    assert whole in llm.calls[0].messages[0].text


def test_the_other_fields_are_asked_with_the_second_question_alone() -> None:
    llm = ScriptedLLM({"topic": ["3. / 3.4."]}, {**WHOLE, "stars": 4})
    stars = '<Rating name="stars" toName="text"/>'
    assert values(fill(llm, tree(10, 10, 20, more='leafsOnly="true"') + stars)) == {
        "topic": [["3.", "3.4.", "3.4.7."]],
        "stars": 4,
    }
    assert list(llm.calls[0].schema["properties"]) == ["topic"]
    assert list(llm.calls[1].schema["properties"]) == ["topic", "stars"]
    assert '"stars"' not in llm.calls[0].messages[0].text


def test_where_no_branch_applies_nothing_does() -> None:
    llm = ScriptedLLM({"topic": []}, {"stars": 4})
    assert values(fill(llm, tree(10, 10, 20) + '<Rating name="stars" toName="text"/>')) == {"stars": 4}
    assert list(llm.calls[1].schema["properties"]) == ["stars"]
    alone = ScriptedLLM({"topic": []})
    assert fill(alone, tree(10, 10, 20)).regions == ()
    assert len(alone.calls) == 1


def test_a_branch_off_the_list_is_repaired_like_any_answer() -> None:
    llm = ScriptedLLM({"topic": ["33."]}, {"topic": ["3. / 3.4."]}, WHOLE)
    outcome = fill(llm, tree(10, 10, 20))
    assert values(outcome) == {"topic": [["3.", "3.4.", "3.4.7."]]}
    assert 'the model gave "33."' in llm.calls[1].messages[-1].text
    assert outcome.usage.calls == 3


def test_a_branch_that_stays_wrong_leaves_the_control_empty_with_its_reason() -> None:
    llm = ScriptedLLM({"topic": ["33."]}, {"topic": ["34."]}, {"stars": 4})
    outcome = fill(llm, tree(10, 10, 20) + '<Rating name="stars" toName="text"/>')
    assert values(outcome) == {"stars": 4}
    assert 'the model gave "34."' in outcome.faults[0]


def test_a_required_tree_needs_a_branch_or_fails_the_task() -> None:
    llm = ScriptedLLM({"topic": []})
    with pytest.raises(AnswerError, match='"topic" must be answered') as caught:
        fill(llm, tree(10, 10, 20, more='required="true"') + '<Rating name="stars" toName="text"/>')
    assert caught.value.usage.calls == 2  # nothing more is asked of a task that has failed
    assert llm.calls[0].schema["properties"]["topic"]["minItems"] == 1


def test_a_refusal_of_the_first_question_fails_the_task() -> None:
    with pytest.raises(ProviderRefused):
        fill(ScriptedLLM(ProviderRefused("no")), tree(10, 10, 20))


def test_a_hidden_trees_fault_is_not_told() -> None:
    kind = '<Choices name="kind" toName="text"><Choice value="a"/><Choice value="b"/></Choices>'
    when = 'visibleWhen="choice-selected" whenTagName="kind" whenChoiceValue="a"'
    llm = ScriptedLLM({"topic": ["33."]}, {"topic": ["3."]}, {"kind": "b", "topic": ["9999"]}, {"topic": []})
    outcome = fill(llm, kind + tree(10, 10, 20, more=when))
    assert (values(outcome), outcome.faults) == ({"kind": ["b"]}, ())


def test_nested_choices_are_asked_in_two_stages_and_one_may_be_chosen() -> None:
    llm = ScriptedLLM({"topic": ["3. / 3.4.", "4. / 4.4."]}, {"topic": "4. / 4.4. / 4.4.0."})
    outcome = fill(llm, tree(10, 10, 20, tag="Choices", more='allowNested="true"'))
    assert values(outcome) == {"topic": [["4.", "4.4.", "4.4.0."]]}
    assert len(offered(llm, 1)) == 40


def test_a_tree_of_the_tasks_own_is_asked_in_two_stages() -> None:
    options = [
        {"value": f"costs ${a}", "children": [{"value": f"{a}-{b}", "alias": f"x{b}"} for b in range(40)]}
        for a in range(40)
    ]
    llm = ScriptedLLM({"topic": ["costs $7"]}, {"topic": ["costs $7 / 7-12"]})
    tag = '<Taxonomy name="topic" toName="text" value="$options" maxUsages="1"/>'
    assert values(fill(llm, tag, {"options": options})) == {"topic": [["costs $7", "x12"]]}
    assert len(offered(llm, 0)) == 40


def test_the_version_does_not_see_the_stages() -> None:
    config = parse(f'<View><Text name="text" value="$text"/>{tree(10, 10, 20)}</View>')
    plan = make_plan(config, texts(), Template(), Parameters())
    before = plan.version(Prompt("x", "annotator"), "m")
    branches = {"topic": ["3. / 3.4."]}
    llm = ScriptedLLM(branches, WHOLE, branches, WHOLE)
    for _ in range(2):
        asyncio.run(predict(plan, Task(1, {"text": "t"}), Prompt("x", "annotator"), llm, no_media))
    assert plan.version(Prompt("x", "annotator"), "m") == before


def test_an_upper_part_has_whole_levels_and_not_the_lowest() -> None:
    two = (Choice("a", children=(Choice("b"), Choice("c"))), Choice("d"))
    assert upper(two, 3) == (Choice("a"), Choice("d"))
    assert upper(two, 1) == ()
    assert upper((Choice("a"), Choice("b")), 5) == ()
    assert upper((Choice("a", children=(Choice("b"), Choice("c"))),), 5) == ()


def test_below_a_branch_is_all_of_it_and_what_leads_there() -> None:
    two = (Choice("a", alias="x", children=(Choice("b", children=(Choice("e"),)), Choice("c"))), Choice("d"))
    assert below(two, {("x", "b")}) == (Choice("a", alias="x", children=(Choice("b", children=(Choice("e"),)),)),)
    assert below(two, {("a", "b")}) == ()
