"""How do records look to OpenAI's fine-tuning? One line each, always as conversations."""

from llm_backend.core.wire import JSON
from llm_backend.interchange.preferences import Demonstration, Preference, Turn
from llm_backend.interchange.trl import message, messages

FEWEST = 10
"""Lines that a file needs."""


def sft(record: Demonstration, conversation: bool) -> dict[str, JSON]:
    """A conversation that ends with the answer to learn."""
    return {"messages": messages(record.prompt, record.completion)}


def dpo(record: Preference, conversation: bool) -> dict[str, JSON]:
    """A conversation with the preferred answer and the other."""
    return {
        "input": {"messages": messages(record.prompt), "tools": [], "parallel_tool_calls": True},
        "preferred_output": [message(Turn("assistant", record.chosen))],
        "non_preferred_output": [message(Turn("assistant", record.rejected))],
    }
