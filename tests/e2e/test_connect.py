"""Connecting a model: what the manager is told."""

from pathlib import Path

import pytest

from llm_backend.demo.api import ApiRefused
from tests.support.browser import Editor
from tests.support.lab import MODEL, Lab

NOTHING_TO_FILL = (
    '<View><Image name="i" value="$image"/><BrushLabels name="mask" toName="i"><Label value="x"/></BrushLabels></View>'
)
FINE = '<View><Text name="t" value="$text"/><TextArea name="answer" toName="t"/></View>'


def test_a_connected_backend_is_healthy_and_hears_of_annotations(lab: Lab) -> None:
    project, _ = lab.project("connected", FINE, [])

    (connection,) = lab.api.connections(project)
    (webhook,) = lab.api.call("GET", f"/api/webhooks/?project={project}")

    assert connection["state"] == "CO"
    assert connection["model_version"].startswith(f"{MODEL}-")
    assert webhook["url"] == f"{lab.backend}/webhook"


def test_a_new_project_without_a_form_can_be_connected(lab: Lab) -> None:
    project, _ = lab.project("no form yet", "<View></View>", [])

    (connection,) = lab.api.connections(project)
    assert connection["state"] == "CO"


def test_a_config_with_nothing_to_fill_is_refused_with_the_cause(lab: Lab) -> None:
    project = lab.api.create_project("masks", NOTHING_TO_FILL)

    with pytest.raises(ApiRefused) as refusal:
        lab.api.connect(project, lab.backend)

    (told,) = refusal.value.body["validation_errors"]["non_field_errors"]
    assert "Nothing here that a model can fill" in told
    assert 'BrushLabels "mask"' in told


def connect_by_hand(lab: Lab, editor: Editor, project: int) -> None:
    """Fill in the dialog of the project's settings, and save it."""
    page = editor.page
    page.goto(f"{lab.api.url}/projects/{project}/settings/ml")
    page.get_by_role("button", name="Add machine learning model").click()
    page.locator("input[name=title]").fill("LLM")
    page.locator("input[name=url]").fill(lab.backend)
    page.get_by_role("button", name="Save machine learning form").click()


def test_the_connect_dialog_shows_the_cause(lab: Lab, editor: Editor, shots: Path) -> None:
    project = lab.api.create_project("masks in the dialog", NOTHING_TO_FILL)
    connect_by_hand(lab, editor, project)
    editor.page.get_by_text("Nothing here that a model can fill").first.wait_for()

    editor.screenshot(shots / "connect-dialog.png")
    editor.noise.errors = [error for error in editor.noise.errors if "400 (Bad Request)" not in error]


def test_the_connect_dialog_connects(lab: Lab, editor: Editor, shots: Path) -> None:
    project = lab.api.create_project("by hand", FINE)
    connect_by_hand(lab, editor, project)
    editor.page.get_by_text("Connected").first.wait_for()

    editor.screenshot(shots / "connected.png")
    assert [connection["url"] for connection in lab.api.connections(project)] == [lab.backend]
