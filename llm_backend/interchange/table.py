"""How do annotations look in a table? A row for each, the task's fields beside the answers."""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence

from llm_backend.core.controls import bind
from llm_backend.core.inputs import fields_of, read
from llm_backend.core.labeling import LabelingConfig
from llm_backend.core.prompts import prompt_in
from llm_backend.core.wire import JSON, Annotation, Task
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.preferences import EVERYBODY, Policy, Reason
from llm_backend.interchange.preferences.counting import sift
from llm_backend.interchange.preferences.reading import lacking
from llm_backend.interchange.tasks.writing import cell, distinct


class Table:
    """Makes the rows of a table out of tasks, one after the other.

    Attributes:
        header: Its first line.
        left: How many annotations were left for which reason.
    """

    def __init__(self, config: LabelingConfig, policy: Policy = EVERYBODY, *, meta: bool = False) -> None:
        """
        Args:
            meta: Whether each row says which task and annotation it comes from, and whose it is.
        Raises:
            RequestError: Annotators are to be compared, which rows with several answers do not allow.
        """
        if policy.compares:
            raise RequestError(
                f"--annotators {policy.rule} goes by one control, and a table holds all: choose another."
            )
        self._config = config
        self._controls, _ = bind(config, drawing=True)
        self._fields = tuple(dict.fromkeys(name for source in config.sources for name in fields_of(source.value)))
        self._meta = meta
        self._policy = policy
        self.left: Counter[Reason] = Counter()
        prompt = [config.prompt] if config.prompt else []
        answers = [*prompt, *(control.name for control in self._controls)]
        where = ("task", "annotation", "annotator") if meta else ()
        self.header = _line([*self._fields, *distinct(self._fields, (*answers, *where))])

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[str]:
        """The rows of a task, by its annotations in the order of their ids.

        Raises:
            TaskError: The task's data is not what the labeling config shows.
        """
        if missing := [name for name in self._fields if name not in task.data]:
            raise InputError(lacking(f"${missing[0]}"))
        counting, left = sift(self._policy, annotations)
        inputs = read(self._config, task.data, task.id)
        rows = []
        for made in counting:
            prompt = [prompt_in(made.result, self._config.prompt)] if self._config.prompt else []
            answers = [control.encode(made.result, inputs) for control in self._controls]
            if not any(answer is not None for answer in answers):
                left[Reason.EMPTY] += 1
                continue
            where = (task.id, made.id, made.by) if self._meta else ()
            rows.append(_line([*(task.data[name] for name in self._fields), *prompt, *answers, *where]))
        self.left += left
        return rows


def _line(values: Iterable[JSON]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow(map(cell, values))
    return stream.getvalue()
