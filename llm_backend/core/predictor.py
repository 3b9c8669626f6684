"""Task + plan + model → outcome, one repair round included."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from llm_backend.core.answers import Reading
from llm_backend.core.chat import LLM, Call, Completion, Lane, Message, TextPart, Usage
from llm_backend.core.checks import sound
from llm_backend.core.controls import Unfillable, bind, hidden, shown_regions
from llm_backend.core.controls.base import Control, keys_for
from llm_backend.core.controls.branches import branches_of
from llm_backend.core.controls.regions import RegionMaker, identified, without_repeats
from llm_backend.core.examples import Asked, Correction, Lessons
from llm_backend.core.forms import Form, make_form, title
from llm_backend.core.inputs import Fetch, Inputs, fetched, read
from llm_backend.core.labeling import LabelingConfig
from llm_backend.core.prompts import Prompt, Template, Texts, labels_in_words, render
from llm_backend.core.repeats import counts
from llm_backend.core.wire import JSON, Region, Task
from llm_backend.errors import AnswerError, InputError, LabelingError, PromptError, ProviderRefused

# Tasks differ in how often they repeat what the config repeats; so many plans are held ready.
_MOST_REPEATED = 64
_ROLES: Mapping[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
}
# How often branches of a tree are asked for, one level further down each time, before all that is left is offered.
_MOST_STAGES = 4


@dataclass(frozen=True, slots=True)
class Parameters:
    """How the model is asked.

    Attributes:
        model: None means the connection's own.
        num_responses: Distinct entries wanted per text field, as far as its maxSubmissions allows.
        fill_geometry: Whether to fill what draws shapes or marks times, which most models misplace.
        few_shot: How many human answers go along with a question.
        logprobs: Whether to ask how sure the model is of its label tokens.
        samples: How many answers are compared to see how sure it is; 0 for none.
        converse: Whether the dialogue on show is one that the model goes on with, as it would anywhere else: the prompt
            is all that it is told beforehand.
    """

    model: str | None = None
    temperature: float | None = 0.7
    num_responses: int = 1
    fill_geometry: bool = False
    few_shot: int = 0
    logprobs: bool = False
    samples: int = 0
    converse: bool = False


@dataclass(frozen=True)
class Plan:
    """All that can be said of a project's questions before there is a task."""

    config: LabelingConfig
    controls: tuple[Control, ...]
    unfillable: tuple[Unfillable, ...]
    texts: Texts
    template: Template
    parameters: Parameters

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """The JSON key of each control, by its name."""
        return keys_for(control.name for control in self.controls)

    @cached_property
    def _repeated(self) -> dict[tuple[int, ...], "Plan"]:
        return {}

    def of_task(self, data: Mapping[str, JSON]) -> "Plan":
        """The plan with what the config repeats in its place, under the names of this task; the version is not its own.

        Raises:
            InputError: It is repeated too often.
        """
        if not self.config.repeats:
            return self
        often = counts(self.config, data)
        if (held := self._repeated.get(often)) is not None:
            return held
        config = self.config.repeated(often)
        controls, unfillable = bind(config, self.parameters.fill_geometry)
        if len(self._repeated) >= _MOST_REPEATED:
            self._repeated.clear()
        plan = self._repeated[often] = replace(self, config=config, controls=controls, unfillable=unfillable)
        return plan

    @cached_property
    def instruction(self) -> str:
        """What the config itself asks for: its headers and literal texts."""
        return "\n".join((self.texts.instruction.strip(), *self.config.notes))

    @cached_property
    def labels(self) -> str | None:
        """What `{labels}` stands for, where it is the same for every task."""
        return None if any(control.dynamic for control in self.controls) else self.labels_of(Inputs((), {}))

    def labels_of(self, inputs: Inputs) -> str:
        every = (part for control in self.controls for part in (control, *control.hanging))
        return labels_in_words({part.name: part.labels(inputs) for part in every})

    @cached_property
    def _forms(self) -> dict[tuple[str, ...], Form]:
        return {}

    def form(self, asked: Mapping[str, Control], inputs: Inputs) -> Form:
        """The form for these controls; made once where it asks the same of every task."""
        if any(control.dynamic for control in asked.values()):
            return make_form(asked, inputs)
        keys = tuple(asked)
        if keys not in self._forms:
            self._forms[keys] = make_form(asked, inputs)
        return self._forms[keys]

    @cached_property
    def _shaping(self) -> str:
        return "\0".join((self.config.digest, self.texts.digest, repr(self.template), repr(self.parameters)))

    def version(self, prompt: Prompt, model: str, publication: str = "") -> str:
        """`model_version`: moves with whatever shapes the answer, and with nothing else.

        Args:
            publication: Names the human answers that batches go by.
        """
        learned = f"\0{publication}" if publication and self.parameters.few_shot else ""
        shaping = f"{self._shaping}\0{prompt.text}{learned}"
        digest = hashlib.sha256(shaping.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self.parameters.model or model}-{digest[:12]}"


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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task.

    Attributes:
        faults: The sentences of controls that stayed empty for a fault.
        usage: The tokens used.
        wrong: Those of the faults that are ours and not the model's: regions that our own check kept back. They hold
            nothing of the task.
    """

    regions: tuple[Region, ...]
    faults: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    wrong: tuple[str, ...] = ()


def make_plan(config: LabelingConfig, texts: Texts, template: Template, parameters: Parameters) -> Plan:
    """Bind a control to each output.

    Raises:
        LabelingError: There is nothing here that a model can fill. An empty config of a new project is fine.
    """
    controls, unfillable = bind(config, parameters.fill_geometry)
    plan = Plan(config, controls, unfillable, texts, template, parameters)
    if not controls and not config.empty:
        raise LabelingError(_nothing_to_fill(plan))
    return plan


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
    asked = _asked(plan, held)
    _refuse_blank(plan, inputs, asked.values())
    return _question(plan, inputs, _said(plan, inputs, prompt, examples), asked)


@dataclass(frozen=True, slots=True)
class _Said:
    """What is said for a task, whatever fields are asked for."""

    prompt: Prompt
    messages: tuple[Message, ...]
    literal: tuple[str, ...] = ()
    examples: tuple[Correction, ...] = ()


def _asked(plan: Plan, held: Sequence[Region]) -> dict[str, Control]:
    """The controls to ask for, by the key of their field."""
    if not plan.controls:
        raise InputError("The labeling config repeats its fields for the entries of a list; this task has none.")
    settled = {region.from_name for region in held}
    asked = {plan.keys[c.name]: c for c in plan.controls if isinstance(c, RegionMaker) or c.name not in settled}
    if not asked:
        raise InputError("Every field already holds a person's answer; clear a field to have it filled.")
    return asked


def _said(plan: Plan, inputs: Inputs, prompt: Prompt, examples: Sequence[Correction]) -> _Said:
    if plan.parameters.converse:
        return _Said(prompt, _conversation(inputs, prompt))
    labels = plan.labels if plan.labels is not None else plan.labels_of(inputs)
    rendered = render(prompt, inputs, labels, plan.template)
    user = Message("user", (TextPart(rendered.text), *inputs.parts))
    return _Said(prompt, (user,), rendered.literal, tuple(examples))


def _conversation(inputs: Inputs, prompt: Prompt) -> tuple[Message, ...]:
    """The dialogue on show, turn by turn."""
    told = (Message.of("system", prompt.text),) if prompt.text else ()
    turns = (turn for seen in inputs.seen for turn in seen.utterances)
    return (*told, *(Message.of(_ROLES[turn.author], turn.text) for turn in turns))


def _question(plan: Plan, inputs: Inputs, said: _Said, asked: Mapping[str, Control]) -> Question:
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
    told: dict[str, JSON] = {key: example.answers.get(control.name) for key, control in asked.items()}
    if all(answer is None for answer in told.values()):
        return ()
    try:
        inputs = read(plan.config, example.data, example.task)
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


async def predict(
    plan: Plan,
    task: Task,
    prompt: Prompt,
    llm: LLM,
    fetch: Fetch,
    *,
    lane: Lane = "batch",
    patience: float = 60.0,
    group: str = "",
    held: Sequence[Region] = (),
    lessons: Lessons | None = None,
) -> Outcome:
    """Fill a task.

    Args:
        patience: Seconds for all calls together, retries and waits included.
        group: Whose task it is: `core.chat.Call.group`.
        held: Regions that a person made; their controls are not asked.
        lessons: Human answers to other tasks, of which `few_shot` go along.
    Raises:
        TaskError: Nothing can be had for this task: its data, its prompt, or an answer still wrong after repair.
        ProviderError: The model could not be asked.
    """
    plan = plan.of_task(task.data)
    inputs = await fetched(read(plan.config, task.data, task.id), fetch, llm.takes)
    seen = Asked(task.data, inputs.text, task.id)
    examples = lessons.choose(seen, plan.parameters.few_shot) if lessons else ()
    asked = _asked(plan, held)
    _refuse_blank(plan, inputs, asked.values())
    talk = _Talk(plan, inputs, llm, Call((), lane=lane, patience=patience, group=group), held, lessons)
    reading = await talk.about(_said(plan, inputs, prompt, examples), asked)
    return _settled(plan, inputs, reading, held, talk.usage)


class _Talk:
    """The calls about one task, which share their patience.

    Attributes:
        usage: What they took so far.
    """

    def __init__(
        self,
        plan: Plan,
        inputs: Inputs,
        llm: LLM,
        frame: Call,
        held: Sequence[Region],
        lessons: Lessons | None,
    ) -> None:
        """
        Args:
            frame: What all calls have in common.
        """
        self.usage = Usage()
        self._plan = plan
        self._inputs = inputs
        self._llm = llm
        self._frame = frame
        self._held = held
        self._lessons = lessons

    async def about(self, said: _Said, asked: Mapping[str, Control]) -> Reading:
        """Ask for these controls, and read the answer.

        Of trees with more options than a schema lists, the branches are asked for first, and only what is below the
        chosen ones is offered then. A fault of that first answer is the control's.
        """
        left, faulty = dict(asked), Reading({}, self._inputs, 1, plain=False)
        for _ in range(_MOST_STAGES):
            first = {key: parts for key, control in left.items() if (parts := branches_of(control, self._inputs))}
            if not first:
                break
            reading = await self._read(replace(said, examples=()), first, early=True)
            faulty.join(reading)
            for key, branches in first.items():
                del left[key]
                if (below := branches.looked_into(reading.regions)) is not None:
                    left[key] = below
        if not left or any(control.required for control in faulty.asked.values()):
            return faulty
        reading = await self._read(said, {key: left[key] for key in asked if key in left})
        reading.join(faulty)
        return reading

    async def _read(self, said: _Said, asked: Mapping[str, Control], early: bool = False) -> Reading:
        """Ask, and once more for what was answered wrong.

        Args:
            early: It cannot be known yet which controls the form hides, given the answers to the others.
        """
        plan, inputs = self._plan, self._inputs
        question = _question(plan, inputs, said, asked)
        call = _call(self._frame, plan, question)
        completion = await self._complete(call)
        if self._lessons and not inputs.parts:
            size = sum(len(message.text.encode("utf-8", "replace")) for message in call.messages)
            self._lessons.meter.note(size, completion.usage.prompt_tokens)
        reading = Reading(asked, inputs, plan.parameters.num_responses, plain=question.form is None)
        reading.take(completion)
        if not early:
            reading.excuse(hidden(plan.controls, (*self._held, *reading.regions)))
        if reading.faults and question.form is not None:
            await self._repair(call, completion, reading)
        return reading

    async def _repair(self, call: Call, completion: Completion, reading: Reading) -> None:
        """Ask once more for the faulty controls, naming what is wrong with each."""
        faulty = {key: control for key, control in reading.asked.items() if key in reading.faults}
        faults = "\n".join(f"- {key}: {sentence}" for key, sentence in reading.faults.items())
        said = (
            Message.of("assistant", completion.texts[0]),
            Message.of("user", self._plan.texts.repair.strip().replace("{faults}", faults, 1)),
        )
        again = replace(call, messages=(*call.messages, *said), n=1)
        try:
            repaired = await self._complete(_with_form(again, self._plan, self._plan.form(faulty, self._inputs)))
        except ProviderRefused:
            return  # the faults stand, and are told
        reading.take(repaired)

    async def _complete(self, call: Call) -> Completion:
        completion = await self._llm.complete(replace(call, patience=self._frame.patience))
        self.usage += completion.usage
        left = max(self._frame.patience - completion.seconds, 1.0)
        self._frame = replace(self._frame, patience=left)
        return completion


def _settled(plan: Plan, inputs: Inputs, reading: Reading, held: Sequence[Region], usage: Usage) -> Outcome:
    """The outcome with hidden controls left out. A required control's fault, or nothing but faults, fails the task."""
    whole = (*held, *reading.scored)
    reading.excuse(hidden(plan.controls, whole))
    made = [region for region in shown_regions(plan.controls, whole) if region not in held]
    regions, found = sound(plan.config, inputs, identified(without_repeats(made, held)))
    wrong = tuple(dict.fromkeys(one.sentence for one in found))
    faults = tuple(dict.fromkeys((*reading.faults.values(), *wrong)))
    answered = {region.from_name for region in regions}
    faulty = {reading.asked[key].name for key in reading.faults} | {one.region.from_name for one in found}
    lacking = (output for output in plan.config.outputs if output.name in faulty - answered)
    if faults and (not regions or any(output.required for output in lacking)):
        failure = AnswerError(" ".join(faults))
        failure.usage, failure.wrong = usage, wrong
        raise failure
    return Outcome(tuple(regions), faults, usage, wrong)


def _call(frame: Call, plan: Plan, question: Question) -> Call:
    call = replace(
        frame,
        messages=question.messages,
        model=plan.parameters.model,
        temperature=plan.parameters.temperature,
        n=_completions(plan.parameters, question.asked.values()),
        logprobs=plan.parameters.logprobs,
    )
    return _with_form(call, plan, question.form) if question.form else call


def _with_form(call: Call, plan: Plan, form: Form) -> Call:
    words = plan.texts.schema.strip().replace("{schema}", form.schema_json, 1)
    return replace(call, schema=form.schema, schema_text=words, strict=form.strict)


def _completions(parameters: Parameters, controls: Iterable[Control]) -> int:
    """How many completions to ask for: no more than some text field can hold, or than are to be compared."""
    wanted = parameters.num_responses
    counts = (min(wanted, c.most or wanted) if c.textual else parameters.samples for c in controls)
    return max(1, *counts)


def _refuse_blank(plan: Plan, inputs: Inputs, asked: Iterable[Control]) -> None:
    wanted = {name for control in asked for name in control.output.to_names}
    lacking = [seen for seen in inputs.seen if seen.missing and (seen.name in wanted or inputs.blank)]
    if lacking:
        has = ", ".join(f'"{name}"' for name in inputs.data) or "no data"
        shown = ", ".join(f'<{seen.tag} name="{seen.name}"> shows "{seen.missing}"' for seen in lacking)
        raise InputError(f"{shown}, which the task does not have; it has {has}.")
    if plan.config.sources and inputs.blank:
        raise InputError("The task's data is empty: there is nothing to label.")


def _nothing_to_fill(plan: Plan) -> str:
    if plan.unfillable:
        return "Nothing here that a model can fill: " + " ".join(item.reason for item in plan.unfillable[:8])
    if plan.config.prompt:
        return (
            f'Nothing here that a model can fill: "{plan.config.prompt}" holds the prompt; '
            "add a TextArea for the response, or Choices."
        )
    return "Nothing here that a model can fill: the labeling config has no control, such as Choices or TextArea."
