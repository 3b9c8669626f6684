"""What do we remember, in one file on this machine?

One connection serves all threads, in turn: each visit is a fraction of a millisecond, and a page cache per thread would
cost more memory than reading side by side could save time. What persons or models wrote is stored as JSON, which also
carries the half characters that a browser can send and SQLite refuses.
"""

import itertools
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llm_backend.adapters.store import Kept, Project
from llm_backend.adapters.store.folder import claim, private_file
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, SettingsError, StoreError

FILE_NAME = "llm_backend.sqlite3"
BUSY_SECONDS = 5.0
DAY = 86_400.0
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
)
"""Entry n brings a file from schema version n to n + 1. Entries are added, never changed: they made files in use."""

_PROJECT = "SELECT key, prompt, prompt_origin, pinned, extra_params, hostname, access_token, updated FROM projects"


def connect(path: Path) -> sqlite3.Connection:
    """A connection that any thread may use (one at a time), with each statement its own transaction."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last answers, never the file
        connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten, not just unlinked
    except BaseException:
        connection.close()
        raise
    return connection


class SqliteStore:
    """The embedded home of the `Store` protocol. Open it in the process that uses it, after any fork."""

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: float = 7.0,
        keep_most: int = 100_000,
        notes_most: int = 10_000,
        clock: Callable[[], float] = time.time,
        connect: Callable[[Path], sqlite3.Connection] = connect,
    ) -> None:
        """Claim the folder, open its file, bring it to the current schema and prune it.

        Args:
            keep_days: Age at which kept answers end.
            keep_most: How many answers are kept in all, give or take the few hundred of one pruning.
            notes_most: How many annotations' prompts are remembered of each project, give or take the same.
        Raises:
            SettingsError: The folder or the file cannot be used, or another process uses it.
            StoreError: The disk is full.
        """
        self._age, self._keep_most, self._notes_most, self._clock = keep_days * DAY, keep_most, notes_most, clock
        self._turn = threading.Lock()
        self._writes = itertools.count(1)
        self._claim = claim(folder)
        self.path = self._claim.folder / FILE_NAME
        try:
            private_file(self.path)
            with told(self.path):
                self._connection = connect(self.path)
                try:
                    migrate(self._connection, self.path)
                    while self._prune():
                        pass
                except BaseException:
                    self._connection.close()
                    raise
        except BaseException:
            self._claim.release()
            raise
        self._open = True

    def project(self, key: str) -> Project:
        with self._visit() as connection:
            row = connection.execute(f"{_PROJECT} WHERE key = ?", (_plain(key),)).fetchone()
        return _project(row) if row else Project(key)

    def projects(self) -> tuple[Project, ...]:
        with self._visit() as connection:
            rows = connection.execute(f"{_PROJECT} ORDER BY updated DESC, key").fetchall()
        return tuple(_project(row) for row in rows)

    def save_setup(self, key: str, hostname: str, access_token: str, extra_params: Mapping[str, JSON]) -> None:
        held = (_plain(key), _plain(hostname), _plain(access_token), json.dumps(dict(extra_params)), self._clock())
        with self._visit() as connection:
            # The host repeats its /setup whenever a page is opened: what changes nothing is not written.
            connection.execute(
                """INSERT INTO projects (key, hostname, access_token, extra_params, updated) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET hostname = excluded.hostname, access_token = excluded.access_token,
                    extra_params = excluded.extra_params, updated = excluded.updated
                WHERE (hostname, access_token, extra_params)
                    <> (excluded.hostname, excluded.access_token, excluded.extra_params)""",
                held,
            )

    def save_prompt(self, key: str, text: str, origin: str) -> None:
        self._set_prompt(key, text, origin, pinned=False)

    def pin_prompt(self, key: str, text: str) -> None:
        self._set_prompt(key, text, "pinned", pinned=True)

    def reset_prompt(self, key: str) -> None:
        with self._visit() as connection:
            connection.execute(
                "UPDATE projects SET prompt = 'null', prompt_origin = '', pinned = 0, updated = ? WHERE key = ?",
                (self._clock(), _plain(key)),
            )

    def forget(self, key: str) -> None:
        name = _plain(key)
        with self._visit() as connection:
            with _transaction(connection):
                connection.execute("DELETE FROM projects WHERE key = ?", (name,))
                connection.execute("DELETE FROM annotation_prompts WHERE project = ?", (name,))
                connection.execute("DELETE FROM kept WHERE project = ?", (name,))
            # The texts also stand in the write-ahead log, until it is emptied.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def annotation_prompt(self, key: str, annotation_id: int) -> str | None:
        with self._visit() as connection:
            row = connection.execute(
                "SELECT prompt FROM annotation_prompts WHERE project = ? AND annotation = ?",
                (_plain(key), str(annotation_id)),
            ).fetchone()
        return json.loads(row[0]) if row else None

    def note_annotation_prompt(self, key: str, annotation_id: int, prompt: str) -> None:
        with self._visit() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO annotation_prompts (project, annotation, prompt) VALUES (?, ?, ?)",
                (_plain(key), str(annotation_id), json.dumps(prompt)),
            )
            self._prune_now_and_then()

    def forget_annotations(self, key: str, annotation_ids: Iterable[int]) -> None:
        named = [(_plain(key), str(ident)) for ident in annotation_ids]
        with self._visit() as connection, _transaction(connection):
            connection.executemany("DELETE FROM annotation_prompts WHERE project = ? AND annotation = ?", named)

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
        asked = list(dict.fromkeys(digests))
        scope = (_plain(key), _plain(version), self._clock() - self._age)
        rows: list[tuple[Any, ...]] = []
        for start in range(0, len(asked), ASKED_AT_ONCE):
            some = asked[start : start + ASKED_AT_ONCE]
            with self._visit() as connection:
                rows += connection.execute(
                    f"""SELECT digest, prediction, reason, lasting, made FROM kept
                    WHERE project = ? AND version = ? AND made > ? AND digest IN ({", ".join("?" * len(some))})""",
                    (*scope, *some),
                ).fetchall()
        return {row[0]: _kept(row) for row in rows}

    def keep(self, key: str, version: str, kept: Kept) -> None:
        row = (_plain(key), _plain(version), kept.digest, *_written(kept))
        with self._visit() as connection:
            connection.execute(
                """INSERT INTO kept (project, version, digest, prediction, reason, lasting, made)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (project, version, digest) DO UPDATE SET prediction = excluded.prediction,
                    reason = excluded.reason, lasting = excluded.lasting, made = excluded.made""",
                row,
            )
            self._prune_now_and_then()

    def drop(self, key: str, version: str, digest: str) -> None:
        with self._visit() as connection:
            connection.execute(
                "DELETE FROM kept WHERE project = ? AND version = ? AND digest = ?",
                (_plain(key), _plain(version), digest),
            )

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

    def _set_prompt(self, key: str, text: str, origin: str, *, pinned: bool) -> None:
        with self._visit() as connection:
            connection.execute(
                """INSERT INTO projects (key, prompt, prompt_origin, pinned, updated) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET prompt = excluded.prompt, prompt_origin = excluded.prompt_origin,
                    pinned = excluded.pinned, updated = excluded.updated
                WHERE excluded.pinned OR NOT projects.pinned""",
                (_plain(key), json.dumps(text), _plain(origin), pinned, self._clock()),
            )

    def _prune_now_and_then(self) -> None:
        if next(self._writes) % WRITES_BETWEEN_PRUNINGS == 0:
            self._prune()

    def _prune(self) -> int:
        """Remove answers past their age, answers beyond the number, and notes beyond theirs; some of each.

        Returns:
            How many rows went; 0 when nothing is left to prune.
        """
        connection = self._connection
        gone = connection.execute(
            "DELETE FROM kept WHERE rowid IN (SELECT rowid FROM kept WHERE made <= ? ORDER BY made LIMIT ?)",
            (self._clock() - self._age, PRUNED_AT_ONCE),
        ).rowcount
        surplus = connection.execute("SELECT count(*) FROM kept").fetchone()[0] - self._keep_most
        if surplus > 0:
            gone += connection.execute(
                "DELETE FROM kept WHERE rowid IN (SELECT rowid FROM kept ORDER BY made LIMIT ?)",
                (min(surplus, PRUNED_AT_ONCE),),
            ).rowcount
        return gone + self._prune_notes()

    def _prune_notes(self) -> int:
        crowded = self._connection.execute(
            "SELECT project, count(*) FROM annotation_prompts GROUP BY project HAVING count(*) > ?", (self._notes_most,)
        ).fetchall()
        return sum(
            self._connection.execute(
                """DELETE FROM annotation_prompts WHERE place IN
                (SELECT place FROM annotation_prompts WHERE project = ? ORDER BY place LIMIT ?)""",
                (project, min(count - self._notes_most, PRUNED_AT_ONCE)),
            ).rowcount
            for project, count in crowded
        )


def migrate(connection: sqlite3.Connection, path: Path, migrations: tuple[tuple[str, ...], ...] = MIGRATIONS) -> None:
    """Bring the file to the last schema version, one transaction per step: a step that fails leaves no trace.

    Raises:
        SettingsError: The file comes from a later release, or from another program.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise SettingsError(
            f'DATA_DIR: "{path}" was written by a newer llm-backend (schema version {version}; this one knows '
            f"{len(migrations)}): install that release again, or move the file away to start afresh."
        )
    if version == 0 and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise SettingsError(f'DATA_DIR: "{path}" holds the tables of another program: move it away, and start again.')
    for reached, statements in enumerate(migrations[version:], start=version + 1):
        with _transaction(connection):
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
            return StoreError(f'The disk that holds "{path}" is full: make room there, or give a DATA_DIR elsewhere.')
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreError(f'"{path}" is locked by another program: end what has it open, and try again.')
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return StoreError(f'"{path}" cannot be read and written ({exc}): look at its disk and its owner.')
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return SettingsError(
                f'DATA_DIR: "{path}" is damaged, or no database at all ({exc}): move it away, together with the files '
                "beside it whose names begin in the same way, and start again."
            )
    return None


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def _plain(name: str) -> str:
    """The name as it can be stored: half a surrogate pair, which has no UTF-8, is spelled out."""
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode("utf-8")


def _project(row: tuple[Any, ...]) -> Project:
    key, prompt, origin, pinned, extra_params, hostname, access_token, updated = row
    return Project(
        key=key,
        prompt=json.loads(prompt),
        prompt_origin=origin,
        pinned=bool(pinned),
        extra_params=json.loads(extra_params),
        hostname=hostname,
        access_token=access_token,
        updated=updated,
    )


def _written(kept: Kept) -> tuple[str, str, bool, float]:
    return json.dumps(kept.prediction), json.dumps(kept.reason), kept.lasting, kept.made


def _kept(row: tuple[Any, ...]) -> Kept:
    digest, prediction, reason, lasting, made = row
    return Kept(digest, json.loads(prediction), json.loads(reason), bool(lasting), made)
