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
    """Which model gave which answer, as tasks tell that were generated."""
    names = ("chosen_model", "rejected_model") if isinstance(taken.record, Preference) else ("model",)
    generated = task.meta.get("generated")
    answers = generated.get("answers") if isinstance(generated, Mapping) else None
    if not isinstance(answers, Mapping):
        return
    for name, place in zip(names, taken.record.places, strict=False):  # of a text that somebody wrote there is none
        if models := list(_named(answers.get(place))):
            yield name, ", ".join(dict.fromkeys(models))


def _named(answer: JSON) -> Iterator[str]:
    """The models that gave an answer: one, and all others that gave the same."""
    if isinstance(answer, Mapping):
        also = answer.get("also")
        for one in (answer, *(also if isinstance(also, list) else ())):
            if isinstance(one, Mapping) and isinstance(one.get("model"), str):
                yield one["model"]
