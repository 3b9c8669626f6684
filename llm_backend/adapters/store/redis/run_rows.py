"""How do a run, its tasks and their answers stand in Redis?"""

import json
from collections.abc import Sequence
from typing import Any

from llm_backend.adapters.store import Kept, Settled
from llm_backend.core.chat import Usage
from llm_backend.core.run import TASK_STATES, Run, RunTask, Spec, TaskState
from llm_backend.core.wire import JSON, Task

LETTERS: dict[str, TaskState] = {state[0]: state for state in TASK_STATES}
"""A task's state, by the letter that stands for it."""

RUN_FIELDS = (
    *("spec", "state", "reason", "created", "started", "finished", *TASK_STATES),
    *("prompt_tokens", "completion_tokens", "calls"),
)


def read_run(run_id: str, row: Sequence[Any]) -> Run | None:
    """A run from its `RUN_FIELDS`; None if it is not there, or hidden."""
    spec, state, reason, created, started, finished, *numbers = row
    if not state or state == "hidden":
        return None
    counts = [int(number or 0) for number in numbers]
    return Run(
        id=run_id,
        spec=Spec.from_json(json.loads(spec)),
        state=state,
        reason=json.loads(reason),
        created=float(created),
        started=float(started),
        finished=float(finished),
        counts=dict(zip(TASK_STATES, counts, strict=False)),
        usage=Usage(*counts[len(TASK_STATES) :]),
    )


def written_kept(kept: Kept) -> str:
    """An answer as it is stored; the scripts look at its first character: + for a prediction, - for a failure."""
    held: JSON = [kept.made, kept.lasting, kept.reason, kept.prediction]
    return ("-" if kept.prediction is None else "+") + json.dumps(held, separators=(",", ":"))


def settle_words(settled: Settled) -> tuple[Any, ...]:
    """What the script `settle` is told of a task."""
    kept, usage = settled.kept, settled.usage
    value = written_kept(kept) if settled.state == "done" or kept.lasting else ""
    reason = json.dumps(kept.reason) if settled.state == "failed" else ""
    return kept.digest, value, kept.made, reason, usage.prompt_tokens, usage.completion_tokens, usage.calls


def written_task(task: RunTask) -> tuple[str, str]:
    """A task's name, and its text, as they are stored."""
    name = json.dumps([task.digest, task.task.id])
    return name, f"{name[:-1]},{json.dumps(task.task.data)}]"


def read_task(text: str) -> RunTask:
    """A task from its text."""
    digest, ident, data = json.loads(text)
    return RunTask(digest, Task(ident, data))


def places_of(letters: str, among: str, most: int, after: int = -1) -> list[int]:
    """The first places above `after` whose letter is among these."""
    places: list[int] = []
    for place in range(max(after, -1) + 1, len(letters)):
        if len(places) >= most:
            break
        if letters[place] in among:
            places.append(place)
    return places
