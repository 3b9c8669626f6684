"""Datasets as files: what is read of them, what is wrong with them, and how they are written."""

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
from llm_backend.interchange.tasks import Form, Labelled, Row, require_writable, rows, survey, write

CONFIG = parse(
    """<View><Text name="text" value="$text"/>
    <Choices name="tone" toName="text" choice="multiple"><Choice value="good" alias="g"/><Choice value="bad"/></Choices>
    <Rating name="stars" toName="text"/><TextArea name="why" toName="text"/></View>"""
)
CONTROLS, _ = bind(CONFIG)


def dataset(folder: Path, name: str, held: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(held if isinstance(held, bytes) else held.encode())
    return file


@pytest.mark.parametrize(
    ("name", "held", "data"),
    [
        pytest.param(
            "a.csv", "id,text\n1,one\n2,two\n", [{"id": "1", "text": "one"}, {"id": "2", "text": "two"}], id="csv"
        ),
        pytest.param("a.csv", "\ufefftext,b\r\none,1\r\n", [{"text": "one", "b": "1"}], id="csv with a mark and CRLF"),
        pytest.param("a.csv", 'text;b\n"o;ne";1\n', [{"text": "o;ne", "b": "1"}], id="csv with semicolons"),
        pytest.param("a.CSV", 'text\n"one\ntwo"\n\nthree\n', [{"text": "one\ntwo"}, {"text": "three"}], id="breaks"),
        pytest.param("a.csv", "text\n" + "x" * 200_000 + "\n", [{"text": "x" * 200_000}], id="a long cell"),
        pytest.param("a.tsv", "text\tb\none\t1\n", [{"text": "one", "b": "1"}], id="tsv"),
        pytest.param(
            "a.jsonl", '{"text": "one"}\n\n{"data": {"text": "two"}}\n', [{"text": "one"}, {"text": "two"}], id="jsonl"
        ),
        pytest.param("a.jsonl", '\ufeff{"text": "a\u2028b"}', [{"text": "a\u2028b"}], id="jsonl with a line separator"),
        pytest.param(
            "a.json", '[{"text": "one"} ,\n {"data": "x"}]', [{"text": "one"}, {"data": "x"}], id="plain objects"
        ),
        pytest.param("a.json", ' {"data": {"text": "one"}}\n', [{"text": "one"}], id="the only task"),
        pytest.param(
            "a.json", json.dumps([{"text": "y" * 70_000}] * 5), [{"text": "y" * 70_000}] * 5, id="long values"
        ),
    ],
)
def test_rows_are_read(tmp_path: Path, name: str, held: str, data: list[Any]) -> None:
    file = dataset(tmp_path, name, held)
    assert [dict(row.task.data) for row in rows(file)] == data
    assert survey(file).rows == len(data)


def test_an_export_of_label_studio_is_read_with_ids_and_meta(tmp_path: Path) -> None:
    task = {"id": 7, "data": {"text": "one"}, "meta": {"a": 1}, "annotations": [{"result": []}], "predictions": [3]}
    file = dataset(tmp_path, "a.json", json.dumps([task, {"id": "x", "data": {"b": 2}}], indent=2))
    assert list(rows(file)) == [
        Row(2, Task(7, {"text": "one"}), {"a": 1}),
        Row(19, Task("x", {"b": 2})),
    ]
    found = survey(file)
    assert (found.columns, found.ids) == (("text", "b"), True)


@pytest.mark.parametrize(
    ("name", "held", "faults"),
    [
        (
            "a.csv",
            "a,b\n1\n1,2\n1,2,3\n",
            [(2, "it has 1 cell, the header 2 columns."), (4, "it has 3 cells, the header 2 columns.")],
        ),
        (
            "a.jsonl",
            '{"a": 1}\n{"a": \n[1]\n{}\n',
            [
                (2, "it is not JSON (Expecting value)."),
                (3, "it is no object; write a task's data as {...}."),
                (4, "it is empty."),
            ],
        ),
        (
            "a.json",
            '[{"a": 1},\n3,\n12, {"data": {}}]',
            [
                (2, "it is no object; write a task's data as {...}."),
                (3, "it is no object; write a task's data as {...}."),
                (3, 'its "data" is empty.'),
            ],
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_line(
    tmp_path: Path, name: str, held: str, faults: list[tuple[int, str]]
) -> None:
    found = survey(dataset(tmp_path, name, held))
    assert [(fault.line, fault.sentence) for fault in found.faults] == faults
    assert (found.rows, found.skipped) == (1, len(faults))


def test_of_very_many_unusable_rows_the_first_are_named_and_all_are_counted(tmp_path: Path) -> None:
    found = survey(dataset(tmp_path, "a.jsonl", "[1]\n" * 1000 + '{"a": 1}\n'))
    assert (len(found.faults), found.skipped, found.rows) == (20, 1000, 1)


@pytest.mark.parametrize(
    ("name", "held", "sentence"),
    [
        pytest.param("a.csv", "", "holds no rows", id="empty"),
        pytest.param("a.csv", "text\n", "holds no rows", id="only a header"),
        pytest.param("a.jsonl", "\n\n", "holds no rows", id="empty lines"),
        pytest.param("a.json", "", "holds no rows", id="empty json"),
        pytest.param("a.json", " [ ] ", "holds no rows", id="empty list"),
        pytest.param("a.csv", "a,b,a\n1,2,3\n", 'the header names "a" more than once', id="a column twice"),
        pytest.param(
            "a.csv",
            "text\nGr\xfc\xdfe\n".encode("latin-1"),
            'is not UTF-8 text (invalid start byte): save it as UTF-8 (in Excel: "CSV UTF-8"), and try again.',
            id="latin",
        ),
        pytest.param("a.csv", "text\none\n".encode("utf-16"), "is UTF-16: save it as UTF-8", id="utf-16"),
        pytest.param("a.json", '[{"a": 1}\n{"a": 2}]', "line 2 is not JSON (a comma is missing).", id="no comma"),
        pytest.param(
            "a.json", '[{"a": 1},\n{"a": 2}', "line 2 is not JSON (a comma is missing).", id="cut after a value"
        ),
        pytest.param("a.json", '[{"a": 1},\n\n{"a": ', "line 3 is not JSON (Expecting value).", id="cut in a value"),
        pytest.param("a.json", '[{"a": 1},\n]', "line 2 is not JSON (Expecting value).", id="a comma too many"),
        pytest.param("a.json", '[]\n{"a": 1}', "line 2 is not JSON (something follows its end).", id="two values"),
        pytest.param("a.json", '{"a": 1}\n{"a": 1}', "line 2 is not JSON (something follows its end).", id="lines"),
        pytest.param("a.json", "[" + "[" * 100_000, "is not JSON (it is nested too deeply).", id="deep"),
        pytest.param(
            "a.xlsx", "PK", "a dataset's name ends in .csv, .tsv, .jsonl, .ndjson or .json.", id="another kind"
        ),
    ],
)
def test_a_dataset_that_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, name: str, held: str | bytes, sentence: str
) -> None:
    with pytest.raises(RequestError) as refused:
        survey(dataset(tmp_path, name, held))
    assert sentence in refused.value.sentence
    assert name in refused.value.sentence


def test_a_long_list_is_read_value_by_value(tmp_path: Path) -> None:
    file = dataset(tmp_path, "a.json", json.dumps([{"n": number} for number in range(50_000)], indent=1))
    found = rows(file)
    first = next(found)
    assert (first.line, first.task.data) == (2, {"n": 0})
    assert sum(row.task.data["n"] for row in found) == sum(range(50_000))


# Writing


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
