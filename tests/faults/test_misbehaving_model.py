"""Two thousand tasks, a model that misbehaves, a server that is killed: nothing is lost, nothing is paid for twice."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.misbehaving import CONFIG, Misbehaving, right, task
from tests.support.serve import Server, until
from tests.support.stub_model import StubModel

TASKS = 2000
POISON = (13, 666, 1313)
NUMBERS = range(1, TASKS + 1)
ALL = [task(number) for number in NUMBERS]
# No call of these fails to be answered but those that hang.
SETTINGS = {"LLM_TIMEOUT": "4", "LOG_LEVEL": "ERROR"}


@contextmanager
def _served(model: Misbehaving, folder: Path, **told: str) -> Iterator[Server]:
    with StubModel(model) as stub, Server(stub, folder, **SETTINGS, **told) as server:
        server.setup(CONFIG)
        yield server


def _answer(prediction: Any) -> dict[str, str]:
    """What a prediction fills in, by control."""
    regions = prediction["result"]
    return {region["from_name"]: next(iter(region["value"].values()))[0] for region in regions}


def _check(server: Server, model: Misbehaving, kills: list[float] = []) -> None:  # noqa: B006 (it is only read)
    results = dict(zip(NUMBERS, server.predict(ALL, CONFIG), strict=True))
    wrong = [number for number in NUMBERS if number not in POISON and _answer_or_none(results[number]) != right(number)]
    assert wrong == []
    assert [number for number in POISON if results[number]] == []
    failed = {
        failure["task"]: failure["reason"]
        for job in server.jobs()
        for failure in server.get(f"/jobs/{job['id']}")["tasks"]
    }
    assert failed.keys() == set(POISON)
    assert all("content filter" in reason for reason in failed.values())
    assert model.paid_again(kills) == {}


def _answer_or_none(prediction: Any) -> dict[str, str] | None:
    return _answer(prediction) if prediction else None


def test_every_good_task_gets_its_right_prediction_and_is_paid_for_once(tmp_path: Path) -> None:
    model = Misbehaving(seed=1, poison=POISON)
    with _served(model, tmp_path) as server:
        server.predict(ALL, CONFIG)
        (job,) = server.until_finished()
        assert (job["state"], job["done"], job["failed"]) == ("completed", TASKS - len(POISON), len(POISON))
        asked = dict(model.tries)
        _check(server, model)
        assert dict(model.tries) == asked  # not the failed ones either: they would fail again
        assert len(model.paid) == TASKS - len(POISON)
        assert [model.tries[number] for number in POISON] == [1, 1, 1]


def test_a_server_whose_parent_process_was_killed_can_be_started_again_at_once(tmp_path: Path) -> None:
    model = Misbehaving(seed=5, faults=(), latency=1.0)
    with _served(model, tmp_path) as server:
        server.hang_up_on(ALL[:300], CONFIG, after=lambda: len(model.paid) >= 60)
        orphan = server.kill_parent()
        killed = [time.monotonic()]
        server.start()
        assert orphan not in server.pids
        (job,) = server.until_finished()
        assert (job["state"], job["done"]) == ("completed", 300)
        assert model.paid_again(killed) == {}
        assert "in use" not in server.log.read_text()


def test_a_run_survives_kills_and_a_client_that_hangs_up(tmp_path: Path) -> None:
    model, chance = Misbehaving(seed=2, poison=POISON), random.Random(2)
    first, second = sorted(chance.sample(range(300, TASKS - 300), 2))
    with _served(model, tmp_path) as server:
        server.hang_up_on(ALL, CONFIG, after=lambda: len(model.paid) >= 200)
        until(lambda: len(model.paid) >= first, 60)
        kills = [server.kill_worker()]
        server.until_up()
        until(lambda: len(model.paid) >= second, 60)
        kills.append(server.kill())
        server.start()
        (job,) = server.until_finished()
        assert (job["state"], job["done"], job["failed"]) == ("completed", TASKS - len(POISON), len(POISON))
        _check(server, model, kills)
        assert len(model.paid) - (TASKS - len(POISON)) <= 2 * 64  # calls in flight: LLM_CONCURRENCY for each kill
