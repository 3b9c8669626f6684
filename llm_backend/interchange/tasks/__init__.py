"""How do tasks enter from a dataset's file, and leave with their predictions?

A file is read row by row and written row by row: of a large one, no more than a few rows are held at a time.
"""

from llm_backend.interchange.tasks.reading import Shape, Survey, entries, is_table, json_lines, opened, rows, survey
from llm_backend.interchange.tasks.row import Fault, Labelled, Row
from llm_backend.interchange.tasks.writing import (
    Form,
    distinct,
    list_parts,
    object_lines,
    require_writable,
    table_lines,
    write,
    write_rows,
    write_tasks,
)

__all__ = [
    "Fault",
    "Form",
    "Labelled",
    "Row",
    "Shape",
    "Survey",
    "distinct",
    "entries",
    "is_table",
    "json_lines",
    "list_parts",
    "object_lines",
    "opened",
    "require_writable",
    "rows",
    "survey",
    "table_lines",
    "write",
    "write_rows",
    "write_tasks",
]
