"""Where does a row to train from come from: which task, whose annotation, whose answers?"""

from collections.abc import Iterator, Mapping

from llm_backend.core.wire import JSON, Task
from llm_backend.interchange.preferences import Preference, Taken


def origin_of(task: Task, taken: Taken) -> dict[str, JSON]:
    """The task, the annotation and who made it; the entry of what is repeated; and the models, where the task tells."""
    made = taken.annotation
    entry = {"entry": list(taken.entry)} if taken.entry else {}
    return {"task": task.id, "annotation": made.id, "annotator": made.by, **entry, **dict(_models(task, taken))}


def _models(task: Task, taken: Taken) -> Iterator[tuple[str, str]]:
    """Which model gave which answer, as tasks tell that were generated, or rows of Labelbox."""
    names = ("chosen_model", "rejected_model") if isinstance(taken.record, Preference) else ("model",)
    answers = _at(task.meta, "generated", "answers")
    if not isinstance(answers, Mapping):
        outputs = _at(task.data, "labelbox", "document", "modelOutputs")
        told = enumerate(outputs if isinstance(outputs, list) else ())
        answers = {str(index): {"model": _at(output, "modelConfigName")} for index, output in told}
    for name, place in zip(names, taken.record.places, strict=False):  # of a text that somebody wrote there is none
        if models := list(_named(answers.get(place))):
            yield name, ", ".join(dict.fromkeys(models))


def _at(held: JSON, *keys: str) -> JSON:
    for key in keys:
        held = held.get(key) if isinstance(held, Mapping) else None
    return held


def _named(answer: JSON) -> Iterator[str]:
    """The models that gave an answer: one, and all others that gave the same."""
    if isinstance(answer, Mapping):
        also = answer.get("also")
        for one in (answer, *(also if isinstance(also, list) else ())):
            if isinstance(one, Mapping) and isinstance(one.get("model"), str):
                yield one["model"]
