"""Answers gathered from a model, in a real Label Studio, and pre-annotated there as they stand."""

import json
from pathlib import Path

from tests.support.lab import Lab
from tests.support.shell import invoke


def test_gathered_tasks_are_imported_and_the_moderation_template_is_filled_for_them(
    lab: Lab, token: str, tmp_path: Path
) -> None:
    prompts, tasks = tmp_path / "prompts.jsonl", tmp_path / "tasks.json"
    prompts.write_text("".join(f"{json.dumps({'prompt': f'Question {number}?'})}\n" for number in range(3)))
    where = ("--import-to", lab.api.url, "--title", "Gathered")
    said = invoke(
        *("gather", str(prompts), "--output", str(tasks), "--base-url", lab.stub.base_url, *where),
        env={"OPENAI_API_KEY": "k", "LABEL_STUDIO_API_KEY": token},
    )
    assert said.exit_code == 0, said.output
    (project,) = [one["id"] for one in lab.api.projects() if one["title"] == "Gathered"]
    assert f"3 tasks imported into project {project} of {lab.api.url}." in said.output
    written = json.loads(tasks.read_text(encoding="utf-8"))
    held = lab.api.tasks(project)
    assert [task["data"] for task in held] == [task["data"] for task in written]
    assert [task["data"]["chat"][0]["content"] for task in held] == [f"Question {number}?" for number in range(3)]

    lab.api.connect(project, lab.backend)
    lab.api.retrieve_predictions(project)
    made = lab.api.predictions(project)
    assert sorted(one["task"] for one in made) == [task["id"] for task in held]
    assert {region["type"] for one in made for region in one["result"]} == {"taxonomy"}
