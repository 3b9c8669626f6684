"""What is a run? Many tasks asked with one plan, its progress, and what became of each task."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Literal, get_args

from llm_backend.core.chat import Usage
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.wire import JSON, Task, TaskId

RunState = Literal["queued", "running", "paused", "completed", "cancelled", "failed"]
UNFINISHED: tuple[RunState, ...] = ("queued", "running", "paused")
PAUSED: tuple[RunState, ...] = ("paused",)
TaskState = Literal["waiting", "done", "failed", "cancelled"]
TASK_STATES: tuple[TaskState, ...] = get_args(TaskState)
WAITING: tuple[TaskState, ...] = ("waiting",)
Source = Literal["predict", "label"]

SUPERSEDED = "superseded: the project's prompt, config or parameters changed"


@dataclass(frozen=True, slots=True)
class Spec:
    """What rebuilds a run's plan wherever it is worked on. It holds no key: providers are looked up by project.

    Attributes:
        version: The `model_version` that the run was made with, and keeps.
        publication: Names the human answers that go along with its questions; "" where none do.
        source: `predict` for the host's batches, which a newer version supersedes; `label` for a dataset's own run.
    """

    project: str
    version: str
    label_config: str
    prompt: Prompt
    parameters: Parameters
    source: Source = "predict"
    publication: str = ""

    def to_json(self) -> dict[str, JSON]:
        return {
            "project": self.project,
            "version": self.version,
            "label_config": self.label_config,
            "prompt": [self.prompt.text, self.prompt.origin],
            "parameters": list(astuple(self.parameters)),
            "source": self.source,
            "publication": self.publication,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Spec":
        return cls(
            raw["project"],
            raw["version"],
            raw["label_config"],
            Prompt(*raw["prompt"]),
            Parameters(*raw["parameters"]),
            raw["source"],
            raw.get("publication", ""),  # specs of before there were any
        )


@dataclass(frozen=True, slots=True)
class RunTask:
    """A task of a run. `digest` stands for its id and data, and is its name everywhere."""

    digest: str
    task: Task


def digest_of(task: Task) -> str:
    """Stands for a task's id and data."""
    told = json.dumps([task.id, task.data], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """What became of a task: its state and, where it failed, the sentence that says why.

    Attributes:
        place: Where it stands in its run, counted from 0; whoever reads on gives it as `after`.
    """

    digest: str
    task_id: TaskId | None
    state: TaskState
    reason: str = ""
    place: int = -1


@dataclass(frozen=True, slots=True)
class Run:
    """A run and its progress.

    Attributes:
        id: Short, and safe in a URL.
        reason: Why it is paused, cancelled or failed.
        created, started, finished: Seconds since 1970; 0 where that has not come.
        counts: Tasks by state; a state without tasks may be missing.
        usage: Tokens and calls so far.
    """

    id: str
    spec: Spec
    state: RunState
    reason: str = ""
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    usage: Usage = field(default_factory=Usage)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def waiting(self) -> int:
        return self.counts.get("waiting", 0)

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED
