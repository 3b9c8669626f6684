"""How do records look to the trainers of TRL?

Each function makes one row, with exactly the columns that its trainer knows. A prompt is a text or, in conversations, a
list of messages; a dataset holds one or the other, never both.
"""

from llm_backend.core.wire import JSON
from llm_backend.interchange.preferences import Demonstration, Preference, Prompt, Rated, Record, Turn


def message(turn: Turn) -> dict[str, JSON]:
    """A turn as a chat message, which OpenAI's formats know as well."""
    return {"role": turn.role, "content": turn.content}


def messages(prompt: Prompt, answer: str | None = None) -> list[dict[str, JSON]]:
    """A conversation, up to the answer or with it."""
    return [*map(message, prompt), *([] if answer is None else [message(Turn("assistant", answer))])]


def preference(record: Preference, conversation: bool) -> dict[str, JSON]:
    """A row for DPO: the prompt stands for itself."""
    return {
        "prompt": _prompt(record.prompt, conversation),
        "chosen": _answer(record.chosen, conversation),
        "rejected": _answer(record.rejected, conversation),
    }


def implicit(record: Preference, conversation: bool) -> dict[str, JSON]:
    """A row whose prompt is what both sides begin with. Always a conversation: of plain texts it could not be told."""
    return {
        "chosen": messages(record.prompt, record.chosen),
        "rejected": messages(record.prompt, record.rejected),
    }


def reward(record: Preference, conversation: bool) -> dict[str, JSON]:
    """A row for a reward model; by how much the chosen side is better goes along where it is known."""
    margin = {} if record.margin is None else {"margin": record.margin}
    return {**preference(record, conversation), **margin}


def sft(record: Demonstration, conversation: bool) -> dict[str, JSON]:
    """A row of prompt and completion."""
    return {
        "prompt": _prompt(record.prompt, conversation),
        "completion": _answer(record.completion, conversation),
    }


def kto(record: Rated, conversation: bool) -> dict[str, JSON]:
    """A row of an answer and whether it is desirable."""
    return {
        "prompt": _prompt(record.prompt, conversation),
        "completion": _answer(record.completion, conversation),
        "label": record.good,
    }


def scores(record: Record) -> dict[str, JSON]:
    """How the answers of a row were rated, in further columns, as sets in the manner of Zephyr's name them."""
    if isinstance(record, Preference):
        chosen, rejected = record.scores or (None, None)
        return {"score_chosen": chosen, "score_rejected": rejected}
    return {"score": record.score} if isinstance(record, Rated) else {}


def _prompt(prompt: Prompt, conversation: bool) -> JSON:
    return messages(prompt) if conversation else "\n\n".join(turn.content for turn in prompt)


def _answer(text: str, conversation: bool) -> JSON:
    return [message(Turn("assistant", text))] if conversation else text
