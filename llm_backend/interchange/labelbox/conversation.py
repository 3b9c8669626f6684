"""What is a conversation with the outputs of models that are compared, whichever form it came in?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

from llm_backend.core.controls.base import listed, shown
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError

Held = TypeVar("Held")
Role: TypeAlias = Literal["user", "assistant"]

MOST_MESSAGES = 250
"""How many messages Labelbox takes in a row."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `id` is Labelbox's own, by which labels name it."""

    id: str
    author: str
    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ModelOutput:
    """One of the compared answers. It has no id: labels name it by its title."""

    title: str
    content: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """What a row shows."""

    messages: tuple[Message, ...]
    outputs: tuple[ModelOutput, ...] = ()

    def __post_init__(self) -> None:
        """
        Raises:
            RequestError: There are more messages than Labelbox takes, or labels could not name them or the outputs.
        """
        if len(self.messages) > MOST_MESSAGES:
            raise RequestError(f"it has {len(self.messages)} messages; Labelbox takes {MOST_MESSAGES} at most.")
        if twice := _twice([message.id for message in self.messages]):
            raise RequestError(f"several messages have the messageId {shown(twice)}; each needs one of its own.")
        if twice := _twice([output.title for output in self.outputs]):
            raise RequestError(f"several modelOutputs have the title {shown(twice)}, by which answers name them.")


def mapping_at(raw: Mapping[str, JSON], key: str, where: str) -> Mapping[str, JSON]:
    """
    Raises:
        RequestError: There is no object under this key.
    """
    return _at(raw, key, where, dict, "an object")


def list_at(raw: Mapping[str, JSON], key: str, where: str) -> list[JSON]:
    """
    Raises:
        RequestError: There is no list under this key.
    """
    return _at(raw, key, where, list, "a list")


def text_at(raw: Mapping[str, JSON], key: str, where: str) -> str:
    """
    Raises:
        RequestError: There is no text under this key.
    """
    return _at(raw, key, where, str, "a text")


def _at(raw: Mapping[str, JSON], key: str, where: str, kind: type[Held], named: str) -> Held:
    if key not in raw:
        has = listed([f'"{name}"' for name in raw]).replace(" or ", " and ") or "nothing"
        raise RequestError(f'{where}"{key}" is missing; there is {has}.')
    value = raw[key]
    if not isinstance(value, kind):
        raise RequestError(f'{where}"{key}" must be {named}; found {shown(value)}.')
    return value


def _twice(names: list[str]) -> str | None:
    if len(set(names)) == len(names):
        return None
    return next(name for index, name in enumerate(names) if name in names[:index])
