"""How fast are runs, how fair, and what do they leave to others? The embedded form: one process, one SQLite file."""

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from benchmarks import bodies
from benchmarks.measures import ASK, FILLED, Row, ms, part, percentile, question, running
from benchmarks.processes import Served, cpu_seconds, memory_mib
from benchmarks.traffic import Caller, WrongAnswer, probing

_IN_FLIGHT = 128
_WIDE = {"LLM_CONCURRENCY": str(_IN_FLIGHT), "BATCH_DEADLINE": "95"}
_SIGMA = 0.5  # the slowest answer of a hundred takes three times as long as the middle one


def thousand(share: float) -> list[Row]:
    """A thousand tasks at half a second."""
    return _timed(part(1000, share), 0.5, 1.15)


def thousands(share: float) -> list[Row]:
    """Five thousand at a second."""
    return _timed(part(5000, share), 1.0, 1.05)


def uneven(share: float) -> list[Row]:
    """A thousand, some of which take much longer than others."""
    return _timed(part(1000, share), 0.5, 1.6, _SIGMA)


def fairness(share: float) -> list[Row]:
    """A batch of ten that comes while one of two thousand is under way."""
    latency, tasks = 1.0, part(2000, share)
    with running(latency, BATCH_DEADLINE="95") as (_, served), ThreadPoolExecutor(1) as threads:
        large = threads.submit(_predicted, served, 1, tasks)
        time.sleep(1.5 * latency)
        began = time.perf_counter()
        _predicted(served, 100_001, 10)
        wall = time.perf_counter() - began
        large.result()
    return [Row(f"Batch of 10 behind one of {tasks}: time / the model's latency", wall / latency, "x", 3, 2)]


def company(share: float) -> list[Row]:
    """An annotator and /health while a large batch runs and 64 others wait."""
    latency, waiting, tasks = 0.5, 64, part(2000, share)
    each = part(60, share)
    with running(latency, BATCH_DEADLINE="95") as (stub, served), ThreadPoolExecutor(waiting + 1) as threads:
        asked = question(stub)
        direct, through = Caller(stub), Caller(served)
        batches = [threads.submit(_predicted, served, 1, tasks)]
        batches += [threads.submit(_predicted, served, 100_000 * number, each) for number in range(1, waiting + 1)]
        while len(through.get("/jobs")["jobs"]) < len(batches):
            time.sleep(0.2)
        pairs, number, chance = [], 90_000_000, random.Random(7)
        with probing(served, "/health", 0.02) as probes:
            while not pairs or not any(batch.done() for batch in batches):
                number += 1
                time.sleep(chance.uniform(0, latency))  # in no step with the batches' own rhythm
                alone, whole = direct.timed(ASK, asked), through.timed("/predict", bodies.shift_enter(number), FILLED)
                pairs.append((alone, whole))
            slow = probes() or [math.inf]
        for batch in batches:
            batch.result()
        direct.close()
        through.close()
    base = statistics.median(alone for alone, _ in pairs)
    overheads = [whole - base for _, whole in pairs]
    what = f"while a batch of {tasks} runs and {waiting} wait"
    return [
        Row(f"Shift+Enter {what}: overhead p50", ms(statistics.median(overheads)), "ms"),
        Row(f"Shift+Enter {what}: overhead p95", ms(percentile(overheads, 95)), "ms", 20),
        Row(f"/health {what}: p99", ms(percentile(slow, 99)), "ms", 250, 0),
    ]


def growth(share: float) -> list[Row]:
    """Memory after batches of a thousand tasks each."""
    tasks = part(1000, share)
    with running(0.0, **_WIDE) as (_, served):
        held, before = [], cpu_seconds(served)
        for number in range(10):
            _predicted(served, 1 + number * tasks, tasks)
            held.append(memory_mib(served))
        cpu = (cpu_seconds(served) - before) / (10 * tasks)
    return [
        Row(f"Batch tasks, model 0 ms, {_IN_FLIGHT} in flight: CPU per task", ms(cpu), "ms", 3.5, 2),
        Row(f"Memory after {tasks} batch tasks", held[0], "MiB", None, 0),
        Row(f"Memory after {10 * tasks} batch tasks / after {tasks}", held[-1] / held[0], "x", 1.2, 2),
    ]


MEASURES: Mapping[str, Callable[[float], list[Row]]] = {
    "thousand": thousand,
    "thousands": thousands,
    "uneven": uneven,
    "fairness": fairness,
    "company": company,
    "growth": growth,
}


def _timed(tasks: int, latency: float, target: float, sigma: float = 0.0) -> list[Row]:
    """The time of one batch against what the model alone would take."""
    with running(latency, sigma, **_WIDE) as (_, served):
        began = time.perf_counter()
        _predicted(served, 1, tasks)
        wall = time.perf_counter() - began
    ideal = tasks * latency / min(_IN_FLIGHT, tasks)
    model = f"{1000 * latency:g} ms" + (f" on average (lognormal, sigma {sigma:g})" if sigma else "")
    what = f"Batch of {tasks}, model {model}, {_IN_FLIGHT} in flight"
    return [Row(f"{what}: time / ideal ({ideal:.3g} s)", wall / ideal, "x", target, 2)]


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
