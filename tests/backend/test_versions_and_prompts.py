"""Which prompt applies, how a project comes by one, and what moves its version."""

import base64
from pathlib import Path
from typing import Any

import pytest

from tests.support.pictures import PNG
from tests.support.scripted import ScriptedLLM
from tests.support.serving import CONFIG, GOOD, PROJECT, chosen, serving, task, typed


def test_prompts_apply_in_order(tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path, default_prompt="The default") as host:
        host.batch(task(1))
        assert "The default" in llm.asked
        host.submitted(typed("The saved"))
        host.batch(task(1))
        assert "The saved" in llm.asked
        host.setup(extra_params='{"prompt": "The manager\'s"}')
        host.batch(task(1))
        assert "The manager's" in llm.asked
        host.shift_enter(typed("The annotator's"))
        assert "The annotator's" in llm.asked


def test_without_any_prompt_the_config_itself_is_the_instruction(tmp_path: Path) -> None:
    config = (
        '<View><Header value="How does it feel?"/><Text name="t" value="$text"/><Rating name="r" toName="t"/></View>'
    )
    llm = ScriptedLLM({"r": 3})
    with serving(llm, tmp_path) as host:
        (answer,) = host.batch(task(1), config=config)
    assert answer["result"][0]["value"] == {"rating": 3}
    assert "How does it feel?" in llm.asked
    assert "I love it" in llm.asked


def test_two_hosts_never_share_a_prompt(tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path) as host:
        host.submitted(typed("Only for the first"))
        host.batch(task(1), project="1.1795217551")
        assert "Only for the first" not in llm.asked
        host.batch(task(1), project=PROJECT)
        assert "Only for the first" in llm.asked


@pytest.mark.parametrize(
    ("events", "saved"),
    [
        pytest.param([{"prompt": "a"}], "a", id="submitted"),
        pytest.param([{"prompt": "a", "was_cancelled": True}], None, id="skipped"),
        pytest.param([{"prompt": "a"}, {"prompt": "b", "action": "ANNOTATION_UPDATED"}], "b", id="changed"),
        pytest.param(
            [{"prompt": "a"}, {"prompt": "b", "ident": 2}, {"prompt": "a", "action": "ANNOTATION_UPDATED"}],
            "b",
            id="an update that kept its prompt",
        ),
        pytest.param([{"prompt": "a", "action": "ANNOTATION_UPDATED"}], None, id="an update of an unknown annotation"),
        pytest.param([{"prompt": "a"}, {"prompt": "", "ident": 2}], "a", id="an annotation without a prompt"),
    ],
)
def test_a_submitted_prompt_that_is_new_becomes_the_projects(
    tmp_path: Path, events: list[dict[str, Any]], saved: str | None
) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        for event in events:
            prompt = event.pop("prompt")
            host.submitted(*([typed(prompt)] if prompt else []), chosen("Positive"), **event)
        assert host.services.store.project(PROJECT).prompt == saved


def test_a_prompt_that_was_only_used_is_not_saved_unless_asked_for(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path / "a") as host:
        host.shift_enter(typed("Try this"))
        assert host.services.store.project(PROJECT).prompt is None
    with serving(ScriptedLLM(GOOD), tmp_path / "b", save_prompt_on_use=True) as host:
        host.shift_enter(typed("Try this"))
        assert host.services.store.project(PROJECT).prompt == "Try this"


def test_the_version_moves_with_what_shapes_the_answer_and_with_nothing_else(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        first = host.setup()
        assert first.startswith("test-model-")
        assert host.setup() == first
        assert host.setup(CONFIG.replace("rows=", 'style="color: red" rows=')) == first
        moved = [host.setup(CONFIG.replace("Negative", "Bad")), host.setup(extra_params={"temperature": 0})]
        host.setup(extra_params=None)
        host.submitted(typed("A new prompt"))
        moved.append(host.setup())
    assert len({first, *moved}) == 4


def test_a_managers_own_parameters_reach_the_model(tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path) as host:
        version = host.setup(extra_params={"model": "other-model", "temperature": 0.1, "num_responses": 3})
        host.batch(task(1))
    (call,) = llm.calls
    assert (call.model, call.temperature, call.n) == ("other-model", 0.1, 3)
    assert version.startswith("other-model-")


BOXES = """
<View>
  <Image name="page" value="$page"/>
  <RectangleLabels name="boxes" toName="page"><Label value="Stamp"/></RectangleLabels>
  <Choices name="kind" toName="page"><Choice value="Letter"/></Choices>
</View>"""
BOX = {"x": 1, "y": 2, "width": 3, "height": 4}
PAGE = {"id": 1, "data": {"page": "data:image/png;base64," + base64.b64encode(PNG).decode()}}


@pytest.mark.parametrize(
    ("everywhere", "project", "drawn"),
    [(False, None, False), (True, None, True), (False, True, True), (True, False, False)],
)
def test_shapes_are_drawn_where_the_project_or_else_the_server_says_so(
    tmp_path: Path, everywhere: bool, project: bool | None, drawn: bool
) -> None:
    llm = ScriptedLLM({"kind": "Letter", "boxes": [{**BOX, "label": "Stamp"}]})
    with serving(llm, tmp_path, fill_geometry=everywhere) as host:
        host.setup(BOXES, extra_params=None if project is None else {"fill_geometry": project})
        (prediction,) = host.batch(PAGE, config=BOXES)
    made = {region["type"]: region["value"] for region in prediction["result"]}
    assert made.get("rectanglelabels") == ({**BOX, "rotation": 0, "rectanglelabels": ["Stamp"]} if drawn else None)
    assert made["choices"] == {"choices": ["Letter"]}


def test_the_version_moves_with_what_is_drawn(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        without = host.setup(BOXES)
        assert host.setup(BOXES, extra_params={"fill_geometry": True}) != without
        assert host.setup(BOXES, extra_params={"fill_geometry": False}) == without
