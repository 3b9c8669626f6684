"""The homes of the store, and a clock that tests set."""

from collections.abc import Callable

from llm_backend.adapters.store import Store
from llm_backend.adapters.store.sqlite import SqliteStore

HOMES: dict[str, Callable[..., Store]] = {"sqlite": SqliteStore}
"""Each opens its home for a folder of the test; opened again for the same folder, it finds what was stored there."""


class Clock:
    """Says what it is told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
