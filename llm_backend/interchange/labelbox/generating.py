"""How does a conversation with several answers become a row that Labelbox imports?"""

from collections.abc import Mapping, Sequence
from typing import Final

from llm_backend.core.wire import JSON
from llm_backend.interchange.labelbox.conversation import ModelOutput
from llm_backend.interchange.labelbox.documents import CONVERSATIONAL

LONGEST: Final = 10_000
"""How many characters Labelbox takes in a message."""


def generated_row(key: str, turns: Sequence[Mapping[str, JSON]], outputs: Sequence[ModelOutput]) -> dict[str, JSON]:
    """The row.

    Args:
        key: Its global key; the messages' ids begin with it, since Labelbox wants them unique in a file.
        turns: Each with a `role` and a `content`.
    """
    content = {
        "type": CONVERSATIONAL,
        "version": 1,
        "messages": [_message(f"{key}-{number}", turn) for number, turn in enumerate(turns)],
        "modelOutputs": [
            {"title": output.title, "content": output.content, "modelConfigName": output.model} for output in outputs
        ],
    }
    return {"row_data": content, "global_key": key, "media_type": "CONVERSATIONAL"}


def too_long(row: Mapping[str, JSON]) -> bool:
    """Whether a text of the row is longer than Labelbox takes."""
    content = row["row_data"]
    return any(len(part["content"]) > LONGEST for part in (*content["messages"], *content["modelOutputs"]))


def _message(ident: str, turn: Mapping[str, JSON]) -> dict[str, JSON]:
    role = str(turn["role"])
    user = {"userId": role, "name": role.capitalize()}
    align = "left" if role == "assistant" else "right"
    return {"messageId": ident, "content": turn["content"], "user": user, "align": align}
