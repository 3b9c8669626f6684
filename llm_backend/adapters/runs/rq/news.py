"""Who is told what by other processes? What was settled, which runs stopped, what was spent, on Redis's channels."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from llm_backend.core.wire import JSON

log = logging.getLogger(__name__)

SETTLED = "llm_backend:settled"
STOPPED = "llm_backend:stopped"
SPENT = "llm_backend:spent"

_RETRY_SECONDS = 0.5


def tell_settled(pipe: Pipeline, project: str, version: str, digests: Sequence[str]) -> None:
    pipe.publish(SETTLED, json.dumps([project, version, list(digests)]))


def tell_stopped(redis: Redis, run_id: str) -> None:
    redis.publish(STOPPED, json.dumps(run_id))


def tell_spent(redis: Redis, requests: int, tokens: float) -> None:
    redis.publish(SPENT, json.dumps([requests, tokens]))


class Listener:
    """Hears channels in a thread of its own, and hears them again when Redis is back."""

    def __init__(
        self, redis: Redis, heard: Mapping[str, Callable[[JSON], object]], missed: Callable[[], object] = lambda: None
    ) -> None:
        """
        Args:
            heard: What to call with each channel's messages, in the listener's thread.
            missed: Is called whenever messages may have been missed.
        """
        self._redis = redis
        self._heard = heard
        self._missed = missed
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join(timeout=2.0)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                with self._redis.pubsub() as channels:  # type: ignore[no-untyped-call]
                    channels.subscribe(*self._heard)
                    while not self._closed.is_set():
                        self._take(channels.get_message(timeout=1.0))
            except RedisError as exc:
                log.warning("Redis does not answer (%s): listening again in a moment", type(exc).__name__)
                self._closed.wait(_RETRY_SECONDS)

    def _take(self, message: Mapping[str, JSON] | None) -> None:
        if message is None:
            return
        if message["type"] == "subscribe":
            self._missed()
        elif message["type"] == "message":
            with suppress(ValueError):  # not ours
                self._heard[message["channel"].decode()](json.loads(message["data"]))
