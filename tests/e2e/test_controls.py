"""What the editor shows of the controls whose results have a shape of their own."""

import base64
import json
from pathlib import Path

import pytest

from llm_backend.core.wire import JSON
from tests.support.browser import SELECTED, Editor
from tests.support.lab import Lab, fills
from tests.support.pictures import saved
from tests.support.shell import invoke

RANKERS = """
<View>
  <List name="answers" value="$items" title="All"/>
  <Ranker name="order" toName="answers"/>
  <List name="results" value="$items" title="Results"/>
  <Ranker name="pick" toName="results"><Bucket name="very good" title="Good"/><Bucket name="bad"/></Ranker>
  <List name="pages" value="$items" title="Pages"/>
  <Ranker name="sort" toName="pages"><Bucket name="left" default="true"/><Bucket name="right"/></Ranker>
</View>"""
ITEMS = [{"id": "a", "title": "One"}, {"id": 2, "title": "Two"}, {"id": "c c", "title": "Three"}]
_COLUMNS = """() => [...document.querySelectorAll(".htx-ranker-column")].map(
  column => [...column.querySelectorAll(".htx-ranker-item")].map(item => item.innerText.trim().split("\\n").pop())
)"""


def test_items_stand_in_the_order_and_the_buckets_that_the_model_gave(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(
        order=["c c", "2", "a"],
        pick={"very_good": ["2"], "bad": []},
        sort={"left": ["c c", "a"], "right": ["2"]},
    )
    project, (task,) = lab.project("rankers", RANKERS, [{"items": ITEMS}], opens=True)

    editor.open(project, task)

    held: JSON = editor.wait_for_region("sort")["value"]
    assert held == {"ranker": {"left": ["c c", "a"], "right": ["2"]}}
    editor.page.locator(".htx-ranker-item").nth(8).wait_for()
    assert editor.page.evaluate(_COLUMNS) == [
        *[["c c", "2", "a"]],
        *[["a", "c c"], ["2"], []],  # what is in no bucket stands in the list, which comes first
        *[["c c", "a"], ["2"]],
    ]
    editor.screenshot(shots / "rankers.png")


ITEMWISE = """
<View>
  <Image name="pages" valueList="$pages"/>
  <Choices name="kind" toName="pages" perItem="true"><Choice value="Bill"/><Choice value="Letter"/></Choices>
  <TextArea name="note" toName="pages" perItem="true" editable="true"/>
  <Rating name="whole" toName="pages"/>
</View>"""
PICTURE = "data:image/png;base64," + base64.b64encode(saved("PNG")).decode()


def test_each_picture_shows_the_answer_that_it_got(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(
        kind=[{"item": 1, "answer": "Bill"}, {"item": 2, "answer": "Letter"}],
        note=[{"item": 2, "answer": "On the second page."}],
        whole=3,
    )
    project, (task,) = lab.project("pictures", ITEMWISE, [{"pages": [PICTURE, PICTURE]}], opens=True)

    editor.open(project, task)

    editor.wait_for_region("whole")
    told = {(region["from_name"], region.get("item_index")) for region in editor.result()}
    assert told == {("kind", 0), ("kind", 1), ("note", 1), ("whole", None)}
    editor.wait("document.querySelectorAll('.lsf-choice input:checked').length === 1")
    assert (editor.shown()["chosen"], editor.shown()["texts"], editor.shown()["stars"]) == (["Bill"], [], 3)
    editor.page.evaluate(f"() => {SELECTED}.names.get('pages').setCurrentImage(1)")
    editor.page.locator("[data-testid=htx-textbox-content]").wait_for()
    assert (editor.shown()["chosen"], editor.shown()["texts"]) == (["Letter"], ["On the second page."])
    editor.screenshot(shots / "pictures.png")


REPEATED = """
<View>
  <Repeater on="$pages" indexFlag="{{idx}}">
    <Text name="page_{{idx}}" value="$pages[{{idx}}].text"/>
    <Choices name="kind_{{idx}}" toName="page_{{idx}}"><Choice value="Bill"/><Choice value="Letter"/></Choices>
  </Repeater>
</View>"""


def test_fields_that_are_repeated_for_each_entry_show_their_answers(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(kind_0="Letter", kind_1="Bill")
    pages = [{"text": "Dear Ann"}, {"text": "You owe us 3."}]
    project, (task,) = lab.project("repeated", REPEATED, [{"pages": pages}], opens=True)

    editor.open(project, task)

    editor.wait_for_region("kind_1")
    editor.wait("document.querySelectorAll('.lsf-choice input:checked').length === 2")
    assert editor.shown()["chosen"] == ["Letter", "Bill"]
    editor.screenshot(shots / "repeated.png")


REPEATED_PAIRS = """
<View>
  <Repeater on="$pairs">
    <Text name="prompt_{{idx}}" value="$pairs[{{idx}}].prompt"/>
    <Pairwise name="best_{{idx}}" toName="one_{{idx}},two_{{idx}}" selectionStyle="outline: 3px solid red;"/>
    <Text name="one_{{idx}}" value="$pairs[{{idx}}].one"/><Text name="two_{{idx}}" value="$pairs[{{idx}}].two"/>
  </Repeater>
</View>"""


def test_a_pair_of_each_entry_is_chosen_by_a_click_and_exported(
    lab: Lab, editor: Editor, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = [{"prompt": f"Hello {n}?", "one": f"One of {n}.", "two": f"Two of {n}."} for n in range(2)]
    project, (task,) = lab.project("repeated pairs", REPEATED_PAIRS, [{"pairs": pairs}])
    editor.open(project, task)

    editor.page.get_by_text("Two of 0.").click()
    editor.page.get_by_text("One of 1.").click()
    editor.wait_for_region("best_1", lambda value: value == {"selected": "left"})
    assert editor.outlined("Two of 0.")
    editor.submit()

    environ = {"LABEL_STUDIO_URL": lab.api.url, "LABEL_STUDIO_API_KEY": token}
    told = ("export", "--project", str(project), "--format", "trl-preference", "--output", "pairs.jsonl")
    said = invoke(*told, env=environ)
    assert said.exit_code == 0, said.output
    assert [json.loads(line) for line in Path("pairs.jsonl").read_text().splitlines()] == [
        {"prompt": "Hello 0?", "chosen": "Two of 0.", "rejected": "One of 0."},
        {"prompt": "Hello 1?", "chosen": "One of 1.", "rejected": "Two of 1."},
    ]


def test_a_batch_stores_repeated_fields_too(lab: Lab) -> None:
    project, tasks = lab.project("repeated", REPEATED, [{"pages": [{"text": "a"}] * count} for count in (1, 3)])

    lab.api.retrieve_predictions(project)

    named = {p["task"]: [region["from_name"] for region in p["result"]] for p in lab.api.predictions(project)}
    assert named == {tasks[0]: ["kind_0"], tasks[1]: ["kind_0", "kind_1", "kind_2"]}
