"""What is read out of Label Studio's exports, whatever their form."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.corrections import answers_of
from llm_backend.core.inputs import read
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.predictor import Parameters, make_plan
from llm_backend.core.prompts import Template
from llm_backend.core.wire import Annotation, Region
from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.tasks import Fault
from llm_backend.services import texts
from tests.support.exports import EVERY


def config() -> LabelingConfig:
    return parse(EVERY, "prompt")


def written(folder: Path, content: Any, name: str = "export.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1), encoding="utf-8")
    return file


def tasks(file: Path) -> list[ExportedTask]:
    found = list(read_export(file, config))
    assert not [entry for entry in found if isinstance(entry, Fault)]
    return [entry for entry in found if isinstance(entry, ExportedTask)]


def chosen(label: str) -> dict[str, Any]:
    return {"from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": [label]}}


RAW = {
    "id": 5,
    "data": {"text": "Paris"},
    "project": 3,
    "annotations": [
        {
            "id": 8,
            "completed_by": {"id": 2, "email": "a@b.c"},
            "result": [chosen("bad")],
            "was_cancelled": True,
            "ground_truth": True,
            "created_at": "2026-11-20T23:32:36Z",
            "updated_at": "2026-11-20T23:32:37Z",
            "task": 5,
            "parent_prediction": 30,
        }
    ],
    "predictions": [{"id": 30, "result": [chosen("good")], "model_version": "m-1", "score": 0.5}, 31],
}


def test_raw_json_is_read_with_whole_predictions_and_bare_ids(tmp_path: Path) -> None:
    (found,) = tasks(written(tmp_path, [RAW]))
    assert (found.line, found.id, found.data, found.project, found.bare) == (2, 5, {"text": "Paris"}, 3, 1)
    (made,), (prediction,) = found.annotations, found.predictions
    assert (made.id, made.by, made.task, made.was_cancelled, made.ground_truth) == (8, "2", 5, True, True)
    assert (made.created, made.updated, made.parent_prediction) == (1795217556.0, 1795217557.0, 30)
    assert (prediction.model_version, prediction.score) == ("m-1", 0.5)
    assert made.shown == prediction.result == (Region.from_json(chosen("good")),)


def test_what_is_sent_to_the_server_is_read_there_as_it_was(tmp_path: Path) -> None:
    (found,) = tasks(written(tmp_path, [RAW]))
    sent = json.loads(json.dumps(found.to_json()))
    assert tuple(map(Annotation.from_json, sent["annotations"])) == found.annotations
    assert (sent["id"], sent["data"]) == (found.id, found.data)


# As Label Studio 1.23.2 writes them.
MIN = {
    "id": 5,
    "annotator": 2,
    "annotation_id": 8,
    "lead_time": 1.5,
    "created_at": "2026-11-20T23:32:36Z",
    "updated_at": "2026-11-20T23:32:37Z",
    "text": "Off to Paris",
    "other": "Rome",
    "prompt": "Classify",
    "response": {"text": ["one", "two"]},
    "tone": "bad",
    "topics": {"choices": ["a", "b"]},
    "stars": [{"rating": 4}],
    "count": [{"number": 3}],
    "tax": [{"taxonomy": [["x", "y"]]}],
    "better": [{"selected": "left"}],
    "ner": [{"start": 7, "end": 12, "text": "Paris", "labels": ["City"]}],
}
ANSWERS = {
    "response": ["one", "two"],
    "tone": "bad",
    "topics": ["a", "b"],
    "stars": 4,
    "count": 3,
    "tax": ["x / y"],
    "better": "left",
}


def answers(found: ExportedTask) -> dict[str, Any]:
    plan = make_plan(config(), texts(), Template(), Parameters())
    told = answers_of(plan, read(plan.config, found.data), found.annotations[0].result)
    (city,) = told.pop("ner")
    assert (city["quote"], city["label"]) == ("Paris", "City")
    tax = told.pop("tax")
    assert "x" in str(tax)
    assert "y" in str(tax)
    return told


def table(folder: Path, rows: list[dict[str, Any]], name: str, delimiter: str) -> Path:
    file = folder / name
    with open(file, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        for row in rows:
            writer.writerow({k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()})
    return file


@pytest.mark.parametrize("form", ["json", "csv", "tsv"])
def test_a_flat_export_says_the_same_through_the_labeling_config(tmp_path: Path, form: str) -> None:
    nobody = {**dict.fromkeys(MIN), "id": 6, "text": "Nobody was here", "other": "x"}
    if form == "json":
        file = written(tmp_path, [MIN, nobody])
    else:
        file = table(tmp_path, [MIN, nobody], f"export.{form}", "," if form == "csv" else "\t")
    found, untouched = tasks(file)
    assert (found.id, found.data) == (5, {"text": "Off to Paris", "other": "Rome"})
    (made,) = found.annotations
    assert (made.id, made.by, made.created, made.updated) == (8, "2", 1795217556.0, 1795217557.0)
    assert answers(found) == {name: answer for name, answer in ANSWERS.items() if name != "tax"}
    assert (untouched.id, untouched.annotations) == (6, ())


def test_a_flat_export_without_the_config_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match='Export it as "JSON"'):
        list(read_export(written(tmp_path, [MIN])))


def test_bad_entries_are_named_by_their_lines_and_spoil_no_others(tmp_path: Path) -> None:
    file = written(tmp_path, '[\n5,\n{"data": {}},\n{"x": 1},\n{"id": 1, "data": {"text": "a"}}\n]')
    found = list(read_export(file, config))
    assert [(entry.line, type(entry)) for entry in found] == [(2, Fault), (3, Fault), (4, Fault), (5, ExportedTask)]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("export.json", "[{", "line 1 is not JSON"),
        ("export.txt", "", "ends in .json, .jsonl, .ndjson, .csv or .tsv"),
        ("missing.json", None, "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(tmp_path: Path, name: str, content: str | None, told: str) -> None:
    file = tmp_path / name if content is None else written(tmp_path, content, name)
    with pytest.raises(RequestError, match=told):
        list(read_export(file, config))


def test_odd_fields_of_an_entry_are_left_out(tmp_path: Path) -> None:
    odd = {"id": True, "data": {"text": "a"}, "annotations": [5, {"result": 5}], "predictions": "x", "project": "p"}
    (found,) = tasks(written(tmp_path, [odd]))
    assert (found.id, found.predictions, found.bare, found.project) == (None, (), 0, None)
    assert found.annotations == (Annotation(()),)


def test_a_broken_line_in_the_middle_spoils_no_others(tmp_path: Path) -> None:
    lines = '{"id": 1, "data": {"text": "a"}}\n{"id": 2, "da\n\n{"id": 3, "data": {"text": "c"}}\n'
    file = written(tmp_path, lines, "export.jsonl")
    found = list(read_export(file, config))
    assert [(entry.line, type(entry)) for entry in found] == [(1, ExportedTask), (2, Fault), (4, ExportedTask)]


def test_the_rows_of_a_task_are_brought_together(tmp_path: Path) -> None:
    rows = [MIN | {"annotation_id": 9}, MIN | {"annotation_id": 8}, MIN | {"id": 6, "annotation_id": 10}]
    found = tasks(written(tmp_path, rows))
    assert [(task.id, [made.id for made in task.annotations]) for task in found] == [(5, [9, 8]), (6, [10])]


def test_what_the_annotator_typed_is_read_from_a_flat_export(tmp_path: Path) -> None:
    (found,) = tasks(written(tmp_path, [MIN | {"prompt": "Where to?"}]))
    (box,) = [region for region in found.annotations[0].result if region.from_name == "prompt"]
    assert (box.type, box.value) == ("textarea", {"text": ["Where to?"]})


def test_drafts_are_counted(tmp_path: Path) -> None:
    (found,) = tasks(written(tmp_path, [{"id": 1, "data": {"text": "a"}, "drafts": [{"result": []}]}]))
    assert (found.drafts, found.annotations) == (1, ())


@pytest.mark.parametrize("form", ["json", "csv"])
@pytest.mark.parametrize("answer", ['{"a":  1}', "[1,  2]", "[not JSON", '{"text": "x"}'])
def test_a_text_that_looks_like_json_stays_as_it_is(tmp_path: Path, form: str, answer: str) -> None:
    row = MIN | {"text": answer, "response": answer}
    file = written(tmp_path, [row]) if form == "json" else table(tmp_path, [row], "export.csv", ",")
    (found,) = tasks(file)
    (response,) = [region for region in found.annotations[0].result if region.from_name == "response"]
    assert (found.data["text"], response.value) == (answer, {"text": [answer]})


def test_a_list_that_a_table_tells_as_json_is_one_again(tmp_path: Path) -> None:
    row = MIN | {"text": ["One.", "Two."], "other": "x"}
    (found,) = tasks(table(tmp_path, [row], "export.csv", ","))
    assert found.data["text"] == ["One.", "Two."]


@pytest.mark.parametrize("name", ["export.csv", "export.json"])
def test_flat_exports_do_not_tell_which_entry_of_a_repeater_is_meant(tmp_path: Path, name: str) -> None:
    """Label Studio puts all answers of `kind_0`, `kind_1`, ... into one column."""
    file = tmp_path / name
    told = {"pages": ["x"], "kind_{{idx}}": ["a"], "id": 1, "annotation_id": 1}
    file.write_text(json.dumps([told]) if name.endswith("json") else "pages,id,annotation_id\n[],1,1\n")
    xml = '<View><Repeater on="$pages"><Rating name="kind_{{idx}}" toName="page_{{idx}}"/></Repeater></View>'
    with pytest.raises(RequestError, match='Export it as "JSON"'):
        list(read_export(file, lambda: parse(xml)))


def test_what_has_no_data_is_named_by_its_task_for_an_export_stands_on_one_line(tmp_path: Path) -> None:
    told = [{"id": 7, "data": {}}, {"id": 8, "data": "no"}, {"id": 9, "data": {"text": "x"}}]
    (tmp_path / "export.json").write_text(json.dumps(told))
    empty, no_object, task = read_export(tmp_path / "export.json", lambda: parse(EVERY))
    assert isinstance(empty, Fault)
    assert (empty.place, empty.sentence) == ("1 (task 7)", 'its "data" is empty.')
    assert isinstance(no_object, Fault)
    assert "neither an object" in no_object.sentence
    assert isinstance(task, ExportedTask)
