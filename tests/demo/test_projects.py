"""The sample projects can all be filled, and hold what a newcomer needs to see."""

import json
import re
import unicodedata

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.labeling import parse
from llm_backend.demo.projects import SAMPLES, Sample

every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.slug)


@every_sample
def test_every_control_of_a_sample_can_be_filled(sample: Sample) -> None:
    config = parse(sample.label_config)
    controls, unfillable = bind(config)
    assert controls
    assert unfillable == ()
    assert (config.prompt is not None) == sample.prompted


@every_sample
def test_a_sample_has_four_to_six_tasks_with_all_that_its_form_shows(sample: Sample) -> None:
    with sample.files() as files:
        assert 4 <= len(sample.tasks or files) <= 6
        assert all(file.read_bytes().startswith(b"\x89PNG") and file.stat().st_size < 10_000 for file in files)
    fields = set(re.findall(r'value="\$(\w+)"', sample.label_config))
    assert all(fields == set(task) for task in sample.tasks)


@pytest.mark.parametrize("sample", [s for s in SAMPLES if not s.pictures], ids=lambda sample: sample.slug)
def test_a_sample_shows_emoji_and_right_to_left_text(sample: Sample) -> None:
    told = json.dumps(sample.tasks, ensure_ascii=False)
    assert any(unicodedata.category(sign) == "So" for sign in told)
    assert any(unicodedata.bidirectional(sign) in ("R", "AL") for sign in told)


@every_sample
def test_a_sample_says_what_to_do(sample: Sample) -> None:
    assert ("Shift+Enter" in sample.description) == sample.prompted
    assert "<Header" in sample.label_config
    if sample.prompted:
        assert "Auto-Annotation" in sample.description
        assert "Auto-Annotation on, then Shift+Enter" in sample.label_config


def test_titles_find_projects_again() -> None:
    assert len({sample.title for sample in SAMPLES}) == len(SAMPLES)
