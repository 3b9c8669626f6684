"""A full disk, a damaged file, far too many tasks, the same tasks twice: what is lost, and what does a person read?"""

import json
import resource
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.misbehaving import CONFIG, Misbehaving, right, task
from tests.support.serve import Server, predict_body, until
from tests.support.stub_model import StubModel


@contextmanager
def _served(model: Misbehaving, folder: Path, **told: str) -> Iterator[Server]:
    with StubModel(model) as stub, Server(stub, folder, **told) as server:
        server.setup(CONFIG)
        yield server


def _well(latency: float = 0.05) -> Misbehaving:
    return Misbehaving(seed=3, faults=(), latency=latency)


def _answer(prediction: Any) -> dict[str, str]:
    return {region["from_name"]: next(iter(region["value"].values()))[0] for region in prediction["result"]}


def _later(server: Server, tasks: list[Any], threads: ThreadPoolExecutor) -> "Future[list[Any]]":
    return threads.submit(server.predict, tasks, CONFIG)


def _largest_file(server: Server, size: int) -> None:
    """Bound the files that the serving process may write, as a full disk would."""
    for pid in server.pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_that_is_full_for_a_while_costs_no_task(tmp_path: Path) -> None:
    model, tasks = _well(0.2), [task(number) for number in range(1, 301)]
    with _served(model, tmp_path, BATCH_DEADLINE="8") as server, ThreadPoolExecutor(1) as threads:
        server.predict([task(number) for number in range(1001, 1051)], CONFIG)
        request = _later(server, tasks, threads)
        until(lambda: len(model.paid) >= 150, 30)
        _largest_file(server, 50_000)  # the log still fits, the database does not
        first = request.result(30)
        assert server.get("/health")["status"] == "UP"
        assert 0 < sum(map(bool, first)) < len(tasks)
        told = [job["reason"] for job in server.jobs() if job["state"] == "running"]
        assert len(told) == 1
        assert told[0].startswith("waits for the store: ")
        assert "cannot be read and written" in told[0]
        assert [run["reason"] for run in server.get("/status")["runs"] if run["state"] == "running"] == told
        assert any("cannot be read and written" in line for line in server.log.read_text().splitlines())
        _largest_file(server, resource.RLIM_INFINITY)
        began = time.monotonic()
        again = server.predict(tasks, CONFIG)
        assert [_answer(prediction) for prediction in again] == [right(task["id"]) for task in tasks]
        assert time.monotonic() - began < 7
        assert {job["reason"] for job in server.until_finished(10)} == {""}


def test_a_damaged_file_stops_the_start_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "llm_backend.sqlite3").write_bytes(b"no database at all " * 1000)
    with StubModel(_well()) as stub:
        server = Server(stub, tmp_path)
        assert server.launch().wait(30) == 2
    told = server.log.read_text().strip().splitlines()
    assert len(told) == 1
    assert "is damaged, or no database at all" in told[0]
    assert "move it away" in told[0]


def test_fifty_thousand_tasks_in_one_request_are_answered_in_time(tmp_path: Path) -> None:
    model, deadline = _well(1.0), 6.0
    tasks = [task(number) for number in range(1, 50_001)]  # small ones: what is held beside their text counts most
    body = len(json.dumps(predict_body(tasks, CONFIG)))
    with _served(model, tmp_path, BATCH_DEADLINE=str(deadline)) as server, ThreadPoolExecutor(1) as threads:
        server.predict(tasks[:200], CONFIG)  # as many calls in flight as there may be
        before = _most_memory(server)
        began = time.monotonic()
        request = _later(server, tasks, threads)
        slowest = 0.0
        while not request.done():
            asked = time.monotonic()
            server.get("/health")
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.02)
        seconds = time.monotonic() - began
        results = request.result()
        (job, _) = server.jobs()
        most = _most_memory(server)
        print(
            f"{seconds:.1f} s, /health {slowest * 1000:.0f} ms, {before:.0f} -> {most:.0f} MiB, body {body >> 20} MiB"
        )
        assert len(results) == len(tasks)
        assert all(results[:200])
        assert (job["state"], job["total"]) == ("running", 49_800)
        assert seconds < deadline + 4
        assert slowest < 1.0
        assert most < before + 5 * body / 2**20
        server.call("POST", f"/jobs/{job['id']}/cancel")
        assert server.until_finished(10)[0]["state"] == "cancelled"


def test_a_task_without_id_is_answered_and_one_without_data_harms_no_other(tmp_path: Path) -> None:
    nameless = {"data": task(2)["data"]}
    with _served(_well(), tmp_path) as server:
        results = server.predict([task(1), nameless, {"id": 3}, "no task", task(4)], CONFIG)
    assert [_answer(prediction) if prediction else None for prediction in results] == [
        right(1),
        right(2),
        None,
        None,
        right(4),
    ]


@pytest.mark.parametrize("requests", [2, 5])
def test_the_same_tasks_posted_at_once_are_asked_and_given_once(tmp_path: Path, requests: int) -> None:
    model, tasks = _well(0.2), [task(number) for number in range(1, 301)]
    with _served(model, tmp_path) as server, ThreadPoolExecutor(requests) as threads:
        answers = [request.result() for request in [_later(server, tasks, threads) for _ in range(requests)]]
    given = [sum(bool(answer[place]) for answer in answers) for place in range(len(tasks))]
    assert given == [1] * len(tasks)
    assert len(model.paid) == len(tasks)


def _most_memory(server: Server) -> float:
    """The most memory (MiB) that the serving process ever held."""
    status = Path(f"/proc/{server.pids[-1]}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
