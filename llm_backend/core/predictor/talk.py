"""How does the talk with the model about one task go? Stages of trees first, one repair round at most."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from llm_backend.core.answers import Reading
from llm_backend.core.chat import LLM, Call, Completion, Message, Usage
from llm_backend.core.controls import hidden
from llm_backend.core.controls.base import Control
from llm_backend.core.controls.branches import branches_of
from llm_backend.core.examples import Lessons
from llm_backend.core.inputs import Inputs
from llm_backend.core.predictor.plans import Plan
from llm_backend.core.predictor.questions import Said, call_for, question_for, with_form
from llm_backend.core.wire import Region
from llm_backend.errors import ProviderRefused

# How often branches of a tree are asked for, one level further down each time, before all that is left is offered.
_MOST_STAGES = 4


class Talk:
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

    async def about(self, said: Said, asked: Mapping[str, Control]) -> Reading:
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

    async def again(self, said: Said, asked: Mapping[str, Control]) -> Reading:
        """Ask for these controls alone, of which the answers to others decide whether the form shows them."""
        return await self._read(said, asked, early=True)

    async def _read(self, said: Said, asked: Mapping[str, Control], early: bool = False) -> Reading:
        """Ask, and once more for what was answered wrong.

        Args:
            early: It cannot be known yet which controls the form hides, given the answers to the others.
        """
        plan, inputs = self._plan, self._inputs
        question = question_for(plan, inputs, said, asked)
        call = call_for(self._frame, plan, question)
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
            repaired = await self._complete(with_form(again, self._plan, self._plan.form(faulty, self._inputs)))
        except ProviderRefused:
            return  # the faults stand, and are told
        reading.take(repaired)

    async def _complete(self, call: Call) -> Completion:
        completion = await self._llm.complete(replace(call, patience=self._frame.patience))
        self.usage += completion.usage
        left = max(self._frame.patience - completion.seconds, 1.0)
        self._frame = replace(self._frame, patience=left)
        return completion
