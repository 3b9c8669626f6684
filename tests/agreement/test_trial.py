"""Two prompts held against people."""

import random

from llm_backend.agreement.pairs import gather
from llm_backend.agreement.trial import Trial, trial
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, make_plan
from llm_backend.core.prompts import Template
from llm_backend.core.wire import Annotation, Prediction, Region
from llm_backend.interchange.exports import ExportedTask
from llm_backend.services import texts

CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
<Choices name="length" toName="text"><Choice value="long"/><Choice value="short"/></Choices></View>"""


def result(tone: str, length: str) -> tuple[Region, ...]:
    told = {"tone": tone, "length": length}
    return tuple(Region(name, "text", "choices", {"choices": [label]}, name) for name, label in told.items())


def tried(*tasks: tuple[tuple[str, str], tuple[str, str] | None, tuple[str, str] | None]) -> Trial:
    """What people, the old and the new version say of each task; None for no answer."""
    exported = [
        ExportedTask(
            number,
            number,
            {"text": f"task {number}"},
            (Annotation(result(*people), number, by="1"),),
            tuple(
                Prediction(result(*said), None, name) for name, said in (("old", old), ("new", new)) if said is not None
            ),
        )
        for number, (people, old, new) in enumerate(tasks)
    ]
    plan = make_plan(parse(CONFIG), texts(), Template(), Parameters())
    return trial(gather(plan, exported), "old", "new")


RIGHT, HALF, WRONG = ("good", "long"), ("good", "short"), ("bad", "short")


def test_a_task_counts_by_the_share_of_its_controls() -> None:
    found = tried((RIGHT, HALF, RIGHT), (RIGHT, WRONG, HALF), (RIGHT, RIGHT, RIGHT), (RIGHT, RIGHT, HALF))
    assert (found.tasks, found.better, found.worse) == (4, 2, 1)
    assert (found.old.value, found.new.value, found.difference.value) == (0.625, 0.75, 0.125)
    assert found.verdict == "unclear"


def test_tasks_that_only_one_of_them_answered_do_not_count() -> None:
    found = tried((RIGHT, HALF, RIGHT), (RIGHT, WRONG, None), (RIGHT, None, WRONG))
    assert (found.tasks, found.better, found.worse) == (1, 1, 0)


def test_what_is_the_same_everywhere_has_no_interval_and_few_tasks_prove_nothing() -> None:
    found = tried(*[(RIGHT, WRONG, RIGHT)] * 4)
    assert (found.difference.value, found.difference.low, found.difference.high) == (1.0, None, None)
    assert found.verdict == "unclear"
    assert tried(*[(RIGHT, WRONG, RIGHT)] * 8).verdict == "better"
    assert tried(*[(RIGHT, RIGHT, WRONG)] * 8).verdict == "worse"


def test_prompts_that_are_equally_good_are_seldom_told_apart() -> None:
    chance = random.Random(11)
    verdicts = [
        tried(*((RIGHT, *(RIGHT if chance.random() < 0.7 else WRONG for _ in range(2))) for _ in range(60))).verdict
        for _ in range(100)
    ]
    assert verdicts.count("unclear") >= 90
