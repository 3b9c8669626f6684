"""What happens on Retrieve Predictions, and when a task is opened?

A request waits for its deadline at most; the work goes on after it. Answers are kept, so that what the host did not
get is there when it asks again, and a question is asked once however many requests wait for it.
"""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from llm_backend.adapters.store import Kept, Store
from llm_backend.backend.projects import Bound, Projects
from llm_backend.core.inputs import Fetch
from llm_backend.core.predictor import Outcome, predict
from llm_backend.core.prompts import Prompt
from llm_backend.core.wire import Prediction, PredictRequest, Task
from llm_backend.errors import BackendError, KeyRefused, TaskError
from llm_backend.settings import Settings

log = logging.getLogger(__name__)

# The host asks twice at once when a task is opened, and would store both answers. A request for one task is held this
# long (seconds), so that its twin meets it here even when the answer is known at once.
_TWINS_MEET = 0.3
# The twin's page must not be built before the host has stored what the first was given (seconds).
_HOST_STORES = 0.5
# A request may have looked into the store just before an answer came there; so long (seconds) it is still found here.
_STILL_FOUND = 10.0
# Tasks of a batch that are begun, or given out, before the loop turns to other calls: an annotator's must not wait for
# ten thousand of them.
_BEGUN_AT_ONCE = 8
_GIVEN_AT_ONCE = 100
# How long it is remembered what was given to whom (seconds); longer than any request waits.
_GIVEN_KNOWN = 600.0


@dataclass(frozen=True, slots=True)
class _Key:
    """One question: a task's data under a version."""

    project: str
    version: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a request's tasks; `kept` holds answers by digest and grows as the others come in."""

    bound: Bound
    prompt: Prompt
    version: str
    tasks: tuple[Task | None, ...]
    keys: tuple[_Key | None, ...]
    kept: dict[str, Kept]


@dataclass(slots=True)
class _Run:
    """What the questions of one request share: after a key, quota or model error no further calls are made."""

    bound: Bound
    prompt: Prompt
    stopped: KeyRefused | None = None


class Batch:
    """Answers requests without an annotator's context."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        projects: Projects,
        fetch: Fetch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._projects = projects
        self._fetch = fetch
        self._clock = clock
        self._asking: dict[_Key, asyncio.Task[Kept]] = {}
        self._given: dict[_Key, float] = {}
        # Twice the calls in flight: enough to keep every place taken, few enough to hold only their questions.
        self._window = asyncio.Semaphore(2 * settings.llm_concurrency)

    async def answer(self, request: PredictRequest) -> list[Prediction | None]:
        """A prediction for each task, in order; None where there is none now."""
        began = self._clock()
        try:
            # In a thread: what is done for ten thousand tasks at once must not hold up the loop.
            known = await asyncio.to_thread(self._look_up, request)
        except BackendError as exc:
            log.warning("batch project=%s tasks=%d: %s", request.project, len(request.tasks), exc.logged)
            return [None] * len(request.tasks)
        alone = len(known.keys) == 1
        await self._wait(known, began, self._settings.open_task_deadline if alone else self._settings.batch_deadline)
        if alone:
            await asyncio.sleep(max(0.0, _TWINS_MEET - (self._clock() - began)))
        predictions = await self._give_all(known, began)
        log.info(
            "batch project=%s version=%s tasks=%d answered=%d seconds=%.2f",
            known.bound.key,
            known.version,
            len(predictions),
            sum(prediction is not None for prediction in predictions),
            self._clock() - began,
        )
        if not any(predictions) and any(key and self._given_since(key, began) for key in known.keys):
            await asyncio.sleep(_HOST_STORES)
        return predictions

    def _look_up(self, request: PredictRequest) -> "_Known":
        """What is known of the request's tasks before a model is asked."""
        bound = self._projects.bind(request.project, request.label_config)
        prompt = bound.prompt()
        version = bound.plan.version(prompt, bound.llm.model)
        keys = tuple(_Key(bound.key, version, _digest(task)) if task else None for task in request.tasks)
        kept = self._store.kept(bound.key, version, [key.digest for key in keys if key])
        return _Known(bound, prompt, version, request.tasks, keys, dict(kept))

    async def _wait(self, known: "_Known", began: float, patience: float) -> None:
        """Ask for what is not known, and add what is answered within `patience` seconds."""
        asking = await self._ask_all(known)
        if asking:
            await asyncio.wait(asking.values(), timeout=max(0.0, patience - (self._clock() - began)))
        for key, answered in asking.items():
            if answered.done() and not answered.cancelled() and answered.exception() is None:
                known.kept[key.digest] = answered.result()

    async def _ask_all(self, known: "_Known") -> "dict[_Key, asyncio.Task[Kept]]":
        """Begin to ask for what is not known, a few at a time."""
        run, asking = _Run(known.bound, known.prompt), {}
        for task, key in zip(known.tasks, known.keys, strict=True):
            if task is None or key is None or key.digest in known.kept:
                continue
            asking[key] = self._ask(task, key, run)
            if len(asking) % _BEGUN_AT_ONCE == 0:
                await asyncio.sleep(0)
        return asking

    def _ask(self, task: Task, key: _Key, run: _Run) -> "asyncio.Task[Kept]":
        """The one asking of this question, under way or begun now."""
        under_way = self._asking.get(key)
        if under_way is None:
            under_way = self._asking[key] = asyncio.ensure_future(self._keep(task, key, run))
            under_way.add_done_callback(lambda done: self._settled(key, done))
        return under_way

    async def _keep(self, task: Task, key: _Key, run: _Run) -> Kept:
        async with self._window:
            kept = await self._outcome(task, key, run)
        if _remembered(kept):
            self._remember(key, kept)
        return kept

    def _remember(self, key: _Key, kept: Kept) -> None:
        try:
            self._store.keep(key.project, key.version, kept)
        except BackendError as exc:  # a full disk must not cost the answer that is at hand
            log.error("batch project=%s: an answer could not be kept: %s", key.project, exc.logged)

    async def _outcome(self, task: Task, key: _Key, run: _Run) -> Kept:
        try:
            if run.stopped:
                raise run.stopped
            outcome = await self._predict(task, run)
        except BackendError as exc:
            return self._failed(exc, task, key, run)
        if outcome.faults:
            log.info("batch project=%s task=%s: %d controls left empty", key.project, task.id, len(outcome.faults))
        prediction = Prediction(outcome.regions, None, key.version)
        return Kept(key.digest, prediction.to_json(), " ".join(outcome.faults), False, time.time())

    async def _predict(self, task: Task, run: _Run) -> Outcome:
        patience = self._settings.task_deadline
        return await predict(
            run.bound.plan, task, run.prompt, run.bound.llm, self._fetch, lane="batch", patience=patience
        )

    def _failed(self, exc: BackendError, task: Task, key: _Key, run: _Run) -> Kept:
        if isinstance(exc, KeyRefused):
            if run.stopped is None:
                log.error("batch project=%s stopped: %s", key.project, exc.logged)
            run.stopped = exc
        else:
            log.warning("batch project=%s task=%s failed: %s", key.project, task.id, exc.logged)
        lasting = isinstance(exc, TaskError) and exc.lasting
        return Kept(key.digest, None, exc.sentence, lasting, time.time())

    def _settled(self, key: _Key, done: "asyncio.Task[Kept]") -> None:
        if not done.cancelled() and (bug := done.exception()) is not None:
            log.error("batch project=%s: a task failed on a fault of ours", key.project, exc_info=bug)
        elif not done.cancelled() and _remembered(done.result()):
            asyncio.get_running_loop().call_later(_STILL_FOUND, self._asking.pop, key, None)
            return
        self._asking.pop(key, None)

    async def _give_all(self, known: "_Known", began: float) -> list[Prediction | None]:
        """What each task is given, a few at a time."""
        given: list[Prediction | None] = []
        for key in known.keys:
            given.append(self._give(key, known.kept, began) if key else None)
            if len(given) % _GIVEN_AT_ONCE == 0:
                await asyncio.sleep(0)
        return given

    def _give(self, key: _Key, kept: dict[str, Kept], began: float) -> Prediction | None:
        """Hand a prediction over, unless another request that waited for it was given it."""
        found = kept.get(key.digest)
        if found is None or found.prediction is None or self._given_since(key, began):
            return None
        now = self._clock()
        self._given.pop(key, None)
        self._given[key] = now
        while self._given and now - next(iter(self._given.values())) > _GIVEN_KNOWN:
            del self._given[next(iter(self._given))]
        return Prediction.from_json({**found.prediction, "model_version": key.version})

    def _given_since(self, key: _Key, began: float) -> bool:
        return key in self._given and self._given[key] >= began


def _remembered(kept: Kept) -> bool:
    """Whether asking again would be in vain: answered, or failed for a lasting reason."""
    return kept.prediction is not None or kept.lasting


def _digest(task: Task) -> str:
    told = json.dumps([task.id, task.data], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
