"""Whatever a file holds: no row, label or task that is spoiled ends the conversion of the others."""

import contextlib
import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm_backend.core.labeling import parse
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.labelbox import Incoming, Lines, Places, Prelabels, read_ontology, row_of
from llm_backend.interchange.labelbox.config import config_of
from llm_backend.interchange.tasks import Fault, write_tasks

DATA = Path(__file__).parents[2] / "data" / "labelbox"
JUNK: tuple[JSON, ...] = (None, 3, -1.5, True, "", "x", "\ud800", [], {}, [1], {"a": 1}, [None], [[["A"]]])
SHOPPING = json.loads((DATA / "shopping.json").read_text(encoding="utf-8"))
ONTOLOGY = json.loads((DATA / "ontology.json").read_text(encoding="utf-8"))
PRELABELS = [json.loads(line) for line in (DATA / "prelabels.ndjson").read_text(encoding="utf-8").splitlines()]
RADIO = {"feature_id": "f", "name": "Choose the best response", "radio_answer": {"name": "Response A"}}
LABEL = {"annotations": {"classifications": [RADIO]}}
ROWS: tuple[JSON, ...] = (
    {"data_row": {"global_key": "shopping", "row_data": SHOPPING}, "projects": {"p": {"labels": [LABEL]}}},
    {"externalId": "e", "globalKey": "shopping", "conversationalData": SHOPPING["messages"]},
)


def spoiled(value: JSON, dice: random.Random) -> JSON:
    """A copy with a piece or two of it replaced or left out."""
    value = copy.deepcopy(value)
    for _ in range(dice.randint(1, 3)):
        *way, last = dice.choice(list(_places(value)))
        held = value
        for key in way:
            held = held[key]
        if isinstance(held, dict) and dice.random() < 0.3:
            del held[last]
        else:
            held[last] = copy.deepcopy(dice.choice(JUNK))
    return value


def _places(value: JSON, way: tuple[JSON, ...] = ()) -> Iterator[tuple[JSON, ...]]:
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*way, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*way, key))


@pytest.mark.parametrize("seed", range(150))
def test_what_is_spoiled_is_told_and_the_rest_goes_through(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    rows, lines, tasks = (tmp_path / name for name in ("rows.ndjson", "lines.ndjson", "tasks.json"))
    whole = {"global_key": "whole", "row_data": SHOPPING}
    write_tasks(rows, [spoiled(dice.choice(ROWS), dice), whole])
    write_tasks(lines, [spoiled(line, dice) if dice.random() < 0.5 else line for line in PRELABELS])
    with Prelabels(lines) as prelabels:
        incoming = Incoming(rows, Places(tmp_path), lambda *_: None, read_ontology(ONTOLOGY), prelabels)
        made = list(incoming.tasks())
    assert made[-1]["data"]["labelbox"]["global_key"] == "whole"
    assert parse(incoming.config).outputs
    bad = {"id": 1, "data": spoiled(made[0]["data"], dice), "annotations": spoiled([answered()], dice)}
    write_tasks(tasks, [bad, {"id": 2, **made[-1], "annotations": [answered()]}])
    assert [told for task in read_export(tasks) for told in back(task)][-1]["dataRow"] == {"globalKey": "whole"}


def answered() -> JSON:
    chosen = {"type": "choices", "value": {"choices": ["tie"]}}
    return {"id": 1, "result": [{"id": "a", "from_name": "choose_the_best_response", "to_name": "dialogue", **chosen}]}


def back(task: ExportedTask | Fault) -> list[JSON]:
    if isinstance(task, Fault):
        return []
    try:
        row_of(task)
        list(Lines(predictions=True).of(task))
        return list(Lines().of(task))
    except RequestError:
        return []


@pytest.mark.parametrize("seed", range(150))
def test_a_spoiled_ontology_is_read_or_refused(seed: int) -> None:
    with contextlib.suppress(RequestError):  # nothing else may be raised
        assert parse(config_of(read_ontology(spoiled(ONTOLOGY, random.Random(seed))))).objects
