"""What is one call on its way: to whom, how large, until when, and is it there yet?"""

from dataclasses import dataclass

from llm_backend.adapters.limits import Gate, Place
from llm_backend.adapters.providers.dialect import Dialect
from llm_backend.adapters.providers.faults import Transient
from llm_backend.adapters.providers.line import Line
from llm_backend.core.chat import Call, TextPart
from llm_backend.errors import Busy, Unreachable


@dataclass(frozen=True, slots=True)
class Way:
    """What is known of one model at the endpoint, and what leads to it."""

    dialect: Dialect
    gate: Gate
    line: Line


@dataclass(frozen=True, slots=True)
class Conversation:
    """One call on its way: to whom, in which dialect, and until when."""

    call: Call
    model: str
    who: str
    way: Way
    size: int
    end: float


@dataclass(slots=True)
class Sending:
    """A request's place, and when it got it and went out; None as long as it has not."""

    place: Place
    began: float | None = None


def too_slow(conversation: Conversation, sending: Sending, seconds: float) -> Exception:
    """The fault of a call that had this long, and no answer."""
    who = conversation.who
    if sending.began is not None:
        sending.place.overloaded()
        return Transient(Unreachable(f"{who}: no answer within {seconds:.3g} s. Is the model overloaded, or starting?"))
    if conversation.way.gate.limiting:
        return Busy(f"{who}: the provider takes fewer calls than there are; no turn came. Try again later.")
    return Busy(f"{who}: too many calls are under way; no turn came. Try again, or raise LLM_CONCURRENCY.")


def size_of(call: Call) -> int:
    """Bytes of a call's text, from which its tokens are guessed; what schema and pictures take is learned."""
    texts = (part.text for message in call.messages for part in message.parts if isinstance(part, TextPart))
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
