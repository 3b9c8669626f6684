"""Who is there to work? Each worker's record with RQ, and its signs of life for itself and for what it has taken."""

import logging
from collections.abc import Collection
from dataclasses import dataclass

from rq import SimpleWorker
from rq.executions import Execution
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.utils import now
from rq.worker_registration import register

from llm_backend.adapters.runs.rq.jobs import Jobs


@dataclass
class Headcount:
    """How many workers there are, as far as known: each refreshes it with every sign of life. Limits divide by it."""

    workers: int = 1

    def __call__(self) -> int:
        return self.workers


class Presence:
    """A worker's record with RQ, without RQ's loop. Every method may raise RedisError."""

    def __init__(self, jobs: Jobs, name: str, headcount: Headcount) -> None:
        self._jobs = jobs
        self._headcount = headcount
        logging.getLogger("rq.worker").setLevel(logging.WARNING)  # it sets itself to INFO
        self._record = SimpleWorker(
            list(jobs.queues),
            name=name,
            connection=jobs.redis,
            serializer=JSONSerializer,
            worker_ttl=15,  # bounds the socket's patience, here; each sign of life says its own
            log_job_description=False,
        )
        self._record.birth_date = now()

    def beat(self, under_way: Collection[tuple[Job, Execution]], claims: Collection[str]) -> None:
        """Give a sign of life: of the worker, of the jobs it has, of the tasks it asks for; and count who is there.

        All of it is written, whatever Redis still knew: one that lost its data learns of the worker again.
        """
        life = self._jobs.pace.life
        self._record.last_heartbeat = now()
        with self._jobs.redis.pipeline() as pipe:
            pipe.hset(self._record.key, mapping=self._record.serialize())
            pipe.expire(self._record.key, life)
            register(self._record, pipe)
            for job, execution in under_way:
                execution.heartbeat(job.started_job_registry, life, pipe)
            self._jobs.renew(claims, pipe)
            pipe.execute()
        self._headcount.workers = max(1, len(self._jobs.workers()))

    def leave(self) -> None:
        self._record.register_death()  # type: ignore[no-untyped-call]
