"""What do people and models say of the same tasks, as far as both are remembered?

People's word is what was learned of them; the model's are the kept answers to the same tasks, under every version that
a run was made with. So it is told of the last days (KEEP_RESULTS), without asking Label Studio.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from llm_backend.adapters.store import Store
from llm_backend.backend.blind import is_blind
from llm_backend.backend.datasets import row_digest
from llm_backend.backend.known import KnownProject, KnownProjects
from llm_backend.core.corrections import regions_of
from llm_backend.core.examples import Correction
from llm_backend.core.inputs import read
from llm_backend.core.predictor import Plan
from llm_backend.core.run import Run, digest_of
from llm_backend.core.wire import JSON, Annotation, Prediction, Task, TaskId
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.exports import ExportedTask

_RUNS_MOST = 1_000
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Told:
    """A task with what people and models say of it.

    Attributes:
        answers: Of each version, as predictions in JSON, each with when it was given (seconds since 1970).
        blind: Whether people are not shown them.
    """

    task: TaskId | None
    data: Mapping[str, JSON]
    people: tuple[Correction, ...]
    answers: tuple[tuple[JSON, float], ...] = ()
    blind: bool = False

    def to_json(self) -> dict[str, JSON]:
        people = [one.to_json() for one in self.people]
        return {"task": self.task, "data": self.data, "people": people, "answers": self.answers, "blind": self.blind}

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Told":
        people = tuple(map(Correction.from_json, raw["people"]))
        return cls(raw["task"], raw["data"], people, tuple(map(tuple, raw["answers"])), raw["blind"])


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is remembered of a project, to be compared.

    Attributes:
        project: Its number in Label Studio; None for a dataset.
        host: Where Label Studio says it is; "" where that is no address of a page.
    """

    project: int | None
    host: str
    label_config: str
    tasks: tuple[Told, ...] = field(repr=False)

    def lines(self) -> Iterator[bytes]:
        """In lines of JSON: to write all in one would hold up every other thread meanwhile."""
        head = {"project": self.project, "host": self.host, "label_config": self.label_config}
        return (json.dumps(told, default=str).encode() + b"\n" for told in (head, *map(Told.to_json, self.tasks)))

    @classmethod
    def from_lines(cls, lines: Iterable[bytes]) -> "Remembered":
        head, *tasks = map(json.loads, lines)
        return cls(**head, tasks=tuple(map(Told.from_json, tasks)))

    def blind(self) -> set[TaskId]:
        """The tasks whose answers people are not shown."""
        return {one.task for one in self.tasks if one.blind and one.task is not None}

    def exported(self, plan: Plan) -> Iterator[ExportedTask]:
        """The tasks as an export tells them."""
        for place, one in enumerate(self.tasks, 1):
            annotations = tuple(made for person in one.people for made in _annotations(plan, one, person))
            predictions = tuple(replace(Prediction.from_json(told), created=made) for told, made in one.answers)
            yield ExportedTask(place, one.task, one.data, annotations, predictions, project=self.project)


class Agreeing:
    """Gathers what is remembered."""

    def __init__(self, store: Store, known: KnownProjects, blind_share: float) -> None:
        self._store = store
        self._known = known
        self._share = blind_share

    def stamp(self, key: str) -> str:
        """Differs whenever what is remembered does.

        Raises:
            UnknownProject: Nothing is known of the project.
        """
        project = self._known.show(key)
        runs = [[run.id, dict(run.counts)] for run in self._runs(key)]
        told = [self._store.learned(key).stamp, project.label_config, project.hostname, self._share, runs]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def remember(self, key: str) -> Remembered:
        """All that is remembered of a project.

        Raises:
            UnknownProject: Nothing is known of the project.
            RequestError: No person's word is known, or not what is labelled.
        """
        project = self._known.show(key)
        corrections = self._store.corrections(key)
        if not corrections:
            raise RequestError("No annotation has been learned yet: there is nobody to agree with.")
        if not project.label_config:
            raise RequestError("The project's labeling config is not known here: save its connection in Label Studio.")
        named = key.partition(".")[0]
        number = int(named) if named.isdecimal() else None
        host = project.hostname if project.hostname.startswith(("http://", "https://")) else ""
        return Remembered(number, host, project.label_config, self._told(project, corrections))

    def _told(self, project: KnownProject, corrections: tuple[Correction, ...]) -> tuple[Told, ...]:
        people: dict[str, list[Correction]] = {}
        for one in corrections:
            people.setdefault(_digest(one), []).append(one)
        answers = self._answers(project, list(people))
        return tuple(
            Told(
                held[0].task,
                held[0].data,
                tuple(held),
                tuple(answers.get(digest, ())),
                is_blind(project.key, held[0].task, self._share),
            )
            for digest, held in people.items()
        )

    def _answers(self, project: KnownProject, digests: list[str]) -> dict[str, list[tuple[JSON, float]]]:
        versions = dict.fromkeys((project.version, *(run.spec.version for run in self._runs(project.key))))
        found: dict[str, list[tuple[JSON, float]]] = {}
        for version in filter(None, versions):
            for at in range(0, len(digests), _PAGE):
                kept = self._store.kept(project.key, version, digests[at : at + _PAGE])
                for digest, one in kept.items():
                    if one.prediction is not None:
                        told = {**one.prediction, "model_version": version}
                        found.setdefault(digest, []).append((told, one.made))
        return found

    def _runs(self, key: str) -> list[Run]:
        return [run for run in self._store.runs(most=_RUNS_MOST) if run.spec.project == key]


def _digest(correction: Correction) -> str:
    """Stands for the task as answers to it are kept; rows of datasets have no ids."""
    task = Task(correction.task, correction.data)
    return row_digest(task) if task.id is None else digest_of(task)


def _annotations(plan: Plan, told: Told, person: Correction) -> Iterator[Annotation]:
    """A person's word as an annotation; none where the labeling config does not take it (any more)."""
    try:
        of_task = plan.of_task(told.data)
        made = regions_of(of_task, read(of_task.config, told.data, told.task), person.answers)
    except InputError:
        return
    said = {control.name for control in of_task.controls if person.answers.get(control.name) is not None}
    if said <= made.keys():
        origin = "prediction-changed" if person.from_model else "manual"
        regions = tuple(replace(region, origin=origin) for own in made.values() for region in own)
        yield Annotation(regions, by=person.by, created=person.made)
