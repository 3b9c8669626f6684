"""How is a row of a flat export read? (JSON_MIN, CSV, TSV: a row for each annotation)

The columns of the task and those of its controls stand side by side, and a cell does not say what it is the answer of:
only the labeling config does. Skipped annotations are missing from such exports, and so are regions' ids: what hangs on
a span is not told.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace

from llm_backend.core.inputs import fields_of
from llm_backend.core.labeling import LabelingConfig, Output
from llm_backend.core.wire import JSON, Annotation, Region
from llm_backend.interchange.exports.task import ExportedTask

_TEXTS = ("Text", "HyperText", "Header")
_OWN = ("id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time")
"""The columns that are neither of the task nor of a control."""


def of_row(line: int, row: Mapping[str, JSON], config: LabelingConfig, *, table: bool = False) -> ExportedTask:
    """A row as a task with one annotation; with none where nobody has annotated it.

    Args:
        table: Its cells are texts, in which lists and objects are written as JSON.
    """
    outputs = {output.name: output for output in config.outputs}
    data = {name: value for name, value in row.items() if name not in (*_OWN, *outputs, config.prompt)}
    if table:
        texts = {field for source in config.sources if source.tag in _TEXTS for field in fields_of(source.value)}
        data = {name: _datum(cell, name in texts) for name, cell in data.items()}
    boxes = [Output(config.prompt, "TextArea", ())] if config.prompt else []
    answered = [*boxes, *outputs.values()]
    told = {output.name: _answer(output, row.get(output.name), table) for output in answered}
    result = tuple(region for output in answered for region in _regions(output, told[output.name]))
    made = _number(row.get("annotation_id"))
    annotation = Annotation.from_json(
        {
            "id": made,
            "completed_by": _number(row.get("annotator")) or row.get("annotator"),
            "created_at": row.get("created_at"),
            "updated_at": row.get("updated_at"),
        }
    )
    ident = row.get("id")
    return ExportedTask(
        line=line,
        id=_number(ident) or (ident if isinstance(ident, str) and ident else None),
        data=data,
        annotations=() if made is None else (replace(annotation, result=result),),
    )


def _parsed(cell: str) -> JSON:
    """A table's cell: lists and objects are written as JSON, everything else as it is."""
    if cell[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            pass
    return cell


def _datum(cell: JSON, text: bool) -> JSON:
    """A field of the task. What is shown as text and looks like JSON is a text, unless it is a list of texts."""
    told = _parsed(cell) if isinstance(cell, str) else cell
    listed = isinstance(told, list) and all(isinstance(one, str) for one in told)
    return told if listed or not text else cell


def _answer(output: Output, cell: JSON, table: bool) -> JSON:
    """What a control's cell says. A text box may hold a text that looks like JSON; several texts are an object."""
    if not table or not isinstance(cell, str):
        return cell
    told = _parsed(cell)
    several = isinstance(told, Mapping) and isinstance(told.get("text"), list)
    return told if several or output.type != "textarea" else cell


def _regions(output: Output, cell: JSON) -> Iterator[Region]:
    """What a cell says, as regions: a bare word, an object with all words, or a list with an object for each region."""
    if cell is None or cell == "":
        return
    values = cell if isinstance(cell, list) and any(isinstance(one, Mapping) for one in cell) else [cell]
    for number, value in enumerate(values, 1):
        whole = value if isinstance(value, Mapping) else {_key(output): _words(output, value)}
        to_name = output.to_names[0] if output.to_names else ""
        yield Region(output.name, to_name, output.type, whole, f"{output.name}-{number}", "manual")


def _words(output: Output, value: JSON) -> JSON:
    """Texts and choices are lists, also of one."""
    return [value] if output.type in ("textarea", "choices") and not isinstance(value, list) else value


def _key(output: Output) -> str:
    return "text" if output.type == "textarea" else output.type


def _number(cell: JSON) -> int | None:
    if isinstance(cell, str) and cell.isdecimal() and len(cell) < 19:
        return int(cell)
    return cell if type(cell) is int else None
