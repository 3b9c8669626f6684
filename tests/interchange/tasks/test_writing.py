"""Rows with their predictions, as tasks and as a table."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Prediction, Region, Task
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import Form, Labelled, Row, require_writable, write

CONFIG = parse(
    """<View><Text name="text" value="$text"/>
    <Choices name="tone" toName="text" choice="multiple"><Choice value="good" alias="g"/><Choice value="bad"/></Choices>
    <Rating name="stars" toName="text"/><TextArea name="why" toName="text"/></View>"""
)
CONTROLS, _ = bind(CONFIG)


def result(**values: Any) -> tuple[Region, ...]:
    kinds = {"tone": ("choices", "choices"), "stars": ("rating", "rating"), "why": ("textarea", "text")}
    return tuple(Region(name, "text", kinds[name][0], {kinds[name][1]: value}) for name, value in values.items())


LABELLED = (
    Labelled(
        Row(2, Task(7, {"text": "one, two", "n": 1}), {"a": 1}),
        Prediction(result(tone=["g", "bad"], stars=3), None, "m-1"),
    ),
    Labelled(Row(3, Task(8, {"text": "\ud83d", "tone": "sour"})), None, "The model declined."),
    Labelled(
        Row(4, Task(9, {"text": "four", "n": [1]})), Prediction(result(why=["so"]), None, "m-1"), "stars stayed empty."
    ),
)
FORM = Form(CONFIG, CONTROLS, ("text", "n", "tone"), ids=True)


def test_json_is_a_list_of_tasks_as_label_studio_imports_them(tmp_path: Path) -> None:
    write(tmp_path / "out.json", LABELLED, FORM)
    first, second, third = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert (first["id"], first["data"], first["meta"]) == (7, {"text": "one, two", "n": 1}, {"a": 1})
    assert first["predictions"] == [LABELLED[0].prediction.to_json()]  # type: ignore[union-attr]
    assert second == {
        "id": 8,
        "data": {"text": "\ud83d", "tone": "sour"},
        "predictions": [],
        "error": "The model declined.",
    }
    assert third["error"] == "stars stayed empty."
    assert [file.name for file in tmp_path.iterdir()] == ["out.json"]


def test_json_lines_hold_the_same_tasks(tmp_path: Path) -> None:
    write(tmp_path / "out.json", LABELLED, FORM)
    write(tmp_path / "out.jsonl", LABELLED, FORM)
    lines = (tmp_path / "out.jsonl").read_text("utf-8").split("\n")
    assert [json.loads(line) for line in lines[:-1]] == json.loads((tmp_path / "out.json").read_text("utf-8"))


def test_no_rows_make_an_empty_list(tmp_path: Path) -> None:
    write(tmp_path / "out.json", (), FORM)
    assert json.loads((tmp_path / "out.json").read_text()) == []


def test_a_table_has_the_rows_and_a_column_for_each_control(tmp_path: Path) -> None:
    write(tmp_path / "out.csv", LABELLED, FORM)
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as stream:
        header, *held = csv.reader(stream)
    assert header == ["id", "text", "n", "tone", "predicted_tone", "stars", "why", "model_version", "error"]
    assert held == [
        ["7", "one, two", "1", "", '["good", "bad"]', "3", "", "m-1", ""],
        ["8", "\\ud83d", "", "sour", "", "", "", "", "The model declined."],
        ["9", "four", "[1]", "", "", "", "so", "m-1", "stars stayed empty."],
    ]


def test_what_was_there_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    def breaks_off() -> Iterator[Labelled]:
        yield LABELLED[0]
        raise RuntimeError("broken off")

    (tmp_path / "out.json").write_text("old")
    with pytest.raises(RuntimeError):
        write(tmp_path / "out.json", breaks_off(), FORM)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("out.json", "old")]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("out.xml", "the name of the output ends in .json, .jsonl or .csv."),
        ("nowhere/out.json", "make it first"),
        ("folder.json", "is a folder"),
    ],
)
def test_an_output_that_cannot_be_written_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(RequestError, match=sentence):
        require_writable(tmp_path / name)
