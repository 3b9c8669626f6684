"""What does a time series say, as a table that a model can read?

The editor's own rules are followed: columns go by name without regard to case, or by number; a CSV whose first row
looks like its second has no header; without `timeColumn` the rows are counted from 0.
"""

import json
import math
from collections.abc import Mapping, Sequence

from llm_backend.core.inputs.tables import csv_rows
from llm_backend.core.labeling import Channel, Source
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

MOST_ROWS = 400
MOST_CELLS = 4000
_LEAST_ROWS = 50
_NAMED_SEPARATORS = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "dot": "."}
_DIGITS = 6


def see_series(source: Source, value: JSON) -> tuple[str, tuple[JSON, ...]]:
    """The series as a table in words, and all its moments.

    A long one is thinned to even steps, the first and the last row among them, and says so. Moments are spelt as the
    data spells them; values are rounded to six digits.

    Raises:
        InputError: It is no series, or lacks what the tag shows.
    """
    columns = _columns(source, value)
    length = max((len(cells) for cells in columns.values()), default=0)
    named = source.attrs.get("timecolumn", "")
    moment = _name_of(columns, named, source) if named else "index"
    times = tuple(columns[moment]) if named else tuple(range(length))
    channels = source.channels or tuple(Channel(name) for name in columns if name != moment)
    names = [_name_of(columns, channel.column, source) for channel in channels]
    cells = [columns[name] for name in names]
    shown = _evenly(len(times), max(_LEAST_ROWS, min(MOST_ROWS, MOST_CELLS // (len(cells) + 1))))
    heads = (_heading(channel, name) for channel, name in zip(channels, names, strict=True))
    head = ",".join(map(_quoted, (moment, *heads)))
    rows = (",".join([_quoted(_spelt(times[row])), *(_cell(column, row) for column in cells)]) for row in shown)
    told = "" if len(shown) == len(times) else _THINNED.format(shown=len(shown), all=len(times))
    return "\n".join([*([told] if told else []), head, *rows]), times


_THINNED = "(Thinned: {shown} of {all:,} rows, evenly spread, the first and the last among them.)"


def _columns(source: Source, value: JSON) -> Mapping[str, Sequence[JSON]]:
    """The series column by column."""
    if isinstance(value, str):
        value = _from_text(source, value)
    if isinstance(value, Mapping):
        return {str(name): cells for name, cells in value.items() if isinstance(cells, list)}
    if isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        names = dict.fromkeys(str(name) for row in value for name in row)
        return {name: [row.get(name) for row in value] for name in names}
    raise InputError(
        f'<TimeSeries name="{source.name}"> shows columns of numbers; '
        f'the task\'s "{source.value}" holds something else.'
    )


def _from_text(source: Source, text: str) -> JSON:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as exc:
            raise InputError(f'The data of <TimeSeries name="{source.name}"> is not readable JSON.') from exc
    told = source.attrs.get("sep", ",")
    separator = "" if told == "auto" else _NAMED_SEPARATORS.get(told, told[:1])
    rows = [[cell.strip() for cell in row] for row in csv_rows(text, separator)]
    if not rows:
        return {}
    headless = len(rows) > 1 and [_is_number(cell) for cell in rows[0]] == [_is_number(cell) for cell in rows[1]]
    names = [str(number) for number in range(len(rows[0]))] if headless else rows[0]
    body = rows if headless else rows[1:]
    return {name: [row[at] if at < len(row) else "" for row in body] for at, name in enumerate(names)}


def _name_of(columns: Mapping[str, Sequence[JSON]], column: str, source: Source) -> str:
    """The column that an attribute names: by its name, else by its number.

    Raises:
        InputError: There is none.
    """
    names = list(columns)
    if column in columns:
        return column
    if (same := [name for name in names if name.lower() == column.lower()]) != []:
        return same[0]
    if column.isascii() and column.isdecimal() and int(column[:6]) < len(names):
        return names[int(column[:6])]
    has = ", ".join(f'"{name}"' for name in names[:20]) or "none"
    raise InputError(f'<TimeSeries name="{source.name}"> shows the column "{column}"; its data has {has}.')


def _evenly(length: int, most: int) -> list[int]:
    """At most `most` of the numbers below `length`, in even steps, 0 and the last among them."""
    if length <= most:
        return list(range(length))
    return [round(step * (length - 1) / (most - 1)) for step in range(most)]


def _heading(channel: Channel, name: str) -> str:
    legend = channel.legend if channel.legend.lower() != name.lower() else ""
    told = ", ".join(word for word in (legend, channel.units) if word)
    return f"{name} ({told})" if told else name


def _cell(column: Sequence[JSON], row: int) -> str:
    value = column[row] if row < len(column) else ""
    if isinstance(value, str) and _is_number(value) and value.strip():
        return value if len(value) <= _DIGITS + 2 else _rounded(float(value))
    return _rounded(value) if isinstance(value, float) else _quoted(_spelt(value))


def _rounded(value: float) -> str:
    if not math.isfinite(value) or value == 0:
        return str(value)
    places = max(0, _DIGITS - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{_DIGITS}g}" if places > 12 else f"{value:.{places}f}".rstrip("0").rstrip(".") or "0"


def _spelt(value: JSON) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text or 0))
    except ValueError:
        return False
