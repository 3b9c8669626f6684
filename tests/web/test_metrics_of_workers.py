"""What does Prometheus read of worker processes, which may be on other machines, and may die?"""

from collections.abc import Mapping
from pathlib import Path

from llm_backend.core.chat import Usage
from llm_backend.errors import Busy, StoreError
from llm_backend.metrics import Metrics, reporting
from tests.support.redis_server import RedisServer, own_redis, redis_url
from tests.support.serve import until
from tests.support.serving import Caller, serving, task
from tests.support.stub_model import StubModel
from tests.support.worker import worker
from tests.web.test_metrics import samples, told

__all__ = ["own_redis", "redis_url"]  # fixtures

WORKERS = 'process="workers"'


def answered(host: Caller) -> float:
    return told(host).get(f'calls_total{{outcome="answered",{WORKERS}}}', 0)


def test_what_workers_count_is_told_by_the_server_and_outlives_them(redis_url: str, tmp_path: Path) -> None:
    with StubModel() as model:
        settings = {"redis_url": redis_url, "base_url": model.base_url, "batch_deadline": 30.0}
        its = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "test-key"}
        with serving(None, tmp_path, **settings) as host:
            with worker(tmp_path, **its) as one, worker(tmp_path, **its):
                assert all(host.batch(*(task(number, f"text {number}") for number in range(100))))
                until(lambda: answered(host) == 100, 20, lambda: told(host))
                found = told(host)
                one.kill()
                one.wait()
                assert answered(host) == 100
            with worker(tmp_path, **its) as three:
                assert all(host.batch(*(task(number, f"text {number}") for number in range(100, 120))))
                three.terminate()
                three.wait(20)
            assert answered(host) == len(model.asked) == 120
            last = told(host)
    assert found[f'tasks_total{{lane="batch",{WORKERS}}}'] == 100
    assert found[f'tokens_total{{kind="prompt",model="gpt-5.4-mini",{WORKERS}}}'] > 0
    assert found[f'call_duration_seconds_bucket{{le="+Inf",{WORKERS}}}'] == 100
    assert found[f"call_duration_seconds_count{{{WORKERS}}}"] == 100
    assert found['requests_total{door="predict",status="200"}'] == 1
    assert last[f"call_duration_seconds_count{{{WORKERS}}}"] == 120


def test_every_family_is_told_once_with_its_buckets_in_order() -> None:
    here, there = Metrics(), Metrics()
    for metrics in (here, there):
        metrics.sent()
        metrics.ended("answered", 0.3)
        metrics.asked("batch", "m", "", Usage(1, 1, 1))
    there.request_began()
    text = here.text({"workers": ("Processes.", {"": 1})}, there.counts()).decode()
    types = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
    found = samples(text)
    assert found['tasks_total{lane="batch"}'] == found[f'tasks_total{{lane="batch",{WORKERS}}}'] == 1
    assert found[f"requests_in_flight{{{WORKERS}}}"] == 1
    buckets = [line for line in text.splitlines() if "call_duration_seconds_bucket" in line and WORKERS in line]
    bounds = [float(line.partition('le="')[2].partition('"')[0]) for line in buckets]
    assert bounds == sorted(bounds)
    assert len(bounds) == 12


class Memory:
    """Remembers reports; those that are lost have come all the same, or have not."""

    def __init__(self) -> None:
        self.came: dict[tuple[str, int], Mapping[str, float]] = {}
        self.sent = 0
        self.lost = False
        self.now: Mapping[str, float] = {}

    def add_counts(self, process: str, number: int, counts: Mapping[str, float], now: Mapping[str, float]) -> None:
        self.sent += 1
        if not self.lost or self.sent % 2:
            assert self.came.setdefault((process, number), counts) == counts
        if self.lost:
            raise StoreError("Nobody answers.")
        self.now = now

    def counts(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        total: dict[str, float] = {}
        for counts in self.came.values():
            for name, amount in counts.items():
                total[name] = total.get(name, 0) + amount
        return total, self.now


def test_reports_whose_replies_are_lost_are_sent_again_and_nothing_counts_twice() -> None:
    metrics, memory = Metrics(), Memory()

    def count_until(sent: int) -> None:
        until(lambda: metrics.retried(Busy("Rate limit.")) is None and memory.sent >= sent, 10)

    with reporting(metrics, memory, "one", every=0.01):
        metrics.sent()
        count_until(3)
        assert any("calls_in_flight" in name and value == 1 for name, value in memory.now.items())
        memory.lost = True
        count_until(memory.sent + 6)
        memory.lost = False
        count_until(memory.sent + 3)
    assert memory.counts()[0] == {name: value for name, value in metrics.counts()[0].items() if value}
    assert memory.now == {}


def test_metrics_are_told_while_redis_is_away(own_redis: RedisServer, tmp_path: Path) -> None:
    with serving(None, tmp_path, redis_url=own_redis.url) as host:
        host.http.get("/health")
        own_redis.stop()
        found = told(host)
        assert found['requests_total{door="health",status="200"}'] == 1
        assert "queue_depth" not in found
        own_redis.start()
        assert told(host)["queue_depth"] == 0
