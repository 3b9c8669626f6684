"""What did a person make of a task? Their regions, as answers that a model could have given."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace

from llm_backend.core.controls import hidden, shown_regions
from llm_backend.core.controls.base import Control
from llm_backend.core.examples import Correction, Pool
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.notices import without_notices
from llm_backend.core.predictor import Plan
from llm_backend.core.wire import JSON, RELATION, Annotation, Region, Task
from llm_backend.errors import AnswerError, InputError


def correct(plan: Plan, task: Task, annotation: Annotation, told: Iterable[Region] | None = None) -> Correction | None:
    """What an annotation teaches; None where it says nothing.

    Args:
        told: What the model is known to have answered for the task; the host's own word on that goes first.
    Raises:
        InputError: The task's data is not what the labeling config shows.
    """
    plan = plan.of_task(task.data)
    inputs = read(plan.config, task.data, task.id)
    answers = answers_of(plan, inputs, annotation.result)
    if not answers:
        return None
    shown = annotation.shown if annotation.shown is not None else told
    return Correction(
        annotation=str(annotation.id) if annotation.id is not None else _name(task, annotation),
        data=task.data,
        answers=answers,
        task=task.id,
        by=annotation.by,
        made=annotation.updated or annotation.created,
        accepted=_accepted(plan, inputs, annotation, answers, shown),
        from_model=annotation.from_model,
    )


def answers_of(plan: Plan, inputs: Inputs, result: Iterable[Region]) -> dict[str, JSON]:
    """What regions say, by the name of the control; what was left empty is missing.

    Our own notices are no answers, and what the form hides is none. An empty result says that nothing applies where
    every field is a list; elsewhere it says nothing.

    Args:
        plan: The plan for this very task (`Plan.of_task`).
    """
    regions = shown_regions(plan.controls, without_notices(result))
    told = {control.name: _answer(control, regions, inputs) for control in plan.controls}
    answers = {name: answer for name, answer in told.items() if answer is not None}
    if not answers and not regions and all(_may_be_none(control, inputs) for control in plan.controls):
        return {name: [] for name in told}
    return answers


def pool_of(plan: Plan, corrections: Iterable[Correction]) -> Pool:
    """A pool of those corrections that the labeling config still takes: it may have changed since they were made."""
    texts: dict[str, str] = {}
    fitting = []
    for correction in corrections:
        try:
            of_task = plan.of_task(correction.data)
            inputs = read(of_task.config, correction.data, correction.task)
        except InputError:
            continue
        texts[correction.annotation] = inputs.text
        taken = regions_of(of_task, inputs, correction.answers)
        fitting.append(replace(correction, answers={name: correction.answers[name] for name in taken}))
    return Pool(fitting, lambda one: texts[one.annotation])


def regions_of(plan: Plan, inputs: Inputs, answers: Mapping[str, JSON]) -> dict[str, list[Region]]:
    """The regions that answers stand for, by the name of the control: the way back from `answers_of`.

    What the labeling config does not take (any more), or the form hides, is missing.

    Args:
        plan: The plan for this very task (`Plan.of_task`).
    """
    made: list[Region] = []
    by_control: dict[str, list[Region]] = {}
    for control in plan.controls:
        answer = answers.get(control.name)
        if answer is None:
            continue
        try:
            by_control[control.name] = control.read(answer, inputs, made)
        except (AnswerError, InputError):
            continue
        made += by_control[control.name]
    away = hidden(plan.controls, made)
    return {name: regions for name, regions in by_control.items() if name not in away}


def _answer(control: Control, regions: list[Region], inputs: Inputs) -> JSON:
    try:
        return control.encode(regions, inputs)
    except InputError:  # what it offers comes from the task, which does not have it
        return None


def _may_be_none(control: Control, inputs: Inputs) -> bool:
    """Whether an empty list is an answer."""
    try:
        schema = control.schema(inputs)
    except InputError:
        return False
    return schema.get("type") == "array" and "minItems" not in schema


def _accepted(
    plan: Plan, inputs: Inputs, annotation: Annotation, answers: Mapping[str, JSON], shown: Iterable[Region] | None
) -> bool:
    """Whether a person left the model's answer as it was.

    Where that answer is not known, the origins of the regions tell; but not of all controls: one that was clicked anew
    may keep its origin (seen with Pairwise in the editor of 1.23.2).
    """
    if not annotation.from_model:
        return False
    if shown is not None:
        return answers_of(plan, inputs, shown) == answers
    ours = [r for r in annotation.result if r.from_name != plan.config.prompt and r.type != RELATION]
    return bool(ours) and all(region.origin == "prediction" for region in ours)


def _name(task: Task, annotation: Annotation) -> str:
    """A name for an annotation without an id: the same person's next word on the same task replaces it."""
    told = json.dumps([task.id, task.data, annotation.by], sort_keys=True, ensure_ascii=False, default=str)
    return "unnamed-" + hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]
