"""Does Labelbox's own SDK read the lines that are written, and Label Studio's the config and what fills it?"""

import json
from pathlib import Path

import pytest

from llm_backend.core.wire import JSON, Annotation
from llm_backend.interchange.exports import ExportedTask
from llm_backend.interchange.labelbox import Incoming, Lines, Places, Prelabels, read_ontology
from tests.support import labelbox_sdk
from tests.support.validator import complaints

DATA = Path(__file__).parents[2] / "data" / "labelbox"
PRELABELS = DATA / "prelabels.ndjson"

pytestmark = pytest.mark.e2e


def taken_in(folder: Path) -> tuple[list[JSON], str]:
    """The samples with their pre-labels as tasks, and the config."""
    rows = folder / "rows.json"
    contents = {name: json.loads((DATA / f"{name}.json").read_text(encoding="utf-8")) for name in ("shopping", "image")}
    rows.write_text(json.dumps([{"global_key": key, "row_data": value} for key, value in contents.items()]))
    ontology = read_ontology(json.loads((DATA / "ontology.json").read_text(encoding="utf-8")))
    faults: list[object] = []
    with Prelabels(PRELABELS) as prelabels:
        incoming = Incoming(rows, Places(folder), lambda *fault: faults.append(fault), ontology, prelabels)
        tasks = list(incoming.tasks())
    assert not faults
    return tasks, incoming.config


def test_labelboxs_sdk_reads_every_line_and_would_write_it_alike(tmp_path: Path) -> None:
    tasks, _ = taken_in(tmp_path)
    lines = [
        line
        for number, task in enumerate(tasks, 1)
        for made in [Annotation.from_json({"id": number, "result": task["predictions"][0]["result"]})]
        for line in Lines().of(ExportedTask(1, number, task["data"], (made,)))
    ]
    read = labelbox_sdk.read(lines)
    assert [kind for kind, _ in read] == ["NDRadio", "NDText", "NDChecklist", "NDRadio", "NDRadio"]
    assert [line for _, line in read] == lines
    came = [json.loads(line) for line in PRELABELS.read_text(encoding="utf-8").splitlines()]
    assert [line for _, line in labelbox_sdk.read(came)] == came


def test_label_studios_sdk_accepts_the_config_and_the_predictions(tmp_path: Path) -> None:
    tasks, config = taken_in(tmp_path)
    cases = [(config, {"model_version": "labelbox", "score": None, **task["predictions"][0]}) for task in tasks]
    assert complaints(cases) == [[], []]


def test_an_ontology_that_the_sdk_writes_is_read() -> None:
    ontology = read_ontology(labelbox_sdk.ontology())
    best, faults, reason = ontology.features
    assert (best.kind, best.required, [option.label for option in best.options]) == ("radio", True, ["A", "The second"])
    assert best.options[1].features[0].name == "Why?"
    assert (faults.kind, faults.per_message, reason.kind) == ("checklist", True, "text")
