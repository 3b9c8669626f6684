"""What an annotation teaches, and whether it is the model's own answer."""

import random
from typing import Any

import pytest

from llm_backend.core.controls import Control
from llm_backend.core.corrections import answers_of, correct, pool_of
from llm_backend.core.examples import Asked, Correction
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.notices import NOTICE_PREFIX
from llm_backend.core.predictor import Parameters, Plan, make_plan
from llm_backend.core.prompts import Template
from llm_backend.core.wire import Annotation, Region, Task
from llm_backend.errors import InputError
from llm_backend.services import texts

TEXT = '<Text name="text" value="$text"/>'
TONE = '<Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>'
WHEN = 'visibleWhen="choice-selected" whenTagName="tone" whenChoiceValue="bad"'
WHY = f'<Choices name="why" toName="text" {WHEN}><Choice value="late"/></Choices>'
RESPONSE = '<TextArea name="response" toName="text"/>'
PROMPT = '<TextArea name="prompt" toName="text"/>'
NER = '<Labels name="ner" toName="text"><Label value="City"/></Labels>'
TASK = Task(7, {"text": "Late again in Paris."})


def plan_of(*tags: str, **parameters: Any) -> Plan:
    return make_plan(
        parse(f"<View>{TEXT}{''.join(tags)}</View>", "prompt"), texts(), Template(), Parameters(**parameters)
    )


def region(name: str, kind: str, value: Any, origin: str = "manual", ident: str | None = None) -> dict[str, Any]:
    return {"from_name": name, "to_name": "text", "type": kind, "value": {kind: value}, "origin": origin, "id": ident}


def tone(label: str, origin: str = "manual") -> dict[str, Any]:
    return region("tone", "choices", [label], origin)


def said(text: str, origin: str = "manual", name: str = "response") -> dict[str, Any]:
    return {**region(name, "textarea", None, origin), "value": {"text": [text]}}


def city(start: int, end: int, origin: str = "manual") -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": ["City"], "text": "Paris"}
    return {**region("ner", "labels", None, origin, f"r{start}"), "value": value}


def annotation(*result: dict[str, Any], **more: Any) -> Annotation:
    return Annotation.from_json({"id": 3, "result": list(result), **more})


def learned(plan: Plan, made: Annotation, told: Any = None) -> Correction:
    found = correct(plan, TASK, made, told)
    assert found is not None
    return found


def test_answers_are_told_as_the_model_would_have_told_them_with_who_and_when() -> None:
    plan = plan_of(PROMPT, TONE, RESPONSE, NER)
    made = annotation(
        *(said("Classify it.", name="prompt"), tone("bad"), said("Sorry!"), city(14, 19)),
        completed_by=5,
        created_at="2026-11-20T23:32:36Z",
        updated_at="2026-11-20T23:32:37Z",
    )
    found = learned(plan, made)
    assert (found.annotation, found.task, found.by, found.made) == ("3", 7, "5", 1795217557.0)
    assert found.data == TASK.data
    assert found.answers["tone"] == "bad"
    assert found.answers["response"] == "Sorry!"
    assert [(place["quote"], place["label"]) for place in found.answers["ner"]] == [("Paris", "City")]
    assert set(found.answers) == {"tone", "response", "ner"}


def test_a_notice_is_never_learned() -> None:
    plan = plan_of(TONE, RESPONSE)
    notice = f"{NOTICE_PREFIX}Rate limit."
    assert correct(plan, TASK, annotation(said(notice))) is None
    both = {**said("Mine."), "value": {"text": ["Mine.", notice]}}
    assert learned(plan, annotation(both)).answers == {"response": "Mine."}


def test_what_the_form_hides_is_not_learned() -> None:
    plan = plan_of(TONE, WHY)
    why = region("why", "choices", ["late"])
    assert learned(plan, annotation(tone("good"), why)).answers == {"tone": "good"}
    assert learned(plan, annotation(tone("bad"), why)).answers == {"tone": "bad", "why": "late"}


def test_an_empty_annotation_says_that_nothing_applies_only_where_every_field_is_a_list() -> None:
    assert learned(plan_of(NER), annotation()).answers == {"ner": []}
    assert correct(plan_of(NER, TONE), TASK, annotation()) is None


def test_an_annotation_without_an_id_is_replaced_by_the_same_persons_next() -> None:
    plan = plan_of(TONE)
    first, second, other = (
        learned(plan, Annotation.from_json({"result": [tone(label)], "completed_by": by}))
        for label, by in (("good", 1), ("bad", 1), ("bad", 2))
    )
    assert first.annotation == second.annotation != other.annotation


SNAPSHOT = {"id": 9, "result": [tone("bad")]}


@pytest.mark.parametrize(
    ("result", "more", "accepted"),
    [
        ([tone("bad")], {}, False),
        ([tone("bad")], {"prediction": SNAPSHOT}, False),
        ([tone("bad", "prediction")], {}, True),
        ([tone("bad", "prediction")], {"parent_prediction": 9}, True),
        ([tone("bad", "prediction-changed")], {"parent_prediction": 9}, False),
        ([tone("bad", "prediction")], {"parent_prediction": 9, "prediction": SNAPSHOT}, True),
        ([tone("bad")], {"parent_prediction": 9, "prediction": SNAPSHOT}, True),
        ([tone("good", "prediction")], {"parent_prediction": 9, "prediction": SNAPSHOT}, False),
        ([tone("good", "prediction")], {"parent_prediction": 8, "prediction": SNAPSHOT}, True),
        ([tone("bad", "prediction"), said("x")], {"parent_prediction": 9}, False),
        ([said("Do it", name="prompt"), tone("bad", "prediction")], {}, True),
    ],
    ids=[
        "by hand",
        "by hand, the same as a prediction that was not used",
        "Shift+Enter, untouched",
        "a prediction, untouched",
        "a prediction, changed",
        "a prediction that is known, untouched",
        "a prediction that is known, chosen anew but the same",
        "a prediction that is known, changed though its origin stays",
        "another prediction is known",
        "a prediction, and a text of one's own",
        "the prompt is nobody's answer",
    ],
)
def test_accepted_as_is_and_corrected_are_told_apart(
    result: list[dict[str, Any]], more: dict[str, Any], accepted: bool
) -> None:
    plan = plan_of(PROMPT, TONE, RESPONSE)
    assert learned(plan, annotation(*result, **more)).accepted is accepted


PAIR = '<Text name="b" value="$b"/><Pairwise name="better" toName="text,b"/>'


@pytest.mark.parametrize(("clicked", "accepted"), [("left", True), ("right", False)])
def test_a_pairwise_that_was_clicked_anew_is_a_correction_where_the_models_answer_is_known(
    clicked: str, accepted: bool
) -> None:
    plan = plan_of(PAIR)
    made = annotation({**region("better", "pairwise", None, "prediction"), "value": {"selected": clicked}})
    told = [Region("better", "text", "pairwise", {"selected": "left"})]
    found = correct(plan, Task(7, {"text": "a", "b": "b"}), made, told)
    assert found is not None
    assert found.accepted is accepted


def test_a_task_whose_data_the_config_cannot_show_is_refused() -> None:
    plan = plan_of('<Image name="image" value="$image"/>', TONE)
    with pytest.raises(InputError):
        correct(plan, Task(1, {"text": "a", "image": 5}), annotation(tone("good")))


def test_a_pool_leaves_out_what_the_config_takes_no_more() -> None:
    before = plan_of(TONE, RESPONSE)
    held = [
        learned(before, annotation(tone("good"), said("Thanks."))),
        Correction("4", {"text": "Late in Rome."}, {"tone": "bad"}, task=8),
    ]
    now = plan_of('<Choices name="tone" toName="text"><Choice value="bad"/></Choices>', RESPONSE)
    chosen = pool_of(now, held).choose(Asked({}, "Late"), 5)
    assert {one.annotation: one.answers for one in chosen} == {"3": {"response": "Thanks."}, "4": {"tone": "bad"}}
    assert len(pool_of(plan_of('<Rating name="stars" toName="text"/>'), held)) == 0


EVERY = plan_of(
    *(PROMPT, TONE, WHY, RESPONSE, NER, PAIR),
    '<Rating name="stars" toName="text"/><Number name="n" toName="text"/><DateTime name="d" toName="text"/>',
    '<Taxonomy name="tax" toName="text"><Choice value="a"><Choice value="b"/></Choice></Taxonomy>',
    '<List name="list" value="$list"/><Ranker name="rank" toName="list"/>',
    '<Relations><Relation value="r"/></Relations>',
    '<Image name="image" value="$image"/>',
    '<RectangleLabels name="box" toName="image"><Label value="A"/></RectangleLabels>',
    fill_geometry=True,
)
ODD = [None, True, 0, -1, 1.5, float("nan"), 10**400, "", "x", "\ud800", [], [[]], [None], [{}], {}, {"x": [1]}]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_person_or_a_file_says_is_read_without_a_fault(seed: int) -> None:
    dice = random.Random(seed)
    data = {"text": "Paris", "b": "b", "list": [{"id": "1", "title": "one"}], "image": "http://host/a.png"}
    inputs = read(EVERY.config, data)
    names = [*(control.name for control in EVERY.controls), "nobody"]
    keys = [
        "choices",
        "text",
        "labels",
        "start",
        "end",
        "selected",
        "ranker",
        "rating",
        "number",
        "datetime",
        "taxonomy",
    ]
    keys += ["rectanglelabels", "x", "y", "width", "height", "rotation"]
    for _ in range(200):
        result = [
            {
                "from_name": dice.choice(names),
                "to_name": dice.choice(["text", "image", "list", "", "gone"]),
                "type": dice.choice(["choices", "textarea", "labels", "rectanglelabels", "relation", "pairwise", ""]),
                "value": {key: dice.choice(ODD) for key in dice.sample(keys, 6)},
                **{key: dice.choice(ODD) for key in ("id", "origin", "item_index", "from_id", "to_id", "labels")},
            }
            for _ in range(dice.randrange(5))
        ]
        made = Annotation.from_json({"id": 1, "result": result})
        assert set(answers_of(EVERY, inputs, made.result)) <= {control.name for control in EVERY.controls}


def test_the_fuzz_meets_many_controls() -> None:
    assert {type(control) for control in EVERY.controls} <= set(Control.by_tag.values())
    assert len(EVERY.controls) >= 12
