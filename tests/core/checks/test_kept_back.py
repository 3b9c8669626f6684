"""A control of ours that makes what cannot be sent: it stays empty, its neighbours do not, and the log tells of it."""

import asyncio
import logging

import pytest

from llm_backend.backend.watching import watched
from llm_backend.core.controls.base import Control, Regions
from llm_backend.core.controls.choices import Choices
from llm_backend.core.controls.rating import Rating
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Outcome, Parameters, Plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON, Region, Task
from llm_backend.errors import AnswerError
from llm_backend.services import texts
from tests.support.scripted import ScriptedLLM, no_media

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <Rating name="stars" toName="text" {more}/>
  <Choices name="tone" toName="text"><Choice value="Good"/><Choice value="Bad"/></Choices>
</View>"""
SENTENCE = 'Rating "stars" holds no number of stars from 1 to 5.'


class Generous(Rating):
    """A Rating with a bug: it gives more stars than there are."""

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        return [self.region({"rating": 6})]


def outcome(more: str = "", *, tone: str | None = "Good") -> Outcome:
    config = parse(CONFIG.format(more=more))
    stars, tones = config.outputs
    controls: tuple[Control, ...] = (Generous(stars), Choices(tones))
    plan = Plan(config, controls, (), texts(), Template(), Parameters())
    llm = ScriptedLLM({"stars": 5, "tone": tone})
    task = Task(1, {"text": "A secret text."})
    asking = predict(plan, task, Prompt("Go", "annotator"), llm, no_media)
    return asyncio.run(watched(asking, None, "batch", "m"))


def test_a_region_that_cannot_be_sent_is_kept_back_and_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        found = outcome()
    assert [region.from_name for region in found.regions] == ["tone"]
    assert found.faults == (SENTENCE,)
    (record,) = caplog.records
    assert SENTENCE in record.getMessage()
    assert "secret" not in caplog.text


@pytest.mark.parametrize(("more", "tone"), [('required="true"', "Good"), ("", None)], ids=["required", "nothing left"])
def test_a_task_fails_where_that_leaves_too_little(
    more: str, tone: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AnswerError, match="stars from 1 to 5"):
        outcome(more, tone=tone)
    assert SENTENCE in caplog.text
