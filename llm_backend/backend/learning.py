"""What is learned from what people made of tasks, and when do batches go by it?"""

import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass

from llm_backend.adapters.store import Learned, Store
from llm_backend.backend.projects import Bound, Projects
from llm_backend.core.corrections import correct
from llm_backend.core.examples import Correction
from llm_backend.core.run import digest_of
from llm_backend.core.wire import Annotation, Prediction, Region, Task, TaskId, WebhookEvent
from llm_backend.errors import BackendError, InputError, LabelingError, RequestError

log = logging.getLogger(__name__)

_SUBMITTED = frozenset(("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"))
# The host waits one second for the answer to a webhook, and the annotator with it.
_WEBHOOK_SECONDS = 0.5
# No example of such a size would go along with a question; in bytes.
_LARGEST = 100_000
_ANSWERS_NOTED = 1_000
_Told = Mapping[str, tuple[Region, ...]]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of annotations that were to be learned.

    Attributes:
        learned: Were remembered; `accepted` of them are a model's answer that nobody changed.
        left: Say nothing: they were skipped, or are empty. What was learned of them before is forgotten.
        faults: Could not be used: where they stand in the list, counted from 0, and why.
    """

    learned: int = 0
    accepted: int = 0
    left: int = 0
    faults: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Lore:
    """What a project has learned, as a person sees it.

    Attributes:
        count: Corrections in all; of these `accepted` are a model's answer that nobody changed, which teaches nothing.
        published: How many of them batches go by.
        since: How many came after the publication.
        publication: Its name; "" before the first.
    """

    count: int = 0
    accepted: int = 0
    published: int = 0
    since: int = 0
    publication: str = ""


class Learning:
    """Takes in what people made of tasks."""

    def __init__(self, store: Store, projects: Projects, every: int, published: Callable[[str], None]) -> None:
        """
        Args:
            every: Publish after so many corrections; 0 for never.
            published: Called with the project after what batches go by has changed.
        """
        self._store = store
        self._projects = projects
        self._every = every
        self._published = published
        self._answers: OrderedDict[tuple[str, TaskId], tuple[Region, ...]] = OrderedDict()
        self._lore: dict[str, tuple[str, Lore]] = {}
        self._lock = threading.Lock()
        # One thread, so that an annotation's end is never taken in before its beginning.
        self._worker = ThreadPoolExecutor(1, "learning")

    def take(self, event: WebhookEvent) -> None:
        """Take in what a webhook tells; what takes longer than the host waits goes on without it.

        Raises:
            BackendError: It cannot be taken in.
        """
        work = self._worker.submit(self._take, event)
        try:
            work.result(_WEBHOOK_SECONDS)
        except TookTooLong:
            work.add_done_callback(lambda done: _tell(event.action, done))

    def learn(self, key: str, label_config: str, made: Sequence[tuple[Task, Annotation]]) -> Taken:
        """Learn annotations, each in place of what was learned of it before.

        Raises:
            LabelingError: The labeling config cannot work.
            RequestError: The project's extra parameters cannot be used.
        """
        bound = self._projects.bind(key, label_config)
        kept, noted = self._told(bound, made)
        found: list[Correction] = []
        left: list[Annotation] = []
        faults: list[tuple[int, str]] = []
        for place, (task, annotation) in enumerate(made):
            try:
                correction = None if annotation.was_cancelled else _corrected(bound, task, annotation, kept, noted)
            except InputError as exc:
                correction = None
                faults.append((place, exc.sentence))
            if correction is None:
                left.append(annotation)
            else:
                found.append(correction)
        self._unlearn(key, _names(left))
        if found:
            self._count(key, self._store.learn(key, found))
        accepted = sum(one.accepted for one in found)
        log.info("learned project=%s corrections=%d accepted=%d left=%d", key, len(found), accepted, len(left))
        return Taken(len(found), accepted, len(left) - len(faults), tuple(faults))

    def import_tasks(self, key: str, tasks: Sequence[tuple[Task, Sequence[Annotation]]]) -> Taken:
        """Learn the annotations of exported tasks; faults name the place of the task.

        Raises:
            RequestError: Nothing is known of the project's labeling config.
        """
        label_config = self._store.project(key).label_config
        if not label_config:
            raise RequestError(
                f"The labeling config of project {key} is not known here; open the project's settings for the model in "
                "Label Studio and save them, and try again."
            )
        made = [(task, annotation) for task, annotations in tasks for annotation in annotations]
        places = [place for place, (_, annotations) in enumerate(tasks) for _ in annotations]
        taken = self._worker.submit(self.learn, key, label_config, made).result()
        faults = tuple((places[at], sentence) for at, sentence in taken.faults)
        return Taken(taken.learned, taken.accepted, taken.left, faults)

    def publish(self, key: str) -> Learned:
        """Let batches go by all that is known now."""
        before = self._store.learned(key)
        after = self._store.publish(key)
        if after.publication != before.publication:
            log.info("published project=%s corrections=%d publication=%s", key, after.count, after.publication)
            self._published(key)
        return after

    def lore(self, key: str) -> Lore:
        """What a project has learned. It is counted anew only where it has changed."""
        learned = self._store.learned(key)
        with self._lock:
            held = self._lore.get(key)
        if held is None or held[0] != learned.stamp:
            held = (learned.stamp, self._counted(key, learned))
            with self._lock:
                self._lore[key] = held
        return held[1]

    def answered(self, key: str, task: TaskId | None, regions: tuple[Region, ...]) -> None:
        """Note what an annotator's editor was given, to tell later whether they left it as it was."""
        if task is not None:
            with self._lock:
                self._answers[key, task] = regions
                self._answers.move_to_end((key, task))
                while len(self._answers) > _ANSWERS_NOTED:
                    self._answers.popitem(last=False)

    def forget(self, key: str) -> None:
        """Remove what is noted here of a project."""
        with self._lock:
            self._lore.pop(key, None)
            for held in [held for held in self._answers if held[0] == key]:
                del self._answers[held]

    async def close(self) -> None:
        """Take in what has come, and no more."""
        self._worker.shutdown()

    def _take(self, event: WebhookEvent) -> None:
        key = event.project
        if key is None:
            return
        if event.action == "START_TRAINING":
            self.publish(key)
        self._unlearn(key, list(map(str, event.deleted)))
        if event.deleted_tasks:
            gone = set(event.deleted_tasks)
            self._unlearn(key, [one.annotation for one in self._store.corrections(key) if one.task in gone])
        if event.action in _SUBMITTED:
            self._take_annotations(key, event)

    def _take_annotations(self, key: str, event: WebhookEvent) -> None:
        named = [(event.task_of(annotation), annotation) for annotation in event.annotations]
        # What cannot be read anew must not stand as it was before.
        self._unlearn(key, _names(annotation for task, annotation in named if task is None))
        made = [(task, annotation) for task, annotation in named if task is not None]
        label_config = event.label_config or self._store.project(key).label_config
        if not made or not label_config:
            return
        try:
            self.learn(key, label_config, made)
        except LabelingError as exc:  # nothing that a model fills: there is nothing to learn
            log.info("webhook project=%s: %s", key, exc.logged)

    def _unlearn(self, key: str, annotations: Sequence[str]) -> None:
        if annotations:
            self._store.unlearn(key, annotations)

    def _told(self, bound: Bound, made: Iterable[tuple[Task, Annotation]]) -> tuple[_Told, _Told]:
        """What the model is known to have answered for the tasks, by their digests: in batches, and in the editor."""
        asked = {digest_of(task): task for task, annotation in made if annotation.from_model}
        kept = self._store.kept(bound.key, bound.version, asked) if asked else {}
        told = {
            digest: Prediction.from_json(one.prediction).result
            for digest, one in kept.items()
            if one.prediction is not None
        }
        with self._lock:
            noted = {digest: self._answers.get((bound.key, task.id or "")) for digest, task in asked.items()}
        return told, {digest: regions for digest, regions in noted.items() if regions is not None}

    def _count(self, key: str, learned: Learned) -> None:
        if 0 < self._every <= learned.since:
            self.publish(key)

    def _counted(self, key: str, learned: Learned) -> Lore:
        corrections = self._store.corrections(key) if learned.count else ()
        published = self._store.corrections(key, published=True) if learned.publication else ()
        accepted = sum(one.accepted for one in corrections)
        evidence = sum(not one.accepted for one in published)
        return Lore(len(corrections), accepted, evidence, learned.since, learned.publication)


def _tell(action: str, done: Future[None]) -> None:
    """Write down what became of a webhook whose sender waits no longer."""
    fault = done.exception()
    if fault is None:
        log.info("webhook %s was taken in at last", action)
    elif isinstance(fault, BackendError):
        log.warning("webhook %s was not taken in: %s", action, fault.logged)
    else:
        log.error("webhook %s was not taken in: a fault of ours", action, exc_info=fault)


def _corrected(bound: Bound, task: Task, annotation: Annotation, kept: _Told, noted: _Told) -> Correction | None:
    told = kept if annotation.parent_prediction is not None else noted
    shown = told.get(digest_of(task)) if annotation.from_model else None
    correction = correct(bound.plan, task, annotation, shown)
    if correction is not None and len(json.dumps(correction.to_json(), default=str)) > _LARGEST:
        raise InputError(f"The task and its answers are larger than {_LARGEST:,} bytes, too large for an example.")
    return correction


def _names(annotations: Iterable[Annotation]) -> list[str]:
    return [str(annotation.id) for annotation in annotations if annotation.id is not None]
