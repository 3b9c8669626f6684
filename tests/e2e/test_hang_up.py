"""A Label Studio that hangs up long before the model is done, as it does with large batches."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_backend.demo.label_studio import LabelStudio, install
from tests.support.browser import values
from tests.support.lab import HOME, Lab, backend, fills
from tests.support.stub_model import StubModel, user_text

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text"><Choice value="Happy"/><Choice value="Unhappy"/></Choices>
</View>"""
TASKS = 60


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[Lab]:
    """A Label Studio that waits 4 s for a batch of which the model needs some 15 s."""
    named = os.environ.get("E2E_LABEL_STUDIO")
    executable = Path(named) if named else install(HOME)
    with LabelStudio(executable, tmp_path / "label-studio", cache=HOME, predict_timeout=4) as label_studio:
        api = label_studio.login()
        told = {"LABEL_STUDIO_URL": api.url, "LABEL_STUDIO_API_KEY": api.create_token(), "LLM_CONCURRENCY": "4"}
        with StubModel(fills(tone="Happy"), latency=1.0) as stub, backend(tmp_path, stub.base_url, **told) as served:
            yield Lab(api, stub, *served)


def test_every_prediction_arrives_though_the_host_gave_up(hasty: Lab) -> None:
    texts = [{"text": f"Customer {number} is happy."} for number in range(TASKS)]
    project, tasks = hasty.project("a hasty host", CONFIG, texts)

    hasty.api.retrieve_predictions(project)

    assert len(hasty.api.predictions(project)) < TASKS, "the host was to give up before the model was done"
    _until(lambda: len(hasty.api.predictions(project)) >= TASKS, seconds=120)
    stored = hasty.api.predictions(project)
    assert sorted(prediction["task"] for prediction in stored) == tasks
    assert all(values(prediction["result"])["tone"] == {"choices": ["Happy"]} for prediction in stored)
    asked = [user_text(body) for body in hasty.stub.bodies]
    assert len(asked) == len(set(asked)) == TASKS, "nothing is paid for twice"
    hasty.api.retrieve_predictions(project)
    assert len(hasty.api.predictions(project)) == TASKS


def _until(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.5)
