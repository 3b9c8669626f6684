"""How do annotations look in a table? A row for each, the task's fields beside the answers."""

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import fields_of, read
from llm_backend.core.labeling import LabelingConfig, repeat
from llm_backend.core.prompts import prompt_in
from llm_backend.core.repeats import counts
from llm_backend.core.wire import JSON, Annotation, Task
from llm_backend.errors import InputError
from llm_backend.interchange.exports import ExportedTask
from llm_backend.interchange.ordered import Frame
from llm_backend.interchange.preferences import EVERYBODY, Policy, Reason
from llm_backend.interchange.preferences.counting import refuse_comparing, sift
from llm_backend.interchange.preferences.reading import lacking
from llm_backend.interchange.tasks import Fault
from llm_backend.interchange.tasks.writing import cell, distinct


@dataclass(frozen=True, slots=True)
class _Form:
    """What a task asks, with what its labeling config repeats in its place."""

    config: LabelingConfig
    controls: tuple[Control, ...]

    @property
    def columns(self) -> list[str]:
        return [*self._boxes, *(control.name for control in self.controls)]

    @property
    def _boxes(self) -> list[str]:
        return [self.config.prompt] if self.config.prompt else []

    def answers(self, task: Task, annotation: Annotation) -> dict[str, JSON]:
        """What an annotation says, by columns; nothing where it says nothing but the prompt."""
        inputs = read(self.config, task.data, task.id)
        told = {control.name: control.encode(annotation.result, inputs) for control in self.controls}
        if all(answer is None for answer in told.values()):
            return {}
        return {**{box: prompt_in(annotation.result, box) for box in self._boxes}, **told}


class Table:
    """Makes the rows of a table out of tasks, one after the other.

    Attributes:
        frame: Its first line.
        left: How many annotations were left for which reason.
    """

    def __init__(
        self,
        config: LabelingConfig,
        policy: Policy = EVERYBODY,
        *,
        meta: bool = False,
        tasks: Iterable[ExportedTask | Fault] = (),
    ) -> None:
        """
        Args:
            meta: Whether each row says which task and annotation it comes from, and whose it is.
            tasks: All that rows will be made of. They are gone through where the config repeats something, for only
                they say how often, and so which columns there are.
        Raises:
            RequestError: Annotators are to be compared, which rows with several answers do not allow.
        """
        refuse_comparing(policy)
        self._config = config
        self._policy = policy
        self._forms: dict[tuple[int, ...], _Form] = {}
        self._fields = tuple(dict.fromkeys(name for source in config.sources for name in fields_of(source.value)))
        self._meta = meta
        self.left: Counter[Reason] = Counter()
        self._columns = tuple(dict.fromkeys(name for form in self._all(tasks) for name in form.columns))
        where = ("task", "annotation", "annotator") if meta else ()
        header = _line([*self._fields, *distinct(self._fields, (*self._columns, *where))])
        self.frame = Frame(header)

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[str]:
        """The rows of a task, by its annotations in the order of their ids.

        Raises:
            TaskError: The task's data is not what the labeling config shows.
        """
        if missing := [name for name in self._fields if name not in task.data]:
            raise InputError(lacking(f"${missing[0]}"))
        form = self._form(task.data)
        if not set(form.columns) <= set(self._columns):
            raise InputError("It came to have more entries while this went on; export it again.")
        counting, left = sift(self._policy, annotations)
        rows = []
        for made in counting:
            answers = form.answers(task, made)
            if not answers:
                left[Reason.EMPTY] += 1
                continue
            where = (task.id, made.id, made.by) if self._meta else ()
            told = (answers.get(column) for column in self._columns)
            rows.append(_line([*(task.data[name] for name in self._fields), *told, *where]))
        self.left += left
        return rows

    def _all(self, tasks: Iterable[ExportedTask | Fault]) -> list[_Form]:
        """The forms of all tasks, those with most entries first."""
        if not self._config.repeats:
            return [self._form({})]
        for task in tasks:
            with contextlib.suppress(InputError):  # told when its rows are to be made
                if isinstance(task, ExportedTask):
                    self._form(task.data)
        return [self._forms[often] for often in sorted(self._forms, reverse=True)]

    def _form(self, data: Mapping[str, JSON]) -> _Form:
        often = counts(self._config, data)
        if often not in self._forms:
            config = repeat(self._config, often) if often else self._config
            self._forms[often] = _Form(config, bind(config, drawing=True)[0])
        return self._forms[often]


def _line(values: Iterable[JSON]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(map(cell, values))
    return stream.getvalue()
