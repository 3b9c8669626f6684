"""What did people say of each task, and what the model? Side by side, control by control and version by version."""

from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from llm_backend.agreement.likeness import Likeness
from llm_backend.agreement.matching import Matching
from llm_backend.agreement.parts import Row, Sides
from llm_backend.agreement.reading import Kind, Reading, Value
from llm_backend.core.controls.pairwise import Pairwise
from llm_backend.core.controls.per_item import PerItem
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.predictor import Plan
from llm_backend.core.scores import joint
from llm_backend.core.wire import Annotation, Prediction, TaskId
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.exports import ExportedTask

Unit = Literal["task", "region", "item"]
"""What is compared: the answers to a whole task, or to each region or item of it."""
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
        matching: For places, which of this person's are the model's.
    """

    by: str
    value: Value
    accepted: bool = False
    edited: bool = False
    blind: bool = False
    deciding: bool = False
    matching: Matching | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """What people and one version of the model answered to one control of one task, or of a part of it.

    Attributes:
        part: Which region or item of the task; "" for all of it.
        answered: When the model did, in seconds since 1970; 0 where that is not known.
    """

    task: TaskId
    control: str
    version: str
    model: Value
    people: tuple[Judgement, ...]
    project: int | None = None
    part: str = ""
    answered: float = 0.0


@dataclass(frozen=True, slots=True)
class Scored:
    """How sure a version was of a whole task: what the parts of its answer say, else the prediction's own score."""

    task: TaskId
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
        units: What of them is compared, where it is not the whole task.
        unmatched: For what hangs on regions, by control and version: the regions that only people, and that only the
            model marked, on which nothing is compared.
        unmeasured: Why others are not, as sentences.
        outside: Answers that the labeling config does not offer (any more), by control.
        versions: When each version answered last, by its name.
        repeats: For tasks that have a near-duplicate, when people first answered one of these; 0 if it is not known.
        unread: Tasks that are not what the labeling config shows.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    units: dict[str, Unit] = field(default_factory=dict)
    unmatched: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    shown: dict[tuple[TaskId, str], Shown] = field(default_factory=dict)
    outside: Counter[str] = field(default_factory=Counter)
    versions: dict[str, float] = field(default_factory=dict)
    repeats: dict[TaskId, float] = field(default_factory=dict)
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
    found, likeness = Material(), Likeness()
    bare = 0
    for task in tasks:
        found.tasks += 1
        bare += task.bare
        _take(found, likeness, plan, task, blind=task.id is not None and task.id in blind)
    _refuse_nothing(found, bare)
    found.repeats = likeness.repeats()
    return found


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


def _take(found: Material, likeness: Likeness, plan: Plan, task: ExportedTask, *, blind: bool) -> None:
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
    name = f"line {task.line}" if task.id is None else task.id
    likeness.note(name, inputs.text, min(one.created for one in made))
    used = {region.from_name for one in made for region in one.result}
    found.unmeasured |= {
        other.output.name: f"{other.reason} It is not compared."
        for other in of_task.unfillable
        if other.output.name in used
    }
    for control in of_task.controls:
        found.units |= {control.name: "item"} if isinstance(control, PerItem) else {}
        found.units |= dict.fromkeys((hung.name for hung in control.hanging), "region")
        if isinstance(control, Pairwise):
            found.shown[(name, control.name)] = _shown(control, inputs)
    reading = Reading(of_task, inputs, found.kinds, found.outside)
    people = [reading.said(one.result) for one in made]
    for version, prediction in latest.items():
        sides = Sides(of_task, found.kinds, reading.said(prediction.result), people)
        pairing = _Pairing(name, version, prediction, made, task.project, blind)
        _compare(found, sides, pairing)


def _compare(found: Material, sides: Sides, pairing: "_Pairing") -> None:
    """Lay one version's answers to a task beside people's."""
    found.pairs += filter(None, map(pairing, sides.rows()))
    for control, people, model in sides.unmatched():
        before = found.unmatched.get((control, pairing.version), (0, 0))
        found.unmatched[control, pairing.version] = before[0] + people, before[1] + model
    score = joint(pairing.prediction.result)
    score = pairing.prediction.score if score is None else score
    if score is not None and 0 <= score <= 1:
        found.scored.append(Scored(pairing.task, pairing.version, score))


@dataclass(frozen=True, slots=True)
class _Pairing:
    """Makes pairs of one task and version."""

    task: TaskId
    version: str
    prediction: Prediction
    made: Sequence[Annotation]
    project: int | None
    blind: bool

    def __call__(self, row: Row) -> Pair | None:
        """A row as a pair; None where nobody said anything, nor did the model."""
        matchings = row.matchings or {}
        told = tuple(
            self._judgement(self.made[at], value, row.model, matchings.get(at))
            for at, value in row.people.items()
            if not (_is_empty(row.model) and (value is None or (row.part and _is_empty(value))))
        )
        if not told:
            return None
        answered = self.prediction.created
        return Pair(self.task, row.control, self.version, row.model, told, self.project, row.part, answered)

    def _judgement(self, annotation: Annotation, value: Value, model: Value, matching: Matching | None) -> Judgement:
        """What a person answered, in the light of whether they had this very prediction before them."""
        from_this = annotation.from_model and annotation.parent_prediction in (None, self.prediction.id)
        before = 0 < annotation.created < self.prediction.created
        return Judgement(
            annotation.by,
            value,
            accepted=from_this and value == model,
            edited=from_this and value != model,
            blind=(self.blind or before) and not annotation.from_model,
            deciding=annotation.ground_truth,
            matching=matching,
        )


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
