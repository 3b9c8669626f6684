"""What does a chat of Labelbox's version 2 say? Its messages are a tree; the answers to one message are compared.

A row shows one comparison: the last one on the way that the chat took. Of the answers to an earlier message, the one
that the chat went on from is a turn of the conversation, as it was for whoever wrote the next message.
"""

from collections.abc import Mapping, Sequence

from llm_backend.core.controls.base import shown
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.conversation import (
    Conversation,
    Message,
    ModelOutput,
    list_at,
    mapping_at,
    text_at,
)

TREE = "application/vnd.labelbox.conversational.model-chat-evaluation"


def read_tree(raw: Mapping[str, JSON]) -> Conversation:
    """Read the content of a row of this form.

    Raises:
        RequestError: It lacks something, or is no tree; the sentence names the key.
    """
    if (version := raw.get("version", 2)) != 2:
        raise RequestError(f'its "version" is {shown(version)}; of this type, version 2 is known.')
    tree = _Tree(mapping_at(raw, "actors", ""), mapping_at(raw, "messages", ""))
    turns: list[str] = []
    compared: Sequence[str] = ()
    ahead = _names(list_at(raw, "rootMessageIds", ""), "rootMessageIds")
    while ahead:
        if len(turns) > len(tree.messages):
            raise RequestError(f"its messages go round in a circle at {shown(ahead[0])}.")
        compared = ahead if tree.of_model(ahead[0]) else ()
        onward = next((ident for ident in ahead if tree.children(ident)), None)
        if onward is None and compared:
            break
        turns.append(onward or ahead[0])
        ahead = tree.children(turns[-1])
    return Conversation(tuple(map(tree.message, turns)), tuple(tree.outputs(compared)))


class _Tree:
    """The actors and messages of a chat, by their ids."""

    def __init__(self, actors: Mapping[str, JSON], messages: Mapping[str, JSON]) -> None:
        self.actors, self.messages = actors, messages

    def message(self, ident: str) -> Message:
        return Message(ident, self._name(ident), "assistant" if self.of_model(ident) else "user", self._text(ident))

    def outputs(self, idents: Sequence[str]) -> list[ModelOutput]:
        """Titles are the models' names, numbered where two have the same."""
        names = [self._name(ident) for ident in idents]
        titles = [f"{name} {index}" if names.count(name) > 1 else name for index, name in enumerate(names, 1)]
        return [
            ModelOutput(title, self._text(ident), name)
            for title, ident, name in zip(titles, idents, names, strict=True)
        ]

    def children(self, ident: str) -> Sequence[str]:
        return _names(self._told(ident).get("childMessageIds") or [], "childMessageIds")

    def of_model(self, ident: str) -> bool:
        return self._actor(ident).get("role") == "model"

    def _told(self, ident: str) -> Mapping[str, JSON]:
        return mapping_at(self.messages, ident, "messages: ")

    def _actor(self, ident: str) -> Mapping[str, JSON]:
        return mapping_at(self.actors, text_at(self._told(ident), "actorId", f"message {shown(ident)}: "), "actors: ")

    def _name(self, ident: str) -> str:
        about = self._actor(ident).get("metadata")
        told = about if isinstance(about, Mapping) else {}
        name = told.get("modelConfigName") or told.get("name")
        return name if isinstance(name, str) else str(self._actor(ident).get("role") or "")

    def _text(self, ident: str) -> str:
        """The texts of a message; of other parts, what they are."""
        where = f"message {shown(ident)}: "
        parts = [part for part in list_at(self._told(ident), "content", where) if isinstance(part, Mapping)]
        return "\n".join(
            part["content"] if isinstance(part.get("content"), str) else f"[{part.get('type') or 'a part'}]"
            for part in parts
        )


def _names(raw: JSON, key: str) -> Sequence[str]:
    if not isinstance(raw, list) or not all(isinstance(name, str) for name in raw):
        raise RequestError(f'"{key}" must be a list of message ids; found {shown(raw)}.')
    return raw
