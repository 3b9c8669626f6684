"""What does the content of a Labelbox row say? The conversational form of version 1; `tree` reads that of version 2."""

import re
from collections.abc import Mapping

from llm_backend.core.controls.base import shown
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.conversation import (
    Conversation,
    Message,
    ModelOutput,
    Role,
    list_at,
    mapping_at,
    text_at,
)
from llm_backend.interchange.labelbox.tree import TREE, read_tree

CONVERSATIONAL = "application/vnd.labelbox.conversational"
# Whom a name stands for; where it says nothing, models speak on the left.
_MODELS = re.compile(r"\b(bot|chatbot|assistant|agent|model|ai|llm)\b", re.IGNORECASE)
_PEOPLE = re.compile(r"\b(user|human|customer|client|person|prompter)\b", re.IGNORECASE)


def read_document(raw: JSON) -> Conversation:
    """Read the content of a row.

    Raises:
        RequestError: It is of a type that is not known, or lacks something; the sentence names the key.
    """
    if not isinstance(raw, Mapping):
        raise RequestError(f"its content must be an object; found {shown(raw)}.")
    kind = raw.get("type", CONVERSATIONAL)
    if kind == TREE:
        return read_tree(raw)
    if kind != CONVERSATIONAL:
        raise RequestError(f'its "type" is {shown(kind)}; {CONVERSATIONAL} and {TREE} are known.')
    if (version := raw.get("version", 1)) != 1:
        raise RequestError(f'its "version" is {shown(version)}; of this type, version 1 is known.')
    outputs = list_at(raw, "modelOutputs", "") if raw.get("modelOutputs") is not None else []
    return Conversation(
        tuple(_message(told, number) for number, told in enumerate(list_at(raw, "messages", ""), 1)),
        tuple(_output(told, number) for number, told in enumerate(outputs, 1)),
    )


def _message(raw: JSON, number: int) -> Message:
    where = f"message {number}: "
    if not isinstance(raw, Mapping):
        raise RequestError(f"{where}it must be an object; found {shown(raw)}.")
    ident = text_at(raw, "messageId", where)
    where = f"message {number} ({shown(ident)}): "
    user = mapping_at(raw, "user", where)
    name = text_at(user, "name", f"{where}user: ")
    text_at(user, "userId", f"{where}user: ")
    return Message(ident, name, _role(name, raw.get("align")), text_at(raw, "content", where))


def _output(raw: JSON, number: int) -> ModelOutput:
    where = f"model output {number}: "
    if not isinstance(raw, Mapping):
        raise RequestError(f"{where}it must be an object; found {shown(raw)}.")
    model = raw.get("modelConfigName")
    title = text_at(raw, "title", where)
    return ModelOutput(title, text_at(raw, "content", where), model if isinstance(model, str) else "")


def _role(name: str, align: JSON) -> Role:
    if _MODELS.search(name):
        return "assistant"
    return "assistant" if align == "left" and not _PEOPLE.search(name) else "user"
