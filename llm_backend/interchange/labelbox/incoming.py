"""How does a file of Labelbox rows become tasks of Label Studio? What cannot be used is told, and left out."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from llm_backend.core.controls.base import shown
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, RequestError
from llm_backend.interchange.labelbox.answers import Answer, of_export, read_line
from llm_backend.interchange.labelbox.config import config_of
from llm_backend.interchange.labelbox.conversation import Conversation
from llm_backend.interchange.labelbox.documents import read_document
from llm_backend.interchange.labelbox.ontology import Ontology, preference
from llm_backend.interchange.labelbox.places import Fetch
from llm_backend.interchange.labelbox.prelabels import Prelabels
from llm_backend.interchange.labelbox.rows import Row, read_row
from llm_backend.interchange.labelbox.tasks import Line, Said, table, task_of
from llm_backend.interchange.tasks import Fault, entries

_AT_ONCE = 32
_MOST_TITLES = 50
_NO_LINES = "{} are read by the ontology's questions; give it with --ontology."


@dataclass(slots=True)
class Incoming:
    """A file of rows on its way in. What is found on the way is counted.

    Attributes:
        tell: Takes each fault, with the file that it is in.
        ontology: None asks for the best output.
        prelabels, labels: Lines that become predictions, and annotations.
        rows, answers: How many became tasks, and how many answers went along.
        titles: Of the outputs, in order of their first appearance.
    """

    file: Path
    fetch: Fetch
    tell: Callable[[Path, Fault], None]
    ontology: Ontology | None = None
    prelabels: Prelabels | None = None
    labels: Prelabels | None = None
    rows: int = 0
    answers: int = 0
    titles: dict[str, None] = field(default_factory=dict)
    _media: bool = False
    _keys: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        """
        Raises:
            RequestError: There are lines to be read, and no ontology.
        """
        for lines in filter(None, (self.prelabels, self.labels)):
            if self.ontology is None:
                raise RequestError(_NO_LINES.format(lines.file))

    def tasks(self) -> Iterator[dict[str, JSON]]:
        """The tasks, as Label Studio imports them.

        Raises:
            RequestError: The file cannot be read, or its rows need an ontology.
        """
        features = table((self.ontology or preference(())).features)
        read = self._rows()
        while page := list(itertools.islice(read, _AT_ONCE)):
            for row, content in self._contents(page):
                try:
                    conversation = read_document(content)
                except RequestError as exc:
                    self._fault(row, exc.sentence)
                    continue
                said = self._said(row, conversation)
                task = task_of(row, content, conversation, said, features)
                self._note(conversation, bool(task["data"]["media"]))
                yield task
        for lines in filter(None, (self.prelabels, self.labels)):
            for fault in itertools.chain(lines.faults, lines.left()):
                self.tell(lines.file, fault)

    @property
    def config(self) -> str:
        """The labeling config, once all tasks are through."""
        asked = self.ontology or preference(tuple(self.titles))
        return config_of(asked, media=self._media, outputs=bool(self.titles))

    def _rows(self) -> Iterator[Row]:
        for entry in entries(self.file):
            if isinstance(entry, Fault):
                self.tell(self.file, entry)
                continue
            try:
                row = read_row(entry.line, entry.task.data)
            except RequestError as exc:
                self.tell(self.file, Fault(entry.line, exc.sentence))
                continue
            if row.key and hash(row.key) in self._keys:  # of each key its hash is held, no more
                self._fault(row, "another row before it has the same.")
                continue
            self._keys.add(hash(row.key))
            yield row

    def _contents(self, page: Sequence[Row]) -> Iterator[tuple[Row, JSON]]:
        """The rows with their contents, those that lie elsewhere brought all at the same time."""
        addresses = [row.address for row in page if row.address]
        brought = iter(self.fetch(addresses) if addresses else ())
        for row in page:
            if not row.address:
                yield row, row.content
                continue
            found = next(brought)
            if isinstance(found, BackendError):
                self._fault(row, found.sentence)
                continue
            try:
                content = json.loads(found)
            except (ValueError, RecursionError):
                self._fault(row, f"{shown(row.address)} is not JSON.")
            else:
                yield row, content

    def _said(self, row: Row, conversation: Conversation) -> Said:
        """What labels say of the row; those that the ontology does not ask for are told."""
        messages = frozenset(message.id for message in conversation.messages)
        annotations = [self._exported(row, label, messages) for label in row.labels]
        kept: dict[str, Sequence[Line]] = {}
        predicted = self._lines(row, self.prelabels, messages, kept, "predictions")
        annotations.append(self._lines(row, self.labels, messages, kept, "annotations"))
        said = Said([predicted], annotations, kept)
        self.answers += sum(map(len, (predicted, *annotations)))
        return said

    def _lines(
        self,
        row: Row,
        lines: Prelabels | None,
        messages: frozenset[str],
        kept: dict[str, Sequence[Line]],
        kind: str,
    ) -> list[Answer]:
        answers, usable = [], []
        if lines is None:
            return []
        for number, raw in lines.take(row.key, row.ident):
            try:
                answers.append(self._read(raw, messages))
                usable.append(raw)
            except RequestError as exc:
                self.tell(lines.file, Fault(number, f"global key {shown(row.key)}: {exc.sentence}"))
        if usable:
            kept[kind] = usable
        return answers

    def _exported(self, row: Row, label: Line, messages: frozenset[str]) -> list[Answer]:
        """One person's answers, by an export."""
        told = label.get("annotations")
        classifications = told.get("classifications") if isinstance(told, Mapping) else None
        found = []
        for raw in classifications if isinstance(classifications, list) else ():
            try:
                if not isinstance(raw, Mapping):
                    raise RequestError(f"a classification must be an object; found {shown(raw)}.")
                found.append(self._read(of_export(raw), messages))
            except RequestError as exc:
                self._fault(row, exc.sentence)
        return found

    def _read(self, raw: Line, messages: Iterable[str]) -> Answer:
        if self.ontology is None:
            raise RequestError(_NO_LINES.format("Its labels"))
        answer = read_line(raw, self.ontology.features)
        if answer.message and answer.message not in messages:
            raise RequestError(f"it is about the message {shown(answer.message)}, which the row does not have.")
        return answer

    def _fault(self, row: Row, sentence: str) -> None:
        named = f"global key {shown(row.key)}: " if row.key else ""
        self.tell(self.file, Fault(row.line, f"{named}{sentence}"))

    def _note(self, conversation: Conversation, media: bool) -> None:
        self.rows += 1
        self._media = self._media or media
        if self.ontology is not None and self.titles:
            return
        self.titles.update(dict.fromkeys(output.title for output in conversation.outputs))
        if self.ontology is None and len(self.titles) > _MOST_TITLES:
            raise RequestError(
                f"{self.file}: the outputs have over {_MOST_TITLES} different titles, too many to choose from; "
                "say with --ontology what is to be asked."
            )
