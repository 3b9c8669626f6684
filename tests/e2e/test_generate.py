"""Answers of models, made into tasks of a real Label Studio by the templates that it ships."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.labeling import parse
from tests.support.lab import Lab
from tests.support.shell import invoke
from tests.support.stub_model import JSON, Reply, says, user_text
from tests.support.validator import templates

ROWS = [{"prompt": f"Question {number}?", "topic": "any"} for number in range(3)]


def two_models(body: JSON, n_th: int) -> Reply:
    return says(f"{body['model']} on {user_text(body)}")


def template(tag: str, *fields: str) -> str:
    """The shipped template of Label Studio that has such a control and shows these fields of a task."""
    wanted = {f"${name}" for name in fields}
    (found,) = [
        xml
        for xml in templates().values()
        if {source.value for source in parse(xml).sources} == wanted and tag in {out.tag for out in parse(xml).outputs}
    ]
    return found


@pytest.mark.parametrize(
    ("form", "tag", "fields"),
    [
        ("pairwise", "Pairwise", ("prompt", "answer1", "answer2")),
        ("ranker", "Ranker", ("task", "prompt", "items")),
    ],
)
def test_generated_tasks_are_imported_by_the_shipped_template(
    lab: Lab, token: str, tmp_path: Path, form: str, tag: str, fields: Any
) -> None:
    prompts, tasks, config = (tmp_path / name for name in ("prompts.jsonl", "tasks.json", "config.xml"))
    prompts.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    config.write_text(template(tag, *fields), encoding="utf-8")
    lab.stub.responder = two_models
    where = ("--import-to", lab.api.url, "--title", f"Generated {form}", "--config", str(config))
    said = invoke(
        *("generate", str(prompts), "--for", form, "--output", str(tasks), "--model", "a", "--model", "b"),
        *("--base-url", lab.stub.base_url, *where),
        env={"OPENAI_API_KEY": "k", "LABEL_STUDIO_API_KEY": token},
    )
    assert said.exit_code == 0, said.output
    (project,) = [one["id"] for one in lab.api.projects() if one["title"] == f"Generated {form}"]
    written = json.loads(tasks.read_text(encoding="utf-8"))
    path = f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"
    held = sorted(lab.api.call("GET", path), key=lambda task: int(task["id"]))
    assert [task["data"] for task in held] == [task["data"] for task in written]
    assert [task["meta"] for task in held] == [task["meta"] for task in written]
    assert [task["data"]["topic"] for task in held] == ["any"] * 3


def test_prompts_are_read_from_the_tasks_of_a_project(lab: Lab, token: str, tmp_path: Path) -> None:
    source = lab.api.create_project("Prompts", '<View><Text name="prompt" value="$prompt"/></View>')
    idents = lab.api.import_tasks(source, [{"prompt": row["prompt"]} for row in ROWS])
    lab.stub.responder = two_models
    output = tmp_path / "tasks.json"
    said = invoke(
        *("generate", "--from-project", str(source), "--import-to", lab.api.url, "--for", "pairwise"),
        *("--output", str(output), "--model", "a", "--model", "b", "--base-url", lab.stub.base_url),
        env={"OPENAI_API_KEY": "k", "LABEL_STUDIO_API_KEY": token},
    )
    assert said.exit_code == 0, said.output
    written = json.loads(output.read_text(encoding="utf-8"))
    assert {task["data"]["prompt"] for task in written} == {row["prompt"] for row in ROWS}
    assert sorted(task["meta"]["generated"]["task"] for task in written) == idents
