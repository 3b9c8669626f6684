"""How fast are runs, how fair, and what do they leave to others? In both forms: one process and its SQLite file, and
a Redis with two workers beside the server."""

import itertools
import json
import math
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from benchmarks import bodies
from benchmarks.measures import ASK, FILLED, Row, ms, part, percentile, question, running
from benchmarks.processes import Served, cpu_seconds, memory_mib, most_memory_mib, server, shared
from benchmarks.reference import bare_calls
from benchmarks.traffic import Caller, WrongAnswer, probing

_IN_FLIGHT = 128
_WIDE = {"LLM_CONCURRENCY": str(_IN_FLIGHT), "BATCH_DEADLINE": "95"}
_SIGMA = 0.5  # the slowest answer of a hundred takes three times as long as the middle one
# A first batch: every process has as many connections open as it may need before anything is measured.
_WARMING, _WARMED = 90_000_000, 200


@dataclass(frozen=True, slots=True)
class Form:
    """How the backend is run, and what is hoped of it.

    Attributes:
        thousand: Time against the ideal for a thousand tasks.
        health: Milliseconds for /health, of a hundred the second slowest.
        held: MiB of our processes.
    """

    words: str
    opened: Callable[..., AbstractContextManager[Served]]
    thousand: float
    health: float
    held: float | None = None

    @contextmanager
    def running(
        self, latency: float, model: Mapping[str, float] = {}, **settings: str
    ) -> Iterator[tuple[Served, Served]]:
        """A stub and a backend that has answered a batch of this form."""
        with running(latency, self.opened, model, **settings) as (stub, served):
            _predicted(served, _WARMING, _WARMED)
            yield stub, served


EMBEDDED = Form("", server, thousand=1.15, health=250)
SHARED = Form("Redis, 2 workers: ", shared, thousand=1.10, health=50, held=300)


def thousand(form: Form, share: float) -> list[Row]:
    """A thousand tasks at half a second."""
    return _timed(form, part(1000, share), 0.5, form.thousand, yardstick=True)


def thousands(form: Form, share: float) -> list[Row]:
    """Five thousand at a second."""
    return _timed(form, part(5000, share), 1.0, 1.05)


def uneven(form: Form, share: float) -> list[Row]:
    """A thousand, some of which take much longer than others."""
    return _timed(form, part(1000, share), 0.5, 1.6, _SIGMA)


def fairness(form: Form, share: float) -> list[Row]:
    """A batch of ten that comes while one of two thousand is under way."""
    latency, tasks = 1.0, part(2000, share)
    with form.running(latency, BATCH_DEADLINE="95") as (_, served), ThreadPoolExecutor(1) as threads:
        large = threads.submit(_predicted, served, 1, tasks)
        time.sleep(1.5 * latency)
        wall = _seconds(served, 100_001, 10)
        large.result()
    return [
        Row(f"{form.words}Batch of 10 behind one of {tasks}: time / the model's latency", wall / latency, "x", 3, 2)
    ]


def company(form: Form, share: float) -> list[Row]:
    """Annotators and /health while a large batch runs and 64 others wait: as one is done, the next takes its place."""
    latency, waiting, tasks, annotators = 0.5, 64, part(2000, share), 4
    each, pairs = part(60, share), part(50, share)
    firsts, ended = itertools.count(1, tasks), threading.Event()
    with form.running(latency, BATCH_DEADLINE="95") as (stub, served), ThreadPoolExecutor(waiting + 9) as threads:
        asked = question(stub)

        def batches(size: int) -> None:
            caller = Caller(served)
            while not ended.is_set():
                caller.post("/predict", bodies.batch(next(firsts), size))  # answered as far as it came in its time
            caller.close()

        def annotator(number: int) -> list[tuple[float, float]]:
            direct, through, chance = Caller(stub), Caller(served), random.Random(number)
            taken = []
            for call in range(pairs):
                time.sleep(chance.uniform(0, latency))  # in no step with the batches' own rhythm
                typed = bodies.shift_enter(91_000_000 + number * pairs + call)
                taken.append((direct.timed(ASK, asked), through.timed("/predict", typed, FILLED)))
            direct.close()
            through.close()
            return taken

        load = [threads.submit(batches, size) for size in (tasks, *[each] * waiting)]
        seeing = Caller(served)
        while len(_under_way(seeing)) < len(load):
            time.sleep(0.2)
        with probing(served, "/health", 0.02) as probes:
            taken = [pair for own in threads.map(annotator, range(annotators)) for pair in own]
            slow = probes() or [math.inf]
        ended.set()
        while not all(batch.done() for batch in load):
            for run in _under_way(seeing):
                with suppress(WrongAnswer):  # it has ended meanwhile
                    seeing.post(f"/jobs/{run}/cancel", b"{}")
        seeing.close()
        for batch in load:
            batch.result()
    base = statistics.median(alone for alone, _ in taken)
    overheads = [whole - base for _, whole in taken]
    what = f"while a batch of {tasks} runs and {waiting} wait"
    return [
        Row(f"{form.words}Shift+Enter {what}: overhead p50 of {len(taken)}", ms(statistics.median(overheads)), "ms"),
        Row(f"{form.words}Shift+Enter {what}: overhead p95", ms(percentile(overheads, 95)), "ms", 20),
        Row(f"{form.words}/health {what}: p99 of {len(slow)}", ms(percentile(slow, 99)), "ms", form.health, 0),
    ]


def _under_way(caller: Caller) -> list[str]:
    """The runs that go on now."""
    return [run["id"] for run in caller.get("/jobs?state=running")["jobs"]]


def growth(form: Form, share: float) -> list[Row]:
    """What a task costs, and the memory after batches of a thousand tasks each."""
    tasks = part(1000, share)
    with form.running(0.0, **_WIDE) as (_, served):
        held, before = [], cpu_seconds(served)
        for number in range(10):
            _predicted(served, 1 + number * tasks, tasks)
            held.append(memory_mib(served))
        cpu = (cpu_seconds(served) - before) / (10 * tasks)
    what = f"{form.words}Batch tasks, model 0 ms, {_IN_FLIGHT} in flight"
    return [
        Row(f"{what}: CPU per task, all processes together", ms(cpu), "ms", 3.5, 2),
        Row(f"{form.words}Memory after {tasks} batch tasks", held[0], "MiB", form.held, 0),
        Row(f"{form.words}Memory after {10 * tasks} batch tasks", held[-1], "MiB", form.held, 0),
        Row(f"{form.words}Memory after {10 * tasks} batch tasks / after {tasks}", held[-1] / held[0], "x", 1.2, 2),
    ]


def large(form: Form, share: float) -> list[Row]:
    """The most memory that one large batch takes, in all our processes."""
    tasks = part(10_000, share)
    body = bodies.batch(1, tasks)
    with form.running(0.0, **_WIDE) as (_, served):
        before = most_memory_mib(served)
        _predicted(served, 1, tasks)
        more = most_memory_mib(served) - before
    return [
        Row(f"{form.words}Batch of {tasks}: most memory more than before / the body", more * 2**20 / len(body), "x", 5)
    ]


def limited(form: Form, share: float) -> list[Row]:
    """A provider of 50 requests a second, a burst of 10, with an honest Retry-After in whole seconds."""
    told = _limited(form, share, "RPM=3000", 1.15, 5.0, RPM="3000")
    return told + _limited(form, share, "limit not told", 2.0, None)


def _limited(form: Form, share: float, what: str, slowest: float, refused: float | None, **settings: str) -> list[Row]:
    tasks, per_second, burst = part(300, share), 50, 10
    with form.running(0.1, {"per_second": per_second, "burst": burst}, **_WIDE, **settings) as (stub, served):
        asked = Caller(stub)
        time.sleep(burst / per_second)  # the bucket is full again
        before = asked.get("/")
        wall = _seconds(served, 1, tasks)
        after = asked.get("/")
        asked.close()
    away, taken = (after[word] - before[word] for word in ("refused", "taken"))
    ideal = max(0.1, (tasks - burst) / per_second)
    what = f"{form.words}Batch of {tasks}, {per_second} requests/s, {what}"
    return [
        Row(f"{what}: time / ideal ({ideal:g} s), no task lost", wall / ideal, "x", slowest, 2),
        Row(f"{what}: requests turned away", 100 * away / (away + taken), "%", refused),
    ]


def _timed(
    form: Form, tasks: int, latency: float, target: float, sigma: float = 0.0, *, yardstick: bool = False
) -> list[Row]:
    """The time of one batch against what the model alone would take.

    Args:
        yardstick: Whether bare calls of the SDK, in as many processes as ask here, are measured beside it.
    """
    ideal = tasks * latency / min(_IN_FLIGHT, tasks)
    rows = []
    with form.running(latency, {"sigma": sigma}, **_WIDE) as (stub, served):
        wall = _seconds(served, 1, tasks)
        if yardstick:
            asking = len(served.workers) or 1
            bare = bare_calls(stub, question(stub), tasks, _IN_FLIGHT, asking)
            what = f"Yardstick: the same calls of the bare SDK, processes: {asking}: time / ideal"
            rows.append(Row(f"{form.words}{what}", bare.wall / ideal, "x", None, 2))
    model = f"{1000 * latency:g} ms" + (f" on average (lognormal, sigma {sigma:g})" if sigma else "")
    what = f"{form.words}Batch of {tasks}, model {model}, {_IN_FLIGHT} in flight"
    return [Row(f"{what}: time / ideal ({ideal:.3g} s)", wall / ideal, "x", target, 2), *rows]


def _seconds(served: Served, first: int, tasks: int) -> float:
    began = time.perf_counter()
    _predicted(served, first, tasks)
    return time.perf_counter() - began


def _predicted(served: Served, first: int, tasks: int) -> None:
    """Post a batch.

    Raises:
        WrongAnswer: Not every task was predicted.
    """
    body, caller = bodies.batch(first, tasks), Caller(served)
    try:
        results = caller.post("/predict", body)["results"]
    finally:
        caller.close()
    predicted = sum(bool(result and result["result"]) for result in results)
    if predicted != tasks:
        raise WrongAnswer(f"{predicted} of {tasks} tasks were predicted: {json.dumps(results[:2])}")


_EACH: Mapping[str, Callable[[Form, float], list[Row]]] = {
    "thousand": thousand,
    "thousands": thousands,
    "uneven": uneven,
    "fairness": fairness,
    "company": company,
    "growth": growth,
    "large": large,
    "limited": limited,
}
MEASURES: Mapping[str, Callable[[float], list[Row]]] = {
    f"{prefix}{name}": partial(measure, form)
    for prefix, form in (("", EMBEDDED), ("redis-", SHARED))
    for name, measure in _EACH.items()
}
