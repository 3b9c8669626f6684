"""What a real Label Studio exports is read, in each of its forms, and learned by the server."""

import json
import urllib.request
from pathlib import Path

import pytest

from llm_backend.core.corrections import answers_of
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, make_plan
from llm_backend.core.prompts import Template
from llm_backend.core.wire import JSON
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.services import texts
from tests.support.exports import EVERY
from tests.support.lab import Lab
from tests.support.serve import until
from tests.support.shell import invoke

DATA = [{"text": "Off to Paris, at last", "other": "Rome, then"}, {"text": "Nobody was here", "other": "Nowhere"}]


def region(name: str, kind: str, value: JSON, to: str = "text") -> JSON:
    return {"from_name": name, "to_name": to, "type": kind, "id": name, "origin": "manual", "value": value}


RESULT = [
    region("prompt", "textarea", {"text": ["Classify"]}),
    region("response", "textarea", {"text": ["one, with a comma", 'two "quoted"']}),
    region("tone", "choices", {"choices": ["bad"]}),
    region("topics", "choices", {"choices": ["a", "b"]}),
    region("stars", "rating", {"rating": 4}),
    region("count", "number", {"number": 3}),
    region("day", "datetime", {"datetime": "2024-02-03"}),
    region("tax", "taxonomy", {"taxonomy": [["x", "y"]]}),
    region("better", "pairwise", {"selected": "left"}, "better"),
    region("ner", "labels", {"start": 7, "end": 12, "text": "Paris", "labels": ["City"]}),
]


def exported(lab: Lab, project: int, form: str, folder: Path) -> Path:
    path = f"/api/projects/{project}/export?exportType={form}&download_all_tasks=true"
    file = folder / f"{form}.{'json' if form.startswith('JSON') else form.lower()}"
    file.write_bytes(lab.api._send("GET", path))
    return file


def known(lab: Lab, key: str) -> JSON:
    with urllib.request.urlopen(f"{lab.backend}/projects/{key}") as answer:
        return json.load(answer)


def key_of(lab: Lab, project: int) -> str:
    with urllib.request.urlopen(f"{lab.backend}/projects") as answer:
        projects = json.load(answer)["projects"]
    return next(str(one["key"]) for one in projects if one["key"].startswith(f"{project}."))


def test_every_form_says_what_the_annotator_said(lab: Lab, tmp_path: Path) -> None:
    project, (task, _) = lab.project("exports", EVERY, DATA)
    annotation = lab.api.annotate(task, RESULT)
    plan = make_plan(parse(EVERY, "prompt"), texts(), Template(), Parameters())
    told = {}
    for form in ("JSON", "JSON_MIN", "CSV", "TSV"):
        file = exported(lab, project, form, tmp_path)
        found = [entry for entry in read_export(file, lambda: plan.config) if isinstance(entry, ExportedTask)]
        assert len(found) == 2, form
        (one,) = [entry for entry in found if entry.annotations]
        (made,) = one.annotations
        assert (one.id, one.data, made.id, made.by) == (task, DATA[0], annotation, "1"), form
        assert made.updated > 0
        told[form] = answers_of(plan, read(plan.config, one.data), made.result)
    assert set(told["JSON"]) == {output.name for output in plan.config.outputs}
    assert told["JSON"]["day"] == "2024-02-03"
    for form in ("JSON_MIN", "CSV", "TSV"):
        assert told[form] == told["JSON"], form


@pytest.mark.parametrize("form", ["JSON", "CSV"])
def test_an_export_is_learned_by_the_server(
    lab: Lab, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, (task, _) = lab.project(f"importing {form}", EVERY, DATA)
    lab.api.annotate(task, RESULT)
    key = key_of(lab, project)
    until(lambda: known(lab, key)["learned"]["count"] == 1, 10)
    gone = urllib.request.Request(f"{lab.backend}/projects/{key}", method="DELETE")
    urllib.request.urlopen(gone).close()
    lab.api.connections(project)  # which has Label Studio tell of the project again
    assert known(lab, key)["learned"]["count"] == 0

    monkeypatch.chdir(tmp_path)
    file = exported(lab, project, form, tmp_path)
    words = ("import", str(file), "--url", lab.backend, *(("--project", str(project)) if form == "CSV" else ()))
    said = invoke(*words)
    assert said.exit_code == 0, said.output
    assert "1 correction learned" in said.output
    assert known(lab, key)["learned"]["count"] == 1
