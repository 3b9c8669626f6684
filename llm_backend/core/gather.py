"""Which conversation does a row begin, and which task comes of its answer?

The task is what Label Studio's templates for judging answers take: the turns as `chat`, each with a role and a content.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from llm_backend.core.inputs.values import from_json_text
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

CONFIG: Final = """<View>
  <Paragraphs name="chat" value="$chat" layout="dialogue" nameKey="role" textKey="content"/>
  <TextArea name="answer" toName="chat" maxSubmissions="1" required="true"/>
</View>"""
"""What a model is asked with: it goes on with the conversation (`Parameters.converse`)."""
CHAT: Final = "chat"

Turn: TypeAlias = dict[str, JSON]
_ROLES = ("system", "user", "assistant")
_BEGINNINGS = ("messages", CHAT, "prompt")


def conversation(data: Mapping[str, JSON]) -> list[Turn]:
    """The turns that a model is to go on with.

    Args:
        data: A row with `messages` (or `chat`, as tasks call it), or with a `prompt`, which is the user's only turn.
    Raises:
        InputError: It has none of these, or what it has is no conversation that waits for an answer.
    """
    name = next((name for name in _BEGINNINGS if data.get(name) not in (None, "")), None)
    if name is None:
        has = ", ".join(f'"{name}"' for name in data) or "nothing"
        raise InputError(f'it has no "prompt" and no "messages"; it has {has}.')
    if name == "prompt":
        prompt = data[name]
        if not isinstance(prompt, str) or not prompt.strip():
            raise InputError('its "prompt" is no text.')
        return [{"role": "user", "content": prompt}]
    turns = from_json_text(data[name])
    if not isinstance(turns, list) or not turns:
        raise InputError(f'its "{name}" is no list of turns such as {{"role": "user", "content": "..."}}.')
    chat = [_turn(name, number, turn) for number, turn in enumerate(turns, 1)]
    if chat[-1]["role"] != "user":
        raise InputError(f'its "{name}" ends with a turn of the {chat[-1]["role"]}: there is nothing to answer.')
    return chat


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
