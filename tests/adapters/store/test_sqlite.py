"""The embedded home: its file, its folder, its faults."""

import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from llm_backend.adapters.store import Kept, Project
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.adapters.store.sqlite_file import FILE_NAME, MIGRATIONS, connect, migrate
from llm_backend.errors import SettingsError, StoreError
from tests.adapters.store.processes import ready_process

KEY = "1.1795217550"
HOLD = """
import sys
from pathlib import Path
from llm_backend.adapters.store.sqlite import SqliteStore
store = SqliteStore(Path(sys.argv[1]))
store.save_prompt("1.1795217550", "of the other process", "submitted")
print("ready", flush=True)
sys.stdin.read()
"""


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def as_an_ordinary_user() -> Iterator[None]:
    """File modes bind everybody but root, so a test that root runs steps down for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


# One process per folder


def test_second_process_is_refused_with_the_folder_and_the_first_one_s_id(tmp_path: Path) -> None:
    with ready_process(HOLD, tmp_path) as other:
        with pytest.raises(SettingsError) as caught:
            SqliteStore(tmp_path)
        assert str(tmp_path) in caught.value.sentence
        assert f"(process {other.pid})" in caught.value.sentence


def test_killed_process_leaves_what_it_stored_and_no_lock(tmp_path: Path) -> None:
    with ready_process(HOLD, tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        with closing(SqliteStore(tmp_path)) as store:
            assert store.project(KEY).prompt == "of the other process"


def test_second_store_in_one_process_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path)
    with pytest.raises(SettingsError, match=f"process {os.getpid()}"):
        SqliteStore(tmp_path)
    first.close()
    SqliteStore(tmp_path).close()


def test_folder_is_free_again_after_a_start_that_failed(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database" * 1000)
    with pytest.raises(SettingsError, match="damaged"):
        SqliteStore(tmp_path)
    (tmp_path / FILE_NAME).unlink()
    SqliteStore(tmp_path).close()


# Private files


def test_files_and_a_new_folder_are_the_owner_s_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    with closing(SqliteStore(folder)) as store:
        store.save_prompt(KEY, "Classify", "submitted")
        assert mode(folder) == 0o700
        assert {path.name: mode(path) for path in folder.iterdir()} == {
            "llm_backend.lock": 0o600,
            FILE_NAME: 0o600,
            f"{FILE_NAME}-wal": 0o600,
            f"{FILE_NAME}-shm": 0o600,
        }


def test_file_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    (tmp_path / FILE_NAME).chmod(0o644)
    with closing(SqliteStore(tmp_path)):
        assert mode(tmp_path / FILE_NAME) == 0o600


def test_mode_of_a_folder_that_was_there_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    with closing(SqliteStore(folder)):
        assert mode(folder) == 0o755


def test_forgotten_texts_are_in_no_file(tmp_path: Path) -> None:
    dice = random.Random(1)
    secret = "a-very-secret-word"
    with closing(SqliteStore(tmp_path)) as store:
        store.save_setup(KEY, "http://host", secret, {"api_key": secret})
        for number in range(300):
            prediction = {"result": [], "note": secret * dice.randint(1, 500)}
            store.keep(KEY, "m-1", Kept(str(number), prediction, secret, False, time.time()))
            store.note_annotation_prompt(KEY, number, secret)
            store.save_prompt(KEY, f"{secret} {number}", "submitted")
        assert any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())
        store.forget(KEY)
        assert [path.name for path in tmp_path.iterdir() if secret.encode() in path.read_bytes()] == []


# Schema versions


def test_file_of_schema_version_0_is_migrated(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).touch()
    with closing(SqliteStore(tmp_path)) as store:
        assert store.project(KEY) == Project(KEY)
    with closing(connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)


def test_older_version_is_brought_forward_with_its_data(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    SqliteStore(tmp_path).close()
    later = (
        *MIGRATIONS,
        ("ALTER TABLE projects ADD COLUMN title TEXT NOT NULL DEFAULT 'none'",),
        ("CREATE TABLE extra (a)",),
    )
    with closing(SqliteStore(tmp_path)) as store:
        store.save_prompt(KEY, "Classify", "submitted")
    with closing(connect(path)) as connection:
        migrate(connection, path, later)
        assert connection.execute("SELECT key, title FROM projects").fetchall() == [(KEY, "none")]
        assert connection.execute("SELECT count(*) FROM extra").fetchone() == (0,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(later),)
        migrate(connection, path, later)


def test_step_that_fails_leaves_the_version_before_it(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    broken = (("CREATE TABLE a (x)",), ("CREATE TABLE b (x)", "CREATE TABLE a (x)"))
    with closing(connect(path)) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migrate(connection, path, broken)
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)


def test_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    SqliteStore(tmp_path).close()
    with closing(connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SettingsError, match=r"newer llm-backend \(schema version 99; this one knows \d+\)") as caught:
        SqliteStore(tmp_path)
    assert str(tmp_path / FILE_NAME) in caught.value.sentence
    with closing(connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (99,)


# Folders and files that cannot be used


def test_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE projects (a)")
    with pytest.raises(SettingsError, match="tables of another program"):
        SqliteStore(tmp_path)


def test_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(SettingsError, match='data" cannot be used'):
        SqliteStore(tmp_path / "data")
    with pytest.raises(SettingsError, match='data/deeper" cannot be used'):
        SqliteStore(tmp_path / "data" / "deeper")


def test_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(SettingsError, match=f'{FILE_NAME}" cannot be used'):
        SqliteStore(tmp_path)


def test_read_only_folder_is_refused() -> None:
    # Not below tmp_path, which an ordinary user could not even enter.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        with (
            as_an_ordinary_user(),
            pytest.raises(SettingsError, match=r"cannot be used \(Permission denied\)") as caught,
        ):
            SqliteStore(Path(folder))
        assert folder in caught.value.sentence


def test_file_that_belongs_to_somebody_else_is_refused() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        (Path(folder) / FILE_NAME).touch(mode=0o444)
        with as_an_ordinary_user(), pytest.raises(SettingsError, match=r"cannot be used \(Permission denied\)"):
            SqliteStore(Path(folder))


def overwritten(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(50_000))


def damaged_inside(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + random.Random(1).randbytes(len(whole) - 4096))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:6000])


@pytest.mark.parametrize("damage", [overwritten, damaged_inside, cut_off])
def test_corrupt_file_is_named_with_the_way_out(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        for number in range(100):
            store.keep(KEY, "m-1", Kept(str(number), {"result": [], "note": "x" * 1000}, "", False, time.time()))
    damage(tmp_path / FILE_NAME)
    with pytest.raises(SettingsError, match="move it away") as caught, closing(SqliteStore(tmp_path)) as store:
        store.kept(KEY, "m-1", map(str, range(100)))
    assert str(tmp_path / FILE_NAME) in caught.value.sentence


def small(path: Path) -> sqlite3.Connection:
    """A connection that meets a full disk after some 120 kB."""
    connection = connect(path)
    connection.execute("PRAGMA max_page_count = 30")
    return connection


def test_full_disk_is_a_sentence_and_what_was_kept_stays(tmp_path: Path) -> None:
    now, held = time.time(), []
    with closing(SqliteStore(tmp_path, connect=small)) as store:

        def fill() -> None:
            for number in range(1_000):
                store.keep(KEY, "m-1", Kept(str(number), {"result": [], "note": "x" * 1000}, "", False, now))
                held.append(str(number))

        with pytest.raises(StoreError, match="is full: make room there") as caught:
            fill()
        assert str(tmp_path) in caught.value.sentence
        assert len(held) > 10
        assert set(store.kept(KEY, "m-1", map(str, range(1_000)))) == set(held)
        store.forget(KEY)
        store.keep(KEY, "m-1", Kept("room again", None, "", False, now))
        assert set(store.kept(KEY, "m-1", ["room again"])) == {"room again"}


def test_full_disk_at_the_start_is_a_sentence(tmp_path: Path) -> None:
    def tiny(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 2")
        return connection

    with pytest.raises(StoreError, match="is full"):
        SqliteStore(tmp_path, connect=tiny)
    SqliteStore(tmp_path).close()


def test_file_that_another_program_holds_is_a_sentence(tmp_path: Path) -> None:
    def impatient(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA busy_timeout = 1")
        return connection

    with closing(SqliteStore(tmp_path, connect=impatient)) as store, closing(connect(store.path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another program"):
            store.save_prompt(KEY, "Classify", "submitted")
        other.execute("ROLLBACK")
        store.save_prompt(KEY, "Classify", "submitted")
        assert store.project(KEY).prompt == "Classify"


def test_our_own_mistakes_are_not_dressed_up_as_a_bad_file(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path)) as store:
        with closing(connect(store.path)) as other:
            other.execute("DROP TABLE kept")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            store.kept(KEY, "m-1", ["d"])


def test_relative_folder_stays_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(SqliteStore(Path("data"))) as store:
        monkeypatch.chdir("/")
        store.save_prompt(KEY, "Classify", "submitted")
        assert store.path == tmp_path / "data" / FILE_NAME
