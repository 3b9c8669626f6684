"""What is asked for one task, and how is it said?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from llm_backend.core.chat import Call, Message, TextPart
from llm_backend.core.controls.base import Control
from llm_backend.core.controls.comparing import Comparison
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.examples import Correction
from llm_backend.core.forms import Form, title
from llm_backend.core.inputs import Inputs, Turn, read
from llm_backend.core.predictor.plans import Parameters, Plan
from llm_backend.core.prompts import Prompt, render
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import InputError, PromptError

_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for one task.

    Attributes:
        asked: The controls, by the key of their field.
        form: None where a single text is asked for, which is asked in plain words.
        literal: Names in braces that the prompt uses and the task does not have.
    """

    messages: tuple[Message, ...]
    asked: Mapping[str, Control]
    form: Form | None = None
    literal: tuple[str, ...] = ()


def ask(
    plan: Plan,
    inputs: Inputs,
    prompt: Prompt,
    held: Sequence[Region] = (),
    examples: Sequence[Correction] = (),
) -> Question:
    """Make the question for one task.

    Args:
        held: Regions that a person made; their controls are not asked, but for those that may make more regions.
        examples: Human answers to other tasks, which are shown as if they had been asked and answered before.
    Raises:
        InputError: The task lacks what the asked controls label, there is nothing to see, or nothing left to ask.
        PromptError: The prompt misspells a field.
    """
    asked = controls_asked(plan, held)
    refuse_blank(plan, inputs, asked.values())
    return question_for(plan, inputs, said_of(plan, inputs, prompt, examples), asked)


@dataclass(frozen=True, slots=True)
class Said:
    """What is said for a task, whatever fields are asked for."""

    prompt: Prompt
    messages: tuple[Message, ...]
    literal: tuple[str, ...] = ()
    examples: tuple[Correction, ...] = ()


def controls_asked(plan: Plan, held: Sequence[Region]) -> dict[str, Control]:
    """The controls to ask for, by the key of their field.

    Raises:
        InputError: There is none, or a person has answered them all.
    """
    if not plan.controls:
        raise InputError("The labeling config repeats its fields for the entries of a list; this task has none.")
    settled = {region.from_name for region in held}
    asked = {plan.keys[c.name]: c for c in plan.controls if isinstance(c, RegionMaker) or c.name not in settled}
    if not asked:
        raise InputError("Every field already holds a person's answer; clear a field to have it filled.")
    return asked


def refuse_blank(plan: Plan, inputs: Inputs, asked: Iterable[Control]) -> None:
    """Refuse a task that shows nothing, or lacks what these controls label.

    Raises:
        InputError: It does.
    """
    wanted = {name for control in asked for name in control.output.to_names}
    lacking = [seen for seen in inputs.seen if seen.missing and (seen.name in wanted or inputs.blank)]
    if lacking:
        has = ", ".join(f'"{name}"' for name in inputs.data) or "no data"
        shown = ", ".join(f'<{seen.tag} name="{seen.name}"> shows "{seen.missing}"' for seen in lacking)
        raise InputError(f"{shown}, which the task does not have; it has {has}.")
    if plan.config.sources and inputs.blank:
        raise InputError("The task's data is empty: there is nothing to label.")


def said_of(plan: Plan, inputs: Inputs, prompt: Prompt, examples: Sequence[Correction]) -> Said:
    """What is said for a task.

    Raises:
        PromptError: The prompt misspells a field.
    """
    if plan.parameters.converse:
        return Said(prompt, _conversation(inputs, prompt))
    labels = plan.labels if plan.labels is not None else plan.labels_of(inputs)
    rendered = render(prompt, inputs, labels, plan.template)
    user = Message("user", (TextPart(rendered.text), *inputs.parts))
    return Said(prompt, (user,), rendered.literal, tuple(examples))


def _conversation(inputs: Inputs, prompt: Prompt) -> tuple[Message, ...]:
    """The dialogue on show, turn by turn."""
    told = (Message.of("system", prompt.text),) if prompt.text else ()
    turns = (turn for seen in inputs.seen for turn in seen.utterances)
    return (*told, *(Message.of(_ROLES[turn.author], turn.text) for turn in turns))


def question_for(plan: Plan, inputs: Inputs, said: Said, asked: Mapping[str, Control]) -> Question:
    """The question for these controls."""
    (first, *more) = asked.values()
    if plan.parameters.converse:
        return Question(said.messages, asked)
    if first.textual and not more:
        system = Message.of("system", plan.texts.answer.strip().replace("{field}", title(first), 1))
        form = None
    else:
        form = plan.form(asked, inputs)
        system = Message.of("system", plan.texts.form.strip().replace("{form}", form.words, 1))
    plain = form is None
    turns = (turn for example in said.examples for turn in _turns(plan, said.prompt, asked, example, plain=plain))
    return Question((system, *turns, *said.messages), asked, form, said.literal)


def _turns(
    plan: Plan, prompt: Prompt, asked: Mapping[str, Control], example: Correction, *, plain: bool
) -> tuple[Message, ...]:
    """An example as a question and its answer; nothing where it answers none of the fields, or cannot be shown.

    Its pictures are not fetched: it is shown by its words.
    """
    told = {key: _answer_of(plan, example, control) for key, control in asked.items()}
    if all(answer is None for answer in told.values()):
        return ()
    try:
        inputs = read(plan.config, plan.turn.data(example.data), example.task)
        labels = plan.labels if plan.labels is not None else plan.labels_of(inputs)
        question = render(prompt, inputs, labels, plan.template).text
    except (InputError, PromptError):  # the config or the prompt has moved on since
        return ()
    if plain:
        (text,) = told.values()
        return Message.of("user", question), Message.of("assistant", text if isinstance(text, str) else text[0])
    lists = {key for key, control in asked.items() if control.question(inputs).get("type") == "array"}
    said = {key: [] if answer is None and key in lists else answer for key, answer in told.items()}
    return Message.of("user", question), Message.of("assistant", json.dumps(said, ensure_ascii=False))


def _answer_of(plan: Plan, example: Correction, control: Control) -> JSON:
    """What an example answers to a control, in the order in which the plan asks."""
    answer = example.answers.get(control.name)
    return control.turned(answer) if isinstance(control, Comparison) and plan.turn != Turn() else answer


def call_for(frame: Call, plan: Plan, question: Question) -> Call:
    """The call that asks a question; `frame` holds what it has in common with the other calls about the task."""
    call = replace(
        frame,
        messages=question.messages,
        model=plan.parameters.model,
        temperature=plan.parameters.temperature,
        n=_completions(plan.parameters, question.asked.values()),
        logprobs=plan.parameters.logprobs,
    )
    return with_form(call, plan, question.form) if question.form else call


def with_form(call: Call, plan: Plan, form: Form) -> Call:
    """The call with a form to answer in."""
    words = plan.texts.schema.strip().replace("{schema}", form.schema_json, 1)
    return replace(call, schema=form.schema, schema_text=words, strict=form.strict)


def _completions(parameters: Parameters, controls: Iterable[Control]) -> int:
    """How many completions to ask for: no more than some text field can hold, or than are to be compared."""
    wanted = parameters.num_responses
    counts = (min(wanted, c.most or wanted) if c.textual else parameters.samples for c in controls)
    return max(1, *counts)
