"""What the annotator sees: a prompt, Shift+Enter, and the whole form is filled; and what comes of it afterwards."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_backend.core.labeling import parse
from llm_backend.demo.projects import SAMPLES, Sample
from tests.support.browser import Editor, values
from tests.support.lab import Lab, backend, fills
from tests.support.stub_model import answers, wrong_key

TEXT = "I love it when my computer crashes"
EVERYTHING = """
<View>
  <Text name="text" value="$text"/>
  <TextArea name="prompt" toName="text" rows="2" maxSubmissions="1" editable="true" showSubmitButton="false"/>
  <TextArea name="response" toName="text" rows="3" maxSubmissions="1" editable="true" smart="false"/>
  <Choices name="tone" toName="text" choice="single-radio">
    <Choice value="Good" alias="g"/><Choice value="Bad"/>
  </Choices>
  <Choices name="topics" toName="text" choice="multiple"><Choice value="Work"/><Choice value="Home"/></Choices>
  <Choices name="nested" toName="text" choice="multiple" allowNested="true">
    <Choice value="Top"><Choice value="Leaf"/></Choice><Choice value="Lone"/>
  </Choices>
  <Choices name="own" toName="text" value="$options"/>
  <Rating name="stars" toName="text"/>
  <Number name="count" toName="text" min="0" max="9"/>
  <DateTime name="day" toName="text" only="date"/>
  <DateTime name="year" toName="text" only="year"/>
  <Taxonomy name="tree" toName="text">
    <Choice value="Tools"><Choice value="Computer"/></Choice><Choice value="People"/>
  </Taxonomy>
</View>"""
DATA = {"text": TEXT, "options": [{"value": "First"}, {"value": "Second"}]}
FILLED = {
    "response": "It says the opposite of what it means. 🙃 עברית",
    "tone": "Good",
    "topics": ["Work", "Home"],
    "own": "Second",
    "stars": 4,
    "count": 3,
    "day": "2024-02-03",
    "year": "2024",
    "tree": ["Tools / Computer", "People"],
}


def test_shift_enter_fills_every_control_of_the_form(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(**FILLED)
    project, (task,) = lab.project("every control", EVERYTHING, [DATA])
    editor.open(project, task)
    editor.auto_annotation()

    editor.prompt("Judge this text.")
    editor.wait_for_region("tree")

    held = values(editor.result())
    assert held["prompt"] == {"text": ["Judge this text."]}
    assert held["response"] == {"text": [FILLED["response"]]}
    assert held["tone"] == {"choices": ["g"]}
    assert held["topics"] == {"choices": ["Work", "Home"]}
    assert held["own"] == {"choices": ["Second"]}
    assert held["stars"] == {"rating": 4}
    assert held["count"] == {"number": 3}
    assert held["tree"] == {"taxonomy": [["Tools", "Computer"], ["People"]]}
    shown = editor.shown()
    editor.screenshot(shots / "every-control.png")
    assert shown["texts"] == ["Judge this text.", FILLED["response"]]
    assert {"Good", "Work", "Home", "Second"} <= set(shown["chosen"])
    assert shown["stars"] == 4
    assert shown["numbers"] == ["3"]
    assert shown["dates"] == ["2024-02-03"]
    assert shown["entries"] == ["Computer", "People"]
    assert editor.page.locator("select[name=year-year], select[name=year-date]").first.input_value() == "2024"


@pytest.mark.parametrize("sample", [s for s in SAMPLES if s.prompted and not s.pictures], ids=lambda s: s.slug)
def test_sample_projects_are_filled(lab: Lab, editor: Editor, shots: Path, sample: Sample) -> None:
    project, (task, *_) = lab.project(sample.title, sample.label_config, sample.tasks)
    editor.open(project, task)
    editor.auto_annotation()

    editor.prompt("What do you make of this?")
    editor.wait_for_region("response")

    asked = {"response", "evals", "rating", "sentiment"} & set(_controls(sample.label_config))
    assert set(values(editor.result())) == {"prompt", *asked}
    editor.screenshot(shots / f"sample-{sample.slug}.png")


def _controls(config: str) -> list[str]:
    return [output.name for output in parse(config).outputs]


def test_submitting_calls_no_model_and_keeps_what_was_seen(lab: Lab, editor: Editor) -> None:
    lab.stub.responder = fills(**FILLED)
    project, (task, _) = lab.project("submit", EVERYTHING, [DATA, DATA | {"text": "The sun is out."}])
    editor.open(project, task)
    editor.auto_annotation()
    editor.prompt("Judge it by the weather.")
    editor.wait_for_region("tree")
    seen = values(editor.result())
    before = lab.calls

    editor.submit()
    editor.wait_until_quiet()

    assert lab.calls == before
    assert values(editor.result()) == seen
    (annotation,) = lab.api.task(task)["annotations"]
    assert values(annotation["result"]) == seen
    lab.api.retrieve_predictions(project)
    assert all("Judge it by the weather." in told for told in lab.asked_since(before))
    assert lab.calls > before


def test_two_projects_share_no_prompt(lab: Lab) -> None:
    prompts = {}
    for name in ("red", "blue"):
        project, (task, _) = lab.project(f"prompt {name}", EVERYTHING, [DATA, DATA | {"text": "Snow."}])
        typed = {"value": {"text": [f"Only {name}."]}, "from_name": "prompt", "to_name": "text", "type": "textarea"}
        lab.api.annotate(task, [typed])
        prompts[name] = project

    told = {}
    for name, project in prompts.items():
        before = lab.calls
        lab.api.retrieve_predictions(project)
        told[name] = "\n".join(lab.asked_since(before))

    assert "Only red." in told["red"]
    assert "Only blue." not in told["red"]
    assert "Only blue." in told["blue"]
    assert "Only red." not in told["blue"]


def test_what_a_person_chose_is_not_overwritten(lab: Lab, editor: Editor) -> None:
    lab.stub.responder = fills(**FILLED)
    project, (task,) = lab.project("a person's choice", EVERYTHING, [DATA])
    editor.open(project, task)
    editor.auto_annotation()
    editor.choose("Bad")
    editor.rate(2)

    editor.prompt("Judge this text.")
    editor.wait_for_region("tree")

    held = values(editor.result())
    assert held["tone"] == {"choices": ["Bad"]}
    assert held["stars"] == {"rating": 2}
    assert held["topics"] == {"choices": ["Work", "Home"]}


def test_what_a_person_corrected_is_theirs_and_survives_the_next_prompt(lab: Lab, editor: Editor) -> None:
    lab.stub.responder = fills(**FILLED)
    project, (task,) = lab.project("corrections", EVERYTHING, [DATA])
    editor.open(project, task)
    editor.auto_annotation()
    editor.prompt("Judge this text.")
    editor.wait_for_region("tree")
    assert _origins(editor) == {"prompt": "manual", **dict.fromkeys([*FILLED, "nested"], "prediction")}

    editor.choose("Bad")
    editor.choose("Home")
    editor.rate(2)
    editor.rewrite(FILLED["response"], "A person's answer.")
    editor.page.locator("input[type=number]").fill("7")
    editor.page.locator(".ant-select-selection-item-remove").first.click()
    corrected = ("tone", "topics", "stars", "response", "count", "tree")
    assert {name: _origins(editor)[name] for name in corrected} == dict.fromkeys(corrected, "prediction-changed")

    before = lab.calls
    lab.stub.responder = fills(**(FILLED | {"day": "2025-01-01"}))
    editor.rewrite("Judge this text.", "Judge it again.")
    editor.wait_for_region("day", lambda value: value == {"datetime": "2025-01-01"})

    held = values(editor.result())
    assert lab.calls == before + 1
    assert held["tree"] == {"taxonomy": [["People"]]}
    assert held["tone"] == {"choices": ["Bad"]}
    assert held["topics"] == {"choices": ["Work"]}
    assert held["stars"] == {"rating": 2}
    assert held["response"] == {"text": ["A person's answer."]}
    assert held["count"] == {"number": 7}


def _origins(editor: Editor) -> dict[str, str]:
    return {region["from_name"]: region.get("origin") for region in editor.result()}


def test_a_wrong_key_is_one_readable_sentence_in_the_response_box(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = lambda request, n_th: wrong_key("sk-secret-of-the-operator")
    project, (task,) = lab.project("wrong key", EVERYTHING, [DATA])
    editor.open(project, task)
    editor.auto_annotation()
    before = lab.calls

    editor.prompt("Judge this text.")
    told = editor.wait_for_region("response")["value"]["text"]
    editor.screenshot(shots / "wrong-key.png")

    (sentence,) = told
    assert sentence.startswith("⚠ llm-backend: ")
    assert "key" in sentence
    assert "sk-secret" not in sentence
    assert "\n" not in sentence
    assert len(sentence) < 300
    assert lab.calls == before + 1  # never retried
    assert set(values(editor.result())) == {"prompt", "response"}

    lab.stub.responder = fills(**FILLED)
    editor.rewrite("Judge this text.", "Judge it now.")
    editor.wait_for_region("response", lambda value: value == {"text": [FILLED["response"]]})


@pytest.fixture
def orphan(lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """A backend whose model is down."""
    with backend(tmp_path, "http://127.0.0.1:9/v1", INTERACTIVE_TIMEOUT="5", LLM_TIMEOUT="4") as (address, process):
        yield Lab(lab.api, lab.stub, address, process)


def test_a_model_that_is_down_is_one_readable_sentence(orphan: Lab, editor: Editor, shots: Path) -> None:
    project, (task,) = orphan.project("model down", EVERYTHING, [DATA])
    editor.open(project, task)
    editor.auto_annotation()

    editor.prompt("Judge this text.")
    (sentence,) = editor.wait_for_region("response")["value"]["text"]
    editor.screenshot(shots / "model-down.png")

    assert sentence.startswith("⚠ llm-backend: ")
    assert "127.0.0.1:9" in sentence


def test_an_uploaded_picture_reaches_the_model_as_a_data_url(lab: Lab, editor: Editor, shots: Path) -> None:
    (sample,) = [sample for sample in SAMPLES if sample.pictures]
    project = lab.api.create_project("pictures", sample.label_config, show_collab_predictions=False)
    with sample.files() as files:
        (address,) = lab.api.upload(project, files[:1])
    (task,) = lab.api.import_tasks(project, [{"image": address}])
    lab.api.connect(project, lab.backend)
    editor.open(project, task)
    editor.auto_annotation()
    before = lab.calls

    editor.prompt("What was bought?")
    editor.wait_for_region("summarization-response")
    editor.screenshot(shots / "picture.png")

    (body,) = lab.stub.bodies[before:]
    urls = [part["image_url"]["url"] for part in body["messages"][-1]["content"] if part["type"] == "image_url"]
    assert len(urls) == 1
    assert urls[0].startswith("data:image/png;base64,")
    assert lab.stub.asked[-1].headers.get("authorization") == "Bearer key-of-the-tests"


PAIRWISE = """
<View>
  <Text name="question" value="$question"/>
  <TextArea name="prompt" toName="question" rows="2" maxSubmissions="1" editable="true"/>
  <Pairwise name="better" toName="one,two" selectionStyle="outline: 3px solid rgb(178, 58, 111);"/>
  <Text name="one" value="$one"/>
  <Text name="two" value="$two"/>
</View>"""


def test_pairwise_is_chosen_by_shift_enter_and_can_be_submitted(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = answers
    data = {"question": "Which heap is better?", "one": "A heap.", "two": "A heap with air and worms in it."}
    project, (task,) = lab.project("pairwise", PAIRWISE, [data])
    editor.open(project, task)
    editor.auto_annotation()

    editor.prompt("Take the longer one.")
    editor.wait_for_region("better", lambda value: value == {"selected": "right"})
    editor.screenshot(shots / "pairwise.png")
    assert editor.outlined("A heap with air and worms in it.")
    editor.submit()
    editor.wait_until_quiet()

    (annotation,) = lab.api.task(task)["annotations"]
    assert values(annotation["result"])["better"] == {"selected": "right"}
