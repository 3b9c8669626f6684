"""Which prompts are to be answered? Those of a file, or of a project's tasks, each conversation once."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from llm_backend.cli.projects import Project
from llm_backend.core.conversation import CHAT, Turn, conversation
from llm_backend.core.generate import digest_of
from llm_backend.core.wire import Task
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.exports import ExportedTask
from llm_backend.interchange.tasks import Fault, Row, Survey, rows, survey
from llm_backend.settings import Settings


class Prompts:
    """The rows of a file that begin a conversation.

    Attributes:
        file: What is read.
        named: What is told of it, such as `prompts.jsonl` or `Project 7`.
        place: What counts its rows: `line` or `task`.
        repeated: How many rows ask what an earlier one asks, once `survey` has looked.
    """

    def __init__(
        self, file: Path, field: str = "", named: str = "", place: str = "line", most_turns: int | None = None
    ) -> None:
        """
        Args:
            field: What holds the prompt; "" for the usual names.
            most_turns: How long a conversation may be.
        """
        self.file = file
        self.named = named or str(file)
        self.place = place
        self.repeated = 0
        self._field = field
        self._most_turns = most_turns

    def survey(self) -> Survey:
        """What there is; rows that repeat others count as skipped."""
        shape = _Once(self)
        found = survey(self.file, shape)
        self.repeated = shape.repeated
        return found

    def rows(self) -> Iterator[Row]:
        """The rows that can be used."""
        return rows(self.file, _Once(self))

    def tasks(self) -> Iterator[Task]:
        """Their conversations, each as a task for the model."""
        return (self.task(row) for row in self.rows())

    def task(self, row: Row) -> Task:
        return Task(row.task.id, {CHAT: self.chat(row)})

    def chat(self, row: Row) -> list[Turn]:
        """
        Raises:
            InputError: The row begins no conversation, or too long a one.
        """
        chat = conversation(row.task.data, self._field)
        if self._most_turns is not None and len(chat) > self._most_turns:
            raise InputError(f"it has {len(chat)} turns; at most {self._most_turns} can be written.")
        return chat


class _Once:
    """Lets rows pass that ask something, each once, as they are read one after the other."""

    def __init__(self, prompts: Prompts) -> None:
        self.repeated = 0
        self._prompts = prompts
        self._first: dict[int, int] = {}

    def __call__(self, row: Row) -> Row | Fault:
        try:
            digest = int(digest_of(self._prompts.chat(row))[:16], 16)
        except InputError as exc:
            return Fault(row.line, exc.sentence)
        if (first := self._first.setdefault(digest, row.line)) == row.line:
            return row
        self.repeated += 1
        return Fault(row.line, f"it asks the same as {self._prompts.place} {first}.")


@contextmanager
def of_project(settings: Settings, project: int) -> Iterator[Path]:
    """A project's tasks in a file, as they are now: they are gone through more than once. Gone in the end.

    Raises:
        RequestError: It is not said which Label Studio is meant.
        HostError: It cannot be asked.
    """
    with TemporaryDirectory(prefix="llm_backend.") as folder, Project(settings, project) as source:
        file = Path(folder) / f"project-{project}.jsonl"
        with open(file, "w", encoding="utf-8") as stream:
            for task in source.tasks():
                told = {"id": task.id, "data": task.data} if isinstance(task, ExportedTask) else {"data": {}}
                stream.write(f"{json.dumps(told)}\n")
        if not file.stat().st_size:
            raise RequestError(f"Project {project} has no tasks.")
        yield file
