"""Data to train from: the same from a project of a real Label Studio and from its exports, as far as these tell it."""

import json
from pathlib import Path

import pytest

from llm_backend.demo.api import Api
from tests.support.exported import region, side, written
from tests.support.shell import invoke

CONFIG = """<View><Text name="prompt" value="$prompt"/><Pairwise name="comparison" toName="answer1,answer2"/>
<Text name="answer1" value="$answer1"/><Text name="answer2" value="$answer2"/>
<TextArea name="response" toName="prompt"/></View>"""
ROWS = [{"prompt": f"Hello {n}?", "answer1": f'[{n}] Hi,\n"you".', "answer2": "Go away."} for n in range(4)]


def test_pairs_and_demonstrations_of_a_project(
    api: Api, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(CONFIG)
    project = api.create_project("Training", CONFIG)
    left, right, skipped, edited = api.import_tasks(project, ROWS)
    api.annotate(left, [side("left"), region("response", "textarea", ['{"a": 1}'], "text", to_name="prompt")])
    api.annotate(right, [side("right")])
    api.call("POST", f"/api/tasks/{skipped}/annotations/", {"result": [side("left")], "was_cancelled": True})
    told = written("response", "The model's.") | {"to_name": "prompt"}
    stored = api.call("POST", "/api/predictions/", {"task": edited, "model_version": "m", "result": [told]})
    changed = written("response", "Mine.") | {"to_name": "prompt"}
    made = {"result": [changed], "parent_prediction": stored["id"]}
    api.call("POST", f"/api/tasks/{edited}/annotations/", made)

    def export(*words: str) -> list[dict[str, str]]:
        environ = {"LABEL_STUDIO_URL": api.url, "LABEL_STUDIO_API_KEY": token}
        said = invoke("export", *words, "--output", "out.jsonl", env=environ)
        assert said.exit_code == 0, said.output
        return [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()]

    def file(form: str, name: str) -> tuple[str, ...]:
        path = f"/api/projects/{project}/export?exportType={form}&download_all_tasks=true"
        Path(name).write_bytes(api._send("GET", path))
        return (name, "--config", "config.xml")

    pairs = [
        {"prompt": "Hello 0?", "chosen": ROWS[0]["answer1"], "rejected": "Go away."},
        {"prompt": "Hello 1?", "chosen": "Go away.", "rejected": ROWS[1]["answer1"]},
    ]
    edits = [{"prompt": "Hello 3?", "chosen": "Mine.", "rejected": "The model's."}]
    texts = [{"prompt": "Hello 0?", "completion": '{"a": 1}'}, {"prompt": "Hello 3?", "completion": "Mine."}]
    live = ("--project", str(project))
    for source in (live, file("JSON", "raw.json"), file("JSON_MIN", "min.json"), file("CSV", "flat.csv")):
        assert export(*source, "--format", "trl-preference") == pairs, source
        assert export(*source, "--format", "trl-sft") == texts, source
        # Label Studio's exports tell predictions by nothing but their ids.
        changes = edits if source == live else []
        assert export(*source, "--format", "trl-preference", "--control", "response") == changes, source
