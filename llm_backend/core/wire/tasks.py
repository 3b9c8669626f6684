"""What is a task to the host, and what have people made of it?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from llm_backend.core.wire.regions import Region, regions_of
from llm_backend.core.wire.values import JSON, iso, kind, moment, whole_or_none
from llm_backend.errors import RequestError

TaskId = int | str


@dataclass(frozen=True, slots=True)
class Annotation:
    """A person's work on a task: submitted, or (as a draft) on its way there.

    Attributes:
        was_cancelled: Whether it was skipped.
        task: The task that it is of, where the host tells.
        by: Who made it, as the host tells it; "" where it does not.
        created, updated: In seconds since 1970; 0 where the host does not tell.
        ground_truth: Whether people marked it as the one to go by.
        parent_prediction: The prediction that it was made from, by its id.
        shown: What that prediction said, where the host tells.
    """

    result: tuple[Region, ...]
    id: int | None = None
    was_cancelled: bool = False
    task: int | None = None
    by: str = ""
    created: float = 0.0
    updated: float = 0.0
    ground_truth: bool = False
    parent_prediction: int | None = None
    shown: tuple[Region, ...] | None = None

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Annotation":
        return cls(
            regions_of(raw.get("result")),
            whole_or_none(raw.get("id")),
            bool(raw.get("was_cancelled")),
            whole_or_none(raw.get("task")),
            person(raw.get("completed_by")),
            moment(raw.get("created_at")),
            moment(raw.get("updated_at")),
            bool(raw.get("ground_truth")),
            whole_or_none(raw.get("parent_prediction")),
            _shown(raw),
        )

    def to_json(self) -> dict[str, JSON]:
        raw: dict[str, JSON] = {
            "id": self.id,
            "result": [region.to_json() for region in self.result],
            "was_cancelled": self.was_cancelled,
            "task": self.task,
            "completed_by": _told(self.by),
            "created_at": iso(self.created),
            "updated_at": iso(self.updated),
            "ground_truth": self.ground_truth,
            "parent_prediction": self.parent_prediction,
        }
        if self.shown is not None:
            raw["prediction"] = {"id": self.parent_prediction, "result": [region.to_json() for region in self.shown]}
        return raw

    @property
    def from_model(self) -> bool:
        """Whether it was made from a prediction, or from what a model answered in the editor."""
        changed = any(region.origin in ("prediction", "prediction-changed") for region in self.result)
        return changed or self.parent_prediction is not None


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the host sends it.

    Attributes:
        drafts: The calling user's own, and only there in interactive calls.
        meta: What is told of it beside its data, which no annotator sees.
    """

    id: TaskId | None
    data: Mapping[str, JSON]
    drafts: tuple[Annotation, ...] = ()
    meta: Mapping[str, JSON] = field(default_factory=dict)

    @classmethod
    def from_json(cls, raw: JSON) -> "Task":
        if not isinstance(raw, Mapping) or not isinstance(raw.get("data"), Mapping):
            raise RequestError(f'A task is an object with a "data" object; found {kind(raw)}.')
        ident = raw.get("id")
        drafts = raw.get("drafts")
        return cls(
            id=ident if isinstance(ident, int | str) and not isinstance(ident, bool) else None,
            data=raw["data"],
            drafts=tuple(Annotation.from_json(draft) for draft in drafts if isinstance(draft, Mapping))
            if isinstance(drafts, list)
            else (),
            meta=raw["meta"] if isinstance(raw.get("meta"), Mapping) else {},
        )


class Tasks(Sequence[Task | None]):
    """Tasks that are read anew from their JSON each time they are looked at, so that many take little room."""

    def __init__(self, raw: Sequence[JSON]) -> None:
        self._raw = raw

    def __len__(self) -> int:
        return len(self._raw)

    @overload
    def __getitem__(self, index: int) -> Task | None: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Task | None]: ...

    def __getitem__(self, index: int | slice) -> Task | Sequence[Task | None] | None:
        return Tasks(self._raw[index]) if isinstance(index, slice) else task_or_none(self._raw[index])

    def __iter__(self) -> Iterator[Task | None]:
        return map(task_or_none, self._raw)


def annotations_of(task: Mapping[str, JSON]) -> tuple[Annotation, ...]:
    """The annotations that an exported task holds."""
    held = task.get("annotations")
    return (
        tuple(Annotation.from_json(one) for one in held if isinstance(one, Mapping)) if isinstance(held, list) else ()
    )


def task_or_none(raw: JSON) -> Task | None:
    """A task; None for what is none."""
    try:
        return Task.from_json(raw)
    except RequestError:
        return None


def person(raw: JSON) -> str:
    """Who made an annotation: exports may tell a whole person for the id."""
    if isinstance(raw, Mapping):
        raw = raw.get("id") or raw.get("email")
    return str(raw) if isinstance(raw, int | str) and not isinstance(raw, bool) else ""


def _told(by: str) -> JSON:
    """Who made an annotation, as the host takes it in: an id, or an object with a mail address; a text it refuses."""
    if by.isascii() and by.isdecimal():
        return int(by)
    return {"email": by} if by else None


def _shown(raw: Mapping[str, JSON]) -> tuple[Region, ...] | None:
    """What the prediction said that an annotation was made from.

    The host tells some prediction of the task along with every annotation: it counts only if it is that very one.
    """
    told = raw.get("prediction")
    if not isinstance(told, Mapping) or not isinstance(told.get("result"), list) or told.get("id") is None:
        return None
    return regions_of(told["result"]) if told["id"] == raw.get("parent_prediction") else None
