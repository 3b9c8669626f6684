"""What is a row of a dataset, and what can be wrong with it or come of it?"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from llm_backend.core.wire import JSON, Prediction, Task, TaskId


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a dataset that can be used.

    Attributes:
        line: Where it begins, counted from 1.
        meta: What a task of Label Studio says beside its data.
        annotations: What people made of it, as an export tells; nothing of it is checked.
    """

    line: int
    task: Task
    meta: Mapping[str, JSON] | None = None
    annotations: JSON = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that cannot be used, and why.

    Attributes:
        task: The id of the task that it is, where it is known: Label Studio's exports stand on one line altogether.
    """

    line: int
    sentence: str
    task: TaskId | None = None

    @property
    def place(self) -> str:
        """Its line, and its task, for a person who looks for it."""
        return f"{self.line:,}" if self.task is None else f"{self.line:,} (task {self.task})"


Entries: TypeAlias = Iterator[Row | Fault]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A row and what came of it.

    Attributes:
        error: Why there is no prediction; beside one, why some of its fields are empty.
    """

    row: Row
    prediction: Prediction | None
    error: str = ""
