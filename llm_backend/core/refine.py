"""Which question asks for a better prompt, what is the model shown with it, and can its proposal be used?"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from llm_backend.core.controls.base import Control
from llm_backend.core.corrections import answers_of
from llm_backend.core.inputs import read
from llm_backend.core.predictor import Plan
from llm_backend.core.prompts import Prompt, named, render
from llm_backend.core.wire import JSON, Annotation, Region, Task
from llm_backend.errors import InputError, PromptError

CONFIG: Final = """<View>
  <Text name="current" value="$current"/>
  <Text name="fields" value="$fields"/>
  <Text name="cases" value="$cases"/>
  <Text name="remark" value="$remark"/>
  <TextArea name="analysis" toName="cases" maxSubmissions="1" required="true"/>
  <TextArea name="improved" toName="current" maxSubmissions="1" required="true"/>
</View>"""
"""What a model proposes a prompt with: it analyses first."""
IMPROVED: Final = "improved"
ANALYSIS: Final = "analysis"

MOST_SHOWN = 24
_MOST_TEXT = 1_500
_MOST_ALL = 24_000
# In their order an answer says something; elsewhere it does not.
_ORDERED = frozenset(("Ranker",))


@dataclass(frozen=True, slots=True)
class Case:
    """A task on which people and the model differ, in words.

    Attributes:
        text: What the task shows.
        differing: By the control's name, what people and what the model answered; None for nothing.
    """

    text: str
    differing: Mapping[str, tuple[JSON, JSON]]

    @property
    def kind(self) -> str:
        """Cases of one kind teach the same: the same was taken for the same."""
        return _told({name: [_brief(one) for one in pair] for name, pair in self.differing.items()})

    def __str__(self) -> str:
        sides = (
            f"{name}: people {_told(people)}, the model {_told(model)}"
            for name, (people, model) in self.differing.items()
        )
        return "\n".join((f"<item>\n{_cut(self.text)}\n</item>", *sides))


def held_out(data: Mapping[str, JSON], share: float) -> bool:
    """Whether a task is kept for trying prompts out: the same data always, and in whatever file it is.

    Args:
        share: Of all tasks, from 0 to 1.
    """
    told = json.dumps(data, sort_keys=True, ensure_ascii=False, default=str)
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * 2**64


def deciding(annotations: Iterable[Annotation]) -> Annotation | None:
    """The annotation to go by: what is marked as ground truth, else the latest; None where all skipped the task."""
    made = [one for one in annotations if not one.was_cancelled]
    return max(made, key=lambda one: (one.ground_truth, one.updated or one.created), default=None)


def differing(plan: Plan, task: Task, people: Iterable[Region], model: Iterable[Region]) -> Case | None:
    """Where people and the model differ on a task; None where they do not. Free texts are not compared.

    Raises:
        InputError: The task's data is not what the labeling config shows.
    """
    plan = plan.of_task(task.data)
    inputs = read(plan.config, task.data, task.id)
    ours, theirs = answers_of(plan, inputs, model), answers_of(plan, inputs, people)
    differ = {
        control.name: (theirs.get(control.name), ours.get(control.name))
        for control in compared(plan)
        if _same(control, theirs.get(control.name)) != _same(control, ours.get(control.name))
    }
    return Case(inputs.text, differ) if differ else None


def compared(plan: Plan) -> tuple[Control, ...]:
    """The controls on which people and a model can be seen to agree."""
    return tuple(control for control in plan.controls if not control.textual)


def spread(cases: Sequence[Case], most: int = MOST_SHOWN) -> tuple[Case, ...]:
    """So many of the cases, each kind of mistake in turn, the frequent ones first."""
    kinds: defaultdict[str, list[Case]] = defaultdict(list)
    for case in cases:
        kinds[case.kind].append(case)
    by_size = sorted(kinds.values(), key=len, reverse=True)
    chosen: list[Case] = []
    size = 0
    for place in range(max(map(len, by_size), default=0)):
        for kind in by_size:
            if place < len(kind) and len(chosen) < most and size + len(str(kind[place])) <= _MOST_ALL:
                chosen.append(kind[place])
                size += len(str(kind[place]))
    return tuple(chosen)


def question(plan: Plan, current: str, cases: Sequence[Case], remark: str = "") -> Task:
    """The task that asks for a better prompt.

    Args:
        remark: What was wrong with an earlier proposal.
    """
    asked = "\n".join(f"- {control.name} ({control.output.tag})" for control in plan.controls)
    return Task(
        None,
        {
            "current": current,
            "fields": f"{asked}\n{plan.labels or ''}".strip(),
            "cases": "\n\n".join(map(str, cases)),
            "remark": remark,
        },
    )


def fault_of(proposal: str, current: str, plan: Plan, tasks: Sequence[Task]) -> str:
    """Why a proposal cannot take the place of the current prompt, as a sentence; "" where it can.

    Args:
        tasks: Some that it is to be used for.
    """
    known = {"text", "labels", *(name for task in tasks for name in task.data)}
    lost = (named(current) & known) - named(proposal)
    if lost:
        return f"It lacks {_listed(lost)}, which the current prompt has."
    added = (named(proposal) & known) - named(current)
    if added and named(current) & known:
        return f"It adds {_listed(added)}, which the current prompt does not have."
    for task in tasks[:1]:
        try:
            inputs = read(plan.of_task(task.data).config, task.data, task.id)
            render(Prompt(proposal, "annotator"), inputs, "", plan.template)
        except PromptError as exc:
            return exc.sentence
        except InputError:
            continue  # the task's fault, not the prompt's
    return ""


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


def _same(control: Control, answer: JSON) -> JSON:
    """The answer as it is compared."""
    if isinstance(answer, list) and control.output.tag not in _ORDERED:
        return sorted(map(_told, answer)) or None
    return answer


def _brief(answer: JSON) -> JSON:
    """An answer as far as it makes a kind: labels and numbers do, quotes and long texts only by being there."""
    return answer if len(_told(answer)) <= 64 else bool(answer)


def _told(value: JSON) -> str:
    return "nothing" if value in (None, []) else json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} [...]"
