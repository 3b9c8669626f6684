"""What is known of a project when a request about it comes in: its plan, its model, its prompt, its version."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from llm_backend.adapters.store import Learned, Project, Store
from llm_backend.core.chat import LLM
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.overrides import Overrides, ProviderOverride
from llm_backend.core.predictor import Parameters, Plan, make_plan
from llm_backend.core.prompts import Origin, Prompt, Template, Texts, choose
from llm_backend.core.run import Source, Spec
from llm_backend.core.scores import Calibration
from llm_backend.settings import Settings

V = TypeVar("V")

_READ_PER_SECOND = 2
"""How often a run's tasks read anew which provider their project has: a store that is far away is dear for each."""


class Models(Protocol):
    """Who carries the chat for a project."""

    def llm(self, override: ProviderOverride | None) -> LLM:
        """The server's own model, or the project's own provider."""
        ...


@dataclass(frozen=True, slots=True)
class Bound:
    """A project as one request meets it.

    Attributes:
        learned: What it has learned; looked up only where examples go along.
    """

    key: str
    plan: Plan
    llm: LLM
    overrides: Overrides
    project: Project
    default_prompt: str
    learned: Learned

    def prompt(self, *annotators: tuple[str | None, Origin]) -> Prompt:
        """The prompt that applies: the annotator's, the manager's, the saved one, the default, the config's own."""
        known: tuple[tuple[str | None, Origin], ...] = (
            (self.overrides.prompt, "manager"),
            (self.project.prompt, "saved"),
            (self.default_prompt, "default"),
        )
        return choose((*annotators, *known), self.plan.instruction)

    @property
    def version(self) -> str:
        """The `model_version` of batches: what /setup answers at this moment."""
        return self._version(self.prompt())

    def spec(self, label_config: str, prompt: Prompt, source: Source = "predict") -> Spec:
        """What rebuilds a run of this project, wherever it is worked on."""
        publication = self.learned.publication
        return Spec(self.key, self._version(prompt), label_config, prompt, self.plan.parameters, source, publication)

    def _version(self, prompt: Prompt) -> str:
        return self.plan.version(prompt, self.llm.model, self.learned.publication)


class Projects:
    """Makes plans of labeling configs, once for each config."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        models: Models,
        texts: Texts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._models = models
        self._texts = texts
        self._clock = clock
        self._template = Template(settings.use_internal_prompt_template, settings.prompt_template)
        self._configs: Recent[LabelingConfig] = Recent(64)
        self._plans: Recent[Plan] = Recent(64)
        self._latest: Recent[tuple[ProviderOverride | None, Calibration | None]] = Recent(64)

    def bind(self, key: str, label_config: str) -> Bound:
        """What is known of a project.

        Raises:
            LabelingError: The config cannot work.
            RequestError: The stored extra parameters cannot be used.
        """
        project = self._store.project(key)
        overrides = Overrides.from_json(project.extra_params)
        plan = self._plan(label_config, self._parameters(overrides))
        learned = self._store.learned(key) if plan.parameters.few_shot else Learned()
        llm, default = self._models.llm(overrides.provider), self._settings.default_prompt
        return Bound(key, plan, llm, overrides, project, default, learned)

    def rebuild(self, spec: Spec) -> tuple[Plan, LLM, Calibration | None]:
        """The plan and the model of a run, and what its scores are worth.

        Provider and calibration are those that the project has now, or had a moment ago.
        """
        moment = int(self._clock() * _READ_PER_SECOND)
        provider, calibration = self._latest.get((spec.project, moment), lambda: self._of_now(spec.project))
        return self._plan(spec.label_config, spec.parameters), self._models.llm(provider), calibration

    def plan(self, label_config: str) -> Plan:
        """The plan of a config by the settings alone, without what is known of its project.

        Raises:
            LabelingError: The config cannot work.
        """
        return self._plan(label_config, self._parameters(Overrides()))

    def config(self, label_config: str) -> LabelingConfig:
        return self._configs.get(label_config, lambda: parse(label_config, self._settings.prompt_prefix))

    def _of_now(self, key: str) -> tuple[ProviderOverride | None, Calibration | None]:
        project = self._store.project(key)
        calibration = Calibration.from_json(project.calibration) if project.calibration else None
        return Overrides.from_json(project.extra_params).provider, calibration

    def _plan(self, label_config: str, parameters: Parameters) -> Plan:
        def make() -> Plan:
            return make_plan(self.config(label_config), self._texts, self._template, parameters)

        return self._plans.get((label_config, parameters), make)

    def _parameters(self, overrides: Overrides) -> Parameters:
        settings = self._settings
        score = overrides.score or settings.score
        return Parameters(
            model=overrides.model,
            temperature=settings.temperature if overrides.temperature is None else overrides.temperature,
            num_responses=overrides.num_responses or settings.num_responses,
            fill_geometry=settings.fill_geometry if overrides.fill_geometry is None else overrides.fill_geometry,
            few_shot=settings.few_shot if overrides.few_shot is None else overrides.few_shot,
            logprobs=score == "logprobs",
            samples=int(score) if score.isdigit() else 0,
        )


class Recent(Generic[V]):
    """The last few things made, by key; safe from many threads, which may now and then make one twice."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """What is held for `key`, made if it is not there; an error of `make` is raised and not held."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        made = make()
        with self._lock:
            self._held[key] = made
            while len(self._held) > self._most:
                self._held.popitem(last=False)
        return made
