"""What does the host ask of us, and how is it answered?"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from llm_backend.core.wire.regions import Region, regions_of
from llm_backend.core.wire.tasks import Annotation, Task, Tasks, task_or_none
from llm_backend.core.wire.values import JSON, kind, text_or_none
from llm_backend.errors import RequestError

NOTHING = "[]"
"""An entry of a reply, in JSON: nothing now, ask again."""


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
            raise RequestError(f'"tasks" must be a list of tasks; found {kind(tasks)}.')
        config = body.get("label_config")
        if not isinstance(config, str):
            raise RequestError(f'"label_config" must be the project\'s labeling config, as text; found {kind(config)}.')
        params = body.get("params")
        context = params.get("context") if isinstance(params, Mapping) else None
        return cls(
            tasks=Tasks(tasks),
            label_config=config,
            project=text_or_none(body.get("project")) or "",
            context=regions_of(context.get("result")) if isinstance(context, Mapping) else None,
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
            raise RequestError(f'"schema" must be the project\'s labeling config, as text; found {kind(config)}.')
        return cls(
            project=text_or_none(body.get("project")) or "",
            label_config=config,
            hostname=text_or_none(body.get("hostname")) or "",
            access_token=text_or_none(body.get("access_token")) or "",
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
            tasks=tuple(filter(None, map(task_or_none, task if isinstance(task, list) else [task]))),
            deleted_tasks=_ids(body.get("tasks") if action == "TASKS_DELETED" else None),
        )

    def task_of(self, annotation: Annotation) -> Task | None:
        """The task that an annotation is of."""
        if annotation.task is None and len(self.tasks) == 1:
            return self.tasks[0]
        return next((task for task in self.tasks if task.id == annotation.task), None)


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
        raise RequestError(f"The extra parameters must be a JSON object; found {kind(raw)}.")
    return raw


def reply(entries: Iterable[str]) -> str:
    """The body of an answer to `/predict`, of an entry in JSON for each task.

    Put together as text: the objects of fifty thousand predictions would take many times as much memory.
    """
    return f'{{"results": [{", ".join(entries)}]}}'


def _ids(raw: JSON) -> tuple[int, ...]:
    items = raw if isinstance(raw, list) else []
    return tuple(item["id"] for item in items if isinstance(item, Mapping) and type(item.get("id")) is int)


def _label_config(project: JSON) -> str:
    told = project.get("label_config") if isinstance(project, Mapping) else None
    return told if isinstance(told, str) else ""


def _object(raw: JSON) -> Mapping[str, JSON]:
    if not isinstance(raw, Mapping):
        raise RequestError(f"The body must be a JSON object; found {kind(raw)}.")
    return raw
