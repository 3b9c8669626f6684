"""What can be said of a project's questions before there is a task?"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from llm_backend.core.controls import Unfillable, bind
from llm_backend.core.controls.base import Control, keys_for
from llm_backend.core.controls.comparing import Comparison
from llm_backend.core.forms import Form, make_form
from llm_backend.core.inputs import Inputs, Turn
from llm_backend.core.labeling import LabelingConfig, repeat
from llm_backend.core.prompts import Prompt, Template, Texts, labels_in_words
from llm_backend.core.repeats import counts
from llm_backend.core.wire import JSON
from llm_backend.errors import LabelingError

# Tasks differ in how often they repeat what the config repeats; so many plans are held ready.
_MOST_REPEATED = 64


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
    """All that can be said of a project's questions before there is a task.

    Attributes:
        turn: What stands in the other order than in a task's data; `config` is the one that shows turned data.
    """

    config: LabelingConfig
    controls: tuple[Control, ...]
    unfillable: tuple[Unfillable, ...]
    texts: Texts
    template: Template
    parameters: Parameters
    turn: Turn = field(default_factory=Turn)

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
        config = repeat(self.config, often)
        controls, unfillable = bind(config, self.parameters.fill_geometry)
        if len(self._repeated) >= _MOST_REPEATED:
            self._repeated.clear()
        plan = self._repeated[often] = replace(self, config=config, controls=controls, unfillable=unfillable)
        return plan

    @cached_property
    def in_other_orders(self) -> tuple[tuple["Plan", frozenset[str]], ...]:
        """The plans of the questions that are asked again in another order, each with the comparisons it is for."""
        if self.parameters.converse:
            return ()
        sources = {source.name: source for source in self.config.sources}
        groups: list[tuple[Turn, frozenset[str]]] = []
        for control in self.controls:
            turn = control.turn(sources) if isinstance(control, Comparison) else None
            if turn is not None:
                same = next((group for group in groups if group[0].goes_with(turn)), (Turn(), frozenset[str]()))
                groups = [group for group in groups if group is not same]
                groups.append((same[0] | turn, same[1] | {control.name}))
        return tuple((replace(self, config=turn.config(self.config), turn=turn), names) for turn, names in groups)

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
        told = (self.config.digest, self.texts.digest, repr(self.template), repr(self.parameters))
        # Answers to one order alone are others than those that both orders bear out.
        orders = ("both orders",) if any(isinstance(control, Comparison) for control in self.controls) else ()
        return "\0".join((*told, *orders))

    def version(self, prompt: Prompt, model: str, publication: str = "") -> str:
        """`model_version`: moves with whatever shapes the answer, and with nothing else.

        Args:
            publication: Names the human answers that batches go by.
        """
        learned = f"\0{publication}" if publication and self.parameters.few_shot else ""
        shaping = f"{self._shaping}\0{prompt.text}{learned}"
        digest = hashlib.sha256(shaping.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self.parameters.model or model}-{digest[:12]}"


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


def _nothing_to_fill(plan: Plan) -> str:
    if plan.unfillable:
        return "Nothing here that a model can fill: " + " ".join(item.reason for item in plan.unfillable[:8])
    if plan.config.prompt:
        return (
            f'Nothing here that a model can fill: "{plan.config.prompt}" holds the prompt; '
            "add a TextArea for the response, or Choices."
        )
    return "Nothing here that a model can fill: the labeling config has no control, such as Choices or TextArea."
