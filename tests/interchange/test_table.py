"""Annotations as a table."""

import csv
import io
from typing import Any

import datasets
import pytest

from llm_backend.core.labeling import parse
from llm_backend.core.wire import Task, annotations_of
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.exports import ExportedTask
from llm_backend.interchange.preferences import Policy, Reason
from llm_backend.interchange.table import Table
from llm_backend.interchange.tasks import Fault
from tests.support.exported import PAIR, PAIRWISE, annotation, region, side, task, written

SFT = '<View><Text name="prompt" value="$prompt"/><TextArea name="instruction" toName="prompt"/></View>'


def rows(table: Table, *raws: dict[str, Any]) -> list[list[str]]:
    lines = [line for raw in raws for line in table.take(Task.from_json(raw), annotations_of(raw))]
    return list(csv.reader(io.StringIO("".join([table.frame.header, *lines]), newline="")))


def test_a_row_for_each_annotation_has_the_fields_and_the_answers() -> None:
    code = 'def f(a, b):\n    return "x,y"'
    raw = task(1, {"prompt": "Generate...", "id": 7}, annotation(1, written("instruction", code)))
    assert rows(Table(parse(SFT)), raw) == [["prompt", "instruction"], ["Generate...", code]]


def test_several_texts_and_choices_are_lists_in_json() -> None:
    xml = SFT.replace(
        "</View>",
        '<Choices name="c" toName="prompt" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices></View>',
    )
    raw = task(
        1, {"prompt": ["x", "y"]}, annotation(1, written("instruction", "1", "2"), region("c", "choices", ["b"]))
    )
    assert rows(Table(parse(xml)), raw)[1] == ['["x", "y"]', '["1", "2"]', '["b"]']


def test_what_was_left_empty_is_left_out_and_where_it_comes_from_is_told_if_wanted() -> None:
    table = Table(parse(PAIRWISE), meta=True)
    raw = task(
        4, PAIR, annotation(9, side("left"), by=3), annotation(8), annotation(7, side("left"), was_cancelled=True)
    )
    assert rows(table, raw) == [
        ["prompt", "answer1", "answer2", "comparison", "task", "annotation", "annotator"],
        ["Hello?", "Hi.", "Go away.", "left", "4", "9", "3"],
    ]
    assert dict(+table.left) == {Reason.EMPTY: 1, Reason.SKIPPED: 1}


def test_a_field_that_a_control_is_named_like_keeps_its_own_column() -> None:
    xml = (
        SFT.replace('name="instruction"', 'name="prompt"')
        .replace('Text name="prompt"', 'Text name="p"')
        .replace('toName="prompt"', 'toName="p"')
    )
    raw = task(1, {"prompt": "a"}, annotation(1, written("prompt", "b")))
    table = Table(parse(xml, prompt_prefix="ask"))
    assert rows(table, raw) == [["prompt", "predicted_prompt"], ["a", "b"]]


def test_what_is_repeated_has_a_column_for_each_entry_that_any_task_has() -> None:
    config = parse("""<View><Repeater on="$pages"><Text name="page_{{idx}}" value="$pages[{{idx}}]"/>
    <Choices name="kind_{{idx}}" toName="page_{{idx}}"><Choice value="a"/><Choice value="b"/></Choices></Repeater>
    <Rating name="all" toName="page_0"/></View>""")
    raws = [
        task(1, {"pages": ["x"]}, annotation(1, region("kind_0", "choices", ["a"]), region("all", "rating", 3))),
        task(2, {"pages": ["x", "y"]}, annotation(2, region("kind_1", "choices", ["b"]))),
        task(3, {"pages": ["x"] * 1001}, annotation(3, region("kind_1", "choices", ["b"]))),
    ]
    told = [ExportedTask(1, raw["id"], raw["data"]) for raw in raws]
    table = Table(config, tasks=[*told, Fault(9, "x")])
    assert rows(table, *raws[:2]) == [
        ["pages", "kind_0", "kind_1", "all"],
        ['["x"]', "a", "", "3"],
        ['["x", "y"]', "", "b", ""],
    ]
    with pytest.raises(InputError, match="more than 1000"):
        rows(table, raws[2])
    with pytest.raises(InputError, match="export it again"):
        rows(Table(config, tasks=told[:1]), raws[1])


def test_what_a_table_cannot_do_is_told() -> None:
    with pytest.raises(RequestError, match="majority"):
        Table(parse(PAIRWISE), Policy.read("majority"))
    with pytest.raises(InputError, match='no "answer2"'):
        rows(Table(parse(PAIRWISE)), task(1, {"prompt": "a", "answer1": "b"}))


def test_datasets_loads_it(tmp_path: Any) -> None:
    datasets.disable_progress_bars()
    table = Table(parse(PAIRWISE))
    raw = task(1, PAIR | {"answer1": 'a "b",\nc'}, annotation(1, side("left")))
    file = tmp_path / "pairs.csv"
    file.write_text(table.frame.header + "".join(table.take(Task.from_json(raw), annotations_of(raw))))
    loaded = datasets.Dataset.from_csv(str(file), cache_dir=str(tmp_path / "cache"))
    assert loaded.to_list() == [{**PAIR, "answer1": 'a "b",\nc', "comparison": "left"}]
