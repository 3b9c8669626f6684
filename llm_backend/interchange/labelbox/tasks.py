"""What does a Labelbox row look like as a task of Label Studio? And what is kept, so that nothing of it is lost?

The task's data:

    messages      the turns: author, text, role (user or assistant), message_id
    items         the models' outputs: id, title, and body, or html where an output holds media
    response_1    the first output as it is written, and so on; prompts may name them
    media         the media of messages: id, title, html
    labelbox      what the way back goes by:
        global_key, data_row_id
        document  the row's content, as it was
        outer     what was said of it around, as it was; where the content stood within, there is null
        features  the questions by their controls: name, type, message, and what they hang on
        lines     the lines of labels, as they were, that became predictions and annotations
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.wire import JSON
from llm_backend.interchange.labelbox.answers import Answer
from llm_backend.interchange.labelbox.conversation import Conversation, ModelOutput
from llm_backend.interchange.labelbox.marks import regions, sheets
from llm_backend.interchange.labelbox.media import html_of
from llm_backend.interchange.labelbox.ontology import Feature, every
from llm_backend.interchange.labelbox.rows import Row

VERSION = "labelbox"
"""The `model_version` of predictions that were pre-labels."""

Line = Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered of a row.

    Attributes:
        predictions, annotations: Answers, in groups of those that belong together.
        lines: The lines that said so, as they were, by what they became.
    """

    predictions: Sequence[Sequence[Answer]] = ()
    annotations: Sequence[Sequence[Answer]] = ()
    lines: Mapping[str, Sequence[Line]] | None = None


def table(features: Iterable[Feature]) -> dict[str, JSON]:
    """The questions as a task keeps them, by the names of their controls."""
    return {
        feature.control: {
            "name": feature.name,
            "type": feature.kind,
            **({"message": True} if feature.per_message else {}),
            **({"parent": parent.control, "option": option.value} if parent and option else {}),
        }
        for feature, parent, option in every(features)
    }


def task_of(
    row: Row, content: JSON, conversation: Conversation, said: Said, features: Mapping[str, JSON]
) -> dict[str, JSON]:
    """The task, as Label Studio imports it.

    Args:
        features: As `table` gives them.
    """
    kept = {
        "global_key": row.key or None,
        "data_row_id": row.ident or None,
        "document": content,
        "outer": row.outer,
        "features": features,
        **({"lines": said.lines} if said.lines else {}),
    }
    task: dict[str, JSON] = {"data": {**_shown(conversation), "labelbox": kept}}
    if predictions := list(_results(said.predictions, conversation)):
        task["predictions"] = [{"model_version": VERSION, "score": None, "result": made} for made in predictions]
    if annotations := list(_results(said.annotations, conversation)):
        task["annotations"] = [{"result": made} for made in annotations]
    return task


def _results(groups: Sequence[Sequence[Answer]], conversation: Conversation) -> Iterable[list[dict[str, JSON]]]:
    return (regions(sheet, conversation.messages) for group in groups for sheet in sheets(group))


def _shown(conversation: Conversation) -> dict[str, JSON]:
    media = [(message.id, html_of(message.text)) for message in conversation.messages]
    outputs = conversation.outputs
    return {
        "messages": [
            {"author": message.author, "text": message.text, "role": message.role, "message_id": message.id}
            for message in conversation.messages
        ],
        "items": [_item(index, output) for index, output in enumerate(outputs)],
        **{f"response_{number}": output.content for number, output in enumerate(outputs, 1)},
        "media": [{"id": ident, "title": ident, "html": html} for ident, html in media if html],
    }


def _item(index: int, output: ModelOutput) -> dict[str, JSON]:
    html = html_of(output.content)
    return {"id": str(index), "title": output.title, **({"html": html} if html else {"body": output.content})}
