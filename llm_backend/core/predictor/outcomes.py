"""What comes of asking for a task?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_backend.core.answers import Reading
from llm_backend.core.chat import LLM, Call, Lane, Usage
from llm_backend.core.checks import sound
from llm_backend.core.controls import Control, hidden, shown_regions
from llm_backend.core.controls.regions import identified, without_repeats
from llm_backend.core.examples import Asked, Lessons
from llm_backend.core.inputs import Fetch, Inputs, fetched, once, read
from llm_backend.core.predictor.orders import in_all_orders
from llm_backend.core.predictor.plans import Plan
from llm_backend.core.predictor.questions import controls_asked, refuse_blank, said_of
from llm_backend.core.predictor.talk import Talk
from llm_backend.core.prompts import Prompt
from llm_backend.core.wire import Region, Task
from llm_backend.errors import AnswerError, BackendError, Unconfirmed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a task.

    Attributes:
        faults: The sentences of controls that stayed empty for a fault.
        usage: The tokens used.
        wrong: Those of the faults that are ours and not the model's: regions that our own check kept back. They hold
            nothing of the task.
        unconfirmed: The sentences of comparisons that the other order did not bear out. They are no faults, though
            most of these controls are empty: the model has no preference that could be told.
    """

    regions: tuple[Region, ...]
    faults: tuple[str, ...] = ()
    usage: Usage = field(default_factory=Usage)
    wrong: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it holds less than was asked for, or is less sure of it."""
        return (*self.faults, *self.unconfirmed)


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
    if plan.in_other_orders:
        fetch = once(fetch)
    inputs = await _seen(plan, task, fetch, llm)
    seen = Asked(task.data, inputs.text, task.id)
    examples = lessons.choose(seen, plan.parameters.few_shot) if lessons else ()
    asked = controls_asked(plan, held)
    refuse_blank(plan, inputs, asked.values())
    frame = Call((), lane=lane, patience=patience, group=group)
    talk = Talk(plan, inputs, llm, frame, held, lessons)
    talks = [talk]

    async def again(turned: Plan, comparisons: Mapping[str, Control]) -> Reading:
        turned_inputs = await _seen(turned, task, fetch, llm)
        talks.append(Talk(turned, turned_inputs, llm, frame, held, lessons))
        return await talks[-1].again(said_of(turned, turned_inputs, prompt, examples), comparisons)

    asking = talk.about(said_of(plan, inputs, prompt, examples), asked)
    others = [(comparisons, again(turned, comparisons)) for turned, comparisons in _compared(plan, asked)]
    try:
        reading = await (in_all_orders(asking, others) if others else asking)
    except BackendError as exc:
        exc.usage = _spent(talks)
        raise
    return _settled(plan, inputs, reading, held, _spent(talks))


def _spent(talks: Sequence[Talk]) -> Usage:
    return sum((talk.usage for talk in talks), Usage())


async def _seen(plan: Plan, task: Task, fetch: Fetch, llm: LLM) -> Inputs:
    """What the model sees of a task, in the order in which the plan asks."""
    return await fetched(read(plan.config, plan.turn.data(task.data), task.id), fetch, llm.takes)


def _compared(plan: Plan, asked: Mapping[str, Control]) -> Iterator[tuple[Plan, Mapping[str, Control]]]:
    """The plans of the questions in other orders, each with those of the controls that it is to be asked for."""
    for turned, names in plan.in_other_orders:
        if comparisons := {key: control for key, control in asked.items() if control.name in names}:
            yield turned, comparisons


def _settled(plan: Plan, inputs: Inputs, reading: Reading, held: Sequence[Region], usage: Usage) -> Outcome:
    """The outcome with hidden controls left out.

    Raises:
        AnswerError: A required control is at fault, or nothing came but faults.
        Unconfirmed: Nothing is left but comparisons that changed with the order.
    """
    whole = (*held, *reading.scored)
    reading.excuse(hidden(plan.controls, whole))
    made = [region for region in shown_regions(plan.controls, whole) if region not in held]
    regions, found = sound(plan.config, inputs, identified(without_repeats(made, held)))
    wrong = tuple(dict.fromkeys(one.sentence for one in found))
    faults = tuple(dict.fromkeys((*reading.faults.values(), *wrong)))
    answered = {region.from_name for region in regions}
    faulty = {reading.asked[key].name for key in reading.faults} | {one.region.from_name for one in found}
    lacking = (output for output in plan.config.outputs if output.name in faulty - answered)
    outcome = Outcome(tuple(regions), faults, usage, wrong, tuple(reading.unconfirmed.values()))
    if (outcome.reasons and not regions) or (faults and any(output.required for output in lacking)):
        failure = (AnswerError if faults else Unconfirmed)(" ".join(outcome.reasons))
        failure.usage, failure.wrong, failure.unconfirmed = usage, wrong, outcome.unconfirmed
        raise failure
    return outcome
