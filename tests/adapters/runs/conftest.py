"""Where a run is worked on, for the tests of what both engines promise."""

from pathlib import Path

import pytest

from tests.adapters.runs.engines import Home, Local, Shared
from tests.support.redis_server import own_redis, redis_url

__all__ = ["own_redis", "redis_url"]


@pytest.fixture(params=["local", "rq"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """Each engine in turn; `rq, 3 workers` for a test that asks for it."""
    name, _, workers = request.param.partition(", ")
    if name == "local":
        return Local(tmp_path)
    return Shared(request.getfixturevalue("redis_url"), int(workers.partition(" ")[0] or 1))
