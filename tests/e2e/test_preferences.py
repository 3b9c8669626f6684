"""Preferences from end to end: prompts, generated answers, judged pairs, a person's clicks, data to train from."""

import json
from pathlib import Path
from typing import Any

from tests.support.browser import Editor
from tests.support.lab import Lab, fills
from tests.support.shell import invoke
from tests.support.stub_model import JSON, Reply, says, user_text
from tests.support.training_rules import openai_faults, trl_faults
from tests.support.validator import templates

TEMPLATE = "human-feedback-collection"
PROMPTS = [f"Question {number}?" for number in range(6)]
OTHER = {"left": "right", "right": "left"}
PLACES = {"left": "answer1", "right": "answer2"}


def generating_and_judging(body: JSON, n_th: int) -> Reply:
    """Two models that answer, and a judge that always likes what the large one says, whichever order it is shown in."""
    shown = user_text(body)
    if "response_format" not in body:
        return says(f"The {body['model']} one on {shown}")
    first = shown.index("The large one") < shown.index("The small one")
    return fills(comparison="left" if first else "right")(body, n_th)


def test_what_a_person_clicks_is_what_a_trainer_is_given(
    lab: Lab, token: str, editor: Editor, shots: Path, tmp_path: Path
) -> None:
    prompts, tasks, config, snapshot = (
        tmp_path / name for name in ("prompts.jsonl", "tasks.json", "config.xml", "snapshot.json")
    )
    prompts.write_text("".join(f"{json.dumps({'prompt': prompt})}\n" for prompt in PROMPTS))
    config.write_text(templates()[TEMPLATE], encoding="utf-8")
    lab.stub.responder = generating_and_judging
    said = invoke(
        *("generate", str(prompts), "--for", "pairwise", "--model", "large", "--model", "small"),
        *("--output", str(tasks), "--base-url", lab.stub.base_url),
        *("--import-to", lab.api.url, "--title", "Preferences", "--config", str(config)),
        env={"OPENAI_API_KEY": "k", "LABEL_STUDIO_API_KEY": token},
    )
    assert said.exit_code == 0, said.output
    (project,) = [one["id"] for one in lab.api.projects() if one["title"] == "Preferences"]
    lab.api.connect(project, lab.backend)
    lab.api.retrieve_predictions(project)
    judged = {one["task"]: one["result"][0]["value"]["selected"] for one in lab.api.predictions(project)}
    held = {task["id"]: task for task in lab.api.tasks(project)}
    assert judged.keys() == held.keys()
    assert set(judged.values()) == {"left", "right"}  # the large one stands on both sides

    # Of the pairs with the judge's word for either side, the person clicks on the other side of every second one.
    clicked: dict[int, str] = {}
    turns = dict.fromkeys(OTHER, 0)
    for ident, side in judged.items():
        editor.open(project, ident)
        editor.wait_for_region("comparison", lambda value, side=side: value == {"selected": side})
        assert_chosen(editor, held[ident]["data"], side)
        clicked[ident] = side
        if turns[side] % 2 == 0:
            clicked[ident] = other = OTHER[side]
            editor.page.locator(".lsf-richtext__line", has_text=held[ident]["data"][PLACES[other]]).click()
            editor.wait_for_region("comparison", lambda value, other=other: value == {"selected": other})
            assert_chosen(editor, held[ident]["data"], other)
            editor.screenshot(shots / f"preference-{other}.png")
        turns[side] += 1
        editor.submit()

    made = lab.api.call("POST", f"/api/projects/{project}/exports/", {})
    told = lab.api.call("GET", f"/api/projects/{project}/exports/{made['id']}/download?exportType=JSON")
    snapshot.write_text(json.dumps(told), encoding="utf-8")
    wanted = {
        held[ident]["data"]["prompt"]: tuple(held[ident]["data"][PLACES[at]] for at in (side, OTHER[side]))
        for ident, side in clicked.items()
    }
    liked = {
        (side, best.partition(" on ")[0]) for side, (best, _) in zip(clicked.values(), wanted.values(), strict=True)
    }
    assert liked == {(side, f"The {size} one") for side in OTHER for size in ("large", "small")}

    pairs = exported(snapshot, config, "trl-preference")
    assert {row["prompt"]: (row["chosen"], row["rejected"]) for row in pairs} == wanted
    assert [fault for row in pairs for fault in trl_faults(row, "trl-preference")] == []
    lines = exported(snapshot, config, "openai-dpo")
    assert {
        line["input"]["messages"][-1]["content"]: tuple(
            line[name][0]["content"] for name in ("preferred_output", "non_preferred_output")
        )
        for line in lines
    } == wanted
    assert [fault for line in lines for fault in openai_faults(line, "openai-dpo")] == []


def assert_chosen(editor: Editor, data: JSON, side: str) -> None:
    """Once the frames have faded in and out, that side is the only one that is seen as chosen."""
    editor.wait("!document.getAnimations().some(one => one instanceof CSSTransition)")
    assert {at: chosen(editor, data[place]) for at, place in PLACES.items()} == {side: True, OTHER[side]: False}


def chosen(editor: Editor, text: str) -> bool:
    """Whether a text stands in the frame that the template draws around the chosen side."""
    framed = """element => {
      for (let e = element; e; e = e.parentElement) {
        const style = getComputedStyle(e);
        if (style.borderTopStyle === "solid" && style.borderTopWidth === "2px") return true;
      }
      return false;
    }"""
    return bool(editor.page.locator(".lsf-richtext__line", has_text=text).evaluate(framed))


def exported(export: Path, config: Path, form: str) -> list[Any]:
    output = export.with_name(f"{form}.jsonl")
    said = invoke("export", str(export), "--config", str(config), "--format", form, "--output", str(output))
    assert said.exit_code == 0, said.output
    return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
