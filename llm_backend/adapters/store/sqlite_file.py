"""How is one SQLite file opened, brought to the current schema, visited by many threads, and closed?

One connection serves all threads, in turn: each visit is a fraction of a millisecond, and a page cache per thread would
cost more memory than reading side by side could save time. What persons or models wrote is stored as JSON, which also
carries the half characters that a browser can send and SQLite refuses.
"""

import itertools
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from llm_backend.adapters.store.folder import claim, private_file
from llm_backend.errors import BackendError, SettingsError, StoreError

T = TypeVar("T")

FILE_NAME = "llm_backend.sqlite3"
BUSY_SECONDS = 5.0
ASKED_AT_ONCE = 500
"""Digests per query: SQLite bounds the number of parameters, and other threads get their turn between queries."""
WRITES_BETWEEN_PRUNINGS = 500
PRUNED_AT_ONCE = 2_000
"""Rows that one pruning removes at most, so that no single call pays for a week's leftovers."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE projects (
            key TEXT PRIMARY KEY,
            prompt TEXT NOT NULL DEFAULT 'null',
            prompt_origin TEXT NOT NULL DEFAULT '',
            pinned INTEGER NOT NULL DEFAULT 0,
            extra_params TEXT NOT NULL DEFAULT '{}',
            hostname TEXT NOT NULL DEFAULT '',
            access_token TEXT NOT NULL DEFAULT '',
            updated REAL NOT NULL
        )""",
        # `place` grows with every note, so that the highest are the latest.
        """CREATE TABLE annotation_prompts (
            place INTEGER PRIMARY KEY,
            project TEXT NOT NULL,
            annotation TEXT NOT NULL,
            prompt TEXT NOT NULL,
            UNIQUE (project, annotation)
        )""",
        "CREATE INDEX annotation_prompts_by_place ON annotation_prompts (project, place)",
        """CREATE TABLE kept (
            project TEXT NOT NULL,
            version TEXT NOT NULL,
            digest TEXT NOT NULL,
            prediction TEXT NOT NULL,
            reason TEXT NOT NULL,
            lasting INTEGER NOT NULL,
            made REAL NOT NULL,
            UNIQUE (project, version, digest)
        )""",
        "CREATE INDEX kept_by_age ON kept (made)",
    ),
    (
        # Counts stand in the run's own row: they are looked at far more often than fifty thousand rows can be counted.
        # A run is `hidden` while its tasks come and go, so that neither takes one long turn.
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            project TEXT NOT NULL,
            version TEXT NOT NULL,
            spec TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL,
            created REAL NOT NULL,
            started REAL NOT NULL,
            finished REAL NOT NULL,
            waiting INTEGER NOT NULL DEFAULT 0,
            done INTEGER NOT NULL DEFAULT 0,
            failed INTEGER NOT NULL DEFAULT 0,
            cancelled INTEGER NOT NULL DEFAULT 0,
            prompt_tokens INTEGER NOT NULL DEFAULT 0,
            completion_tokens INTEGER NOT NULL DEFAULT 0,
            calls INTEGER NOT NULL DEFAULT 0
        )""",
        # The tasks of a run lie together and in order: `ident` is the run's number times 2**32, and the task's place.
        # `question` stands for project, version and digest; `waiting` in a finished run means cancelled.
        """CREATE TABLE run_tasks (
            ident INTEGER PRIMARY KEY,
            question BLOB NOT NULL,
            digest TEXT NOT NULL,
            task_id TEXT NOT NULL,
            state TEXT NOT NULL,
            reason TEXT NOT NULL
        )""",
        "CREATE INDEX run_tasks_by_question ON run_tasks (question) WHERE state = 'waiting'",
        "CREATE INDEX run_tasks_in_order ON run_tasks (state) WHERE state = 'waiting'",
        # Apart from their tasks, whose states change without moving the texts, and which outlive them.
        "CREATE TABLE run_texts (ident INTEGER PRIMARY KEY, data TEXT NOT NULL)",
    ),
    (
        """CREATE TABLE corrections (
            place INTEGER PRIMARY KEY,
            project TEXT NOT NULL,
            annotation TEXT NOT NULL,
            published INTEGER NOT NULL DEFAULT 0,
            correction TEXT NOT NULL,
            UNIQUE (project, annotation)
        )""",
        "CREATE INDEX corrections_by_place ON corrections (project, place)",
        """CREATE TABLE learned (
            project TEXT PRIMARY KEY,
            changes INTEGER NOT NULL DEFAULT 0,
            published_at INTEGER NOT NULL DEFAULT 0,
            publication TEXT NOT NULL DEFAULT '',
            since INTEGER NOT NULL DEFAULT 0
        )""",
    ),
    ("""ALTER TABLE projects ADD COLUMN label_config TEXT NOT NULL DEFAULT '""'""",),
    ("ALTER TABLE projects ADD COLUMN calibration TEXT NOT NULL DEFAULT 'null'",),
)
"""Entry n brings a file from schema version n to n + 1. Entries are added, never changed: they made files in use."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any thread may use (one at a time), with each statement its own transaction."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last answers, never the file
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not just unlinked
    except BaseException:  # Ctrl-C, too: nobody has this connection yet who would close it
        connection.close()
        raise
    return connection


class SqliteFile:
    """One file in a folder that this process has claimed. Open it after any fork."""

    def __init__(
        self, folder: Path, *, clock: Callable[[], float], connect: Callable[[Path], sqlite3.Connection]
    ) -> None:
        """Claim the folder, open its file and bring it to the current schema.

        Raises:
            SettingsError: The folder or the file cannot be used, or another process uses it.
            StoreError: The disk is full.
        """
        self._clock = clock
        self._turn = threading.Lock()
        self._written = 0
        self._claim = claim(folder)
        self.path = self._claim.folder / FILE_NAME
        try:
            private_file(self.path)
            with told(self.path):
                self._connection = connect(self.path)
                try:
                    migrate(self._connection, self.path)
                except BaseException:  # as in `connect`
                    self._connection.close()
                    raise
        except BaseException:  # Ctrl-C, too: the folder would stay refused to this process
            self._claim.release()
            raise
        self._open = True

    def close(self) -> None:
        with self._turn:
            if self._open:
                self._open = False
                self._connection.close()
                self._claim.release()

    @contextmanager
    def _visit(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; SQLite's faults come out as sentences."""
        with self._turn:
            if not self._open:
                raise StoreError("The store has been closed, for the server is stopping: ask again when it is back.")
            with told(self.path):
                yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A visit whose writes are one transaction."""
        with self._visit() as connection, transaction(connection):
            yield connection

    def _prune_now_and_then(self, written: int = 1) -> None:
        """Prune in proportion to what is written. Call it before the writing: if it fails, nothing is written."""
        self._written += written
        while self._written >= WRITES_BETWEEN_PRUNINGS:
            self._written -= WRITES_BETWEEN_PRUNINGS
            if not self._prune():
                self._written %= WRITES_BETWEEN_PRUNINGS

    def _prune_all(self) -> None:
        with self._visit():
            while self._prune():
                pass

    def _prune(self) -> int:
        """Remove some of what is past its age or number.

        Returns:
            How many rows went; 0 when nothing is left to prune.
        """
        return 0


def migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the file to the last schema version, one transaction per step: a step that fails leaves no trace.

    Raises:
        SettingsError: The file comes from a later release, or from another program.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise SettingsError(
            f'"{path}" was written by a newer llm-backend (schema version {version}; this one knows '
            f"{len(migrations)}): install that release again, or move the file away to start afresh."
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise SettingsError(f'"{path}" holds the tables of another program: move it away, and start again.')
    for reached, statements in enumerate(migrations[version:], start=version + 1):
        with transaction(connection):
            for statement in statements:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {reached}")


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn SQLite's troubles into sentences that name the file and the way out. Our own faults surface as they are."""
    try:
        yield
    except sqlite3.Error as exc:
        if (sentence := _sentence(exc, path)) is None:
            raise
        raise sentence from exc


def _sentence(exc: sqlite3.Error, path: Path) -> BackendError | None:
    match getattr(exc, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF:  # the upper bits only refine it
        case sqlite3.SQLITE_FULL:
            return StoreError(f'The disk that holds "{path}" is full: make room there, or give a folder elsewhere.')
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f'"{path}" is locked by another program: end what has it open, and try again.')
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreError(f'"{path}" cannot be read and written ({exc}): look at its disk and its owner.')
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return SettingsError(
                f'"{path}" is damaged, or no database at all ({exc}): move it away, together with the files '
                "beside it whose names begin in the same way, and start again."
            )
    return None


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def plain(name: str) -> str:
    """The name as it can be stored: half a surrogate pair, which has no UTF-8, is spelled out."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def marks(values: Collection[Any]) -> str:
    """A question mark for each value, as SQL's `IN` takes them."""
    return ", ".join("?" * len(values))


def slices(values: Iterable[T], most: int) -> Iterator[list[T]]:
    """The values, so many at a time."""
    rest = iter(values)
    while some := list(itertools.islice(rest, most)):
        yield some
