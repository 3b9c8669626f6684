"""What do we remember, in one file on this machine? Projects, prompts, kept answers; runs and corrections next door."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from llm_backend.adapters.store import CORRECTIONS_MOST, Kept, Project
from llm_backend.adapters.store.given import Given
from llm_backend.adapters.store.sqlite_examples import SqliteExamples
from llm_backend.adapters.store.sqlite_file import ASKED_AT_ONCE, PRUNED_AT_ONCE, connect, marks, plain, slices
from llm_backend.adapters.store.sqlite_run_rows import KEEP, written_kept
from llm_backend.adapters.store.sqlite_runs import SqliteRuns
from llm_backend.core.wire import JSON

_PROJECT = """SELECT key, prompt, prompt_origin, pinned, extra_params, hostname, access_token, label_config,
    calibration, updated FROM projects"""


class SqliteStore(SqliteRuns, SqliteExamples):
    """The embedded home of the `Store` protocol. Open it in the process that uses it, after any fork."""

    def __init__(
        self,
        folder: Path,
        *,
        keep_days: float = 7.0,
        keep_most: int = 100_000,
        notes_most: int = 10_000,
        runs_most: int = 200,
        corrections_most: int = CORRECTIONS_MOST,
        clock: Callable[[], float] = time.time,
        connect: Callable[[Path], sqlite3.Connection] = connect,
    ) -> None:
        """Claim the folder, open its file, bring it to the current schema and prune it.

        Args:
            keep_days: Age at which kept answers and finished runs end.
            keep_most: How many answers are kept in all, give or take the few hundred of one pruning.
            notes_most: How many annotations' prompts are remembered of each project, give or take the same.
            runs_most: How many finished runs are remembered, give or take the same.
            corrections_most: How many corrections are remembered of each project.
        Raises:
            SettingsError: The folder or the file cannot be used, or another process uses it.
            StoreError: The disk is full.
        """
        super().__init__(folder, keep_days=keep_days, runs_most=runs_most, clock=clock, connect=connect)
        self._keep_most, self._notes_most = keep_most, notes_most
        self.corrections_most = corrections_most
        self._given = Given(clock)  # no other process uses the folder
        try:
            self._prune_all()
        except BaseException:  # Ctrl-C, too: nobody has this store yet who would close it
            self.close()
            raise

    def project(self, key: str) -> Project:
        with self._visit() as connection:
            row = connection.execute(f"{_PROJECT} WHERE key = ?", (plain(key),)).fetchone()
        return _project(row) if row else Project(key)

    def projects(self) -> tuple[Project, ...]:
        with self._visit() as connection:
            rows = connection.execute(f"{_PROJECT} ORDER BY updated DESC, key").fetchall()
        return tuple(_project(row) for row in rows)

    def save_setup(
        self, key: str, hostname: str, access_token: str, extra_params: Mapping[str, JSON], label_config: str = ""
    ) -> None:
        told = (plain(hostname), plain(access_token), json.dumps(dict(extra_params)), json.dumps(label_config))
        with self._visit() as connection:
            # The host repeats its /setup whenever a page is opened: what changes nothing is not written.
            connection.execute(
                """INSERT INTO projects (key, hostname, access_token, extra_params, label_config, updated)
                VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET hostname = excluded.hostname, access_token = excluded.access_token,
                    extra_params = excluded.extra_params, label_config = excluded.label_config,
                    updated = excluded.updated
                WHERE (hostname, access_token, extra_params, label_config)
                    <> (excluded.hostname, excluded.access_token, excluded.extra_params, excluded.label_config)""",
                (plain(key), *told, self._clock()),
            )

    def save_prompt(self, key: str, text: str, origin: str) -> None:
        self._set_prompt(key, text, origin, pinned=False)

    def pin_prompt(self, key: str, text: str) -> None:
        self._set_prompt(key, text, "pinned", pinned=True)

    def reset_prompt(self, key: str) -> None:
        with self._visit() as connection:
            connection.execute(
                "UPDATE projects SET prompt = 'null', prompt_origin = '', pinned = 0, updated = ? WHERE key = ?",
                (self._clock(), plain(key)),
            )

    def save_calibration(self, key: str, calibration: Mapping[str, JSON] | None) -> None:
        told = json.dumps(calibration and dict(calibration))
        with self._visit() as connection:
            connection.execute(
                "UPDATE projects SET calibration = ?, updated = ? WHERE key = ?", (told, self._clock(), plain(key))
            )

    def forget(self, key: str) -> None:
        name = plain(key)
        with self._writing() as connection:
            connection.execute("DELETE FROM projects WHERE key = ?", (name,))
            connection.execute("DELETE FROM annotation_prompts WHERE project = ?", (name,))
            connection.execute("DELETE FROM kept WHERE project = ?", (name,))
            self._forget_examples(connection, name)
            self._hide(connection, name)
        self._remove_hidden()
        with self._visit() as connection:
            # The texts also stand in the write-ahead log, until it is emptied.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def annotation_prompt(self, key: str, annotation_id: int) -> str | None:
        with self._visit() as connection:
            row = connection.execute(
                "SELECT prompt FROM annotation_prompts WHERE project = ? AND annotation = ?",
                (plain(key), str(annotation_id)),
            ).fetchone()
        return json.loads(row[0]) if row else None

    def note_annotation_prompt(self, key: str, annotation_id: int, prompt: str) -> None:
        with self._visit() as connection:
            self._prune_now_and_then()
            connection.execute(
                "INSERT OR REPLACE INTO annotation_prompts (project, annotation, prompt) VALUES (?, ?, ?)",
                (plain(key), str(annotation_id), json.dumps(prompt)),
            )

    def forget_annotations(self, key: str, annotation_ids: Iterable[int]) -> None:
        named = [(plain(key), str(ident)) for ident in annotation_ids]
        with self._writing() as connection:
            connection.executemany("DELETE FROM annotation_prompts WHERE project = ? AND annotation = ?", named)

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
        scope = (plain(key), plain(version), self._clock() - self._age)
        rows: list[tuple[Any, ...]] = []
        for some in slices(digests, ASKED_AT_ONCE):
            with self._visit() as connection:
                rows += connection.execute(
                    f"""SELECT digest, prediction, reason, lasting, made FROM kept
                    WHERE project = ? AND version = ? AND made > ? AND digest IN ({marks(some)})""",
                    (*scope, *some),
                ).fetchall()
        return {row[0]: _kept(row) for row in rows}

    def keep(self, key: str, version: str, kept: Kept) -> None:
        row = (plain(key), plain(version), kept.digest, *written_kept(kept))
        with self._visit() as connection:
            self._prune_now_and_then()
            connection.execute(KEEP, row)

    def drop(self, key: str, version: str, digest: str) -> None:
        with self._visit() as connection:
            connection.execute(
                "DELETE FROM kept WHERE project = ? AND version = ? AND digest = ?",
                (plain(key), plain(version), digest),
            )

    def give(
        self, project: str, version: str, digests: Iterable[str], asked: float, *, shown_within: float = 0.0
    ) -> set[str]:
        return self._given.give(project, version, digests, asked, shown_within=shown_within)

    def hold(self, project: str, version: str, digests: Iterable[str], holder: str, seconds: float) -> set[str]:
        return self._given.hold(project, version, digests, holder, seconds)

    def let_go(
        self, project: str, version: str, digests: Iterable[str], holder: str, *, shown_within: float | None = None
    ) -> None:
        self._given.let_go(project, version, digests, holder, shown_within=shown_within)

    def given_since(self, project: str, version: str, digest: str, asked: float) -> bool:
        return self._given.since(project, version, digest, asked)

    def _set_prompt(self, key: str, text: str, origin: str, *, pinned: bool) -> None:
        with self._visit() as connection:
            connection.execute(
                """INSERT INTO projects (key, prompt, prompt_origin, pinned, updated) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET prompt = excluded.prompt, prompt_origin = excluded.prompt_origin,
                    pinned = excluded.pinned, updated = excluded.updated
                WHERE excluded.pinned OR NOT projects.pinned""",
                (plain(key), json.dumps(text), plain(origin), pinned, self._clock()),
            )

    def _prune(self) -> int:
        """Remove answers past their age, answers beyond the number, and notes and runs beyond theirs; some of each."""
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
        return gone + self._prune_notes() + super()._prune()

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


def _project(row: tuple[Any, ...]) -> Project:
    key, prompt, origin, pinned, extra_params, hostname, access_token, label_config, calibration, updated = row
    return Project(
        key=key,
        prompt=json.loads(prompt),
        prompt_origin=origin,
        pinned=bool(pinned),
        extra_params=json.loads(extra_params),
        hostname=hostname,
        access_token=access_token,
        label_config=json.loads(label_config),
        calibration=json.loads(calibration),
        updated=updated,
    )


def _kept(row: tuple[Any, ...]) -> Kept:
    digest, prediction, reason, lasting, made = row
    return Kept(digest, json.loads(prediction), json.loads(reason), bool(lasting), made)
