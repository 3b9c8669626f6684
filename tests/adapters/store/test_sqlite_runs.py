"""Runs in the embedded home: what a killed process, a full disk and a forgotten project leave in the file."""

import random
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.adapters.store.sqlite_file import FILE_NAME, MIGRATIONS, connect, migrate
from llm_backend.core.chat import Usage
from llm_backend.core.run import Run, RunTask
from llm_backend.core.wire import Task
from llm_backend.errors import StoreError
from tests.adapters.store.processes import ready_process
from tests.adapters.store.test_runs import KEY, SPEC, add, counts, done, failed, known, names, states

OPEN = """
import random, sys
from pathlib import Path
from llm_backend.adapters.store.sqlite import SqliteStore
from tests.adapters.store.test_runs import add, done, failed, names
store, dice = SqliteStore(Path(sys.argv[1])), random.Random(int(sys.argv[2]))
if not store.run("r"):
    add(store, "r", *names(3_000))
print("ready", flush=True)
"""
SETTLE = """
left = [task.digest for _, task in store.waiting_tasks("r", 3_000)]
dice.shuffle(left)
while left:
    some, left = left[: (size := dice.choice((1, 3, 20)))], left[size:]
    store.settle("r", [failed(digest) if dice.random() < 0.1 else done(digest) for digest in some])
    print(*some, flush=True)
"""
STEER = """
while True:
    some = [task.digest for _, task in store.waiting_tasks("r", 20)]
    store.settle("r", [failed(digest) if dice.random() < 0.9 else done(digest) for digest in some])
    store.set_run_state("r", "cancelled")
    add(store, f"other {dice.random()}", *dice.sample(names(3_000), 20))
    store.retry_run("r")
"""
ADD = """
while True:
    add(store, f"r{dice.random()}", *names(5_000, f"{dice.random()}-"))
"""


def killed(process: "subprocess.Popen[str]") -> list[str]:
    """End the process in the midst of what it does; returns what it had written by then."""
    process.send_signal(signal.SIGKILL)
    assert process.stdout is not None
    return process.stdout.read().split()


def consistent(store: SqliteStore, run_id: str) -> None:
    """Hold the counts of a run against its tasks, and those against what is waited for and kept."""
    held = states(store, run_id)
    assert counts(store, run_id) == {state: list(held.values()).count(state) for state in set(held.values())}
    waits = {digest for digest, state in held.items() if state == "waiting"}
    waited_for = store.runs_waiting_for(KEY, "m-1", held)
    assert {digest for digest, found in waited_for.items() if found == run_id} == waits
    assert {task.digest for _, task in store.waiting_tasks(run_id, 1_000_000)} == waits
    answered = {digest for digest, kept in store.kept(KEY, "m-1", held).items() if kept.prediction}
    assert {digest for digest, state in held.items() if state == "done"} <= answered


def test_process_killed_while_settling_loses_nothing_that_it_settled(tmp_path: Path) -> None:
    dice, told = random.Random(1), set[str]()
    for _ in range(5):
        with ready_process(OPEN + SETTLE, tmp_path, dice.randint(0, 99)) as worker:
            time.sleep(dice.uniform(0, 0.1))  # any moment will do
            told |= set(killed(worker)[:-1])  # its last word may be cut off
        with closing(SqliteStore(tmp_path)) as store:
            consistent(store, "r")
            settled = {digest for digest, state in states(store, "r").items() if state != "waiting"}
            assert told <= settled
            assert known(store, "r").usage == Usage(100 * len(settled), 10 * len(settled), len(settled))
            assert set(store.kept(KEY, "m-1", names(3_000))) == settled
    assert told


def test_process_killed_while_cancelling_and_retrying_leaves_all_in_step(tmp_path: Path) -> None:
    dice = random.Random(2)
    for seed in range(4):
        with ready_process(OPEN + STEER, tmp_path, seed) as worker:
            time.sleep(dice.uniform(0, 0.2))
            killed(worker)
        with closing(SqliteStore(tmp_path)) as store:
            for run in store.runs(most=1_000):
                consistent(store, run.id)


def test_process_killed_while_adding_leaves_whole_runs_or_nothing(tmp_path: Path) -> None:
    dice = random.Random(3)
    for seed in range(4):
        with ready_process(OPEN + ADD, tmp_path, seed) as worker:
            time.sleep(dice.uniform(0, 0.2))
            killed(worker)
        with closing(SqliteStore(tmp_path)) as store:
            runs = {run.id: run.total for run in store.runs(most=1_000)}
            assert set(runs.values()) - {3_000} <= {5_000}
        with closing(connect(tmp_path / FILE_NAME)) as file:
            for table in ("run_tasks", "run_texts"):
                assert file.execute(f"SELECT count(*) FROM {table}").fetchone() == (sum(runs.values()),)


def test_questions_of_a_run_that_was_half_added_are_free_after_a_restart(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        add(store, "r", *names(3_000))
    with closing(connect(tmp_path / FILE_NAME)) as file:
        file.execute("UPDATE runs SET state = 'hidden'")  # as it stands until the last task has come
    with closing(SqliteStore(tmp_path)) as store:
        assert store.run("r") is None
        assert add(store, "r", *names(3_000)) == names(3_000)


# Faults


def small(path: Path) -> sqlite3.Connection:
    """A connection that meets a full disk after some 400 kB."""
    connection = connect(path)
    connection.execute("PRAGMA max_page_count = 100")
    return connection


def test_run_that_a_full_disk_cuts_short_is_not_remembered_at_all(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, connect=small)) as store:
        with pytest.raises(StoreError, match="is full"):
            add(store, "large", *names(10_000))
        assert store.run("large") is None
        assert store.runs_waiting_for(KEY, "m-1", names(10_000)) == {}
        assert add(store, "small", *names(10)) == names(10)
        assert store.settle("small", [done(digest) for digest in names(10)]) == "completed"


def test_settling_on_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, connect=small)) as store:
        add(store, "r", "a", "b")
        before = known(store, "r")
        with pytest.raises(StoreError, match="is full"):
            store.settle("r", [done("a"), done("b", "x" * 1_000_000)])
        assert known(store, "r") == before
        assert store.kept(KEY, "m-1", "ab") == {}
        assert store.settle("r", [done("a"), done("b")]) == "completed"


# What lies in the file


def secretive(store: SqliteStore, run_id: str, secret: str, count: int) -> list[str]:
    """Add a run whose data, prompt and config hold the secret; some of it settled."""
    spec = replace(SPEC, label_config=secret, prompt=replace(SPEC.prompt, text=secret))
    dice = random.Random(1)
    given = [RunTask(f"{run_id}{n}", Task(secret, {"text": secret * dice.randint(1, 300)})) for n in range(count)]
    store.add_run(Run(run_id, spec, "queued"), given)
    return [task.digest for task in given]


def files_with(folder: Path, secret: str) -> list[str]:
    return [path.name for path in folder.iterdir() if secret.encode() in path.read_bytes()]


def test_forgotten_runs_are_in_no_file(tmp_path: Path) -> None:
    secret = "a-very-secret-word"
    with closing(SqliteStore(tmp_path)) as store:
        digests = secretive(store, "r", secret, 3_000)
        store.settle("r", [done(digest, secret) for digest in digests[::3]])
        store.settle(
            "r", [replace(failed(digest), kept=replace(failed(digest).kept, reason=secret)) for digest in digests]
        )
        store.set_run_state("r", "paused", secret)
        assert files_with(tmp_path, secret)
        store.forget(KEY)
        assert files_with(tmp_path, secret) == []


def test_text_of_a_task_goes_with_its_answer_and_stays_with_its_failure(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        add(store, "r", "a", "b", "c")
        store.settle("r", [done("a"), failed("b")])
        with closing(connect(store.path)) as file:
            assert file.execute("SELECT data FROM run_texts ORDER BY ident").fetchall() == [
                ('{"text": "of b"}',),
                ('{"text": "of c"}',),
            ]


def test_file_of_the_release_before_runs_is_brought_forward(tmp_path: Path) -> None:
    with closing(connect(tmp_path / FILE_NAME)) as file:
        migrate(file, tmp_path, MIGRATIONS[:1])
        file.execute("INSERT INTO projects (key, prompt, updated) VALUES (?, '\"Classify\"', 1)", (KEY,))
    with closing(SqliteStore(tmp_path)) as store:
        assert store.project(KEY).prompt == "Classify"
        assert add(store, "r", "a") == ["a"]


# Turns


def test_others_get_their_turn_while_a_large_run_comes_and_goes(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        over, turns = threading.Event(), 0

        def come_and_go() -> None:
            try:
                add(store, "r", *names(20_000))
                store.set_run_state("r", "cancelled")
                store.forget(KEY)
            finally:
                over.set()

        going = threading.Thread(target=come_and_go)
        going.start()
        while not over.is_set():
            store.save_setup("2.2", "http://host", "token", {"turn": turns})
            turns += 1
        going.join()
        assert turns > 20  # of the forty slices that are added, and of what is removed


@pytest.mark.parametrize("cancelled", [False, True], ids=["failures", "a run that was cancelled"])
def test_others_get_their_turn_while_a_large_run_is_retried(tmp_path: Path, cancelled: bool) -> None:
    begun: list[str] = []

    def noting(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.set_trace_callback(lambda statement: begun.append(statement) if "BEGIN" in statement else None)
        return connection

    digests = names(10_000)
    with closing(SqliteStore(tmp_path, connect=noting)) as store:
        add(store, "r", *digests)
        if cancelled:
            store.settle("r", [failed(digest) for digest in digests[:100]])
            store.set_run_state("r", "cancelled")
        else:
            store.settle("r", [failed(digest, lasting=True) for digest in digests])
        begun.clear()
        assert store.retry_run("r") == 10_000
        assert counts(store, "r") == {"waiting": 10_000}
        assert store.kept(KEY, SPEC.version, digests) == {}
    assert len(begun) >= 5  # two thousand tasks at once
