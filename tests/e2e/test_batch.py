"""Predictions without an annotator: Retrieve Predictions, and a task that is opened."""

import json
import urllib.request
from pathlib import Path

from llm_backend.core.wire import JSON
from tests.support.browser import Editor, values
from tests.support.lab import MODEL, PAIR, Lab, fills
from tests.support.stub_model import Reply, answers, server_error, user_text

CONFIG = """
<View>
  <Header value="Is the customer happy?"/>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text"><Choice value="Happy"/><Choice value="Unhappy"/></Choices>
  <TextArea name="reason" toName="text" editable="true"/>
  <Rating name="stars" toName="text"/>
</View>"""


def _texts(count: int) -> list[dict[str, str]]:
    return [{"text": f"Customer {number} is {'happy' if number % 2 else 'unhappy'}."} for number in range(count)]


def _judges(request: JSON, n_th: int) -> Reply:
    """A model that can tell a happy customer from an unhappy one."""
    told = user_text(request)
    tone = "Unhappy" if "is unhappy" in told else "Happy"
    return fills(tone=tone, reason=told, stars=4)(request, n_th)


def test_every_task_of_a_batch_gets_its_prediction_and_is_not_asked_again(lab: Lab) -> None:
    lab.stub.responder = _judges
    project, tasks = lab.project("a batch", CONFIG, _texts(60))
    before = lab.calls

    lab.api.retrieve_predictions(project)

    stored = lab.api.predictions(project)
    assert sorted(prediction["task"] for prediction in stored) == tasks
    (version,) = {prediction["model_version"] for prediction in stored}
    assert version.startswith(f"{MODEL}-")
    assert lab.calls == before + 60
    by_task = {prediction["task"]: values(prediction["result"]) for prediction in stored}
    for number, task in enumerate(tasks):
        assert f"Customer {number} is" in by_task[task]["reason"]["text"][0]
        assert by_task[task]["tone"] == {"choices": ["Happy" if number % 2 else "Unhappy"]}

    lab.api.retrieve_predictions(project)
    assert lab.calls == before + 60
    assert len(lab.api.predictions(project)) == 60


def test_tasks_that_fail_cost_their_neighbours_nothing_and_are_asked_again(lab: Lab) -> None:
    def fails_for_3(request: JSON, n_th: int) -> Reply:
        return server_error(400) if "Customer 3 is" in user_text(request) else answers(request, n_th)

    lab.stub.responder = fails_for_3
    project, tasks = lab.project("one bad task", CONFIG, [*_texts(5), {"text": ""}])

    lab.api.retrieve_predictions(project)

    assert sorted(p["task"] for p in lab.api.predictions(project)) == [tasks[0], tasks[1], tasks[2], tasks[4]]


def test_an_opened_task_shows_its_prediction_at_first_sight_and_stores_it_once(
    lab: Lab, editor: Editor, shots: Path
) -> None:
    lab.stub.responder = fills(tone="Unhappy", reason="The soup was cold.", stars=2)
    project, (task, _) = lab.project("opening", CONFIG, [{"text": "Cold soup."}, {"text": "Late."}], opens=True)
    before = lab.calls

    editor.open(project, task)
    editor.wait_for_region("tone")
    editor.wait_until_quiet()

    shown = editor.shown()
    editor.screenshot(shots / "opened-task.png")
    assert shown["chosen"] == ["Unhappy"]
    assert shown["texts"] == ["The soup was cold."]
    assert shown["stars"] == 2
    assert [prediction["task"] for prediction in lab.api.predictions(project)] == [task]
    assert lab.calls == before + 1


def test_a_pairwise_prediction_is_stored_and_shown(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = answers
    data = {"prompt": "What is a heap?", "answer1": "A heap.", "answer2": "Something piled up."}
    project, (task,) = lab.project("stored pairwise", PAIR, [data], opens=True)

    lab.api.retrieve_predictions(project)
    (stored,) = lab.api.predictions(project)
    editor.open(project, task)
    editor.wait_for_region("comparison", lambda value: value == {"selected": "right"})
    editor.screenshot(shots / "stored-pairwise.png")

    assert editor.outlined("Something piled up.")
    assert not editor.outlined("A heap.")
    assert values(stored["result"]) == {"comparison": {"selected": "right"}}


def test_a_model_that_takes_the_left_one_whatever_it_is_predicts_nothing_and_the_reason_is_told(lab: Lab) -> None:
    lab.stub.responder = fills(comparison="left")
    pairs = [{"prompt": f"What is {n}?", "answer1": f"One of {n}", "answer2": f"Two of {n}"} for n in range(3)]
    project, tasks = lab.project("judged by place", PAIR, pairs)
    before = lab.calls

    lab.api.retrieve_predictions(project)

    assert lab.api.predictions(project) == []
    assert lab.calls == before + 2 * len(tasks)
    with urllib.request.urlopen(f"{lab.backend}/jobs") as answer:
        job = next(job for job in json.load(answer)["jobs"] if job["project"].startswith(f"{project}."))
    with urllib.request.urlopen(f"{lab.backend}/jobs/{job['id']}") as answer:
        reasons = {task["task"]: task["reason"] for task in json.load(answer)["tasks"]}
    told = 'Asked again with "answer1" and "answer2" exchanged, the model took the one on the left again'
    assert {ident: reason.partition(":")[0] for ident, reason in reasons.items()} == dict.fromkeys(tasks, told)


def test_dates_are_stored_as_the_editor_reads_them(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(a="2024-02-03", b="2024", c="2024-02", d="2024-02-03", e="10:11", f="2024-02-03T10:11")
    config = """
    <View>
      <Text name="text" value="$text"/>
      <DateTime name="a" toName="text" only="date"/>
      <DateTime name="b" toName="text" only="year"/>
      <DateTime name="c" toName="text" only="month,year"/>
      <DateTime name="d" toName="text" only="date" format="%d.%m.%Y"/>
      <DateTime name="e" toName="text" only="time"/>
      <DateTime name="f" toName="text"/>
    </View>"""
    project, (task,) = lab.project("dates", config, [{"text": "Some day."}], opens=True)

    editor.open(project, task)
    editor.wait_for_region("f")
    editor.screenshot(shots / "dates.png")

    shown = "() => [...document.querySelectorAll('input[type=date], input[type=time]')].map(e => e.value)"
    assert editor.page.evaluate(shown) == ["2024-02-03", "2024-02-03", "10:11", "2024-02-03", "10:11"]
    picked = "() => [...document.querySelectorAll('select')].filter(e => e.name).map(e => e.value)"
    assert editor.page.evaluate(picked) == ["2024", "2", "2024"]
