"""What do we remember of what people made of tasks, in one file on this machine?"""

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence

from llm_backend.adapters.store import Learned
from llm_backend.adapters.store.sqlite_file import SqliteFile, plain
from llm_backend.core.examples import Correction

_LEARNED = """SELECT changes, publication, since, (SELECT count(*) FROM corrections WHERE project = learned.project)
    FROM learned WHERE project = ?"""


class SqliteExamples(SqliteFile):
    """The `Examples` part of the embedded home.

    Attributes:
        corrections_most: How many corrections are remembered of each project.
    """

    corrections_most: int

    def learn(self, key: str, corrections: Sequence[Correction]) -> Learned:
        name = plain(key)
        rows = [(name, one.annotation, json.dumps(one.to_json())) for one in corrections]
        news = sum(not one.accepted for one in corrections)
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO corrections (project, annotation, correction) VALUES (?, ?, ?)", rows
            )
            connection.execute(
                """DELETE FROM corrections WHERE place IN (SELECT place FROM corrections WHERE project = ?
                ORDER BY place DESC LIMIT -1 OFFSET ?)""",
                (name, self.corrections_most),
            )
            _changed(connection, name, news)
            return _learned(connection, name)

    def unlearn(self, key: str, annotations: Iterable[str]) -> None:
        name = plain(key)
        with self._writing() as connection:
            gone = connection.executemany(
                "DELETE FROM corrections WHERE project = ? AND annotation = ?", [(name, one) for one in annotations]
            ).rowcount
            if gone > 0:
                _changed(connection, name, 0)

    def learned(self, key: str) -> Learned:
        with self._visit() as connection:
            return _learned(connection, plain(key))

    def corrections(self, key: str, *, published: bool = False) -> tuple[Correction, ...]:
        with self._visit() as connection:
            rows = connection.execute(
                "SELECT correction FROM corrections WHERE project = ? AND published >= ? ORDER BY place",
                (plain(key), int(published)),
            ).fetchall()
        return tuple(Correction.from_json(json.loads(row[0])) for row in rows)

    def publish(self, key: str) -> Learned:
        name = plain(key)
        with self._writing() as connection:
            connection.execute("UPDATE corrections SET published = 1 WHERE project = ? AND published = 0", (name,))
            connection.execute(
                """UPDATE learned SET publication = ?, published_at = changes, since = 0
                WHERE project = ? AND changes > published_at""",
                (uuid.uuid4().hex[:12], name),
            )
            return _learned(connection, name)

    def _forget_examples(self, connection: sqlite3.Connection, name: str) -> None:
        connection.execute("DELETE FROM corrections WHERE project = ?", (name,))
        connection.execute("DELETE FROM learned WHERE project = ?", (name,))


def _changed(connection: sqlite3.Connection, name: str, news: int) -> None:
    connection.execute(
        # Counted from anywhere, so that no stamp comes again after a project was forgotten.
        """INSERT INTO learned (project, changes, since) VALUES (?, 1 + (abs(random()) >> 20), ?)
        ON CONFLICT (project) DO UPDATE SET changes = changes + 1, since = since + excluded.since""",
        (name, news),
    )


def _learned(connection: sqlite3.Connection, name: str) -> Learned:
    row = connection.execute(_LEARNED, (name,)).fetchone()
    if row is None:
        return Learned()
    changes, publication, since, count = row
    return Learned(f"{changes} {publication}", count, publication, since)
