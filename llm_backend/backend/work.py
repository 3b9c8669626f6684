"""How is one task of a run asked, wherever the run is worked on?"""

import logging
import time
from collections.abc import Callable

from llm_backend.adapters.store import Kept, Settled
from llm_backend.backend.lessons import Pools
from llm_backend.backend.projects import Projects
from llm_backend.backend.watching import Watch, watched
from llm_backend.core.chat import Usage
from llm_backend.core.inputs import Fetch
from llm_backend.core.predictor import Outcome, predict
from llm_backend.core.run import RunTask, Spec
from llm_backend.core.scores import joint
from llm_backend.core.wire import Prediction
from llm_backend.errors import BackendError, KeyRefused, StoreError, TaskError
from llm_backend.settings import Settings

log = logging.getLogger(__name__)


class Asker:
    """Asks for the tasks of runs; its `ask` is an engine's `Work`."""

    def __init__(
        self,
        settings: Settings,
        projects: Projects,
        fetch: Fetch,
        pools: Pools,
        watch: Watch | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._projects = projects
        self._fetch = fetch
        self._pools = pools
        self._watch = watch
        self._clock = clock

    async def ask(self, spec: Spec, run_task: RunTask) -> Settled:
        """Ask for one task; its failure is an answer, too.

        Raises:
            KeyRefused: Key, rights, quota or model: no task of the run would fare better.
            StoreError: What is known of the project cannot be read now.
        """
        try:
            outcome, score = await self._outcome(spec, run_task)
        except (KeyRefused, StoreError):  # the task itself is well: the run pauses, or it is asked again
            raise
        except BackendError as exc:
            log.warning("batch project=%s task=%s failed: %s", spec.project, run_task.task.id, exc.logged)
            lasting = isinstance(exc, TaskError) and exc.lasting
            return Settled(Kept(run_task.digest, None, exc.sentence, lasting, self._clock()), exc.usage or Usage())
        prediction = Prediction(outcome.regions, score, spec.version).to_json()
        reason = " ".join(outcome.reasons)
        return Settled(Kept(run_task.digest, prediction, reason, False, self._clock()), outcome.usage)

    async def _outcome(self, spec: Spec, run_task: RunTask) -> tuple[Outcome, float | None]:
        """What came of a task, and how likely it is to be right."""
        plan, llm, calibration = self._projects.rebuild(spec)
        asking = predict(
            plan,
            run_task.task,
            spec.prompt,
            llm,
            self._fetch,
            lane="batch",
            patience=self._settings.task_deadline,
            group=spec.project,
            lessons=await self._pools.published(spec, plan, llm.model),
        )
        outcome = await watched(asking, self._watch, "batch", spec.parameters.model or llm.model)
        score = joint(outcome.regions)
        return outcome, calibration(score) if calibration and score is not None else score
