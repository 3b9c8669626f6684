"""What does a table of a task say, whether it comes as JSON or as CSV?"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.inputs.values import as_text
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

_SEPARATORS = (",", ";", "\t", "|")


@dataclass(frozen=True, slots=True)
class Shape:
    """What a Table's `valueType` says: `json`, `csv`, either with `url`; such as `csv,separator=;,headless`.

    Attributes:
        separator: "" leaves it to be found out.
    """

    csv: bool = False
    by_url: bool = False
    separator: str = ""
    headless: bool = False

    @classmethod
    def of(cls, told: str) -> "Shape":
        """Read a `valueType`; as the editor does, by whatever sign follows the first word."""
        start = re.match(r"\s*(\w+)(.)?", told)
        if start is None:
            return cls()
        words = told.split(start[2]) if start[2] else [told]
        options = dict(word.partition("=")[::2] for word in words[1:])
        kind = start[1].lower()
        return cls(
            kind == "csv", kind == "url" or "url" in options, options.get("separator", ""), "headless" in options
        )


def from_csv(text: str, shape: Shape) -> list[JSON]:
    """The rows of a CSV text: by the names in its first row, or as plain lists where it is headless.

    Raises:
        InputError: It is no CSV.
    """
    rows = csv_rows(text, shape.separator)
    if shape.headless or not rows:
        return list(rows)
    return [dict(zip(rows[0], row, strict=False)) for row in rows[1:]]


def table_in_words(value: JSON) -> str:
    """A table row by row; an object as its names and values."""
    if isinstance(value, Mapping):
        return "\n".join(f"{key}: {as_text(cell)}" for key, cell in value.items())
    if isinstance(value, list):
        return "\n".join(" | ".join(row) if _is_plain(row) else as_text(row) for row in value)
    return as_text(value)


# The csv module's own caution, which holds for a whole process and which others may have lifted.
_LONGEST_CELL = 131_072


def csv_rows(text: str, separator: str = "") -> list[list[str]]:
    """The rows of a CSV text, blank ones left out.

    Args:
        separator: One sign; "" takes the one that the first line has most of.
    Raises:
        InputError: It is no CSV.
    """
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    found = separator[:1] or max(_SEPARATORS, key=(lines[0] if lines else "").count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=found) if any(cell.strip() for cell in row)]
    except (csv.Error, TypeError, ValueError) as exc:
        raise InputError(f"The task's table is not readable CSV: {exc}.") from exc
    longest = max((len(cell) for row in rows for cell in row), default=0)
    if longest > _LONGEST_CELL:
        raise InputError(
            f"The task's table is not readable CSV: one cell has {longest:,} characters; is a quotation mark left open?"
        )
    return rows


def _is_plain(row: JSON) -> bool:
    return isinstance(row, Sequence) and not isinstance(row, str) and all(isinstance(cell, str) for cell in row)
