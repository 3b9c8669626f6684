"""What do we remember of runs, in one file on this machine?

A run of fifty thousand tasks comes and goes in slices, between which other threads get their turn; it is hidden until
its last task has come, and from before its first one goes. What a killed process left half-way is removed at the start.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from llm_backend.adapters.store import Settled
from llm_backend.adapters.store.given import question_name
from llm_backend.adapters.store.sqlite_file import (
    ASKED_AT_ONCE,
    PRUNED_AT_ONCE,
    SqliteFile,
    marks,
    plain,
    slices,
    transaction,
)
from llm_backend.adapters.store.sqlite_run_rows import (
    BY_QUESTION,
    KEEP,
    KEEP_LATE,
    cancel_tasks,
    count_settled,
    find_run,
    move_run,
    read_run,
    read_task,
    store_outcomes,
    wait_again,
    waiting_idents,
    written_kept,
)
from llm_backend.core.run import TASK_STATES, UNFINISHED, Run, RunState, RunTask, Spec, TaskState, TaskStatus
from llm_backend.errors import BackendError

DAY = 86_400.0
ADDED_AT_ONCE = 500
"""Tasks per transaction of a run that is being added: other threads get their turn while the next are written down."""

_RUN = """SELECT id, spec, state, reason, created, started, finished, waiting, done, failed, cancelled,
    prompt_tokens, completion_tokens, calls FROM runs WHERE state <> 'hidden'"""
_UNFINISHED = str(UNFINISHED)
_FINISHED = f"state <> 'hidden' AND state NOT IN {_UNFINISHED}"


class SqliteRuns(SqliteFile):
    """The `Runs` part of the embedded home."""

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: float,
        runs_most: int,
        clock: Callable[[], float],
        connect: Callable[[Path], sqlite3.Connection],
    ) -> None:
        """
        Args:
            keep_days: Age, from their end, at which runs are forgotten.
            runs_most: How many finished runs are remembered.
        """
        super().__init__(folder, clock=clock, connect=connect)
        self._age, self._runs_most = keep_days * DAY, runs_most
        self._adding: set[int] = set()

    def add_run(self, run: Run, tasks: Iterable[RunTask]) -> tuple[str, ...]:
        mine: list[str] = []
        number = self._begin(run)
        try:
            for some in slices(tasks, ADDED_AT_ONCE):
                mine += self._add(number, run.spec, some, len(mine))
            self._show(number, run, len(mine))
        except BaseException:  # whatever ends the tasks that come in: a run of a part of them must not stay
            self._give_up(number)
            raise
        return tuple(mine)

    def run(self, run_id: str) -> Run | None:
        with self._visit() as connection:
            row = connection.execute(f"{_RUN} AND id = ?", (plain(run_id),)).fetchone()
        return read_run(row) if row else None

    def runs(self, states: Collection[RunState] = (), most: int = 100) -> tuple[Run, ...]:
        among = f"AND state IN ({marks(states)})" if states else ""
        with self._visit() as connection:
            rows = connection.execute(
                f"{_RUN} {among} ORDER BY created DESC, number DESC LIMIT ?", (*states, most)
            ).fetchall()
        return tuple(map(read_run, rows))

    def runs_waiting_for(self, project: str, version: str, digests: Iterable[str]) -> dict[str, str]:
        waiting: dict[str, str] = {}
        scope = (plain(project), plain(version))
        for some in slices(digests, ASKED_AT_ONCE):
            named = {question_name(*scope, digest): digest for digest in some}
            with self._visit() as connection:
                rows = connection.execute(
                    f"""SELECT question, id FROM {BY_QUESTION} JOIN runs ON number = ident >> 32 WHERE
                    question IN ({marks(named)}) AND run_tasks.state = 'waiting' AND runs.state IN {_UNFINISHED}""",
                    tuple(named),
                ).fetchall()
            waiting |= {named[question]: run_id for question, run_id in rows}
        return waiting

    def waiting_tasks(self, run_id: str, most: int, after: int = -1) -> tuple[tuple[int, RunTask], ...]:
        with self._visit() as connection:
            found = find_run(connection, run_id)
            rows = connection.execute(
                """SELECT ident, digest, task_id, data
                FROM run_tasks INDEXED BY run_tasks_in_order JOIN run_texts USING (ident)
                WHERE state = 'waiting' AND ident BETWEEN ? AND ? ORDER BY ident LIMIT ?""",
                (found.ident(after + 1), found.last, most if found.unfinished else 0),
            ).fetchall()
        return tuple((ident - found.first, read_task(*rest)) for ident, *rest in rows)

    def waiting_among(self, run_id: str, digests: Iterable[str]) -> tuple[RunTask, ...]:
        with self._visit() as connection:
            waiting = waiting_idents(connection, find_run(connection, run_id), dict.fromkeys(digests)).values()
            rows = [
                row
                for some in slices(sorted(waiting), ASKED_AT_ONCE)
                for row in connection.execute(
                    f"""SELECT digest, task_id, data FROM run_tasks JOIN run_texts USING (ident)
                    WHERE ident IN ({marks(some)}) ORDER BY ident""",
                    some,
                )
            ]
        return tuple(read_task(*row) for row in rows)

    def task_statuses(
        self, run_id: str, states: Collection[TaskState] = (), most: int = 1000, after: int = -1
    ) -> tuple[TaskStatus, ...]:
        with self._visit() as connection:
            found = find_run(connection, run_id)
            among = [held for held in TASK_STATES if not states or found.shown(held) in states]
            rows = connection.execute(
                f"""SELECT digest, task_id, state, reason, ident FROM run_tasks
                WHERE ident BETWEEN ? AND ? AND +state IN ({marks(among)}) ORDER BY ident LIMIT ?""",
                (found.ident(after + 1), found.last, *among, most),
            ).fetchall()
        return tuple(
            TaskStatus(digest, json.loads(task_id), found.shown(held), json.loads(reason), place=ident - found.first)
            for digest, task_id, held, reason, ident in rows
        )

    def settle(self, run_id: str, settled: Sequence[Settled]) -> RunState:
        """See `Runs`. An answer that comes when its task waits no more was paid for: it is kept if there is none."""
        outcomes = {one.kept.digest: one for one in reversed(settled)}  # of two for one task, the first
        written = {digest: written_kept(one.kept) for digest, one in outcomes.items()}
        with self._visit() as connection:
            self._prune_now_and_then(len(outcomes))
            with transaction(connection):
                found = find_run(connection, run_id)
                scope = (found.project, found.version)
                waiting = waiting_idents(connection, found, outcomes)
                counted = [(ident, outcomes[digest]) for digest, ident in waiting.items()]
                late = [digest for digest in outcomes.keys() - waiting.keys() if outcomes[digest].state == "done"]
                lasts = [one.kept.digest for _, one in counted if one.state == "done" or one.kept.lasting]
                connection.executemany(KEEP, [(*scope, digest, *written[digest]) for digest in lasts])
                connection.executemany(KEEP_LATE, [(*scope, digest, *written[digest]) for digest in late])
                store_outcomes(connection, counted)
                return count_settled(connection, found, [one for _, one in counted], self._clock())

    def set_run_state(self, run_id: str, state: RunState, reason: str = "", *, only: Collection[RunState] = ()) -> bool:
        with self._visit() as connection:
            self._prune_now_and_then()
            with transaction(connection):
                found = find_run(connection, run_id)
                if only and found.state not in only:
                    return False
                move_run(connection, found, state, reason, self._clock())
        return True

    def retry_run(self, run_id: str) -> int:
        with self._visit() as connection:
            found = find_run(connection, run_id)
            (last,) = connection.execute(
                "SELECT max(ident) FROM run_tasks WHERE ident BETWEEN ? AND ?", (found.first, found.last)
            ).fetchone()
        parts = [(first, first + PRUNED_AT_ONCE - 1) for first in range(found.first, (last or 0) + 1, PRUNED_AT_ONCE)]
        if not found.unfinished:  # what only counts as cancelled would wait as soon as the run does
            for part in parts:
                with self._writing() as connection:
                    cancel_tasks(connection, *part)
        states: tuple[TaskState, ...] = ("failed", "cancelled") if found.stopped else ("failed",)
        return sum(self._retry_part(run_id, part, states) for part in parts)

    def _retry_part(self, run_id: str, part: tuple[int, int], states: tuple[TaskState, ...]) -> int:
        """Let those of some tasks that are in one of the states wait again, and drop their failures; how many do."""
        with self._writing() as connection:
            found = find_run(connection, run_id)
            connection.execute(
                """DELETE FROM kept WHERE prediction = 'null' AND project = ? AND version = ? AND digest IN
                (SELECT digest FROM run_tasks WHERE ident BETWEEN ? AND ? AND +state = 'failed')""",
                (found.project, found.version, *part),
            )
            tasks = dict(
                connection.execute(
                    f"SELECT ident, state FROM run_tasks WHERE ident BETWEEN ? AND ? AND +state IN ({marks(states)})",
                    (*part, *states),
                )
            )
            left = self._waiting_elsewhere(connection, part)
            return wait_again(connection, found, {ident: held for ident, held in tasks.items() if ident not in left})

    def _begin(self, run: Run) -> int:
        """Store the run without tasks, hidden; returns its number."""
        spec = json.dumps(run.spec.to_json())
        with self._visit() as connection:
            self._prune_now_and_then()
            number = connection.execute(
                """INSERT INTO runs (id, project, version, spec, state, reason, created, started, finished)
                VALUES (?, ?, ?, ?, 'hidden', ?, ?, ?, ?)""",
                (
                    *(plain(run.id), plain(run.spec.project), plain(run.spec.version), spec, json.dumps(run.reason)),
                    *(run.created, run.started, run.finished),
                ),
            ).lastrowid
            assert number is not None
            self._adding.add(number)
        return number

    def _add(self, number: int, spec: Spec, tasks: Iterable[RunTask], place: int) -> list[str]:
        """Add those of the tasks that wait nowhere; the first has `place`. Returns their digests."""
        scope = (plain(spec.project), plain(spec.version))
        rows: dict[bytes, tuple[RunTask, str, str]] = {}
        for task in tasks:
            question = question_name(*scope, task.digest)
            rows.setdefault(question, (task, json.dumps(task.task.id), json.dumps(task.task.data)))
        with self._writing() as connection:
            for question in self._taken(connection, rows):
                del rows[question]
            first = (number << 32) + place
            connection.executemany(
                """INSERT INTO run_tasks (ident, question, digest, task_id, state, reason)
                VALUES (?, ?, ?, ?, 'waiting', '""')""",
                [
                    (ident, question, task.digest, task_id)
                    for ident, (question, (task, task_id, _)) in enumerate(rows.items(), first)
                ],
            )
            connection.executemany(
                "INSERT INTO run_texts (ident, data) VALUES (?, ?)",
                [(ident, data) for ident, (_, _, data) in enumerate(rows.values(), first)],
            )
        return [task.digest for task, _, _ in rows.values()]

    def _taken(self, connection: sqlite3.Connection, questions: Collection[bytes]) -> set[bytes]:
        """Those of the questions that wait in an unfinished run, or in one that is being added."""
        rows = connection.execute(
            f"""SELECT question, number, runs.state FROM {BY_QUESTION} JOIN runs ON number = ident >> 32
            WHERE question IN ({marks(questions)}) AND run_tasks.state = 'waiting'""",
            tuple(questions),
        )
        return {question for question, number, state in rows if state in UNFINISHED or number in self._adding}

    def _waiting_elsewhere(self, connection: sqlite3.Connection, part: tuple[int, int]) -> set[int]:
        """Those of some tasks whose question waits in another unfinished run, or in one that is being added."""
        rows = connection.execute(
            """SELECT mine.ident, number, runs.state
            FROM run_tasks mine JOIN run_tasks other INDEXED BY run_tasks_by_question
                ON other.question = mine.question AND other.state = 'waiting' AND other.ident <> mine.ident
            JOIN runs ON number = other.ident >> 32
            WHERE mine.ident BETWEEN ? AND ?""",
            part,
        )
        return {ident for ident, number, state in rows if state in UNFINISHED or number in self._adding}

    def _show(self, number: int, run: Run, waiting: int) -> None:
        """The last task has come: the run is there for all to see; or, if none came, it is not at all."""
        with self._visit() as connection:
            if waiting:
                connection.execute(
                    "UPDATE runs SET state = ?, waiting = ? WHERE number = ?", (run.state, waiting, number)
                )
            else:
                connection.execute("DELETE FROM runs WHERE number = ?", (number,))
            self._adding.discard(number)

    def _give_up(self, number: int) -> None:
        """Remove what has come of a run that could not be added; what cannot be removed now, a pruning will."""
        self._adding.discard(number)
        with suppress(BackendError):
            self._remove_hidden()

    def _hide(self, connection: sqlite3.Connection, project: str) -> None:
        """Hide the runs of a project, to be removed."""
        connection.execute("UPDATE runs SET state = 'hidden' WHERE project = ?", (project,))

    def _remove_hidden(self) -> None:
        """Remove all hidden runs, in turn with other threads."""
        gone = 1
        while gone:
            with self._visit() as connection:
                gone = self._prune_hidden(connection)

    def _prune(self) -> int:
        """Hide finished runs past their age or beyond their number, and remove some tasks of hidden ones."""
        self._connection.execute(
            f"""UPDATE runs SET state = 'hidden' WHERE {_FINISHED} AND (finished <= ? OR number NOT IN
                (SELECT number FROM runs WHERE {_FINISHED} ORDER BY finished DESC, number DESC LIMIT ?))""",
            (self._clock() - self._age, self._runs_most),
        )
        return super()._prune() + self._prune_hidden(self._connection)

    def _prune_hidden(self, connection: sqlite3.Connection) -> int:
        """Remove some tasks of a hidden run, and itself with the last of them; returns how many rows went."""
        hidden = connection.execute("SELECT number FROM runs WHERE state = 'hidden'").fetchall()
        number = next((number for (number,) in hidden if number not in self._adding), None)
        if number is None:
            return 0
        first, last = number << 32, (number + 1 << 32) - 1
        some = "SELECT ident FROM run_tasks WHERE ident BETWEEN ? AND ? ORDER BY ident LIMIT ?"
        with transaction(connection):
            connection.execute(f"DELETE FROM run_texts WHERE ident IN ({some})", (first, last, PRUNED_AT_ONCE))
            gone = connection.execute(
                f"DELETE FROM run_tasks WHERE ident IN ({some})", (first, last, PRUNED_AT_ONCE)
            ).rowcount
            if gone < PRUNED_AT_ONCE:
                gone += connection.execute("DELETE FROM runs WHERE number = ?", (number,)).rowcount
        return gone
