"""Agreement over a project of a real Label Studio: its list of tasks tells what its plain export does not."""

import json
from pathlib import Path

import pytest

from llm_backend.demo.api import Api
from tests.support.exports import CONFIG, said
from tests.support.shell import invoke


def test_a_project_is_measured_through_the_api_and_a_snapshot_as_well(
    api: Api, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(CONFIG)
    project = api.create_project("Agreement", CONFIG)
    rows = [{"text": f"Text number {n}."} for n in range(60)]
    ids = api.import_tasks(project, rows)
    for n, ident in enumerate(ids):
        result = [said("good" if n % 4 else "bad")]
        told = {"task": ident, "model_version": "m-1", "score": 0.9, "result": result}
        stored = api.call("POST", "/api/predictions/", told)
        if n % 2:
            api.annotate(ident, [said("good")])
        else:
            accepted = {
                "result": [said("good" if n % 4 else "bad", origin="prediction")],
                "parent_prediction": stored["id"],
            }
            api.call("POST", f"/api/tasks/{ident}/annotations/", accepted)

    def say(*words: str) -> dict[str, object]:
        environ = {"LABEL_STUDIO_URL": api.url, "LABEL_STUDIO_API_KEY": token}
        shown = invoke("evaluate", *words, "--json", "r.json", env=environ)
        assert shown.exit_code == 0, shown.output
        (comparison,) = json.loads((tmp_path / "r.json").read_text())["comparisons"]
        return {name: comparison[name] for name in ("agreements", "accepted", "people", "differing")}

    expected = {"agreements": 60, "accepted": 30, "people": 1, "differing": 0}
    assert say("--project", str(project)) == expected

    plain = api.call("GET", f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true")
    (tmp_path / "plain.json").write_text(json.dumps(plain))
    refused = invoke("evaluate", "plain.json", "--config", "config.xml")
    assert "60 predictions by their ids only" in refused.output

    # The way that the refusal names.
    asked = {"serialization_options": {"predictions": {"only_id": False}}}
    made = api.call("POST", f"/api/projects/{project}/exports/", asked)
    whole = api.call("GET", f"/api/projects/{project}/exports/{made['id']}/download?exportType=JSON")
    (tmp_path / "whole.json").write_text(json.dumps(whole))
    assert say("whole.json", "--config", "config.xml") == expected
