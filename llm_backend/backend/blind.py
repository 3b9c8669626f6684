"""For which tasks are people shown no answer, and what did the model answer for them?

So that agreement is also measured where nobody could be swayed, the answers for a share of the tasks are kept and
handed to nobody.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from llm_backend.adapters.store import Store
from llm_backend.core.run import digest_of
from llm_backend.core.wire import Prediction, Task, TaskId

_ALL = 2**64


def is_blind(project: str, task: TaskId | None, share: float) -> bool:
    """Whether a task is one of the share; always the same for the same task.

    Args:
        share: From 0 to 1. The tasks of a smaller share are among those of a larger one.
    """
    if task is None or share <= 0:
        return False
    digest = hashlib.sha256(f"{project}\0{task}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) < share * _ALL


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is kept of a task: the model's prediction, or None; and whether people are not shown it."""

    prediction: Prediction | None
    blind: bool


class KeptAnswers:
    """Reads what models answered, shown or not."""

    def __init__(self, store: Store, share: float) -> None:
        self._store = store
        self._share = share

    def look(self, project: str, version: str, tasks: Sequence[Task]) -> list[KeptAnswer]:
        """What a version answered for each of these tasks, which are told as the host told them: id and data."""
        digests = [digest_of(task) for task in tasks]
        kept = self._store.kept(project, version, digests)
        return [
            KeptAnswer(
                Prediction.from_json({**held.prediction, "model_version": version})
                if (held := kept.get(digest)) is not None and held.prediction is not None
                else None,
                is_blind(project, task.id, self._share),
            )
            for task, digest in zip(tasks, digests, strict=True)
        ]
