"""Controls that make regions within an object, what hangs on these, and what links them."""

import asyncio
import json
from collections.abc import Mapping

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.controls.regions import without_repeats
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Outcome, Parameters, Plan, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON, Region, Task
from llm_backend.errors import AnswerError
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

TEXT = "Microsoft was founded by Bill Gates. Bill Gates left."
DATA = {"text": TEXT}
LABELS = '<Labels name="who" toName="text"><Label value="Org" alias="O"/><Label value="Person"/></Labels>'
SURE = (
    '<Choices name="sure" toName="text" perRegion="true" required="true" {}>'
    '<Choice value="yes"/><Choice value="no"/></Choices>'
)
RELATIONS = '<Relations><Relation value="founded by"/></Relations>'


def plan_of(*tags: str) -> Plan:
    config = parse(f'<View><Text name="text" value="$text"/>{"".join(tags)}</View>')
    return make_plan(config, texts(), Template(), Parameters())


def outcome(plan: Plan, *answers: JSON, held: tuple[Region, ...] = ()) -> tuple[Outcome, ScriptedLLM]:
    """What comes of these answers, which have to do."""
    llm = ScriptedLLM(*answers, AssertionError("it was asked once more"))
    done = predict(plan, Task(1, DATA), Prompt("Mark them.", "config"), llm, no_media, held=held)
    return asyncio.run(done), llm


def span(quote: str, label: str, before: str = "", **more: JSON) -> Mapping[str, JSON]:
    return {"quote": quote, "before": before, "label": label, **more}


def told(outcome: Outcome) -> list[tuple[str, Mapping[str, JSON]]]:
    return [(region.from_name, region.value) for region in outcome.regions]


def test_what_hangs_on_a_region_is_asked_within_it_and_shares_its_id_and_place() -> None:
    plan = plan_of(LABELS, SURE.format(""), '<TextArea name="note" toName="text" perRegion="true"/>')
    assert [control.name for control in plan.controls] == ["who"]
    made, _ = outcome(plan, {"who": [span("Microsoft", "Org", sure="yes", note="a firm")]})
    place = {"start": 0, "end": 9, "text": "Microsoft"}
    assert told(made) == [
        ("who", place | {"labels": ["O"]}),
        ("sure", place | {"choices": ["yes"]}),
        ("note", place | {"text": ["a firm"]}),
    ]
    assert len({region.id for region in made.regions}) == 1
    assert made.regions[0].id


def test_a_control_for_some_labels_only_is_neither_required_nor_kept_with_others() -> None:
    plan = plan_of(LABELS, SURE.format('whenTagName="who" whenLabelValue="Person"'))
    made, _ = outcome(plan, {"who": [span("Microsoft", "Org", sure="no"), span("Bill Gates", "Person", sure="yes")]})
    assert [name for name, _ in told(made)] == ["who", "who", "sure"]
    made, llm = outcome(
        plan,
        {"who": [span("Microsoft", "Org", sure=None), span("Bill Gates", "Person", sure=None)]},
        {"who": [span("Microsoft", "Org", sure=None), span("Bill Gates", "Person", sure="no")]},
    )
    assert '"sure" must be answered' in llm.calls[1].messages[-1].text
    assert [name for name, _ in told(made)] == ["who", "who", "sure"]


def test_a_choice_on_the_region_decides_over_another() -> None:
    why = '<TextArea name="why" toName="text" perRegion="true" {}/>'
    plan = plan_of(
        LABELS,
        SURE.format(""),
        why.format('visibleWhen="choice-selected" whenTagName="sure" whenChoiceValue="no" required="true"'),
    )
    made, _ = outcome(
        plan,
        {
            "who": [
                span("Microsoft", "Org", sure="yes", why="not asked"),
                span("Bill Gates", "Person", sure="no", why="unclear"),
            ]
        },
    )
    assert [name for name, _ in told(made)] == ["who", "sure", "who", "sure", "why"]


def test_relations_link_regions_by_number_and_carry_their_ids() -> None:
    plan = plan_of(RELATIONS, LABELS)
    assert [control.name for control in plan.controls] == ["who", "relations"]
    answer = {
        "who": [span("Microsoft", "Org", id=7), span("Bill Gates", "Person", id=4)],
        "relations": [{"from": 7, "to": 4, "label": "founded by"}],
    }
    made, _ = outcome(plan, answer)
    firm, person, link = made.regions
    assert link.to_json() == {
        "type": "relation",
        "from_id": firm.id,
        "to_id": person.id,
        "direction": "right",
        "labels": ["founded by"],
    }
    assert Region.from_json(link.to_json()) == link


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ({"from": 1, "to": 9, "label": "founded by"}, "links two numbered places"),
        ({"from": 1, "to": 1, "label": "founded by"}, "links two different places"),
        ({"from": 1, "to": 2, "label": "bought by"}, '"relations" takes founded by'),
        ("1 to 2", "links two numbered places"),
    ],
)
def test_a_link_that_cannot_be_is_told_and_the_others_stay(link: JSON, fault: str) -> None:
    plan = plan_of(RELATIONS, LABELS)
    spans = [span("Microsoft", "Org", id=1), span("Bill Gates", "Person", id=2)]
    good = {"from": 2, "to": 1, "label": "founded by"}
    made, llm = outcome(plan, {"who": spans, "relations": [link, good]}, {"relations": [link, good]})
    assert fault in llm.calls[1].messages[-1].text
    assert fault in " ".join(made.faults)
    assert [region.type for region in made.regions] == ["labels", "labels", "relation"]


def test_links_are_asked_again_with_the_places_that_they_link() -> None:
    """Numbers of the first answer must not be read as those of the second."""
    plan = plan_of(RELATIONS, LABELS)
    link = {"from": 1, "to": 2, "label": "founded by"}
    first = [span("Microsoft", "Org", id=1), span("Bill Gates", "Person", id=2), span("Nobody", "Person", id=3)]
    second = [span("Bill Gates", "Person", id=1), span("Microsoft", "Org", id=2)]
    made, llm = outcome(
        plan,
        {"who": first, "relations": [link]},
        {"who": second, "relations": [{"from": 2, "to": 1, "label": "founded by"}]},
    )
    assert "relations" in json.dumps(llm.calls[1].schema)
    person, firm, relation = made.regions
    assert (firm.value["text"], person.value["text"]) == ("Microsoft", "Bill Gates")
    assert (relation.value["from_id"], relation.value["to_id"]) == (firm.id, person.id)
    assert made.faults == ()


def test_what_is_wrong_with_one_place_costs_no_other() -> None:
    plan = plan_of(LABELS)
    answer = {"who": [span("Microsoft", "Org"), span("Apple", "Org"), span("Bill Gates", "Dog"), "Bill"]}
    made, llm = outcome(plan, answer, answer)
    assert [value["text"] for _, value in told(made)] == ["Microsoft"]
    for part in ('"Apple"', '"Dog"', '"Bill"'):
        assert part in llm.calls[1].messages[-1].text
        assert part in made.faults[0]


def test_a_required_control_is_answered_by_the_good_part_of_its_answer() -> None:
    plan = plan_of(LABELS.replace("toName", 'required="true" toName'))
    answer = {"who": [span("Microsoft", "Org"), span("Apple", "Org")]}
    made, _ = outcome(plan, answer, answer)
    assert len(made.regions) == 1
    with pytest.raises(AnswerError, match="Apple"):
        outcome(plan, {"who": [span("Apple", "Org")]}, {"who": [span("Apple", "Org")]})


def test_a_repair_that_is_worse_does_not_cost_what_was_good() -> None:
    plan = plan_of(LABELS)
    made, _ = outcome(plan, {"who": [span("Microsoft", "Org"), span("Apple", "Org")]}, {"who": "none"})
    assert [value["text"] for _, value in told(made)] == ["Microsoft"]


def test_a_region_gets_the_same_id_when_it_is_made_again() -> None:
    plan = plan_of(LABELS)
    answer = {"who": [span("Bill Gates", "Person", "by "), span("Bill Gates", "Person", ". ")]}
    (first, _), (second, _) = outcome(plan, answer), outcome(plan, answer)
    assert [region.id for region in first.regions] == [region.id for region in second.regions]
    assert len({region.id for region in first.regions}) == 2


def test_a_place_that_a_person_has_marked_so_is_not_marked_again() -> None:
    plan = plan_of(LABELS, SURE.format(""))
    (mine, *_), _ = outcome(plan, {"who": [span("Microsoft", "Org", sure="yes")]})[0].regions, None
    made, _ = outcome(
        plan,
        {"who": [span("Microsoft", "Org", sure="no"), span("Bill Gates", "Person", sure="no")]},
        held=(mine,),
    )
    assert [value["text"] for name, value in told(made) if name == "who"] == ["Bill Gates"]
    assert [name for name, _ in told(made)] == ["who", "sure"]


def test_places_in_several_objects_say_in_which_they_are() -> None:
    config = parse(
        '<View><Text name="a" value="$a"/><Text name="b" value="$b"/>'
        '<Labels name="who" toName="a,b"><Label value="X"/></Labels></View>'
    )
    (control,), _ = bind(config)
    inputs = read(config, {"a": "red green", "b": "green"})
    answer = [{"in": "b", "quote": "green", "before": "", "label": "X"}]
    made = control.read(answer, inputs)
    assert [(region.to_name, region.value["start"]) for region in made] == [("b", 0)]
    assert control.encode(made, inputs) == answer
    with pytest.raises(AnswerError, match="in which object"):
        control.read([{"in": "c", "quote": "green", "before": "", "label": "X"}], inputs)


def test_links_without_regions_to_link_are_said_to_be_unfillable() -> None:
    controls, (other,) = bind(
        parse('<View><Text name="t" value="$t"/><Relations/><Rating name="r" toName="t"/></View>')
    )
    assert [control.name for control in controls] == ["r"]
    assert other.reason == "Relations links regions, and nothing here makes any."


def test_the_numbers_of_places_are_told_apart() -> None:
    plan = plan_of(RELATIONS, LABELS)
    spans = [span("Microsoft", "Org", id=1), span("Bill Gates", "Person", id=1)]
    made, llm = outcome(plan, {"who": spans, "relations": []}, {"who": spans, "relations": []})
    assert "gave 1 twice" in llm.calls[1].messages[-1].text
    assert [value["text"] for _, value in told(made)] == ["Microsoft"]


@pytest.mark.parametrize("label", ["", " ", None, []])
def test_a_place_or_a_link_without_a_label_is_told_and_the_others_stay(label: JSON) -> None:
    places = [span("Microsoft", "Org", id=1), span("Bill Gates", "Person", id=2), span("Bill Gates", label, id=3)]
    found, _ = outcome(plan_of(LABELS), {"who": places}, {"who": places})
    assert [value["text"] for _, value in told(found)] == ["Microsoft", "Bill Gates"]
    assert "gives every place a label" in found.faults[0]

    links = [{"from": 1, "to": 2, "label": label}]
    answer = {"who": places[:2], "relations": links}
    found, _ = outcome(plan_of(LABELS, RELATIONS), answer, answer)
    assert len(found.regions) == 2
    assert len(found.faults) == 1


def test_a_place_is_the_same_however_the_editor_writes_it_down() -> None:
    def region(kind: str, origin: str, **value: JSON) -> Region:
        return Region("l", "o", kind, {**value, kind: ["X"]}, "1", origin)

    paths = {"start": "/p[1]/text()[1]", "end": "/p[1]/text()[1]", "startOffset": 0, "endOffset": 5}
    for made, held in (
        ({"start": 4, "end": 9, "text": "a"}, {**paths, "globalOffsets": {"start": 4, "end": 9}, "text": "b"}),
        ({"start": 1.5, "end": 2}, {"start": 1.5, "end": 2, "channel": 0}),
    ):
        machine = region("labels", "prediction", **made)
        assert without_repeats([machine], [region("labels", "manual", **held)]) == []
        elsewhere = {**held, "start": 0, "globalOffsets": None}
        assert without_repeats([machine], [region("labels", "manual", **elsewhere)]) == [machine]
