"""Which chunks of a run are queued, and when? A window of them at a time, so that batches stay fair to each other."""

import logging
import time
from collections.abc import Sequence

from rq.registry import clean_registries
from rq.worker_registration import clean_worker_registry

from llm_backend.adapters.runs.rq.jobs import Jobs, Piece
from llm_backend.adapters.store import Runs
from llm_backend.core.run import RunState, TaskState
from llm_backend.errors import UnknownRun

log = logging.getLogger(__name__)

UNDER_WAY: tuple[RunState, ...] = ("queued", "running")
WAITING: tuple[TaskState] = ("waiting",)

_CHUNK = 16
_SMALL_RUNS_CHUNKS = 16
_AT_ONCE_AHEAD = 16
"""A run's first tasks are queued before all others: a small batch is done by the time a large one has had a turn."""
_BEING_STARTED = 5.0


def chunk_size(total: int) -> int:
    """Tasks per chunk: a small run is split into enough of them for several workers."""
    return max(1, min(_CHUNK, -(-total // _SMALL_RUNS_CHUNKS)))


def start(store: Runs, jobs: Jobs, run_id: str) -> None:
    """Queue the first chunks of a run that holds waiting tasks; those that follow come as these end.

    Of a run that is under way only as many are queued as the window has room for, and those that were passed come
    round again.
    """
    run = store.run(run_id)
    if run is None or not run.unfinished:
        return
    store.set_run_state(run_id, "running", only=("queued", "paused"))
    waiting = store.task_statuses(run_id, WAITING, most=1)
    if not waiting:
        return
    size = chunk_size(run.total)
    begin = waiting[0].place // size * size
    room = max(0, jobs.pace.ahead // size - jobs.open()[run_id])
    pieces = [Piece(run_id, first, size, run.total) for first in range(begin, run.total, size)[:room]]
    with jobs.redis.pipeline() as pipe:
        jobs.place_next(run_id, begin // size + len(pieces), pipe)
        jobs.add(pieces, first=pieces[: _AT_ONCE_AHEAD // size], pipe=pipe)
        pipe.execute()


def hurry(jobs: Jobs, run_id: str, digests: Sequence[str]) -> None:
    some = [tuple(digests[at : at + _CHUNK]) for at in range(0, len(digests), _CHUNK)]
    jobs.add([Piece(run_id, -1, len(these), digests=these) for these in some])


def following(store: Runs, jobs: Jobs, piece: Piece, empty: bool) -> Piece | None:
    """The chunk to queue when this one ends. Behind an empty one, chunks where nothing waits are passed over."""
    if not piece.total:
        return None
    skip_to = 0
    if empty:
        try:
            waiting = store.task_statuses(piece.run_id, WAITING, most=1, after=piece.first + piece.size - 1)
        except UnknownRun:  # its project was forgotten meanwhile
            waiting = ()
        if not waiting:
            return None
        skip_to = waiting[0].place
    return jobs.follow(piece, skip_to)


def forget(store: Runs, jobs: Jobs, run_id: str) -> None:
    """Queue no more of a run if it is over. One that is paused may be resumed at any moment."""
    run = store.run(run_id)
    if run is None or not run.unfinished:
        jobs.no_more(run_id)


def sweep(store: Runs, jobs: Jobs) -> None:
    """Take up what dead workers left: RQ queues their jobs again; runs without any job are started."""
    jobs.forget_dead_claims()
    for queue in jobs.queues:
        clean_registries(queue)
        clean_worker_registry(queue)
    jobs.put_back_stranded()
    take_up(store, jobs)


def take_up(store: Runs, jobs: Jobs) -> None:
    """Start the runs that wait without a job: their jobs were lost, or whoever added them died before it queued any."""
    runs = store.runs(UNDER_WAY, most=1000)
    if not runs:
        return
    jobs_open, now = jobs.open(), time.time()
    for run in reversed(runs):
        if run.waiting and not jobs_open[run.id] and run.created < now - _BEING_STARTED:
            log.warning("run=%s project=%s waits without a job: started again", run.id, run.spec.project)
            start(store, jobs, run.id)
