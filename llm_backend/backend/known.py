"""Which projects are known, which prompt is in force in each, and where did it come from?"""

from collections.abc import Mapping
from dataclasses import dataclass

from llm_backend.adapters.store import Project, Store
from llm_backend.backend.learning import Learning, Lore
from llm_backend.core.overrides import Overrides
from llm_backend.core.run import UNFINISHED
from llm_backend.core.scores import Calibration
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError, UnknownProject

FORGOTTEN = "the project was forgotten"


@dataclass(frozen=True, slots=True)
class KnownProject:
    """A project as a person sees it. Nothing secret is in it.

    Attributes:
        prompt: The prompt that batches are asked with; "" where the labeling config itself is the instruction.
        origin: `manager` (extra parameters), `pinned`, `submitted`, `used`, `default` (DEFAULT_PROMPT) or `config`.
        version: What /setup answered last, if this process heard it.
        updated: Seconds since 1970.
        label_config: What /setup told last.
        lore: What it has learned.
        calibration: What its scores have been worth; None where that is not known.
    """

    key: str
    prompt: str
    origin: str
    version: str
    hostname: str
    updated: float
    label_config: str
    lore: Lore
    calibration: Calibration | None


class KnownProjects:
    """The projects, as a person sees and steers them."""

    def __init__(self, store: Store, learning: Learning, default_prompt: str, versions: dict[str, str]) -> None:
        self._store = store
        self._learning = learning
        self._default = default_prompt
        self._versions = versions

    def list(self) -> tuple[KnownProject, ...]:
        """All projects, the last changed first."""
        return tuple(self._seen(project) for project in self._store.projects())

    def show(self, key: str) -> KnownProject:
        """One project.

        Raises:
            UnknownProject: Nothing is known of it.
        """
        project = self._store.project(key)
        if not project.updated:
            raise UnknownProject(f"There is no project {key}; one is known by the whole key that Label Studio sends.")
        return self._seen(project)

    def pin(self, key: str, prompt: str) -> KnownProject:
        """Fix a project's prompt, so that no submission replaces it.

        Raises:
            UnknownProject: Nothing is known of the project.
            RequestError: The prompt holds no words.
        """
        self.show(key)
        if not prompt.strip():
            raise RequestError('A prompt to pin must hold words; send {"prompt": "..."}, or reset it.')
        self._store.pin_prompt(key, prompt.strip())
        return self.show(key)

    def reset(self, key: str) -> KnownProject:
        """Forget a project's saved prompt, pinned or not.

        Raises:
            UnknownProject: Nothing is known of the project.
        """
        self.show(key)
        self._store.reset_prompt(key)
        return self.show(key)

    def publish(self, key: str) -> KnownProject:
        """Let a project's batches go by all that it has learned by now.

        Raises:
            UnknownProject: Nothing is known of the project.
        """
        self.show(key)
        self._learning.publish(key)
        return self.show(key)

    def calibrate(self, key: str, table: Mapping[str, JSON] | None) -> KnownProject:
        """Say what a project's scores have been worth, so that those to come are probabilities; None takes it back.

        Raises:
            UnknownProject: Nothing is known of the project.
            RequestError: It is no calibration.
        """
        self.show(key)
        try:
            known = Calibration.from_json(table) if table is not None else None
        except ValueError as exc:
            raise RequestError(f"That is no calibration: {exc}.") from exc
        self._store.save_calibration(key, known.to_json() if known else None)
        return self.show(key)

    def forget(self, key: str) -> None:
        """Remove a project and all its texts, answers and runs.

        Raises:
            UnknownProject: Nothing is known of the project.
        """
        self.show(key)
        for run in self._store.runs(UNFINISHED, most=1000):
            if run.spec.project == key:
                self._store.set_run_state(run.id, "cancelled", FORGOTTEN, only=UNFINISHED)
        self._store.forget(key)
        self._learning.forget(key)
        self._versions.pop(key, None)

    def _seen(self, project: Project) -> KnownProject:
        prompt, origin = self._in_force(project)
        version = self._versions.get(project.key, "")
        return KnownProject(
            key=project.key,
            prompt=prompt,
            origin=origin,
            version=version,
            hostname=project.hostname,
            updated=project.updated,
            label_config=project.label_config,
            lore=self._learning.lore(project.key),
            calibration=Calibration.from_json(project.calibration) if project.calibration else None,
        )

    def _in_force(self, project: Project) -> tuple[str, str]:
        try:
            managers = Overrides.from_json(project.extra_params).prompt
        except RequestError:  # parameters that /setup has refused since
            managers = None
        if managers and managers.strip():
            return managers, "manager"
        if project.prompt:
            return project.prompt, "pinned" if project.pinned else project.prompt_origin
        return (self._default, "default") if self._default else ("", "config")
