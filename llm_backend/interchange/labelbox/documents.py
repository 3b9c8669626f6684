"""What does the content of a Labelbox row say? The conversational form of version 1; `tree` reads that of version 2."""

import functools
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
    try:
        ident, content, name, user = raw["messageId"], raw["content"], raw["user"]["name"], raw["user"]["userId"]
    except (KeyError, TypeError):
        ident = content = name = user = None
    if type(ident) is type(content) is type(name) is type(user) is str:  # as nearly all are: of 100,000 rows, fast
        return Message(ident, name, _role(name, raw.get("align") == "left"), content)
    raise _lack(raw, number)


def _lack(raw: JSON, number: int) -> RequestError:
    """What is wrong with a message."""
    where = f"message {number}: "
    if not isinstance(raw, Mapping):
        return RequestError(f"{where}it must be an object; found {shown(raw)}.")
    try:
        where = f"message {number} ({shown(text_at(raw, 'messageId', where))}): "
        text_at(raw, "content", where)
        user = mapping_at(raw, "user", where)
        text_at(user, "name", f"{where}user: ")
        text_at(user, "userId", f"{where}user: ")
    except RequestError as exc:
        return exc
    raise AssertionError(f"message {number} lacks nothing")


def _output(raw: JSON, number: int) -> ModelOutput:
    where = f"model output {number}: "
    if not isinstance(raw, Mapping):
        raise RequestError(f"{where}it must be an object; found {shown(raw)}.")
    model = raw.get("modelConfigName")
    title = text_at(raw, "title", where)
    return ModelOutput(title, text_at(raw, "content", where), model if isinstance(model, str) else "")


@functools.lru_cache(maxsize=1024)
def _role(name: str, left: bool) -> Role:
    if _MODELS.search(name):
        return "assistant"
    return "assistant" if left and not _PEOPLE.search(name) else "user"
