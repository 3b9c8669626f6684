"""What does Prometheus read, from one process and from several?"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from llm_backend.core.chat import Call, Usage
from llm_backend.errors import RateLimited
from llm_backend.metrics import Metrics, forget_process, share
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serve import Server
from tests.support.serving import CONFIG, GOOD, Caller, serving, task, typed
from tests.support.stub_model import StubModel, always, rate_limited, script


def told(host: Caller) -> dict[str, float]:
    """Every sample of /metrics: its name with labels, and its value."""
    response = host.http.get("/metrics")
    assert response.status_code == 200
    return samples(response.get_data(as_text=True))


def samples(text: str) -> dict[str, float]:
    lines = [line.rpartition(" ") for line in text.splitlines() if line[:1] not in ("", "#")]
    return {name.removeprefix("llm_backend_"): float(value) for name, _, value in lines}


def test_requests_are_counted_by_door_and_status(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        for path in ("/health", "/some/prefix/health", "/jobs/unknown-1", "/jobs/unknown-2", "/nowhere", "/"):
            host.http.get(path)
        host.http.post("/predict", data=b"{")
        found = told(host)
    counted = {name: value for name, value in found.items() if name.startswith("requests_total")}
    assert counted == {
        'requests_total{door="health",status="200"}': 2,
        'requests_total{door="jobs",status="404"}': 2,
        'requests_total{door="other",status="404"}': 1,
        'requests_total{door="front",status="200"}': 1,
        'requests_total{door="predict",status="400"}': 1,
    }
    assert found['request_duration_seconds_count{door="health"}'] == 2
    assert found["requests_in_flight"] == 1  # this one


def test_who_may_not_come_in_is_counted(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, basic_auth_user="u", basic_auth_pass="p") as host:
        host.http.get("/health")
        shown = {"Authorization": "Basic " + b64encode(b"u:p").decode()}
        text = host.http.get("/metrics", headers=shown).get_data(as_text=True)
        assert host.http.get("/metrics").status_code == 401
    assert samples(text)['requests_total{door="health",status="401"}'] == 1


def test_tasks_and_tokens_are_counted_by_lane_and_model(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.batch(task(1, "one"), task(2, "two"))
        host.shift_enter(typed("Say why."))
        found = told(host)
    assert found['tasks_total{lane="batch"}'] == 2
    assert found['tasks_total{lane="interactive"}'] == 1
    assert found['tokens_total{kind="prompt",model="test-model"}'] == 30
    assert found['tokens_total{kind="completion",model="test-model"}'] == 15
    assert not [name for name in found if name.startswith("task_failures")]


def test_failures_are_counted_by_kind_and_never_with_their_texts(tmp_path: Path) -> None:
    def reply(call: Call) -> Reply:
        return RateLimited("a secret sentence") if "limit me" in call.messages[-1].text else "a secret answer"

    with serving(ScriptedLLM(reply), tmp_path) as host:
        host.setup(extra_params={"prompt": "a secret prompt"})
        host.batch(task(1, "a secret text"), task(2, "limit me"))
        text = host.http.get("/metrics").get_data(as_text=True)
    found = samples(text)
    assert found['task_failures_total{lane="batch",reason="AnswerError"}'] == 1
    assert found['task_failures_total{lane="batch",reason="RateLimited"}'] == 1
    assert found['tokens_total{kind="prompt",model="test-model"}'] == 20  # the repair's are counted, too
    assert "secret" not in text


def test_calls_are_counted_by_outcome_with_retries_and_rate_limits(tmp_path: Path) -> None:
    replies = script(rate_limited(retry_after_ms="1"), rate_limited(retry_after_ms="1"))
    with StubModel(replies) as stub, serving(None, tmp_path, base_url=stub.base_url) as host:
        host.shift_enter(typed("Say why."))
        found = told(host)
    assert found['calls_total{outcome="RateLimited"}'] == found["calls_rate_limited_total"] == 2
    assert found["call_retries_total"] == 2
    assert found['calls_total{outcome="answered"}'] == 1
    assert found["call_duration_seconds_count"] == 3
    assert found["calls_in_flight"] == 0


def test_runs_queue_and_workers_are_told_as_they_stand(tmp_path: Path) -> None:
    with StubModel(always(rate_limited(retry_after="600"))) as stub:
        told_so = {"base_url": stub.base_url, "batch_deadline": 0.01, "llm_concurrency": 1}
        with serving(None, tmp_path, **told_so) as host:
            host.batch(*(task(ident, f"text {ident}") for ident in range(10)))
            found = told(host)
    assert found['runs{state="running"}'] == 1
    assert found['runs{state="paused"}'] == 0
    assert found["workers"] == 1
    assert found["queue_depth"] + found["run_tasks_in_flight"] == 10


def test_models_that_projects_bring_along_do_not_make_names_without_end() -> None:
    metrics = Metrics()
    for number in range(200):
        metrics.asked("batch", f"model-{number}", "", Usage(1, 1, 1))
    found = samples(metrics.text({}).decode())
    assert found['tokens_total{kind="prompt",model="other"}'] == 150
    assert len([name for name in found if name.startswith("tokens_total")]) == 102


COUNTS = """
import sys
from llm_backend.metrics import Metrics
metrics = Metrics()
metrics.request_began(); metrics.request_ended("health", 200, 0.01)
metrics.request_began(); metrics.sent()
print("counted", flush=True)
sys.stdin.read()
"""


def test_processes_count_together_and_a_dead_one_has_nothing_in_flight(tmp_path: Path) -> None:
    environ = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    tell = "from llm_backend.metrics import Metrics; print(Metrics().text({}).decode())"

    def look() -> dict[str, float]:
        said = subprocess.run([sys.executable, "-c", tell], env=environ, capture_output=True, text=True, check=True)
        return samples(said.stdout)

    counting = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTS], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        for process in counting:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
        both = look()
        assert both['requests_total{door="health",status="200"}'] == 2
        assert both["requests_in_flight"] == both["calls_in_flight"] == 2
        assert both['request_duration_seconds_bucket{door="health",le="0.01"}'] == 2
        counting[0].kill()
        counting[0].wait()
        forget(counting[0].pid, tmp_path)
        one = look()
        assert one['requests_total{door="health",status="200"}'] == 2
        assert one["requests_in_flight"] == one["calls_in_flight"] == 1
    finally:
        for process in counting:
            process.kill()
            process.communicate()


def forget(pid: int, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMETHEUS_MULTIPROC_DIR", str(folder))
        forget_process(pid)


def test_a_shared_folder_is_swept_of_dead_processes_and_a_temporary_one_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getpid()):
        (tmp_path / f"counter_{pid}.db").touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    share()()
    assert [file.name for file in tmp_path.iterdir()] == [f"counter_{os.getpid()}.db"]
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    leftover, others = (tmp_path / f"llm-backend-metrics-{pid}-x" for pid in (dead.pid, os.getppid()))
    leftover.mkdir()
    others.mkdir()
    stop = share()
    assert (leftover.exists(), others.exists()) == (False, True)
    made = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    assert made.is_dir()
    stop()
    assert not made.exists()
    assert "PROMETHEUS_MULTIPROC_DIR" not in os.environ


def test_counting_a_request_costs_microseconds() -> None:
    metrics, rounds = Metrics(), 2000
    began = time.process_time()
    for _ in range(rounds):
        metrics.request_began()
        metrics.request_ended("health", 200, 0.01)
    assert (time.process_time() - began) / rounds < 0.0002  # 7 µs on an idle machine, 10 µs in files


def test_a_server_goes_on_counting_over_the_death_of_its_worker_and_leaves_no_files(tmp_path: Path) -> None:
    def look(server: Server) -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            return samples(answer.read().decode())

    with StubModel() as stub:
        with Server(stub, tmp_path, TMPDIR=str(tmp_path)) as server:
            server.setup(CONFIG)
            server.predict([task(1)], CONFIG)
            server.kill_worker()
            server.until_up()
            found = look(server)
            assert found['requests_total{door="setup",status="200"}'] == 1
            assert found['calls_total{outcome="answered"}'] == found['tasks_total{lane="batch"}'] == 1
            assert found["requests_in_flight"] == 1  # this one
            assert list(tmp_path.glob("llm-backend-metrics-*/*.db"))
        assert not list(tmp_path.glob("llm-backend-metrics-*"))
