"""What trainers demand of a row, as their documentation and code say it: TRL 1.16, OpenAI's fine-tuning."""

from collections.abc import Mapping, Sequence
from typing import Any

TRL_COLUMNS = {
    "trl-preference": {"prompt", "chosen", "rejected"},
    "trl-implicit": {"chosen", "rejected"},
    "reward": {"prompt", "chosen", "rejected"},
    "trl-sft": {"prompt", "completion"},
    "trl-kto": {"prompt", "completion", "label"},
}
ROLES = {"system", "user", "assistant", "tool"}


def is_conversation(value: Any) -> bool:
    """TRL goes by the first entry: a list of objects that have a role."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping) and "role" in value[0]


def trl_faults(row: Mapping[str, Any], form: str) -> list[str]:
    """What TRL would not take, or not take for what it is meant to be."""
    faults = []
    if set(row) - {"margin", "meta"} != TRL_COLUMNS[form]:
        faults.append(f"columns {sorted(row)}")
    told = {name: value for name, value in row.items() if name not in ("label", "margin", "meta")}
    if len({is_conversation(value) for value in told.values()}) != 1:
        faults.append("texts and conversations are mixed")
    if any(not is_conversation(value) and not isinstance(value, str) for value in told.values()):
        faults.append("neither text nor messages")
    for value in told.values():
        faults += messages_faults(value) if is_conversation(value) else []
    if is_conversation(row.get("prompt")) and row["prompt"][-1]["role"] not in ("user", "tool"):
        faults.append("the prompt is not the user's turn at its end")
    if form == "trl-kto" and not isinstance(row["label"], bool):
        faults.append("the label is no truth value")
    if form == "trl-implicit" and not shared(row["chosen"], row["rejected"]):
        faults.append("no prompt can be told from both sides")
    return faults


def shared(chosen: Sequence[Any], rejected: Sequence[Any]) -> list[Any]:
    """The prompt that both sides begin with, as TRL extracts it."""
    same = [one for one, other in zip(chosen, rejected, strict=False) if one == other]
    return same if list(chosen[: len(same)]) == same and len(same) < min(len(chosen), len(rejected)) else []


def messages_faults(messages: Any) -> list[str]:
    if not isinstance(messages, list) or not messages:
        return ["no messages"]
    faults = [f"role {one.get('role')}" for one in messages if one.get("role") not in ROLES]
    faults += ["fields" for one in messages if set(one) != {"role", "content"}]
    return faults + ["no text" for one in messages if not isinstance(one["content"], str) or not one["content"].strip()]


def openai_faults(row: Mapping[str, Any], form: str) -> list[str]:
    """What OpenAI's checker would refuse of a line."""
    if form == "openai-sft":
        faults = ["fields"] if set(row) - {"messages", "tools", "parallel_tool_calls"} else []
        faults += messages_faults(row.get("messages"))
        return faults + (
            ["the last message is not the assistant's"] if row["messages"][-1]["role"] != "assistant" else []
        )
    faults = ["fields"] if set(row) != {"input", "preferred_output", "non_preferred_output"} else []
    faults += ["input"] if set(row["input"]) - {"messages", "tools", "parallel_tool_calls"} else []
    faults += messages_faults(row["input"]["messages"])
    faults += ["the input ends with an answer"] if row["input"]["messages"][-1]["role"] == "assistant" else []
    for name in ("preferred_output", "non_preferred_output"):
        output = row[name]
        faults += messages_faults(output)
        faults += [f"{name} is not one answer"] if [one["role"] for one in output] != ["assistant"] else []
    return faults
