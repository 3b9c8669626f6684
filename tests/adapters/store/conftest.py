"""Opens each home of the store on a real folder."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_backend.adapters.store import Store
from tests.adapters.store.homes import HOMES, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(1_795_217_550.0)


@pytest.fixture(params=list(HOMES))
def open_store(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Store]]:
    """Opens the test's store; called once more, it opens the same one anew, as a restarted server would."""
    opened: list[Store] = []

    def open_home(**options: Any) -> Store:
        for store in opened:
            store.close()
        opened.append(HOMES[request.param](tmp_path / "data", clock=clock, **options))
        return opened[-1]

    yield open_home
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()
