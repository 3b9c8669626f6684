"""What happens on setup, predict and webhook?"""

import json
import logging
import threading
from collections.abc import Coroutine

from llm_backend.adapters.runs import Engine
from llm_backend.adapters.store import Store
from llm_backend.backend.agreeing import Agreeing
from llm_backend.backend.batch import Batch
from llm_backend.backend.blind import KeptAnswers
from llm_backend.backend.datasets import Datasets
from llm_backend.backend.interactive import Interactive
from llm_backend.backend.jobs import Jobs
from llm_backend.backend.judging import Judging
from llm_backend.backend.known import KnownProjects
from llm_backend.backend.learning import Learning
from llm_backend.backend.lessons import Pools
from llm_backend.backend.projects import Models, Projects
from llm_backend.backend.pushing import Pushing
from llm_backend.backend.watching import Watch
from llm_backend.backend.work import Asker
from llm_backend.core.inputs import Fetch
from llm_backend.core.overrides import Overrides
from llm_backend.core.prompts import prompt_in
from llm_backend.core.wire import Annotation, PredictRequest, SetupRequest, WebhookEvent
from llm_backend.errors import BackendError
from llm_backend.settings import Settings

__all__ = ["Asker", "Backend", "Jobs", "Models", "Pools", "Projects", "Watch"]

log = logging.getLogger(__name__)

_SUBMITTED = frozenset(("ANNOTATION_CREATED", "ANNOTATION_UPDATED", "ANNOTATIONS_CREATED"))


class Backend:
    """The backend, whichever door the request came in by."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        models: Models,
        projects: Projects,
        engine: Engine,
        pushing: Pushing,
        fetch: Fetch,
        pools: Pools,
        watch: Watch | None = None,
    ) -> None:
        self._store = store
        self._models = models
        self._projects = projects
        self.learning = Learning(store, projects, settings.learn_every, self._move)
        self._interactive = Interactive(settings, store, projects, fetch, pools, self.learning.answered, watch)
        self._batch = Batch(settings, store, projects, engine, pushing)
        self._versions: dict[str, str] = {}
        self.jobs = Jobs(store, engine)
        self.datasets = Datasets(store, projects, engine)
        self.judging = Judging(store, self.datasets)
        self.known = KnownProjects(store, self.learning, settings.default_prompt, self._versions)
        self.kept = KeptAnswers(store, settings.blind_share)
        self.agreeing = Agreeing(store, self.known, settings.blind_share)
        self._lock = threading.Lock()

    def setup(self, request: SetupRequest) -> str:
        """Take in what the host tells of a project; returns its current `model_version`.

        Raises:
            LabelingError: The labeling config cannot be read, or holds nothing that a model can fill.
            RequestError: The extra parameters cannot be used.
        """
        overrides = Overrides.from_json(request.extra_params)
        if overrides.unknown:
            log.warning("setup project=%s: unknown extra parameters: %s", request.project, ", ".join(overrides.unknown))
        self._store.save_setup(
            request.project, request.hostname, request.access_token, request.extra_params, request.label_config
        )
        return self._current(request.project, request.label_config)

    def predict(self, request: PredictRequest) -> Coroutine[None, None, list[str]]:
        """Answer the editor (one prediction, perhaps empty) or a batch: an entry for each task, in JSON."""
        # No coroutine here, which would hold the request until it is answered.
        return self._alone(request) if request.interactive else self._batch.answer(request)

    async def _alone(self, request: PredictRequest) -> list[str]:
        return [json.dumps((await self._interactive.answer(request)).to_json())]

    def recover(self) -> None:
        """Look again for what a process before this one left to be pushed. Called on the event loop, once."""
        self._batch.recover()

    def versions(self) -> list[str]:
        """The versions that /setup has answered, newest last; before the first, the model's name."""
        with self._lock:
            return list(dict.fromkeys(self._versions.values())) or [self._models.llm(None).model]

    def webhook(self, event: WebhookEvent) -> None:
        """Learn from what people submitted: their answers, and a prompt that is new becomes the project's."""
        if event.project is None:
            return
        if event.deleted:
            self._store.forget_annotations(event.project, event.deleted)
        if event.action in _SUBMITTED and event.label_config:
            self._learn_prompts(event.project, event)
        self.learning.take(event)

    def _current(self, project: str, label_config: str) -> str:
        """The project's version at this moment; runs of an earlier one end."""
        version = self._projects.bind(project, label_config).version
        self._batch.supersede(project, version)
        with self._lock:
            self._versions[project] = version
        return version

    def _move(self, project: str) -> None:
        """What batches go by was published."""
        if label_config := self._store.project(project).label_config:
            try:
                self._current(project, label_config)
            except BackendError as exc:  # the next /setup will say so, too
                log.warning("project=%s: what was published has no effect: %s", project, exc.logged)

    def _learn_prompts(self, project: str, event: WebhookEvent) -> None:
        box = self._projects.config(event.label_config).prompt
        for annotation in event.annotations:
            if box and not annotation.was_cancelled:
                self._learn_prompt(project, annotation, prompt_in(annotation.result, box), event.action)

    def _learn_prompt(self, project: str, annotation: Annotation, prompt: str, action: str) -> None:
        """Save the prompt if it differs from what the annotation held before.

        Of an annotation that was updated, but never seen, that cannot be told; its prompt is only noted.
        """
        before = self._store.annotation_prompt(project, annotation.id) if annotation.id is not None else None
        if annotation.id is not None:
            self._store.note_annotation_prompt(project, annotation.id, prompt)
        unseen_update = before is None and action == "ANNOTATION_UPDATED"
        if prompt and prompt != before and not unseen_update:
            self._store.save_prompt(project, prompt, "submitted")
