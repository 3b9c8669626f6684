"""What stands in Redis beside the store? Chunks of runs as RQ jobs, and which tasks are being asked now.

A job names places of a run, or digests, never a task's text: whoever takes it reads the tasks from the store. Nothing
here is worth keeping: what is lost of it is queued anew from the store.
"""

import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry as Retries
from rq import Queue, Retry
from rq.exceptions import DequeueTimeout, DeserializationError
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker_registration import get_keys

from llm_backend.errors import StoreError

BATCH = "llm-backend-batch"
OPENED = "llm-backend-opened"
"""The queue of tasks that somebody opened."""
FIRST = "llm-backend-first"
"""The queue of the first tasks of each run, which do not wait behind what workers hold of other runs."""

_ASKING = "llm_backend:asking"
_NEXT_CHUNK = "llm_backend:next-chunk"
_SWEPT = "llm_backend:swept"
_WORKER_KEY = "rq:worker:"

_TIMES_TAKEN_UP = 10
_FAILURES_KEPT = 3600
_BEGUN_WITHIN = 2.0
_SOCKET_SECONDS = 11.0  # the least that RQ's own record of a worker asks for


@dataclass(frozen=True, slots=True)
class Pace:
    """How soon the dead are noticed, in seconds; how far workers run ahead.

    Attributes:
        beat: Between two signs of life.
        life: Without a sign for so long, a worker counts as dead.
        drain: How long calls under way may take to end when a worker is told to stop.
        job: Limit of one chunk, all its calls and their retries included.
        ahead: Tasks of one run that are queued or under way at a time. With fewer than three times the places for
            calls, workers wait for what is to follow; with many more, a run stands in the way of others.
    """

    beat: float = 5.0
    life: int = 30
    drain: float = 25.0
    job: int = 3600
    ahead: int = 256


@dataclass(frozen=True, slots=True)
class Piece:
    """What one job asks for: the tasks of a run from a place on, or those that somebody opened.

    Attributes:
        first: The first place; -1 beside digests.
        size: Places of a chunk, or the number of digests.
        total: Tasks of the whole run; 0 where no chunk follows this one.
    """

    run_id: str
    first: int
    size: int
    total: int = 0
    digests: tuple[str, ...] = ()

    @property
    def opened(self) -> bool:
        return bool(self.digests)

    @classmethod
    def of(cls, job: Job) -> "Piece":
        told = job.kwargs
        return cls(told["run_id"], told["first"], told["size"], told["total"], tuple(told["digests"]))

    def __str__(self) -> str:
        where = "opened" if self.opened else f"from place {self.first}"
        return f"run {self.run_id}: {self.size} tasks, {where}"


def connect(redis_url: str) -> Redis:
    """A client that tries again for a moment: connections that a restart of Redis has ended are opened anew."""
    return Redis.from_url(
        redis_url,
        socket_timeout=_SOCKET_SECONDS,
        socket_connect_timeout=2.0,
        health_check_interval=30,
        retry=Retries(ExponentialBackoff(cap=0.4, base=0.05), 3),
    )


@contextmanager
def told(redis: Redis) -> Iterator[None]:
    """Turn Redis's troubles into a sentence that names its address, without its password."""
    try:
        yield
    except RedisError as exc:
        at = redis.connection_pool.connection_kwargs
        where = at.get("path") or f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
        raise StoreError(
            f"Redis at {where} does not answer ({type(exc).__name__}): runs go on when it is back."
        ) from exc


def ask_for(**piece: Any) -> None:
    """What the jobs name. RQ's own workers cannot do it: they have no model, and no event loop."""
    raise RuntimeError("Only `llm-backend worker` can do this job: start one, in the place of `rq worker`.")


class Jobs:
    """The queues and what belongs to them. Any thread may call any method; every one may raise RedisError."""

    def __init__(self, redis: Redis, pace: Pace) -> None:
        self.redis = redis
        self.pace = pace
        self.queues = tuple(Queue(name, connection=redis, serializer=JSONSerializer) for name in (OPENED, FIRST, BATCH))
        self._by_name = {queue.name: queue for queue in self.queues}

    def add(self, pieces: Sequence[Piece], *, first: Collection[Piece] = (), pipe: Pipeline | None = None) -> None:
        """Queue pieces in their order, those among `first` as the first of their run."""
        with self.redis.pipeline() as own:
            for piece in pieces:
                queue = self._by_name[OPENED if piece.opened else FIRST if piece in first else BATCH]
                queue.enqueue_many([self._job(piece)], pipeline=own if pipe is None else pipe)
            own.execute()

    def _job(self, piece: Piece, at_front: bool = False) -> Any:
        return Queue.prepare_data(
            f"{ask_for.__module__}.{ask_for.__name__}",
            kwargs={**asdict(piece), "digests": list(piece.digests)},
            job_id=f"{piece.run_id}-{max(0, piece.first)}-{uuid.uuid4().hex[:8]}",
            description=str(piece),
            timeout=self.pace.job,
            result_ttl=0,
            failure_ttl=_FAILURES_KEPT,
            retry=Retry(max=_TIMES_TAKEN_UP),
            at_front=at_front,
        )

    def take(self, queue: str, seconds: int) -> tuple[Job, Piece] | None:
        """The next job; waits for one so long. It stands in RQ's intermediate queue until it is begun."""
        try:
            found = Queue.dequeue_any([self._by_name[queue]], seconds, self.redis, serializer=JSONSerializer)
        except DequeueTimeout:
            return None
        if found is None:
            return None
        job, _ = found
        try:
            return job, Piece.of(job)
        except (DeserializationError, KeyError, TypeError):  # not ours, or of another release
            self.drop(job)
            return None

    def leave_to_others(self, piece: Piece, size: int) -> Piece:
        """What of a taken chunk is more than we can ask at once goes back, if nothing else is queued.

        So the last chunks of a run do not wait in one worker while another has nothing to do. The job still names the
        whole chunk: should we die, all of it is looked at again.

        Returns:
            What is left to us.
        """
        queue = self._by_name[BATCH]
        if self.redis.llen(queue.key):
            return piece
        rest = replace(piece, first=piece.first + size, size=piece.size - size, total=0)
        queue.enqueue_many([self._job(rest, at_front=True)])
        return replace(piece, size=size)

    def begin(self, job: Job, worker: str) -> Execution:
        """Note that a worker has the job: if its signs of life end, RQ queues the job again."""
        with self.redis.pipeline() as pipe:
            execution = Execution.create(job, self.pace.life, pipeline=pipe)
            job.prepare_for_execution(worker, pipeline=pipe)
            self._leave_intermediate(job, pipe)
            pipe.execute()
        return execution

    def end(self, job: Job, execution: Execution, following: Piece | None) -> None:
        """Remove a job that was done, and queue what follows it, in one step."""
        with self.redis.pipeline() as pipe:
            execution.delete(job, pipeline=pipe)
            pipe.delete(job.key)
            if following is not None:
                self.add([following], pipe=pipe)
            pipe.execute()

    def give_back(self, job: Job, execution: Execution | None) -> None:
        """Put a job back, before all others: it has waited already."""
        queue = self._by_name[job.origin]
        with self.redis.pipeline() as pipe:
            if execution is not None:
                execution.delete(job, pipeline=pipe)
            self._leave_intermediate(job, pipe)
            pipe.hset(job.key, "status", "queued")
            queue.push_job_id(job.id, pipeline=pipe, at_front=True)
            pipe.execute()

    def drop(self, job: Job) -> None:
        with self.redis.pipeline() as pipe:
            self._leave_intermediate(job, pipe)
            pipe.delete(job.key)
            pipe.execute()

    def _leave_intermediate(self, job: Job, pipe: Pipeline) -> None:
        pipe.lrem(self._by_name[job.origin].intermediate_queue_key, 1, job.id)

    def open(self) -> Counter[str]:
        """How many jobs each run has, queued and begun: what holds at one moment."""
        with self.redis.pipeline() as pipe:
            for queue in self.queues:
                pipe.lrange(queue.key, 0, -1)
                pipe.lrange(queue.intermediate_queue_key, 0, -1)
                pipe.zrange(queue.started_job_registry.key, 0, -1)
            ids = [raw.decode() for found in pipe.execute() for raw in found]
        return Counter(name.rsplit("-", 2)[0] for name in ids)

    def place_next(self, run_id: str, chunk: int, pipe: Pipeline | None = None) -> None:
        """Say which chunk of a run is queued next."""
        (pipe if pipe is not None else self.redis).zadd(_NEXT_CHUNK, {run_id: chunk})

    def follow(self, piece: Piece, no_earlier_than: int = 0) -> Piece | None:
        """The chunk of the same run that is to be queued next, which nobody else is given; None if there is none."""
        if no_earlier_than:
            self.redis.zadd(_NEXT_CHUNK, {piece.run_id: no_earlier_than // piece.size}, xx=True, gt=True)
        following = self.redis.zadd(_NEXT_CHUNK, {piece.run_id: 1}, xx=True, incr=True)
        if following is None:
            return None
        first = (int(float(following)) - 1) * piece.size
        if first < piece.total:
            return Piece(piece.run_id, first, piece.size, piece.total)
        self.no_more(piece.run_id)
        return None

    def no_more(self, run_id: str) -> None:
        self.redis.zrem(_NEXT_CHUNK, run_id)

    def claim(self, claims: Iterable[str]) -> list[str]:
        """Those of the claims (see `claim_of`) that nobody holds; from here on they are ours, while we renew them."""
        wanted, until = list(claims), self._claimed_until()
        with self.redis.pipeline(transaction=False) as pipe:
            for claim in wanted:
                pipe.zadd(_ASKING, {claim: until}, nx=True)
            return [claim for claim, added in zip(wanted, pipe.execute(), strict=True) if added]

    def renew(self, claims: Collection[str], pipe: Pipeline) -> None:
        if claims:
            pipe.zadd(_ASKING, dict.fromkeys(claims, self._claimed_until()), xx=True)

    def _claimed_until(self) -> float:
        """A little before RQ takes the job up again, which counts in whole seconds: by then its tasks are free."""
        return time.time() + self.pace.life - 1

    def release(self, claims: Iterable[str], pipe: Pipeline | None = None) -> None:
        if released := list(claims):
            (pipe if pipe is not None else self.redis).zrem(_ASKING, *released)

    def asking(self) -> int:
        return int(self.redis.zcount(_ASKING, time.time(), "+inf"))

    def workers(self) -> tuple[str, ...]:
        """Names of the workers that have given a sign of life."""
        keys = sorted(get_keys(self._by_name[BATCH]))
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.exists(key)
            return tuple(
                key.removeprefix(_WORKER_KEY) for key, exists in zip(keys, pipe.execute(), strict=True) if exists
            )

    def may_sweep(self) -> bool:
        """Whether it is our turn to look for what the dead have left: somebody's, once in a beat."""
        return bool(self.redis.set(_SWEPT, 1, nx=True, px=int(self.pace.beat * 1000)))

    def forget_dead_claims(self) -> None:
        self.redis.zremrangebyscore(_ASKING, "-inf", time.time())

    def put_back_stranded(self) -> None:
        """Queue those jobs again whose worker died between taking and beginning them.

        RQ does so after more than a minute, and counts it as a failure.
        """
        for queue in self.queues:
            between = queue.intermediate_queue
            for job_id in between.get_job_ids():
                seen = between.get_first_seen(job_id)
                if seen is None:
                    between.set_first_seen(job_id)
                elif time.time() - seen.timestamp() > self.pace.beat + _BEGUN_WITHIN:
                    with self.redis.pipeline() as pipe:
                        pipe.lrem(between.key, 1, job_id)
                        pipe.delete(between.get_first_seen_key(job_id))
                        queue.push_job_id(job_id, pipeline=pipe, at_front=True)
                        pipe.execute()


def claim_of(run_id: str, digest: str) -> str:
    """The name under which a task is asked for."""
    return f"{run_id} {digest}"
