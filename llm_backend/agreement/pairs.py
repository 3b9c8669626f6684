"""What did people say of each task, and what the model? In a form in which the two can be compared, control by control.

Both sides go through the control's `encode`, so that aliases, orders and spellings make no difference; stretches go by
their places, for an answer tells them by their words.
"""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from llm_backend.agreement.spans import spans_of
from llm_backend.core.controls.base import Control
from llm_backend.core.controls.number import Number
from llm_backend.core.controls.options import Chooser
from llm_backend.core.controls.pairwise import Pairwise
from llm_backend.core.controls.rating import Rating
from llm_backend.core.controls.regions import RegionMaker
from llm_backend.core.corrections import answers_of
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.notices import without_notices
from llm_backend.core.predictor import Plan
from llm_backend.core.scores import joint
from llm_backend.core.wire import JSON, Annotation, Prediction, Region, TaskId
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.exports import ExportedTask

Kind = Literal["labels", "stars", "number", "spans", "text", "exact"]
"""How a control is measured: label by label, as stars, by error, by overlap, not at all (text), or as same or not."""
Value = JSON
"""An answer as it is compared: a tuple of labels, a number, a tuple of spans, the words of a text; None if empty."""
UNNAMED = "(no version)"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one person answered.

    Attributes:
        by: Who; "" where the export does not tell.
        accepted: It is the model's own answer, which this person was shown and left as it was: no evidence that it is
            right.
        edited: It was made from the model's answer, and changed.
        blind: This person was not shown the model's answer: it was kept back, or made only afterwards.
        deciding: Marked as the one to go by (ground truth).
    """

    by: str
    value: Value
    accepted: bool = False
    edited: bool = False
    blind: bool = False
    deciding: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """What people and one version of the model answered to one control of one task."""

    task: TaskId | None
    control: str
    version: str
    model: Value
    people: tuple[Judgement, ...]
    project: int | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """How sure a version was of a whole task: what the parts of its answer say, else the prediction's own score."""

    task: TaskId | None
    version: str
    score: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What the two objects of a Pairwise show in a task, and what else there is to see."""

    left: str
    right: str
    context: str


@dataclass(slots=True)
class Material:
    """All that is compared, and what is left out, counted.

    Attributes:
        kinds: How each control is measured, by its name.
        unmeasured: Why others are not, as sentences.
        outside: Answers that the labeling config does not offer (any more), by control.
        versions: When each version answered last, by its name.
        unread: Tasks that are not what the labeling config shows.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    shown: dict[tuple[TaskId | None, str], Shown] = field(default_factory=dict)
    outside: Counter[str] = field(default_factory=Counter)
    versions: dict[str, float] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    tasks: int = 0
    annotated: int = 0
    skipped: int = 0
    unpredicted: int = 0
    unread: int = 0


def gather(plan: Plan, tasks: Iterable[ExportedTask], blind: Container[TaskId] = ()) -> Material:
    """Lay people's and the model's answers side by side.

    Args:
        blind: Tasks whose answers people were not shown, whenever the model made them; asked task by task.
    Raises:
        RequestError: There are no tasks, no annotations, no predictions, or the predictions' ids only.
    """
    found = Material()
    bare = 0
    for task in tasks:
        found.tasks += 1
        bare += task.bare
        _take(found, plan, task, blind=task.id is not None and task.id in blind)
    _refuse_nothing(found, bare)
    return found


def kind_of(control: Control) -> Kind | None:
    """How a control is measured; None for shapes in pictures, which nothing here measures."""
    if control.textual:
        return "text"
    if isinstance(control, Rating):
        return "stars"
    if isinstance(control, Number):
        return "number"
    if isinstance(control, RegionMaker):
        return None if control.place.drawn and not _is_line(control) else "spans"
    return "labels" if isinstance(control, Chooser | Pairwise) else "exact"


def _is_line(control: RegionMaker) -> bool:
    """Whether regions lie along a line, such as time."""
    return set(control.place.schema) <= {"start", "end"}


def _refuse_nothing(found: Material, bare: int) -> None:
    if not found.tasks:
        raise RequestError("The export holds no tasks: there is nothing to compare.")
    if bare and not found.versions:
        raise RequestError(
            f"The export tells its {bare:,} predictions by their ids only, which is all that Label Studio's plain "
            "export gives. Let it read the project itself (--url and --project), or export a snapshot with whole "
            'predictions: POST /api/projects/<id>/exports/ with {"serialization_options": {"predictions": '
            '{"only_id": false}}}, then GET /api/projects/<id>/exports/<export>/download?exportType=JSON.'
        )
    if not found.annotated:
        raise RequestError(
            f"None of the {found.tasks:,} tasks has an annotation that was submitted: there is nobody to agree with."
        )
    if not found.pairs:
        raise RequestError(
            f"Of the {found.annotated:,} annotated tasks none has a prediction that can be compared: retrieve "
            "predictions for them first, or check that the labeling config is the project's own."
        )


def _take(found: Material, plan: Plan, task: ExportedTask, *, blind: bool) -> None:
    made = [one for one in task.annotations if not one.was_cancelled]
    found.skipped += len(task.annotations) - len(made)
    found.annotated += bool(made)
    latest: dict[str, Prediction] = {}
    for one in sorted(task.predictions, key=lambda one: (one.created, one.id or 0)):
        version = one.model_version or UNNAMED
        latest[version] = one
        found.versions[version] = max(one.created, found.versions.get(version, 0.0))
    if not made:
        return
    found.people |= {one.by for one in made}
    found.unpredicted += not latest
    try:
        of_task = plan.of_task(task.data)
        inputs = read(of_task.config, task.data, task.id)
    except InputError:
        found.unread += 1
        return
    reading = _Reading(found, of_task, inputs)
    people = [(one, reading.values(one.result)) for one in made]
    for version, prediction in latest.items():
        _pair(found, task, version, prediction, people, reading.values(prediction.result), blind=blind)
    for control in of_task.controls:
        if isinstance(control, Pairwise):
            found.shown[(task.id, control.name)] = _shown(control, inputs)


def _pair(
    found: Material,
    task: ExportedTask,
    version: str,
    prediction: Prediction,
    people: Sequence[tuple[Annotation, Mapping[str, Value]]],
    model: Mapping[str, Value],
    *,
    blind: bool,
) -> None:
    score = joint(prediction.result)
    score = prediction.score if score is None else score
    if score is not None and 0 <= score <= 1:
        found.scored.append(Scored(task.id, version, score))
    for name, value in model.items():
        judges = ((one, answers[name]) for one, answers in people if name in answers)
        told = tuple(_judgement(one, said, prediction, value, blind=blind) for one, said in judges)
        told = tuple(one for one in told if not (_is_empty(one.value) and _is_empty(value) and one.value is None))
        if told:
            found.pairs.append(Pair(task.id, name, version, value, told, task.project))


def _judgement(annotation: Annotation, value: Value, prediction: Prediction, model: Value, *, blind: bool) -> Judgement:
    """What a person answered, in the light of whether they had this very prediction before them."""
    from_this = annotation.from_model and annotation.parent_prediction in (None, prediction.id)
    before = 0 < annotation.created < prediction.created
    return Judgement(
        annotation.by,
        value,
        accepted=from_this and value == model,
        edited=from_this and value != model,
        blind=(blind or before) and not annotation.from_model,
        deciding=annotation.ground_truth,
    )


class _Reading:
    """Reads one task's results."""

    def __init__(self, found: Material, plan: Plan, inputs: Inputs) -> None:
        self._found = found
        self._plan = plan
        self._inputs = inputs

    def values(self, result: Sequence[Region]) -> dict[str, Value]:
        """What a result says, by control; a control whose answer is not on offer is missing, and counted."""
        answers = answers_of(self._plan, self._inputs, result)
        regions = without_notices(result)
        values: dict[str, Value] = {}
        for control in self._plan.controls:
            kind = kind_of(control)
            if kind is None:
                words = "marks places in pictures, which are not compared"
                self._found.unmeasured[control.name] = f'{control.output.tag} "{control.name}" {words}.'
                continue
            self._found.kinds[control.name] = kind
            own = control.own(regions)
            if _outside(control, own, answers.get(control.name), self._inputs):
                self._found.outside[control.name] += 1
            else:
                values[control.name] = _value(kind, control, answers.get(control.name), own, self._inputs)
        return values


def _value(kind: Kind, control: Control, answer: JSON, own: Sequence[Region], inputs: Inputs) -> Value:
    if kind == "spans":
        return spans_of(own, inputs)
    if kind == "labels":
        if isinstance(control, Chooser) and control.multiple:
            return tuple(sorted(answer or ()))
        return None if answer is None else (answer,)
    if kind == "stars":
        return None if answer is None else (answer,)
    if kind == "text":
        return None if answer is None else tuple([answer] if isinstance(answer, str) else answer)
    if kind == "exact":
        return None if answer is None else (json.dumps(answer, sort_keys=True, ensure_ascii=False),)
    return answer


def _outside(control: Control, own: Sequence[Region], answer: JSON, inputs: Inputs) -> bool:
    """Whether regions say something that the control does not offer."""
    if not isinstance(control, Chooser):
        return bool(own) and answer is None and not control.textual
    try:
        options = control.options(inputs)
    except InputError:
        return bool(own)
    held = (entry for region in own for entry in _entries(region.value.get(control.output.type)))
    return any(options.name_of(entry) is None for entry in held)


def _entries(held: JSON) -> list[JSON]:
    return held if isinstance(held, list) else [held]


def _is_empty(value: Value) -> bool:
    return value is None or value == ()


def _shown(control: Pairwise, inputs: Inputs) -> Shown:
    names = control.output.to_names
    left, right = ((seen.text if (seen := inputs.of(name)) else "") for name in names)
    others = (f"{seen.name}\0{seen.text}" for seen in inputs.seen if seen.name not in names)
    return Shown(left, right, "\0\0".join(others))


Keep = Callable[[Judgement], bool]


def kept(pairs: Iterable[Pair], keep: Keep) -> list[Pair]:
    """The pairs with those judgements only that are to be kept; without those that have none left."""
    left = (replace(pair, people=tuple(one for one in pair.people if keep(one))) for pair in pairs)
    return [pair for pair in left if pair.people]
