"""What people submit in a real Label Studio goes along with the next questions, and leaves with them."""

import json
import urllib.request
from pathlib import Path

from llm_backend.core.wire import JSON
from tests.support.browser import Editor
from tests.support.exports import said
from tests.support.lab import PAIR, Lab
from tests.support.serve import until
from tests.support.serving import typed
from tests.support.stub_model import answers

CONFIG = """
<View>
  <Text name="text" value="$text"/>
  <TextArea name="prompt" toName="text" rows="2" maxSubmissions="1"/>
  <Choices name="tone" toName="text"><Choice value="Happy"/><Choice value="Unhappy"/></Choices>
</View>"""
PROMPT = typed("How is the customer?")
HAPPY = said("Happy", origin="manual")
TEXTS = [{"text": f"The parcel came {when}."} for when in ("late", "early", "today", "broken")]
FEW = json.dumps({"few_shot": 2})


def learned(lab: Lab, project: int) -> dict[str, JSON]:
    with urllib.request.urlopen(f"{lab.backend}/projects") as answer:
        known = json.load(answer)["projects"]
    (told,) = (one["learned"] for one in known if one["key"].startswith(f"{project}."))
    found: dict[str, JSON] = told
    return found


def asked(lab: Lab, connection: int, task: int) -> str:
    """What the model is told when an annotator asks."""
    before = lab.calls
    lab.api.ask(connection, task, [PROMPT])
    (told,) = lab.asked_since(before)
    return told


def connection(lab: Lab, project: int) -> int:
    (one,) = lab.api.connections(project)
    found: int = one["id"]
    return found


def test_a_submission_in_the_browser_goes_along_with_the_next_prompt_and_its_deletion_takes_it_away(
    lab: Lab, editor: Editor
) -> None:
    project, (first, second, *_) = lab.project("learning", CONFIG, TEXTS, extra_params=FEW)
    ml = connection(lab, project)
    assert "came late" not in asked(lab, ml, second)

    editor.open(project, first)
    editor.choose("Happy")
    annotation = editor.submit()
    until(lambda: learned(lab, project)["count"] == 1, 10)
    told = asked(lab, ml, second)
    assert "came late" in told
    assert '"tone": "Happy"' in told

    lab.api.call("DELETE", f"/api/annotations/{annotation}/")
    until(lambda: learned(lab, project)["count"] == 0, 10)
    assert "came late" not in asked(lab, ml, second)


def test_start_training_publishes_and_batches_go_by_it(lab: Lab) -> None:
    project, (first, *others) = lab.project("training", CONFIG, TEXTS, extra_params=FEW)
    ml = connection(lab, project)
    annotation = lab.api.annotate(first, [HAPPY])
    until(lambda: learned(lab, project)["count"] == 1, 10)

    before = lab.calls
    lab.api.retrieve_predictions(project)
    assert not any('"tone": "Happy"' in told for told in lab.asked_since(before))

    lab.api.call("POST", f"/api/ml/{ml}/train", {})
    until(lambda: learned(lab, project)["published"] == 1, 10)
    before = lab.calls
    lab.api.retrieve_predictions(project)
    told = lab.asked_since(before)
    assert len(told) == 4
    assert sum('"tone": "Happy"' in words for words in told) == len(others)
    versions = {made["model_version"] for made in lab.api.predictions(project)}
    assert len(versions) == 2

    lab.api.call("DELETE", f"/api/annotations/{annotation}/")
    until(lambda: learned(lab, project)["published"] == 0, 10)
    lab.api.import_tasks(project, [{"text": "The parcel came twice."}])
    before = lab.calls
    lab.api.retrieve_predictions(project)
    (new,) = lab.asked_since(before)
    assert '"tone": "Happy"' not in new


def test_what_was_accepted_and_what_was_clicked_anew_are_told_apart(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = answers
    pairs = [{"prompt": f"What is {n}?", "answer1": f"The first of {n}", "answer2": f"Second of {n}"} for n in (1, 2)]
    project, (first, second) = lab.project("accepted", PAIR, pairs, opens=True)
    lab.api.retrieve_predictions(project)

    editor.open(project, first)
    editor.wait_for_region("comparison")
    editor.submit()
    until(lambda: learned(lab, project)["count"] == 1, 10)
    assert learned(lab, project)["accepted"] == 1

    editor.open(project, second)
    editor.wait_for_region("comparison")
    editor.page.locator(".lsf-richtext__line", has_text="Second of 2").click()
    editor.wait_for_region("comparison", lambda value: value == {"selected": "right"})
    editor.screenshot(shots / "clicked-anew.png")
    editor.submit()
    until(lambda: learned(lab, project)["count"] == 2, 10)
    assert learned(lab, project)["accepted"] == 1
