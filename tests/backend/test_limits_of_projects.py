"""Do calls say whose they are, and limits know what the operator set?"""

from dataclasses import replace
from pathlib import Path

from llm_backend.services import Connections
from llm_backend.settings import Settings
from tests.support.scripted import ScriptedLLM
from tests.support.serving import GOOD, PROJECT, serving, task


def test_batch_calls_say_whose_they_are(tmp_path: Path) -> None:
    llm = ScriptedLLM("not an object", GOOD)
    with serving(llm, tmp_path) as host:
        host.batch(task(1), task(2))
    assert len(llm.calls) >= 3, "the repair of a wrong answer is the project's, too"
    assert {call.group for call in llm.calls} == {PROJECT}


def test_the_limits_are_those_of_the_settings() -> None:
    settings = replace(Settings(), llm_concurrency=7, rpm=60, tpm=9000)
    limits = Connections(settings, ScriptedLLM(GOOD))._limits
    assert (limits.concurrency, limits.share, limits.counts_tokens) == (7, 7, True)
