"""What does a process count? Requests, model calls, tokens, retries, failures: numbers and names, never texts."""

import os
from collections.abc import Iterable, Mapping
from typing import Any, cast

from llm_backend.core.chat import Lane, Usage
from llm_backend.errors import BackendError
from llm_backend.metrics.elsewhere import Counts, Together, read
from llm_backend.metrics.files import FOLDER

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MODELS_MOST = 50
_OTHER = "other"
_CALL_SECONDS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 10, 30, 60)

Now = Mapping[str, tuple[str, Mapping[str, float]]]
"""Gauges as they stand at this moment: by name, what it says and its values by label (`state`; "" for none)."""


class Metrics:
    """All counters of a process. It is a providers' `Observer` and the backend's `Watch`; any thread may call it.

    Made after a fork, and after `share` where that is wanted: prometheus-client looks for the folder when it is
    imported, which is why it is imported here and not above.
    """

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self._folder = os.environ.get(FOLDER)
        self._registry = registry = CollectorRegistry()

        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"llm_backend_{name}", says, labels, registry=registry)

        def gauge(name: str, says: str) -> Gauge:
            return Gauge(f"llm_backend_{name}", says, registry=registry, multiprocess_mode="livesum")

        def histogram(name: str, says: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"llm_backend_{name}", says, labels, registry=registry, buckets=buckets)

        self._requests = counter("requests", "HTTP requests answered.", "door", "status")
        self._requests_now = gauge("requests_in_flight", "HTTP requests being answered.")
        self._request_seconds = histogram("request_duration_seconds", "Their time.", _REQUEST_SECONDS, "door")
        self._calls = counter("calls", "Requests to models, by how they ended.", "outcome")
        self._calls_now = gauge("calls_in_flight", "Requests to models under way.")
        self._call_seconds = histogram("call_duration_seconds", "Their time, without our own queue.", _CALL_SECONDS)
        self._retries = counter("call_retries", "Calls made once more after a fault that may pass.")
        self._limited = counter("calls_rate_limited", "Calls that a provider refused with 429.")
        self._tokens = counter("tokens", "Tokens as the providers count them.", "model", "kind")
        self._tasks = counter("tasks", "Tasks that a model was asked for, and answered.", "lane")
        self._failures = counter("task_failures", "Tasks that failed, by the kind of reason.", "lane", "reason")
        self._unconfirmed = counter("comparisons_unconfirmed", "Comparisons that changed with the order.", "lane")
        self._models: set[str] = set()

    # The doors

    def request_began(self) -> None:
        self._requests_now.inc()

    def request_ended(self, door: str, status: int, seconds: float) -> None:
        self._requests_now.dec()
        self._requests.labels(door, str(status)).inc()
        self._request_seconds.labels(door).observe(seconds)

    # The providers' `Observer`

    def sent(self) -> None:
        self._calls_now.inc()

    def ended(self, outcome: str, seconds: float) -> None:
        self._calls_now.dec()
        self._calls.labels(outcome).inc()
        self._call_seconds.observe(seconds)
        if outcome == "RateLimited":
            self._limited.inc()

    def retried(self, fault: BackendError) -> None:
        self._retries.inc()

    # The backend's `Watch`

    def asked(self, lane: Lane, model: str, fault: str, usage: Usage) -> None:
        if usage.prompt_tokens or usage.completion_tokens:
            name = self._model(model)
            self._tokens.labels(name, "prompt").inc(usage.prompt_tokens)
            self._tokens.labels(name, "completion").inc(usage.completion_tokens)
        if fault:
            self._failures.labels(lane, fault).inc()
        else:
            self._tasks.labels(lane).inc()

    def unconfirmed(self, lane: Lane, comparisons: int) -> None:
        self._unconfirmed.labels(lane).inc(comparisons)

    def _model(self, name: str) -> str:
        """The name as a label. Projects bring models along: past a number, they are counted together."""
        if len(self._models) < _MODELS_MOST:
            self._models.add(name)
        return name if name in self._models else _OTHER

    # Telling

    def counts(self) -> Counts:
        """What this process counted, and what is under way in it."""
        return read(self._registry)

    def text(self, now: Now, workers: Counts = ({}, {})) -> bytes:
        """All numbers in Prometheus' text format.

        Args:
            now: Gauges that are looked up when they are asked for.
            workers: What worker processes counted.
        """
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        told = self._registry
        if self._folder:
            told = CollectorRegistry()
            MultiProcessCollector(told, self._folder)  # type: ignore[no-untyped-call]
        all_of_it = CollectorRegistry()
        for collector in (Together(told, self._registry, workers), _Gauges(now)):
            all_of_it.register(cast(Any, collector))
        return generate_latest(all_of_it)


class _Gauges:
    """A collector, as prometheus-client calls it, of gauges that were just looked up."""

    def __init__(self, now: Now) -> None:
        self._now = now

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import GaugeMetricFamily

        for name, (says, values) in self._now.items():
            family = GaugeMetricFamily(f"llm_backend_{name}", says, labels=["state"] if "" not in values else [])
            for label, value in values.items():
                family.add_metric([label] if label else [], value)
            yield family
