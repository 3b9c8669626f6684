"""How do annotations look in Label Studio's own raw JSON? Tasks in a list, each with those that count."""

import json
from collections import Counter
from collections.abc import Sequence

from llm_backend.core.wire import Annotation, Task
from llm_backend.interchange.ordered import Frame
from llm_backend.interchange.preferences import EVERYBODY, Policy, Reason
from llm_backend.interchange.preferences.counting import refuse_comparing, sift


class Raw:
    """Makes entries of the list out of tasks, one after the other.

    Attributes:
        frame: What stands around and between them.
        left: How many annotations were left for which reason.
    """

    frame = Frame("[\n", ",\n", "\n]\n")

    def __init__(self, policy: Policy = EVERYBODY) -> None:
        """
        Raises:
            RequestError: Annotators are to be compared, for which one control is to be gone by.
        """
        refuse_comparing(policy)
        self._policy = policy
        self.left: Counter[Reason] = Counter()

    def take(self, task: Task, annotations: Sequence[Annotation]) -> list[str]:
        """The task with its annotations in the order of their ids; nothing where none says anything."""
        counting, left = sift(self._policy, annotations)
        told = [made.to_json() for made in counting if made.result]
        left[Reason.EMPTY] += len(counting) - len(told)
        self.left += left
        meta = {"meta": task.meta} if task.meta else {}
        whole = {"id": task.id, "data": task.data, **meta, "annotations": told, "predictions": []}
        return [json.dumps(whole, ensure_ascii=False)] if told else []
