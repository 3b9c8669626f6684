"""What do annotators' calls take of the rates that workers share?

The server asks for annotators, at once, and for nothing else; each worker keeps to its part of RPM and TPM. So the
server tells what it took, and each worker waits as long as that takes to come back. News that are lost (Redis was away)
are not told again: what was spent a minute ago is there again.
"""

import asyncio
import logging
from collections.abc import Callable

from redis.exceptions import RedisError

from llm_backend.adapters.runs.rq.jobs import connect
from llm_backend.adapters.runs.rq.news import SPENT, Listener, tell_spent
from llm_backend.core.wire import JSON

log = logging.getLogger(__name__)


class Spending:
    """Tells what was spent; what comes while it is telling is told together."""

    def __init__(self, redis_url: str) -> None:
        self._redis = connect(redis_url)
        self._requests, self._tokens = 0, 0.0
        self._telling: asyncio.Task[None] | None = None

    def spent(self, requests: int, tokens: float) -> None:
        """Called on the event loop, and quick."""
        self._requests += requests
        self._tokens += tokens
        if self._telling is None or self._telling.done():
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def close(self) -> None:
        if self._telling is not None:
            await asyncio.wait([self._telling])
        self._redis.close()

    async def _tell(self) -> None:
        while self._requests or self._tokens:
            requests, tokens = self._requests, self._tokens
            self._requests, self._tokens = 0, 0.0
            try:
                await asyncio.to_thread(tell_spent, self._redis, requests, tokens)
            except RedisError as exc:
                log.debug("workers do not know of %d calls: %s", requests, type(exc).__name__)


class Hearing:
    """Hears what was spent elsewhere, until it is closed."""

    def __init__(self, redis_url: str, heard: Callable[[int, float], None]) -> None:
        """
        Args:
            heard: Is called on the event loop that `listen` was called on.
        """
        self._redis = connect(redis_url)
        self._heard = heard
        self._listener: Listener | None = None

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()

        def hear(news: JSON) -> None:
            loop.call_soon_threadsafe(self._heard, *news)

        self._listener = Listener(self._redis, {SPENT: hear})

    async def close(self) -> None:
        if self._listener is not None:
            await asyncio.to_thread(self._listener.close)
        self._redis.close()
