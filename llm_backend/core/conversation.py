"""Which conversation does a row begin that a model is to go on with, and what is it with the answer?"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from llm_backend.core.inputs.values import from_json_text
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

CONFIG: Final = """<View>
  <Paragraphs name="chat" value="$chat" layout="dialogue" nameKey="role" textKey="content"/>
  <TextArea name="answer" toName="chat" required="true"/>
</View>"""
"""What a model is asked with: it goes on with the conversation (`Parameters.converse`)."""
CHAT: Final = "chat"

Turn: TypeAlias = dict[str, JSON]
_ROLES = ("system", "user", "assistant")
_PROMPT = "prompt"
_BEGINNINGS = ("messages", CHAT, _PROMPT)


def conversation(data: Mapping[str, JSON], field: str = "") -> list[Turn]:
    """The turns that a model is to go on with.

    Args:
        data: A row with `messages` (or `chat`, as tasks call it), or with a `prompt`, which is the user's only turn.
        field: What holds the prompt, or the turns, in the place of these.
    Raises:
        InputError: It has none of these, or what it has is no conversation that waits for an answer.
    """
    names = (field,) if field else _BEGINNINGS
    name = next((name for name in names if data.get(name) not in (None, "")), None)
    if name is None:
        raise InputError(_lacking(data, names))
    told = data[name]
    turns = told if name == _PROMPT else from_json_text(told)
    if isinstance(told, str) and name in (field, _PROMPT) and not isinstance(turns, list):
        turns = [{"role": "user", "content": told}]
    elif name == _PROMPT:
        raise InputError('its "prompt" is no text.')
    if not isinstance(turns, list) or not turns:
        raise InputError(f'its "{name}" is no list of turns such as {{"role": "user", "content": "..."}}.')
    chat = [_turn(name, number, turn) for number, turn in enumerate(turns, 1)]
    if chat[-1]["role"] != "user":
        raise InputError(f'its "{name}" ends with a turn of the {chat[-1]["role"]}: there is nothing to answer.')
    if not chat[-1]["content"].strip():
        raise InputError(f'its "{name}" {"is empty" if len(chat) == 1 else "ends with an empty turn"}.')
    return chat


def _lacking(data: Mapping[str, JSON], names: Sequence[str]) -> str:
    if empty := next((name for name in names if name in data), ""):
        return f'its "{empty}" is empty.'
    has = ", ".join(f'"{name}"' for name in data) or "nothing"
    lacking = f'no "{names[0]}"' if len(names) == 1 else 'no "prompt" and no "messages"'
    return f"it has {lacking}; it has {has}."


def task_of(chat: Sequence[Mapping[str, JSON]], answer: str, version: str) -> dict[str, JSON]:
    """The task that shows a conversation with the answer to it; `version` tells who answered."""
    return {"data": {CHAT: [*chat, {"role": "assistant", "content": answer}]}, "meta": {"model_version": version}}


def _turn(name: str, number: int, turn: JSON) -> Turn:
    role = turn.get("role") if isinstance(turn, Mapping) else None
    content = turn.get("content") if isinstance(turn, Mapping) else None
    if role not in _ROLES or not isinstance(content, str):
        raise InputError(
            f'turn {number} of its "{name}" cannot be used: a turn has a "role" (system, user or assistant) and a '
            '"content", a text.'
        )
    return {"role": role, "content": content}
