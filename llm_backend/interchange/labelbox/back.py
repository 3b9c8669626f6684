"""Which lines of labels does an annotated task make for Labelbox?"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_backend.core.controls.base import shown
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask
from llm_backend.interchange.labelbox.config import MESSAGE
from llm_backend.interchange.labelbox.marks import made_up
from llm_backend.interchange.labelbox.rows import restored

Regions = Sequence[Region]


@dataclass(frozen=True, slots=True)
class Work:
    """One person's, or one model's, work on a task.

    Attributes:
        name: What tells it from others of the same task.
        score: A model's, for regions without one of their own.
        kind: `annotations` or `predictions`.
    """

    regions: Regions
    name: str
    kind: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a task's data keep of the row that it was."""

    row: Mapping[str, str]
    features: Mapping[str, Mapping[str, JSON]]
    messages: Sequence[str]
    lines: Mapping[str, JSON]
    told: Mapping[str, JSON]

    @classmethod
    def of(cls, data: Mapping[str, JSON]) -> "Origin":
        """
        Raises:
            RequestError: The task was no row of Labelbox, or the row has no key.
        """
        told = data.get("labelbox")
        if not isinstance(told, Mapping) or not isinstance(told.get("features"), Mapping):
            raise RequestError('its data has no "labelbox", as tasks have that labelbox-to-ls made.')
        key, ident = told.get("global_key"), told.get("data_row_id")
        if not key and not ident:
            raise RequestError("its row has neither a global key nor an id, by which Labelbox would know it.")
        messages = data.get("messages")
        return cls(
            row={"globalKey": str(key)} if key else {"id": str(ident)},
            features={
                name: one
                for name, one in told["features"].items()
                if isinstance(one, Mapping) and isinstance(one.get("name"), str)
            },
            messages=[
                str(one.get("message_id")) if isinstance(one, Mapping) else ""
                for one in (messages if isinstance(messages, list) else ())
            ],
            lines=told["lines"] if isinstance(told.get("lines"), Mapping) else {},
            told=told,
        )


@dataclass(slots=True)
class Lines:
    """Makes the lines of tasks.

    Attributes:
        predictions: Whether they are made of predictions, not of annotations.
        foreign: Controls with answers that Labelbox does not ask for, and how many answers.
    """

    predictions: bool = False
    foreign: Counter[str] = field(default_factory=Counter)

    def of(self, task: ExportedTask) -> Iterator[dict[str, JSON]]:
        """
        Raises:
            RequestError: The task cannot be told to Labelbox.
        """
        origin = Origin.of(task.data)
        if self.predictions and task.bare and not task.predictions:
            raise RequestError("the export tells its predictions by their numbers alone; export them in full.")
        taken: set[str] = set()
        for work in self._works(task):
            self._count_foreign(work, origin)
            before = [line for line in origin.lines.get(work.kind) or () if isinstance(line, Mapping)]
            for line in _lines(work, origin):
                yield _as_it_was(line, before, taken) or _with_uuid(line, work, taken)

    def _works(self, task: ExportedTask) -> Iterator[Work]:
        if self.predictions:
            for number, made in enumerate(task.predictions):
                yield Work(made.result, str(number), "predictions", made.score)
            return
        for number, done in enumerate(task.annotations):
            if not done.was_cancelled:
                yield Work(done.result, str(done.id or number), "annotations")

    def _count_foreign(self, work: Work, origin: Origin) -> None:
        for region in work.regions:
            if region.from_name not in origin.features and region.from_name not in (MESSAGE, ""):
                self.foreign[region.from_name] += 1


def row_of(task: ExportedTask) -> JSON:
    """The row that a task was, as it was imported.

    Raises:
        RequestError: The task was none.
    """
    told = Origin.of(task.data).told
    outer = told.get("outer")
    return restored(outer if isinstance(outer, Mapping) else None, told.get("document"))


def _lines(work: Work, origin: Origin) -> Iterator[dict[str, JSON]]:
    """A line for each answer to a question that hangs on nothing; in the place of its uuid is its region's id."""
    places = {region.id: region for region in work.regions if region.from_name == MESSAGE}
    for region in work.regions:
        feature = origin.features.get(region.from_name)
        if feature is None or feature.get("parent"):
            continue
        same = [other for other in work.regions if other.id == region.id] if feature.get("message") else work.regions
        answer = _answer(region, feature, same, origin)
        if answer is None:
            continue
        line = {"name": feature.get("name"), "answer": answer, "uuid": region.id or "", "dataRow": dict(origin.row)}
        if feature.get("message"):
            line["messageId"] = _message(region, places, origin)
        score = region.score if region.score is not None else work.score
        if work.kind == "predictions" and score is not None:
            line["confidence"] = score
        yield line


def _answer(region: Region, feature: Mapping[str, JSON], regions: Regions, origin: Origin) -> JSON:
    """The answer that a region stands for; None where it is empty."""
    if feature.get("type") == "text":
        return "\n".join(_texts(region.value.get("text"))) or None
    answers = [_option(name, region, regions, origin) for name in _texts(region.value.get("choices"))]
    if feature.get("type") == "checklist":
        return answers or None
    return answers[0] if answers else None


def _texts(told: JSON) -> list[str]:
    """Results hold lists; a bare text stands for a list of one."""
    entries = told if isinstance(told, list) else [told]
    return [entry for entry in entries if isinstance(entry, str)]


def _option(name: str, parent: Region, regions: Regions, origin: Origin) -> dict[str, JSON]:
    below = []
    for region in regions:
        feature = origin.features.get(region.from_name, {})
        if feature.get("parent") == parent.from_name and feature.get("option") == name:
            answer = _answer(region, feature, regions, origin)
            if answer is not None:
                below.append({"name": feature.get("name"), "answer": answer})
    return {"name": name, **({"classifications": below} if below else {})}


def _message(region: Region, places: Mapping[str | None, Region], origin: Origin) -> str:
    """
    Raises:
        RequestError: The region is in no message.
    """
    value = region.value if "start" in region.value else places.get(region.id, region).value
    start = str(value.get("start"))
    if not start.isdecimal() or int(start) >= len(origin.messages):
        raise RequestError(f"an answer of {shown(region.from_name)} is about no message.")
    return origin.messages[int(start)]


def _as_it_was(line: Mapping[str, JSON], before: Iterable[Mapping[str, JSON]], taken: set[str]) -> JSON:
    """The line that said the same when the row came, letter for letter, if there was one; each once."""
    said = _meaning(line)
    for number, old in enumerate(before):
        ident = str(old.get("uuid") or f"line {number}")
        if ident not in taken and _meaning(old) == said:
            taken.add(ident)
            return old
    return None


def _with_uuid(line: dict[str, JSON], work: Work, taken: set[str]) -> dict[str, JSON]:
    """The region's id where it is a UUID and of this line alone, else one that is the same whenever it is made."""
    ident = line["uuid"]
    if "messageId" in line or ident in taken or not _is_uuid(ident):
        row = next(iter(line["dataRow"].values()))
        ident = made_up(row, work.kind, work.name, ident, line["name"], line.get("messageId") or "")
    taken.add(ident)
    return {**line, "uuid": ident}


def _meaning(line: Mapping[str, JSON]) -> str:
    """What a line says, the same however it is written; options are in no order."""
    return repr((line.get("name"), line.get("messageId"), _meaning_of(line.get("answer", line.get("answers")))))


def _meaning_of(answer: JSON) -> str:
    if isinstance(answer, Mapping):
        below = answer.get("classifications")
        told = [_meaning(one) for one in (below if isinstance(below, list) else ()) if isinstance(one, Mapping)]
        return repr((answer.get("name"), sorted(told)))
    return repr(sorted(map(_meaning_of, answer)) if isinstance(answer, list) else answer)


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
