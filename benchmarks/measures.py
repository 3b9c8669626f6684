"""What is measured, how, and what was hoped for? Each measurement makes some rows of the table."""

import json
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import bodies
from benchmarks.processes import Served, cpu_seconds, memory_mib, server, stub_model
from benchmarks.reference import bare_calls
from benchmarks.traffic import Caller, WrongAnswer, at_once, probing

ASK = "/v1/chat/completions"
_IN_FLIGHT = 64  # LLM_CONCURRENCY's default
FILLED = b"sentiment"  # a control of the form; a failure would hold a notice alone


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        target: The most that is hoped for; None for what is only told.
        digits: Decimals shown.
    """

    measure: str
    value: float
    unit: str
    target: float | None = None
    digits: int = 1

    @property
    def ok(self) -> bool | None:
        return None if self.target is None else self.value <= self.target


@contextmanager
def running(
    latency: float,
    form: Callable[..., AbstractContextManager[Served]] = server,
    model: Mapping[str, float] = {},
    **settings: str,
) -> Iterator[tuple[Served, Served]]:
    """A stub and a server that has been set up and has answered once, so that every connection is open.

    Args:
        latency: Seconds that the stub takes to answer.
        form: The server, or the server with workers.
        model: Further options of the stub.
    """
    with TemporaryDirectory(prefix="llm-backend-bench-") as name:
        folder = Path(name)
        with stub_model(folder, latency=latency, **model) as stub, form(stub, folder, **settings) as served:
            caller = Caller(served)
            caller.post("/setup", bodies.setup())
            caller.timed("/predict", bodies.shift_enter(0), FILLED)
            caller.close()
            yield stub, served


def question(stub: Served) -> bytes:
    """The body that the server sent to the model last."""
    caller = Caller(stub)
    asked = caller.get("/asked")[-1]["json"]
    caller.close()
    return json.dumps(asked).encode()


def one_annotator(share: float) -> list[Row]:
    """One annotator and a model that takes no time: what is left is ours."""
    with running(0.0) as (stub, served):
        asked = question(stub)
        direct, through = Caller(stub), Caller(served)
        for number in range(1, 51):
            direct.timed(ASK, asked)
            through.timed("/predict", bodies.shift_enter(number), FILLED)
        calls = _calls(1000, part(1000, share))
        before = cpu_seconds(served)
        # In turn, so that what else the machine does falls on both alike.
        pairs = [(direct.timed(ASK, asked), through.timed("/predict", call, FILLED)) for call in calls]
        cpu = (cpu_seconds(served) - before) / len(calls)
        alone, whole = zip(*pairs, strict=True)
        direct.close()
        through.close()
    base = statistics.median(alone)
    what = "Shift+Enter, model 0 ms, 1 annotator"
    return [
        Row(f"{what}: overhead p50", ms(statistics.median(whole) - base), "ms", 4),
        Row(f"{what}: overhead p95", ms(percentile(whole, 95) - base), "ms"),
        Row(f"{what}: CPU per call", ms(cpu), "ms", 4),
    ]


def annotators(share: float) -> list[Row]:
    """Sixteen who never pause, each in a rhythm of their own; then in bursts, all in the same moment."""
    callers, rounds, bursts, latency = 16, part(40, share), part(10, share), 0.5
    with running(latency) as (stub, served):
        questions = [question(stub)] * (callers * max(2, rounds // 4))
        alone = at_once(stub, ASK, questions, callers, FILLED, spread=latency)
        calls = _calls(1, callers * rounds)
        before = cpu_seconds(served)
        whole = at_once(served, "/predict", calls, callers, FILLED, spread=latency)
        cpu = (cpu_seconds(served) - before) / len(calls)
        start = 1 + len(calls)
        together = [
            at_once(served, "/predict", _calls(start + callers * number, callers), callers, FILLED)
            for number in range(bursts)
        ]
    base = statistics.median(alone)
    what = f"Shift+Enter, model 500 ms, {callers} annotators"
    middle = statistics.median(statistics.median(burst) for burst in together) - base
    last = statistics.median(max(burst) for burst in together) - base
    return [
        Row(f"{what}: overhead p50", ms(statistics.median(whole) - base), "ms", 6),
        Row(f"{what}: overhead p95", ms(percentile(whole, 95) - base), "ms", 20),
        Row(f"{what}: CPU per call", ms(cpu), "ms", 4),
        Row(f"{what} in the same moment: overhead of the middle one", ms(middle), "ms"),
        Row(f"{what} in the same moment: overhead of the last one", ms(last), "ms"),
    ]


def batch(share: float) -> list[Row]:
    """Retrieve Predictions on a thousand tasks; Label Studio asks for /health meanwhile."""
    tasks = part(1000, share)
    with running(0.5) as (_, served):
        body, caller, before = bodies.batch(1, tasks), Caller(served), cpu_seconds(served)
        with probing(served, "/health", 0.05) as probes:
            began = time.perf_counter()
            results = caller.post("/predict", body)["results"]
            wall = time.perf_counter() - began
            cpu = (cpu_seconds(served) - before) / tasks
        caller.close()
        held = memory_mib(served)
    if not all(result and result["result"] for result in results) or len(results) != tasks:
        raise WrongAnswer(f"{sum(map(bool, results))} of {tasks} tasks were predicted.")
    ideal = math.ceil(tasks / _IN_FLIGHT) * 0.5
    what = f"Batch of {tasks}, model 500 ms, {_IN_FLIGHT} in flight"
    return [
        Row(f"{what}: time / ideal ({ideal:g} s)", wall / ideal, "x", 1.15, 2),
        Row(f"{what}: CPU per task", ms(cpu), "ms", 3),
        Row(f"{what}: slowest /health meanwhile", ms(max(probes(), default=math.inf)), "ms", 250, 0),
        Row(f"{what}: memory after it", held, "MiB", 180, 0),
    ]


def memory(share: float) -> list[Row]:
    """Memory after the start, and after thousands of calls, 16 at a time."""
    calls = part(10_000, share)
    with running(0.0) as (_, served):
        first = memory_mib(served)
        taken = [_after(served, start, calls // 10) for start in range(0, calls, calls // 10)]
    return [
        Row("Memory (PSS of all processes) after the start", first, "MiB", 180, 0),
        Row(f"Memory after {calls // 10} calls", taken[0], "MiB", 180, 0),
        Row(f"Memory after {calls} calls", taken[-1], "MiB", 180, 0),
        Row(f"Memory after {calls} calls / after {calls // 10}", taken[-1] / taken[0], "x", 1.05, 2),
        Row(f"Memory after {calls} calls / after the start", taken[-1] / first, "x", None, 2),
    ]


def _after(served: Served, start: int, calls: int) -> float:
    at_once(served, "/predict", _calls(start, calls), 16, FILLED)
    return memory_mib(served)


def reference(share: float) -> list[Row]:
    """The yardstick: a bare SDK call with the server's own question, one at a time and many."""
    with running(0.0) as (stub, _):
        return [
            Row(
                f"Yardstick: CPU of a bare SDK call, {in_flight} in flight",
                ms(bare_calls(stub, question(stub), part(1000, share), in_flight).cpu),
                "ms",
            )
            for in_flight in (1, _IN_FLIGHT)
        ]


MEASURES: Mapping[str, Callable[[float], list[Row]]] = {
    "reference": reference,
    "one": one_annotator,
    "annotators": annotators,
    "batch": batch,
    "memory": memory,
}


def _calls(first: int, count: int) -> list[bytes]:
    return [bodies.shift_enter(number) for number in range(first, first + count)]


def part(count: int, share: float) -> int:
    return max(1, round(count * share))


def ms(seconds: float) -> float:
    return 1000 * seconds


def percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
