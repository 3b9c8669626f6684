"""How does /metrics tell what worker processes count, on this machine or others? Through a memory that all share.

A worker reports what it counted, and how much of it is under way, every few seconds and when it ends. The server tells
it beside its own numbers, with the label process="workers": Prometheus sees when the server's own begin anew, while
the workers' go on. So one address tells everything, however many workers come and go.
"""

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from llm_backend.errors import BackendError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

log = logging.getLogger(__name__)

_EVERY = 5.0
_LABEL = {"process": "workers"}

Counts = tuple[Mapping[str, float], Mapping[str, float]]
"""What was counted, and what is under way; by the name that `name_of` makes of a sample."""


class Memory(Protocol):
    """Where processes count together. Every method may raise StoreError."""

    def add_counts(self, process: str, number: int, counts: Mapping[str, float], now: Mapping[str, float]) -> None: ...

    def counts(self) -> Counts: ...


class Counting(Protocol):
    """Whoever counts in this process."""

    def counts(self) -> Counts: ...


def name_of(family: str, sample: str, labels: Mapping[str, str]) -> str:
    return json.dumps([family, sample, sorted(labels.items())], separators=(",", ":"))


def read(registry: "CollectorRegistry") -> Counts:
    """What a process's own counters and histograms hold, and its gauges."""
    counted: dict[str, float] = {}
    now: dict[str, float] = {}
    for family in registry.collect():
        into = now if family.type == "gauge" else counted
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                into[name_of(family.name, sample.name, sample.labels)] = sample.value
    return counted, now


class Together:
    """A collector, as prometheus-client calls it, of this server's numbers and the workers'."""

    def __init__(self, own: "CollectorRegistry", families: "CollectorRegistry", workers: Counts) -> None:
        """
        Args:
            own: What the server's processes counted.
            families: Knows everything that can be counted, by name.
        """
        self._own = own
        self._families = families
        self._workers = workers

    def collect(self) -> "Iterable[Metric]":
        from prometheus_client.core import Metric

        told = {family.name: family for family in self._own.collect()}
        samples = _by_family(self._workers)
        for known in self._families.collect():
            if known.name in samples:
                family = told.setdefault(known.name, Metric(known.name, known.documentation, known.type))
                for name, labels, value in sorted(samples[known.name], key=_in_order):
                    family.add_sample(name, {**labels, **_LABEL}, value)
        return told.values()


def _by_family(workers: Counts) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    found: dict[str, list[tuple[str, dict[str, str], float]]] = {}
    for name, value in [item for told in workers for item in told.items()]:
        family, sample, labels = json.loads(name)
        found.setdefault(family, []).append((sample, dict(labels), value))
    return found


def _in_order(sample: tuple[str, dict[str, str], float]) -> Any:
    """A histogram's samples stand together, by the rising bounds of its buckets."""
    name, labels, _ = sample
    return [item for item in labels.items() if item[0] != "le"], name, float(labels.get("le", "inf"))


class _Reporter:
    """Tells the memory what was counted since it last did."""

    def __init__(self, counting: Counting, memory: Memory, process: str) -> None:
        self._counting = counting
        self._memory = memory
        self._process = process
        self._told: Mapping[str, float] = {}
        self._unsure: tuple[Mapping[str, float], Mapping[str, float]] | None = None
        self._number = 0

    def report(self, *, last: bool = False) -> None:
        counted, now = self._counting.counts()
        if self._unsure is None:
            self._number += 1
            more = {name: value - self._told.get(name, 0.0) for name, value in counted.items()}
            self._unsure = ({name: amount for name, amount in more.items() if amount}, counted)
        amounts, after = self._unsure
        try:
            self._memory.add_counts(self._process, self._number, amounts, {} if last else now)
        except BackendError as exc:  # it may have come all the same: the same report is sent again
            log.debug("what was counted is reported later: %s", exc.logged)
            return
        self._told, self._unsure = after, None


@contextmanager
def reporting(counting: Counting, memory: Memory, process: str, every: float = _EVERY) -> Iterator[None]:
    """Report what this process counts as long as the block runs, from a thread of its own.

    Args:
        process: Its name, unlike that of any other.
        every: Seconds between two reports.
    """
    reporter, ended = _Reporter(counting, memory, process), threading.Event()

    def always() -> None:
        while not ended.wait(every):
            reporter.report()

    thread = threading.Thread(target=always, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        reporter.report()  # perhaps once more what is not known to have come
        reporter.report(last=True)
