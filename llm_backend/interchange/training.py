"""How does an export become files to train from? In which format, which order, and split how?"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from llm_backend.core.wire import JSON, Annotation, Task
from llm_backend.errors import TaskError
from llm_backend.interchange import openai_files, trl
from llm_backend.interchange.exports import ExportedTask
from llm_backend.interchange.ordered import Frame, Ordered
from llm_backend.interchange.origin import origin_of
from llm_backend.interchange.preferences import Kind, Reason, Taken, Taking
from llm_backend.interchange.replacing import replacing
from llm_backend.interchange.tasks import Fault

_FAULTS_TOLD = 20
# Signs within a text at which some readers of lines would break it.
_BREAKS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x85\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Format:
    """A format of rows in JSON.

    Attributes:
        row: Makes a row of a record of the kind, as a conversation or with plain texts.
        conversations: Whether it knows nothing but conversations.
        closed: Whether its rows may have nothing else in them.
        rated: Whether its rows may say how their answers were rated.
    """

    kind: Kind
    row: Callable[[Any, bool], dict[str, JSON]]
    conversations: bool = False
    closed: bool = False
    rated: bool = False


FORMATS: Mapping[str, Format] = {
    "trl-preference": Format("pairs", trl.preference, rated=True),
    "trl-implicit": Format("pairs", trl.implicit, conversations=True, rated=True),
    "trl-sft": Format("demonstrations", trl.sft),
    "trl-kto": Format("rated", trl.kto, rated=True),
    "reward": Format("pairs", trl.reward, rated=True),
    "openai-sft": Format("demonstrations", openai_files.sft, conversations=True, closed=True),
    "openai-dpo": Format("pairs", openai_files.dpo, conversations=True, closed=True),
}


class Lines(Protocol):
    """Makes lines of tasks.

    Attributes:
        frame: What the file has around them.
        left: How many annotations, or records of theirs, were left for which reason.
    """

    frame: Frame
    left: Counter[Reason]

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[str]:
        """The lines of a task.

        Raises:
            TaskError: The task's data is not what the labeling config shows.
        """


class Rows:
    """Makes a line of JSON of each record."""

    frame = Frame()

    def __init__(
        self,
        taking: Taking,
        form: Format,
        conversation: bool,
        *,
        meta: bool = False,
        scores: bool = False,
        repeats: bool = False,
    ) -> None:
        """
        Args:
            meta: Whether each row says which task and annotation it comes from, and whose it is.
            scores: Whether each row says how its answers were rated.
            repeats: Keep rows that say the same as an earlier one, wherever they come from.
        """
        self._taking = taking
        self._form = form
        self._conversation = conversation
        self._meta = meta
        self._scores = scores
        self._repeats = repeats
        self._seen: set[int] = set()
        self.left = taking.left

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[str]:
        return list(self._lines(task, self._taking.take(task, annotations)))

    def _lines(self, task: Task, taken: Iterable[Taken]) -> Iterator[str]:
        for one in taken:
            row = self._form.row(one.record, self._conversation)
            if self._scores:
                row |= trl.scores(one.record)
            if self._repeats or self._new(said := _dumped(row)):
                yield _dumped({**row, "meta": origin_of(task, one)}) if self._meta else said

    def _new(self, line: str) -> bool:
        digest = hashlib.blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        known = int.from_bytes(digest)  # of a hundred thousand, a few megabytes
        if known in self._seen:
            self.left[Reason.DUPLICATE] += 1
            return False
        self._seen.add(known)
        return True


def _dumped(row: JSON) -> str:
    return json.dumps(row, ensure_ascii=False).translate(_BREAKS) + "\n"


@dataclass(slots=True)
class Exported:
    """What came of an export.

    Attributes:
        tasks, annotations: How many were read, those that could not be used among the tasks.
        rows: How many were written, in each of the files.
        unusable: How many tasks could not be used; `faults` are the first of them.
    """

    rows: list[int]
    tasks: int = 0
    annotations: int = 0
    unusable: int = 0
    faults: list[Fault] = field(default_factory=list)

    def fault(self, fault: Fault) -> None:
        self.unusable += 1
        if len(self.faults) < _FAULTS_TOLD:
            self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class Split:
    """Which share of the tasks goes to the first file, and how it is drawn.

    A task goes where its id says, so that a later export splits the same tasks alike, and all that is made of a task
    goes to one file.
    """

    share: float = 1.0

    def index(self, task: ExportedTask) -> int:
        if self.share >= 1:
            return 0
        told = task.id if task.id is not None else json.dumps(task.data, sort_keys=True)
        drawn = int.from_bytes(hashlib.sha256(str(told).encode("utf-8", "surrogatepass")).digest()[:8])
        return int(drawn >= self.share * 2**64)


def export(
    tasks: Iterable[ExportedTask | Fault],
    lines: Lines,
    files: Sequence[Path],
    split: Split,
    *,
    predictions: bool = False,
) -> Exported:
    """Write what an export teaches, reading it task by task.

    Args:
        files: The one to write, or the two of a split; none to count only.
        predictions: Take the predictions of models in the place of people's annotations.
    Raises:
        RequestError: The export cannot be read, or a file cannot be written.
    """
    done = Exported([0] * max(1, len(files), 1 + (split.share < 1)))
    with _opened(files, lines.frame) as outputs:
        for task in tasks:
            done.tasks += 1
            if isinstance(task, Fault):
                done.fault(task)
                continue
            made = _predicted(task) if predictions else task.annotations
            done.annotations += len(made)
            lines.left[Reason.BARE] += task.bare if predictions else 0
            lines.left[Reason.DRAFT] += 0 if predictions else task.drafts
            if predictions and not made:
                lines.left[Reason.UNPREDICTED] += not task.bare
                continue
            try:
                taken = lines.take(task.task, made)
            except TaskError as exc:
                done.fault(Fault(task.line, exc.sentence, task.id))
                continue
            index = split.index(task)
            done.rows[index] += len(taken)
            if outputs and taken:
                outputs[index].write(task.id, taken)
    return done


@contextmanager
def _opened(files: Sequence[Path], frame: Frame) -> Iterator[list[Ordered]]:
    with ExitStack() as stack:
        outputs = [Ordered(stack.enter_context(replacing(file)), frame) for file in files]
        yield outputs
        for output in outputs:
            output.finish()


def _predicted(task: ExportedTask) -> tuple[Annotation, ...]:
    return tuple(Annotation(prediction.result) for prediction in task.predictions)
