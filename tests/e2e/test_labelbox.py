"""Rows of Labelbox in a real Label Studio: the pre-labels stand in the editor, and what is submitted goes back."""

import json
from pathlib import Path

from llm_backend.core.wire import JSON
from tests.support.browser import Editor
from tests.support.lab import Lab
from tests.support.shell import invoke

DATA = Path(__file__).parents[1] / "data" / "labelbox"


def convert(*arguments: str | Path) -> None:
    result = invoke("convert", *map(str, arguments))
    assert result.exit_code == 0, result.output


def test_prelabels_are_shown_and_an_annotators_choice_goes_back(
    lab: Lab, editor: Editor, shots: Path, tmp_path: Path
) -> None:
    names = ("rows.json", "tasks.json", "config.xml", "export.json", "labels.ndjson")
    rows, tasks, config, export, labels = (tmp_path / name for name in names)
    contents = {name: json.loads((DATA / f"{name}.json").read_text(encoding="utf-8")) for name in ("shopping", "image")}
    rows.write_text(json.dumps([{"global_key": key, "row_data": value} for key, value in contents.items()]))
    asked = ("--ontology", DATA / "ontology.json", "--prelabels", DATA / "prelabels.ndjson")
    convert("labelbox-to-ls", rows, *asked, "--output", tasks, "--config-output", config)
    project = lab.api.create_project("labelbox", config.read_text(encoding="utf-8"), show_collab_predictions=True)
    made = json.loads(tasks.read_text(encoding="utf-8"))
    answer = lab.api.call("POST", f"/api/projects/{project}/import?return_task_ids=true", made)
    first = int(answer["task_ids"][0])

    editor.open(project, first)

    editor.wait_for_region("what_is_bad")
    told: dict[str, JSON] = {region["from_name"]: region["value"] for region in editor.result()}
    assert told["choose_the_best_response"] == {"choices": ["Response B"]}
    assert told["problems"] == {"choices": ["too_long", "off_topic"]}
    assert told["message_quality"]["choices"] == ["bad"]
    assert told["message"]["start"] == told["message_quality"]["start"] == "2"
    response = editor.page.locator(".htx-ranker-item", has_text="Response A")
    assert "\n- The Dyson V15" in response.inner_text()
    editor.choose("Response A")
    editor.wait_for_region("choose_the_best_response", lambda value: value["choices"] == ["Response A"])
    editor.screenshot(shots / "labelbox.png")
    editor.submit()

    export.write_bytes(lab.api._send("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"))
    convert("ls-to-labelbox", export, "--output", labels)
    lines = [json.loads(line) for line in labels.read_text(encoding="utf-8").splitlines()]
    came = [json.loads(line) for line in (DATA / "prelabels.ndjson").read_text(encoding="utf-8").splitlines()]
    said = {line["name"]: line for line in lines}
    assert said["Choose the best response"]["answer"] == {"name": "Response A"}
    for before in came[1:4]:
        after = said[before["name"]]
        assert (names_of(after["answer"]), after["dataRow"]) == (names_of(before["answer"]), before["dataRow"])
    assert said["Message quality"]["messageId"] == "message-2"


def names_of(answer: JSON) -> JSON:
    """An answer without how sure a model was of it."""
    if isinstance(answer, list):
        return [names_of(one) for one in answer]
    return {key: one for key, one in answer.items() if key != "confidence"} if isinstance(answer, dict) else answer
