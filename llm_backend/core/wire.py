"""What does Label Studio say to us, and we to it, in JSON?"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias, overload

from llm_backend.errors import RequestError

JSON: TypeAlias = Any
TaskId = int | str
RELATION = "relation"
_ENDS = ("from_id", "to_id")
NOTHING = "[]"
"""An entry of a reply, in JSON: nothing now, ask again."""
_LINK = (*_ENDS, "direction", "labels")


@dataclass(frozen=True, slots=True)
class Region:
    """One entry of a `result` list.

    Attributes:
        type: The control's tag in lower case, such as `choices`; `relation` for one that links two others.
        value: The payload as the editor writes it, such as `{"choices": ["A"]}`. A relation has no names and no value
            of its own: its JSON holds `from_id`, `to_id`, `direction` and `labels` flat, and here `value` holds them.
        id: Regions that belong together, such as a span and what hangs on it, share one.
        origin: `manual`, `prediction` or `prediction-changed`; who made it.
        score: A probability, or None.
        proportions: Width over height of the picture that it lies on, where the host tells; it is never sent, and
            makes no difference between regions.
    """

    from_name: str
    to_name: str
    type: str
    value: Mapping[str, JSON]
    id: str | None = None
    origin: str | None = None
    score: float | None = None
    item_index: int | None = None
    proportions: float | None = field(default=None, compare=False)

    @property
    def by_person(self) -> bool:
        """Whether a person made or changed it. The editor calls what has no origin `manual`."""
        return self.origin != "prediction"

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Region":
        value = raw.get("value")
        if raw.get("type") == RELATION:
            # Ends are spelled as ids are.
            value = {key: _text_or_none(raw[key]) if key in _ENDS else raw[key] for key in _LINK if key in raw}
        item_index = raw.get("item_index")
        return cls(
            from_name=str(raw.get("from_name") or ""),
            to_name=str(raw.get("to_name") or ""),
            type=str(raw.get("type") or ""),
            value=value if isinstance(value, Mapping) else {},
            id=_text_or_none(raw.get("id")),
            origin=_text_or_none(raw.get("origin")),
            score=_number_or_none(raw.get("score")),
            item_index=item_index if type(item_index) is int else None,
            proportions=_proportions(raw),
        )

    def to_json(self) -> dict[str, JSON]:
        raw: dict[str, JSON]
        if self.type == RELATION:
            raw = {"type": self.type, **self.value}
        else:
            raw = {
                "from_name": self.from_name,
                "to_name": self.to_name,
                "type": self.type,
                "value": dict(self.value),
            }
        for key in ("id", "origin", "score", "item_index"):
            if (held := getattr(self, key)) is not None:
                raw[key] = held
        return raw


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is stored for a task: its regions, a score (a probability or None) and the version that made it.

    Attributes:
        id, created: Under which number the host stores it, and since when (seconds since 1970; 0 where it does not
            tell). We tell neither.
    """

    result: tuple[Region, ...]
    score: float | None = None
    model_version: str | None = None
    id: int | None = None
    created: float = 0.0

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Prediction":
        version = _text_or_none(raw.get("model_version"))
        return cls(
            _regions(raw.get("result")),
            _number_or_none(raw.get("score")),
            version,
            _whole_or_none(raw.get("id")),
            _moment(raw.get("created_at")),
        )

    def to_json(self) -> dict[str, JSON]:
        raw: dict[str, JSON] = {"result": [region.to_json() for region in self.result], "score": self.score}
        if self.model_version is not None:
            raw["model_version"] = self.model_version
        return raw


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
            _regions(raw.get("result")),
            _whole_or_none(raw.get("id")),
            bool(raw.get("was_cancelled")),
            _whole_or_none(raw.get("task")),
            _person(raw.get("completed_by")),
            _moment(raw.get("created_at")),
            _moment(raw.get("updated_at")),
            bool(raw.get("ground_truth")),
            _whole_or_none(raw.get("parent_prediction")),
            _shown(raw),
        )

    def to_json(self) -> dict[str, JSON]:
        raw: dict[str, JSON] = {
            "id": self.id,
            "result": [region.to_json() for region in self.result],
            "was_cancelled": self.was_cancelled,
            "task": self.task,
            "completed_by": self.by,
            "created_at": _iso(self.created),
            "updated_at": _iso(self.updated),
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
            raise RequestError(f'A task is an object with a "data" object; found {_kind(raw)}.')
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
        return Tasks(self._raw[index]) if isinstance(index, slice) else _task_or_none(self._raw[index])

    def __iter__(self) -> Iterator[Task | None]:
        return map(_task_or_none, self._raw)


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """The body of `POST /predict`.

    Attributes:
        tasks: In the host's order; an entry that is no task at all is None and is answered with `[]`.
        project: `<id>.<created-at>`, whole: two hosts share ids but not the second part.
        context: The regions on the annotator's screen for an interactive call; None for a batch.
    """

    tasks: Sequence[Task | None]
    label_config: str
    project: str
    context: tuple[Region, ...] | None = None

    @property
    def interactive(self) -> bool:
        return self.context is not None

    @classmethod
    def from_json(cls, raw: JSON) -> "PredictRequest":
        body = _object(raw)
        tasks = body.get("tasks")
        if not isinstance(tasks, Sequence) or isinstance(tasks, str):
            raise RequestError(f'"tasks" must be a list of tasks; found {_kind(tasks)}.')
        config = body.get("label_config")
        if not isinstance(config, str):
            raise RequestError(
                f'"label_config" must be the project\'s labeling config, as text; found {_kind(config)}.'
            )
        params = body.get("params")
        context = params.get("context") if isinstance(params, Mapping) else None
        return cls(
            tasks=Tasks(tasks),
            label_config=config,
            project=_text_or_none(body.get("project")) or "",
            context=_regions(context.get("result")) if isinstance(context, Mapping) else None,
        )


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """The body of `POST /setup`. `access_token` is a secret; `extra_params` may hold one."""

    project: str
    label_config: str
    hostname: str = ""
    access_token: str = field(default="", repr=False)
    extra_params: Mapping[str, JSON] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, raw: JSON) -> "SetupRequest":
        body = _object(raw)
        config = body.get("schema")
        if not isinstance(config, str):
            raise RequestError(f'"schema" must be the project\'s labeling config, as text; found {_kind(config)}.')
        return cls(
            project=_text_or_none(body.get("project")) or "",
            label_config=config,
            hostname=_text_or_none(body.get("hostname")) or "",
            access_token=_text_or_none(body.get("access_token")) or "",
            extra_params=extra_params(body.get("extra_params")),
        )


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What of a webhook we use: the action, the project's key as /setup spells it, and the annotations.

    `project` is None where the payload does not say which project it is about.

    Attributes:
        tasks: Those that the annotations are of, as far as the payload tells their data.
        deleted: Annotations that are no more, by their ids; `deleted_tasks` the same of tasks.
    """

    action: str
    project: str | None = None
    label_config: str = ""
    annotations: tuple[Annotation, ...] = ()
    deleted: tuple[int, ...] = ()
    tasks: tuple[Task, ...] = ()
    deleted_tasks: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, raw: JSON) -> "WebhookEvent":
        body = _object(raw)
        made, task = body.get("annotation"), body.get("task")
        action = str(body.get("action") or "")
        return cls(
            action=action,
            project=project_key(body.get("project")),
            label_config=_label_config(body.get("project")),
            annotations=tuple(
                Annotation.from_json(item)
                for item in (made if isinstance(made, list) else [made])
                if isinstance(item, Mapping)
            ),
            deleted=_ids(body.get("annotations") if action == "ANNOTATIONS_DELETED" else None),
            tasks=tuple(filter(None, map(_task_or_none, task if isinstance(task, list) else [task]))),
            deleted_tasks=_ids(body.get("tasks") if action == "TASKS_DELETED" else None),
        )

    def task_of(self, annotation: Annotation) -> Task | None:
        """The task that an annotation is of."""
        if annotation.task is None and len(self.tasks) == 1:
            return self.tasks[0]
        return next((task for task in self.tasks if task.id == annotation.task), None)


def _ids(raw: JSON) -> tuple[int, ...]:
    items = raw if isinstance(raw, list) else []
    return tuple(item["id"] for item in items if isinstance(item, Mapping) and type(item.get("id")) is int)


def project_key(project: JSON) -> str | None:
    """The key that /setup and /predict use, rebuilt from a webhook's `project` object.

    The host makes it of the id and the whole seconds of `created_at`; None where these are not told.
    """
    if isinstance(project, str):
        return project or None
    if not isinstance(project, Mapping):
        return None
    ident, created_at = project.get("id"), project.get("created_at")
    if type(ident) is not int or not isinstance(created_at, str):
        return None
    try:
        made = datetime.fromisoformat(created_at)
    except ValueError:
        return None
    if made.tzinfo is None:
        made = made.replace(tzinfo=UTC)
    return f"{ident}.{int(made.timestamp())}"


def _label_config(project: JSON) -> str:
    told = project.get("label_config") if isinstance(project, Mapping) else None
    return told if isinstance(told, str) else ""


def extra_params(raw: JSON) -> Mapping[str, JSON]:
    """The manager's extra parameters: an object, a JSON string of one (typed in the form), or nothing.

    Raises:
        RequestError: The text is not JSON, or not an object.
    """
    if isinstance(raw, str):
        try:
            raw = json.loads(raw) if raw.strip() else None
        except (ValueError, RecursionError) as exc:
            raise RequestError(
                f'The extra parameters are not JSON ({exc}); write for example {{"model": "gpt-5.4-mini"}}.'
            ) from exc
    if raw is None:
        return {}
    if not isinstance(raw, Mapping):
        raise RequestError(f"The extra parameters must be a JSON object; found {_kind(raw)}.")
    return raw


def annotations_of(task: Mapping[str, JSON]) -> tuple[Annotation, ...]:
    """The annotations that an exported task holds."""
    held = task.get("annotations")
    return (
        tuple(Annotation.from_json(one) for one in held if isinstance(one, Mapping)) if isinstance(held, list) else ()
    )


def reply(entries: Iterable[str]) -> str:
    """The body of an answer to `/predict`, of an entry in JSON for each task.

    Put together as text: the objects of fifty thousand predictions would take many times as much memory.
    """
    return f'{{"results": [{", ".join(entries)}]}}'


def marked(regions: tuple[Region, ...], origin: str) -> tuple[Region, ...]:
    """The same regions, saying who made them."""
    return tuple(replace(region, origin=origin) for region in regions)


def _regions(raw: JSON) -> tuple[Region, ...]:
    entries = raw if isinstance(raw, list) else []
    return tuple(Region.from_json(entry) for entry in entries if isinstance(entry, Mapping))


def _whole_or_none(raw: JSON) -> int | None:
    return raw if type(raw) is int else None


def _person(raw: JSON) -> str:
    """Who made an annotation: exports may tell a whole person for the id."""
    if isinstance(raw, Mapping):
        raw = raw.get("id") or raw.get("email")
    return str(raw) if isinstance(raw, int | str) and not isinstance(raw, bool) else ""


def _moment(raw: JSON) -> float:
    """Seconds since 1970 of a time in ISO 8601; 0 where it is none."""
    try:
        moment = datetime.fromisoformat(raw)
    except (TypeError, ValueError):
        return 0.0
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except OverflowError:
        return 0.0


def _iso(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def _shown(raw: Mapping[str, JSON]) -> tuple[Region, ...] | None:
    """What the prediction said that an annotation was made from.

    The host tells some prediction of the task along with every annotation: it counts only if it is that very one.
    """
    told = raw.get("prediction")
    if not isinstance(told, Mapping) or not isinstance(told.get("result"), list) or told.get("id") is None:
        return None
    return _regions(told["result"]) if told["id"] == raw.get("parent_prediction") else None


def _task_or_none(raw: JSON) -> Task | None:
    try:
        return Task.from_json(raw)
    except RequestError:
        return None


def _object(raw: JSON) -> Mapping[str, JSON]:
    if not isinstance(raw, Mapping):
        raise RequestError(f"The body must be a JSON object; found {_kind(raw)}.")
    return raw


def _number_or_none(raw: JSON) -> float | None:
    """A number that JSON can carry on; None for everything else, such as NaN."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        number = float(raw)
    except OverflowError:  # a whole number of more than 300 digits
        return None
    return number if math.isfinite(number) else None


def _proportions(raw: Mapping[str, JSON]) -> float | None:
    width, height = (_number_or_none(raw.get(name)) for name in ("original_width", "original_height"))
    return width / height if width and height and width > 0 and height > 0 else None


def _text_or_none(raw: JSON) -> str | None:
    if raw is None or raw == "":
        return None
    return raw if isinstance(raw, str) else str(raw)


def _kind(raw: JSON) -> str:
    names = {dict: "an object", list: "a list", str: "text", type(None): "nothing", bool: "true/false"}
    return names.get(type(raw), "a number" if isinstance(raw, int | float) else type(raw).__name__)
