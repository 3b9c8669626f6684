"""What comes of asking for a task?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_backend.core.answers import Reading
from llm_backend.core.chat import LLM, Call, Lane, Usage
from llm_backend.core.checks import sound
from llm_backend.core.controls import hidden, shown_regions
from llm_backend.core.controls.regions import identified, without_repeats
from llm_backend.core.examples import Asked, Lessons
from llm_backend.core.inputs import Fetch, Inputs, fetched, read
from llm_backend.core.predictor.plans import Plan
from llm_backend.core.predictor.questions import controls_asked, refuse_blank, said_of
from llm_backend.core.predictor.talk import Talk
from llm_backend.core.prompts import Prompt
from llm_backend.core.wire import Region, Task
from llm_backend.errors import AnswerError


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
    asked = controls_asked(plan, held)
    refuse_blank(plan, inputs, asked.values())
    talk = Talk(plan, inputs, llm, Call((), lane=lane, patience=patience, group=group), held, lessons)
    reading = await talk.about(said_of(plan, inputs, prompt, examples), asked)
    return _settled(plan, inputs, reading, held, talk.usage)


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
