"""What can be seen and done of runs? They are listed, shown, cancelled and retried."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

from llm_backend.adapters.runs import Engine, EngineStatus
from llm_backend.adapters.store import Store
from llm_backend.core.run import PAUSED, UNFINISHED, Run, RunState, TaskState, TaskStatus
from llm_backend.errors import RequestError, UnknownRun

CANCELLED = "cancelled by a person"


class Jobs:
    """The runs, as a person sees and steers them."""

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine

    def list(self, states: Collection[RunState] = (), most: int = 100) -> tuple[Run, ...]:
        """Runs, the newest first."""
        return tuple(map(self._told, self._store.runs(states, most)))

    def show(self, run_id: str) -> Run:
        """One run.

        Raises:
            UnknownRun: There is none with that id.
        """
        run = self._store.run(run_id)
        if run is None:
            raise UnknownRun(f"There is no run {run_id}; finished ones are forgotten after a while.")
        return self._told(run)

    def tasks(
        self, run_id: str, states: Collection[TaskState] = (), most: int = 1000, after: int = -1
    ) -> tuple[TaskStatus, ...]:
        """What became of the tasks of a run, in its order.

        Raises:
            UnknownRun: There is no such run.
        """
        self.show(run_id)
        return self._store.task_statuses(run_id, states, most, after)

    async def cancel(self, run_id: str) -> Run:
        """Begin no further calls for a run; what is answered stays.

        Raises:
            UnknownRun: There is no such run.
            RequestError: It is finished.
        """
        run = self.show(run_id)
        if not self._store.set_run_state(run_id, "cancelled", CANCELLED, only=UNFINISHED):
            raise RequestError(f"Run {run_id} is {run.state} already; there is nothing to cancel.")
        await self._engine.stop(run_id)
        return self.show(run_id)

    async def retry(self, run_id: str) -> Run:
        """Ask once more for the failed tasks of a run, or go on with one that was paused or cancelled.

        Raises:
            UnknownRun: There is no such run.
            RequestError: Nothing of it failed.
        """
        run = self.show(run_id)
        resumed = self._store.set_run_state(run_id, "queued", only=PAUSED)
        again = await asyncio.to_thread(self._store.retry_run, run_id)  # of a large run it takes a while
        if not resumed and not again:
            raise RequestError(f"Run {run_id} is {run.state}, and none of its tasks failed; there is nothing to retry.")
        await self._engine.start(run_id)
        return self.show(run_id)

    def _told(self, run: Run) -> Run:
        """A run that waits for the store says so, which the store itself cannot take down."""
        why = self._engine.held_up().get(run.id)
        return run if why is None else replace(run, reason=f"waits for the store: {why}")

    async def engine(self) -> EngineStatus:
        """What works on runs."""
        return await self._engine.status()
