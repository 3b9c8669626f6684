"""How does a run stand in the rows of a SQLite file, and what is written when it moves?

All of this happens within a visit to the file, and what writes within a transaction.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from llm_backend.adapters.store import Kept, Settled
from llm_backend.adapters.store.given import question_name
from llm_backend.adapters.store.sqlite_file import ASKED_AT_ONCE, marks, plain, slices
from llm_backend.core.chat import Usage
from llm_backend.core.run import UNFINISHED, Run, RunState, RunTask, Spec, TaskState
from llm_backend.core.wire import Task
from llm_backend.errors import UnknownRun

KEEP = """INSERT INTO kept (project, version, digest, prediction, reason, lasting, made)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (project, version, digest) DO UPDATE SET prediction = excluded.prediction,
        reason = excluded.reason, lasting = excluded.lasting, made = excluded.made"""
KEEP_LATE = f"{KEEP} WHERE kept.prediction = 'null'"
BY_QUESTION = "run_tasks INDEXED BY run_tasks_by_question"  # a planner without statistics would take the other one
_SET_STATE = "UPDATE run_tasks SET state = ?, reason = ? WHERE ident = ?"


@dataclass(frozen=True, slots=True)
class FoundRun:
    """A run as its row was found, and where its tasks lie."""

    number: int
    state: RunState
    project: str
    version: str
    waiting: int

    @property
    def unfinished(self) -> bool:
        return self.state in UNFINISHED

    @property
    def stopped(self) -> bool:
        """Whether it ended before its tasks did."""
        return self.state in ("cancelled", "failed")

    @property
    def first(self) -> int:
        return self.number << 32

    @property
    def last(self) -> int:
        return self.first + 2**32 - 1

    def ident(self, place: int) -> int:
        return min(self.first + max(place, 0), self.last)

    def shown(self, held: TaskState) -> TaskState:
        """A task's state as it is seen, from the one that its row holds."""
        return "cancelled" if held == "waiting" and not self.unfinished else held


def find_run(connection: sqlite3.Connection, run_id: str) -> FoundRun:
    row = connection.execute(
        "SELECT number, state, project, version, waiting FROM runs WHERE id = ? AND state <> 'hidden'", (plain(run_id),)
    ).fetchone()
    if row is None:
        raise UnknownRun(f'There is no run "{plain(run_id)}"; finished ones are forgotten after a while.')
    return FoundRun(*row)


def waiting_idents(connection: sqlite3.Connection, found: FoundRun, digests: Iterable[str]) -> dict[str, int]:
    """Where those of the tasks stand that wait in this run: ident by digest."""
    waiting: dict[str, int] = {}
    for some in slices(digests if found.waiting else (), ASKED_AT_ONCE):
        waiting |= connection.execute(
            f"""SELECT digest, ident FROM {BY_QUESTION}
            WHERE question IN ({marks(some)}) AND state = 'waiting' AND ident BETWEEN ? AND ?""",
            (*(question_name(found.project, found.version, digest) for digest in some), found.first, found.last),
        ).fetchall()
    return waiting


def store_outcomes(connection: sqlite3.Connection, counted: list[tuple[int, Settled]]) -> None:
    """Note what became of tasks. The text of an answered one goes: it will not be asked again."""
    connection.executemany(
        _SET_STATE,
        [(one.state, json.dumps(one.kept.reason), ident) for ident, one in counted],
    )
    connection.executemany(
        "DELETE FROM run_texts WHERE ident = ?", [(ident,) for ident, one in counted if one.state == "done"]
    )


def count_settled(connection: sqlite3.Connection, found: FoundRun, counted: list[Settled], now: float) -> RunState:
    """Count what was settled, and complete the run with the last of its tasks; returns its state."""
    if not counted:
        return found.state
    usage = sum((one.usage for one in counted), Usage())
    done = sum(one.state == "done" for one in counted)
    connection.execute(
        """UPDATE runs SET waiting = waiting - ?, done = done + ?, failed = failed + ?,
            prompt_tokens = prompt_tokens + ?, completion_tokens = completion_tokens + ?, calls = calls + ?
            WHERE number = ?""",
        (
            *(len(counted), done, len(counted) - done),
            *(usage.prompt_tokens, usage.completion_tokens, usage.calls, found.number),
        ),
    )
    if found.waiting > len(counted):
        return found.state
    move_run(connection, found, "completed", "", now)
    return "completed"


def move_run(connection: sqlite3.Connection, found: FoundRun, state: RunState, reason: str, now: float) -> None:
    """Move the run to a state. With its end its tasks wait no more."""
    ends = state not in UNFINISHED
    if not ends and not found.unfinished:
        cancel_tasks(connection, found.first, found.last)
    connection.execute(
        f"""UPDATE runs SET state = ?, reason = ?, started = CASE WHEN ? AND started = 0 THEN ? ELSE started END,
            finished = ? {", cancelled = cancelled + waiting, waiting = 0" if ends else ""} WHERE number = ?""",
        (state, json.dumps(reason), state == "running", now, now if ends else 0, found.number),
    )


def cancel_tasks(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Write down that tasks are cancelled which only count as such because their run is finished."""
    connection.execute(
        "UPDATE run_tasks SET state = 'cancelled' WHERE state = 'waiting' AND ident BETWEEN ? AND ?",
        (first, last),
    )


def wait_again(connection: sqlite3.Connection, found: FoundRun, again: dict[int, str]) -> int:
    """Let tasks, whose states are given, wait again; returns how many do."""
    connection.executemany(_SET_STATE, [("waiting", '""', ident) for ident in again])
    if again:
        failed = sum(state == "failed" for state in again.values())
        connection.execute(
            """UPDATE runs SET state = 'queued', reason = '""', finished = 0,
            waiting = waiting + ?, failed = failed - ?, cancelled = cancelled - ? WHERE number = ?""",
            (len(again), failed, len(again) - failed, found.number),
        )
    return len(again)


def read_run(row: tuple[Any, ...]) -> Run:
    ident, spec, state, reason, created, started, finished, waiting, done, failed, cancelled, *usage = row
    return Run(
        id=ident,
        spec=Spec.from_json(json.loads(spec)),
        state=state,
        reason=json.loads(reason),
        created=created,
        started=started,
        finished=finished,
        counts={"waiting": waiting, "done": done, "failed": failed, "cancelled": cancelled},
        usage=Usage(*usage),
    )


def read_task(digest: str, task_id: str, data: str) -> RunTask:
    return RunTask(digest, Task(json.loads(task_id), json.loads(data)))


def written_kept(kept: Kept) -> tuple[str, str, bool, float]:
    """An answer as the columns of `kept` hold it."""
    return json.dumps(kept.prediction), json.dumps(kept.reason), kept.lasting, kept.made
