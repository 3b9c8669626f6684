"""What a Repeater repeats has its real names for each task only."""

import asyncio
from typing import Any

import pytest

from llm_backend.core.labeling import LabelingConfig, parse, repeat, show_entries
from llm_backend.core.predictor import Parameters, Plan, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.repeats import counts, entries
from llm_backend.core.wire import Task
from llm_backend.errors import InputError
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

PAGES = """
<View>
  <Text name="title" value="$title"/>
  <Repeater on="$pages" indexFlag="{{idx}}">
    <Header value="Page {{idx}} of {{idx}}"/>
    <Text name="page_{{idx}}" value="$pages[{{idx}}].text"/>
    <Choices name="kind_{{idx}}" toName="page_{{idx}}"><Choice value="Bill"/><Choice value="Letter"/></Choices>
    <TextArea name="why_{{idx}}" toName="page_{{idx}}" visibleWhen="choice-selected" whenTagName="kind_{{idx}}"/>
  </Repeater>
  <Rating name="whole" toName="title"/>
</View>"""
NESTED = """
<View>
  <Repeater on="$books" indexFlag="{{b}}">
    <Repeater on="$books[{{b}}].pages" indexFlag="{{p}}">
      <Text name="t_{{b}}_{{p}}" value="$books[{{b}}].pages[{{p}}]"/>
      <Rating name="r_{{b}}_{{p}}" toName="t_{{b}}_{{p}}"/>
    </Repeater>
  </Repeater>
</View>"""
TWO = {"title": "T", "pages": [{"text": "You owe us 3."}, {"text": "Dear Ann"}]}


def of_task(xml: str, data: dict[str, Any]) -> LabelingConfig:
    config = parse(xml)
    return repeat(config, counts(config, data))


def plan_of(xml: str) -> Plan:
    return make_plan(parse(xml), texts(), Template(), Parameters())


def test_everything_in_it_is_there_once_for_each_entry() -> None:
    config = of_task(PAGES, TWO)
    assert [output.name for output in config.outputs] == ["kind_0", "why_0", "kind_1", "why_1", "whole"]
    assert [source.value for source in config.sources] == ["$title", "$pages[0].text", "$pages[1].text"]
    assert config.outputs[3].to_names == ("page_1",)
    assert config.outputs[3].conditions[0].tag_name == "kind_1"
    assert config.repeats == ()


@pytest.mark.parametrize(
    ("around", "noted", "sides"),
    [("{}", "0, 0 and {{idx}}", ("a_0", "b_0")), ("<View>{}</View>", "0, {{idx}} and {{idx}}", ("a_0", "b_{{idx}}"))],
    ids=["right within", "deeper"],
)
def test_the_number_stands_in_an_attribute_as_often_as_in_the_editor(
    around: str, noted: str, sides: tuple[str, str]
) -> None:
    inner = '<Header value="{{idx}}, {{idx}} and {{idx}}"/><Pairwise name="pw_{{idx}}" toName="a_{{idx}},b_{{idx}}"/>'
    xml = '<View><Repeater on="$pages">' + around.replace("{}", inner) + "</Repeater></View>"
    config = of_task(xml, {"pages": [1]})
    assert config.notes == (noted,)
    assert config.outputs[0].to_names == sides


def test_entries_are_told_one_by_one_and_what_is_shown_once_first() -> None:
    config = parse(NESTED.replace("</View>", '<Rating name="all" toName="t"/></View>'))
    data = {"books": [{"pages": ["a", "b"]}, {"pages": []}, {"pages": ["c"]}]}
    found = list(entries(config, data))
    assert [[output.name for output in show_entries(config, entry.shown).outputs] for entry in found] == [
        *[["all"], ["all"], ["r_0_0", "all"], ["r_0_1", "all"], ["all"], ["all"], ["r_2_0", "all"]],
    ]
    assert [entry.named("r_{{b}}_{{p}}") for entry in found if len(entry.flags) == 2] == ["r_0_0", "r_0_1", "r_2_0"]
    as_it_stands = [entry.shown for entry in entries(config)]
    assert [output.name for output in show_entries(config, as_it_stands[-1]).outputs] == ["r_{{b}}_{{p}}", "all"]


def test_one_within_another_repeats_for_each_of_its_entries() -> None:
    data = {"books": [{"pages": ["a", "b"]}, {"pages": []}, {"pages": ["c"]}]}
    assert counts(parse(NESTED), data) == (3, 2, 0, 1)
    assert [output.name for output in of_task(NESTED, data).outputs] == ["r_0_0", "r_0_1", "r_2_0"]


@pytest.mark.parametrize("pages", [[], None, "text", {"a": 1}, 7], ids=repr)
def test_what_is_no_list_repeats_nothing(pages: Any) -> None:
    assert [output.name for output in of_task(PAGES, {"title": "T", "pages": pages}).outputs] == ["whole"]


def test_the_fields_of_each_entry_are_asked_and_filled_under_their_own_names() -> None:
    llm = ScriptedLLM({"kind_0": "Bill", "why_0": "It owes.", "kind_1": "Letter", "why_1": "Dear.", "whole": 2})
    plan = plan_of(PAGES)
    outcome = asyncio.run(predict(plan, Task(1, TWO), Prompt("Sort it", "annotator"), llm, no_media))
    assert [(region.from_name, region.to_name) for region in outcome.regions] == [
        *[("kind_0", "page_0"), ("why_0", "page_0"), ("kind_1", "page_1"), ("why_1", "page_1"), ("whole", "title")],
    ]
    assert "page_1:\nDear Ann" in llm.asked


def test_plans_are_kept_by_how_often_they_repeat_and_the_version_is_the_projects() -> None:
    plan = plan_of(PAGES)
    version = plan.version(Prompt("x", "annotator"), "m")
    two = plan.of_task(TWO)
    assert plan.of_task({"title": "U", "pages": [{"text": "a"}, {"text": "b"}]}) is two
    assert plan.of_task({"title": "U", "pages": []}) is not two
    assert plan.version(Prompt("x", "annotator"), "m") == version
    assert plan_of(PAGES.replace('$pages"', '$sheets"')).version(Prompt("x", "annotator"), "m") != version


def test_a_plan_without_repeaters_is_every_tasks_plan() -> None:
    plan = plan_of('<View><Text name="t" value="$t"/><Rating name="r" toName="t"/></View>')
    assert plan.of_task({"t": "x"}) is plan


def test_a_task_with_nothing_to_repeat_is_told() -> None:
    llm = ScriptedLLM({})
    with pytest.raises(InputError, match="this task has none"):
        asyncio.run(predict(plan_of(NESTED), Task(1, {"books": []}), Prompt("x", "annotator"), llm, no_media))
    assert llm.calls == []


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(InputError, match=r'"\$pages"; more than 1000'):
        plan_of(PAGES).of_task({"pages": [{}] * 1001})
