"""Who is told that a model was asked for a task, how that ended, and what it took?"""

import logging
from collections.abc import Awaitable, Iterable
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


async def watched(asking: Awaitable[Outcome], watch: Watch | None, lane: Lane, model: str) -> Outcome:
    """Wait for an outcome, and tell how it came."""
    try:
        outcome = await asking
    except BackendError as exc:
        if isinstance(exc, AnswerError):
            _log_wrong(exc.wrong)
        if watch is not None:
            watch.asked(lane, model, type(exc).__name__, exc.usage or Usage())
        raise
    _log_wrong(outcome.wrong)
    if watch is not None:
        watch.asked(lane, model, "", outcome.usage)
    return outcome


def _log_wrong(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        log.error("a region was made that cannot be sent, which is a fault of this software: %s", sentence)
