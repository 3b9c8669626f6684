"""Datasets as files: what is read of them, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.wire import Task
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import Row, rows, survey


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


def test_an_export_of_label_studio_is_read_with_ids_meta_and_annotations(tmp_path: Path) -> None:
    task = {"id": 7, "data": {"text": "one"}, "meta": {"a": 1}, "annotations": [{"result": []}], "predictions": [3]}
    file = dataset(tmp_path, "a.json", json.dumps([task, {"id": "x", "data": {"b": 2}}], indent=2))
    assert list(rows(file)) == [
        Row(2, Task(7, {"text": "one"}), {"a": 1}, [{"result": []}]),
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
        pytest.param("a.csv", "\n\n\r\n", "holds no rows", id="empty lines of a table"),
        pytest.param("a.jsonl", "\n\n", "holds no rows", id="empty lines"),
        pytest.param("a.json", "", "holds no rows", id="empty json"),
        pytest.param("a.json", " [ ] ", "holds no rows", id="empty list"),
        pytest.param("a.csv", "a,b,a\n1,2,3\n", 'the header names "a" more than once', id="a column twice"),
        pytest.param(
            "a.csv",
            "text\nGr\xfc\xdfe\n".encode("latin-1"),
            'line 2 is not UTF-8 text (invalid start byte): save it as UTF-8 (in Excel: "CSV UTF-8"), and try again.',
            id="latin",
        ),
        pytest.param(
            "a.jsonl",
            '{"a": "ä"}\n'.encode() * 9_000 + '{"a": "ä"}\n'.encode("latin-1"),
            "line 9,001 is not UTF-8 text (invalid continuation byte)",
            id="mixed encodings, late",
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


def test_empty_lines_before_a_header_are_passed_over(tmp_path: Path) -> None:
    file = dataset(tmp_path, "a.csv", "\n\na;b\n1;2\n")
    assert [(row.line, row.task.data) for row in rows(file)] == [(4, {"a": "1", "b": "2"})]


def test_a_long_list_is_read_value_by_value(tmp_path: Path) -> None:
    file = dataset(tmp_path, "a.json", json.dumps([{"n": number} for number in range(50_000)], indent=1))
    found = rows(file)
    first = next(found)
    assert (first.line, first.task.data) == (2, {"n": 0})
    assert sum(row.task.data["n"] for row in found) == sum(range(50_000))
