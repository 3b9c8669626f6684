"""What is shown with the question for a better prompt, and which proposals can be used."""

from typing import Any

import pytest

from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, Plan, make_plan
from llm_backend.core.prompts import Template, named
from llm_backend.core.refine import Case, deciding, differing, fault_of, held_out, question, spread
from llm_backend.core.wire import Annotation, Region, Task
from llm_backend.services import texts

CONFIG = """<View><Text name="review" value="$review"/>
<Choices name="tone" toName="review"><Choice value="good"/><Choice value="bad"/></Choices>
<Taxonomy name="topics" toName="review"><Choice value="food"/><Choice value="staff"/></Taxonomy>
<TextArea name="why" toName="review"/></View>"""
TASK = Task(1, {"review": "The soup was cold.", "shop": "Soups"})


def plan() -> Plan:
    return make_plan(parse(CONFIG), texts(), Template(), Parameters())


def region(name: str, **value: Any) -> Region:
    (kind,) = value
    return Region(name, "review", "textarea" if kind == "text" else kind, value, name)


def case(people: str, model: str, text: str = "a") -> Case:
    return Case(text, {"tone": (people, model)})


def test_a_task_stays_on_its_side_and_about_the_share_is_held_out() -> None:
    rows = [{"text": f"row {number}"} for number in range(2_000)]
    held = [held_out(row, 0.3) for row in rows]
    assert held == [held_out(dict(reversed(row.items())), 0.3) for row in rows]
    assert 0.27 < sum(held) / len(held) < 0.33
    assert all(held_out(row, 0.5) for row, one in zip(rows, held, strict=True) if one)


def test_ground_truth_is_gone_by_else_the_latest_word() -> None:
    old, new = Annotation((), 1, created=5.0), Annotation((), 2, created=1.0, updated=9.0)
    skipped, truth = Annotation((), 3, was_cancelled=True, created=99.0), Annotation((), 4, ground_truth=True)
    assert deciding((old, new, skipped)) == new
    assert deciding((old, new, skipped, truth)) == truth
    assert deciding((skipped,)) is None


def test_labels_differ_whatever_their_order_and_texts_never_do() -> None:
    people = [
        region("tone", choices=["bad"]),
        region("topics", taxonomy=[["food"], ["staff"]]),
        region("why", text=["a"]),
    ]
    model = [
        region("tone", choices=["bad"]),
        region("topics", taxonomy=[["staff"], ["food"]]),
        region("why", text=["b"]),
    ]
    assert differing(plan(), TASK, people, model) is None
    found = differing(plan(), TASK, people, model[1:])
    assert found is not None
    assert found.differing == {"tone": ("bad", None)}
    assert str(found) == '<item>\nThe soup was cold.\n</item>\ntone: people "bad", the model nothing'


def test_each_kind_of_mistake_is_shown_the_frequent_one_first() -> None:
    frequent = [case("good", "bad", str(number)) for number in range(9)]
    rare = [case("bad", "good", "x")]
    chosen = spread([*frequent, *rare], 4)
    assert [one.differing["tone"][0] for one in chosen] == ["good", "bad", "good", "good"]
    assert spread([]) == ()


def test_what_is_shown_is_bounded_in_size() -> None:
    long = [case("good", "bad", f"{number} " + "words " * 1_000) for number in range(100)]
    shown = question(plan(), "Label.", spread(long)).data["cases"]
    assert 20_000 < len(shown) < 26_000


@pytest.mark.parametrize(
    ("current", "proposal", "fault"),
    [
        ("Label {review}.", "Label {review} well.", ""),
        ("Label {review}.", "Label it.", "It lacks {review}, which the current prompt has."),
        ("Label {text} of {shop}.", "Label it.", "It lacks {shop}, {text}, which the current prompt has."),
        ("Label {review}.", "Label {review} of {shop}.", "It adds {shop}, which the current prompt does not have."),
        ("Label it.", "Label it well.", ""),
        ("Label it.", "Label {review} well.", ""),
        ('Label {review} as {"a": {b}} or {nothing}.', "Label {review}.", ""),
        ("Label {review}.", "Label {review}, {reviews}.", "The prompt uses {reviews}; the task has"),
    ],
)
def test_a_proposal_keeps_the_placeholders_that_tasks_fill(current: str, proposal: str, fault: str) -> None:
    found = fault_of(proposal, current, plan(), [TASK])
    assert found.startswith(fault)
    assert bool(found) == bool(fault)


def test_names_in_braces_are_told_and_other_braces_are_not() -> None:
    assert named('{a} {b_1} {{c}} {"d": 1} { e } {1} {a}') == {"a", "b_1"}
