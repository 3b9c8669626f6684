"""What is an exported task?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llm_backend.core.wire import JSON, Annotation, Prediction, Task, TaskId


@dataclass(frozen=True, slots=True)
class ExportedTask:
    """A task with what people and models made of it.

    Attributes:
        line: Where it begins in the file, counted from 1.
        predictions: Those that the export holds whole.
        bare: How many it tells by nothing but their ids.
        drafts: How many annotations were not submitted.
        project: Its project's number, where the export tells.
        meta: What is told of it beside its data.
    """

    line: int
    id: TaskId | None
    data: Mapping[str, JSON]
    annotations: tuple[Annotation, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    bare: int = 0
    drafts: int = 0
    project: int | None = None
    meta: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        return Task(self.id, self.data, meta=self.meta)

    def to_json(self) -> dict[str, JSON]:
        """The task with its annotations, as the server takes them in."""
        return {"id": self.id, "data": self.data, "annotations": [made.to_json() for made in self.annotations]}
