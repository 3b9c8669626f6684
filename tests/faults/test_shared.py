"""The same with a Redis and workers: any of the processes may die, and the run finishes; nothing is paid for twice."""

import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.test_misbehaving_model import ALL, POISON, SETTINGS, TASKS, _check
from tests.support.misbehaving import CONFIG, Misbehaving
from tests.support.redis_server import RedisServer, own_redis
from tests.support.serve import Server, until
from tests.support.stub_model import StubModel

__all__ = ["own_redis"]

AWAY = 10.0


class Workers:
    """`llm-backend worker` processes with the settings of a server."""

    def __init__(self, server: Server, count: int) -> None:
        self._server = server
        self._processes = [self._start() for _ in range(count)]

    def kill_one(self) -> float:
        """`kill -9` for a worker, and a new one in its place; returns the moment when it is gone."""
        process = self._processes.pop(0)
        process.kill()
        process.wait(10)
        killed = time.monotonic()
        self._processes.append(self._start())
        return killed

    def close(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(40)

    def _start(self) -> "subprocess.Popen[bytes]":
        with (self._server.folder / "worker.log").open("ab") as out:
            command = [sys.executable, "-m", "llm_backend", "worker"]
            return subprocess.Popen(
                command, cwd=self._server.folder, env=self._server.environ, stdout=out, stderr=subprocess.STDOUT
            )


@contextmanager
def shared(model: Misbehaving, folder: Path, redis: RedisServer, workers: int = 2) -> Iterator[tuple[Server, Workers]]:
    with StubModel(model) as stub, Server(stub, folder, **SETTINGS, REDIS_URL=redis.url) as server:
        at_work = Workers(server, workers)
        try:
            server.setup(CONFIG)
            yield server, at_work
        finally:
            at_work.close()


def test_workers_give_every_good_task_its_right_prediction_and_pay_once(
    tmp_path: Path,
    own_redis: RedisServer,
) -> None:
    model = Misbehaving(seed=3, poison=POISON)
    with shared(model, tmp_path, own_redis) as (server, _):
        server.predict(ALL, CONFIG)
        (job,) = server.until_finished()
        assert (job["state"], job["done"], job["failed"]) == ("completed", TASKS - len(POISON), len(POISON))
        _check(server, model)
        assert len(model.paid) == TASKS - len(POISON)


def test_a_run_survives_a_dead_worker_a_dead_server_an_absent_redis_and_a_client_that_hangs_up(
    tmp_path: Path,
    own_redis: RedisServer,
) -> None:
    model, chance = Misbehaving(seed=4, poison=POISON), random.Random(4)
    first, second, third = sorted(chance.sample(range(300, TASKS - 400), 3))
    with shared(model, tmp_path, own_redis) as (server, workers):
        server.hang_up_on(ALL, CONFIG, after=lambda: len(model.paid) >= 200)
        until(lambda: len(model.paid) >= first, 60)
        kills = [workers.kill_one()]
        until(lambda: len(model.paid) >= second, 120)
        server.kill()
        server.start()
        until(lambda: len(model.paid) >= third, 120)
        own_redis.stop()
        time.sleep(AWAY)
        own_redis.start()
        (job,) = server.until_finished(180)
        assert (job["state"], job["done"], job["failed"]) == ("completed", TASKS - len(POISON), len(POISON))
        _check(server, model, kills)
