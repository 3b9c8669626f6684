"""Who is told that a model was asked for a task, how that ended, and what it took?"""

import logging
from collections.abc import Awaitable, Iterable, Sequence
from typing import Protocol

from llm_backend.core.chat import Lane, Usage
from llm_backend.core.predictor import Outcome
from llm_backend.errors import AnswerError, BackendError

log = logging.getLogger(__name__)


class Watch(Protocol):
    """Told of every task that was asked for; of its texts nothing. Quick, and raises nothing."""

    def asked(self, lane: Lane, model: str, fault: str, usage: Usage) -> None:
        """A task was answered (`fault` is empty), or failed with a fault of this name."""
        ...

    def unconfirmed(self, lane: Lane, comparisons: int) -> None:
        """So many comparisons of a task changed with the order of what they compare."""
        ...


async def watched(asking: Awaitable[Outcome], watch: Watch | None, lane: Lane, model: str) -> Outcome:
    """Wait for an outcome, and tell how it came."""
    try:
        outcome = await asking
    except BackendError as exc:
        if isinstance(exc, AnswerError):
            _log_wrong(exc.wrong)
            _tell_unconfirmed(exc.unconfirmed, watch, lane)
        if watch is not None:
            watch.asked(lane, model, type(exc).__name__, exc.usage or Usage())
        raise
    _log_wrong(outcome.wrong)
    _tell_unconfirmed(outcome.unconfirmed, watch, lane)
    if watch is not None:
        watch.asked(lane, model, "", outcome.usage)
    return outcome


def _log_wrong(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        log.error("a region was made that cannot be sent, which is a fault of this software: %s", sentence)


def _tell_unconfirmed(sentences: Sequence[str], watch: Watch | None, lane: Lane) -> None:
    if sentences:
        log.info("%s: %d comparisons of a task were not confirmed by the other order", lane, len(sentences))
        if watch is not None:
            watch.unconfirmed(lane, len(sentences))
