"""`llm-backend worker` as a process; what becomes of runs when it dies: tests/adapters/runs/test_rq_faults.py."""

import signal
from pathlib import Path

import pytest

from tests.support.redis_server import free_port, redis_url  # noqa: F401 - a fixture
from tests.support.serving import serving, task
from tests.support.stub_model import StubModel
from tests.support.worker import worker


def test_it_answers_what_a_server_was_asked_and_ends_when_told(redis_url: str, tmp_path: Path) -> None:  # noqa: F811
    tasks = [task(number, f"Text {number} of a secret") for number in range(40)]
    with StubModel() as model:
        told = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "test-key"}
        with (
            worker(tmp_path, **told) as process,
            serving(None, tmp_path, redis_url=redis_url, base_url=model.base_url, batch_deadline=30.0) as caller,
        ):
            caller.setup()
            predictions = caller.batch(*tasks)
            assert all(prediction["result"] for prediction in predictions)
            assert len(model.asked) == len(tasks)
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "has ended" in log
    assert "secret" not in log


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "REDIS_URL is not set: a worker finds its work in Redis"),
        ({"REDIS_URL": "redis://127.0.0.1:{port}/0"}, "127.0.0.1:{port}"),
    ],
    ids=["no Redis", "nobody there"],
)
def test_without_redis_one_sentence_says_what_to_do(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    port = free_port()
    given = {name: value.format(port=port) for name, value in settings.items()}
    with worker(tmp_path, OPENAI_API_KEY="test-key", **given) as process:
        _, log = process.communicate(timeout=30)
    assert process.returncode == 2
    assert says.format(port=port) in log
    assert "Traceback" not in log
