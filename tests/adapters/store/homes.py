"""The homes of the store, and a clock that tests set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_backend.adapters.store import Store
from llm_backend.adapters.store.redis import RedisStore
from llm_backend.adapters.store.sqlite import SqliteStore
from tests.support.redis_server import shared_redis

_in_redis: list[Path] = []
"""The folder whose test has the shared Redis now."""


def open_redis(folder: Path, **options: Any) -> RedisStore:
    """Redis knows no folders: for another one than before, it is emptied."""
    server = shared_redis()
    if folder not in _in_redis:
        server.flush()
        _in_redis[:] = [folder]
    return RedisStore(server.url, **options)


HOMES: dict[str, Callable[..., Store]] = {"sqlite": SqliteStore, "redis": open_redis}
"""Each opens its home for a folder of the test; opened again for the same folder, it finds what was stored there."""


class Clock:
    """Says what it is told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
