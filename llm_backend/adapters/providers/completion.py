"""What do the replies to a call make together?"""

from dataclasses import dataclass

from llm_backend.adapters.providers.answer import Answer, Unreadable, read
from llm_backend.adapters.providers.faults import unreadable
from llm_backend.core.chat import Completion, Usage
from llm_backend.errors import ProviderRefused


@dataclass(frozen=True, slots=True)
class Part:
    """One reply's answer, and whether the server held it to the call's schema."""

    answer: Answer
    structured: bool


def usable(reply: bytes, who: str) -> Answer:
    """A reply that holds an answer.

    Raises:
        Transient: It cannot be read, which may pass.
        ProviderRefused: The model, or a filter, answers nothing.
    """
    try:
        answer = read(reply)
    except Unreadable as exc:
        raise unreadable(who, str(exc)) from None
    if answer.texts:
        return answer
    if answer.refused:
        raise ProviderRefused(f"{who}: the model refused to answer this question.")
    raise ProviderRefused(f"{who}: the provider's content filter stopped the answer.")


def completion_of(parts: list[Part], n: int, seconds: float) -> Completion:
    """The answers side by side, at most n of them."""
    answers = [part.answer for part in parts]
    usage = Usage()
    for answer in answers:
        usage += answer.usage
    complete = all(len(answer.logprobs) == len(answer.texts) for answer in answers)
    return Completion(
        texts=tuple(text for answer in answers for text in answer.texts)[:n],
        finish_reasons=tuple(reason for answer in answers for reason in answer.finish_reasons)[:n],
        logprobs=tuple(entry for answer in answers for entry in answer.logprobs)[:n] if complete else (),
        usage=usage,
        structured=all(part.structured for part in parts),
        seconds=seconds,
    )
