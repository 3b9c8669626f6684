"""What does a tag's `value` refer to in this task's data, and what is it in words?"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from llm_backend.core.labeling import REFERENCE, references
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

_STEP = re.compile(r"\w+")


def fields_of(value: str) -> tuple[str, ...]:
    """The top-level data keys that a `value` attribute refers to."""
    return tuple(_STEP.findall(reference)[0] for reference in references(value))


def resolve(value: str, data: Mapping[str, JSON], spelt: Callable[[JSON], str] | None = None) -> JSON:
    """What a `value` attribute shows: the data itself for a pure reference, else text with references filled in.

    Follows the editor: `$name`, `$a.b[0]`, `Title: $title`. None where every reference leads nowhere; where only some
    do, nothing stands in their place.

    Args:
        spelt: How values within a text are put in words; as a reader would, if not told.
    """
    if value.startswith("$") and value[1:] in data:
        return data[value[1:]]
    found = {reference: _look_up(reference[1:], data) for reference in references(value)}
    if value in found:
        return found[value]
    if found and all(held is None for held in found.values()):
        return None
    spelt = spelt or as_text
    return REFERENCE.sub(lambda match: spelt(found.get(match.group(), match.group())), value)


def referred(value: str, data: Mapping[str, JSON]) -> JSON:
    """What a reference such as `$a.b[0]` leads to; None where it leads nowhere."""
    return _look_up(value[1:], data)


def replaced(value: str, data: Mapping[str, JSON], other: JSON) -> Mapping[str, JSON]:
    """The data with another value where a reference leads; the same data where it leads nowhere."""
    path = value[1:]
    if path in data:
        return {**data, path: other}
    changed = _replaced(data, _STEP.findall(path), other)
    return changed if isinstance(changed, Mapping) else data


def as_text(value: JSON) -> str:
    """A data value in words: lists line by line, as the editor joins them with commas and a reader would not.

    Raises:
        InputError: It is nested too deeply.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str | int | float | bool) for item in value):
        return "\n".join(as_text(item) for item in value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError as exc:
        raise InputError("The task's data is nested too deeply to be read.") from exc


def as_held(value: JSON) -> str:
    """A data value as the editor's own language, JavaScript, makes a string of it: what a Text holds.

    Raises:
        InputError: It is nested too deeply.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        try:
            return ",".join(map(as_held, value))
        except RecursionError as exc:
            raise InputError("The task's data is nested too deeply to be read.") from exc
    return "[object Object]" if isinstance(value, Mapping) else str(value)


def from_json_text(value: JSON) -> JSON:
    """The object or list that a text spells in JSON; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _number(value: float) -> str:
    if not 1e-6 <= abs(value) < 1e21:
        return "0" if value == 0 else re.sub(r"e([+-])0*", r"e\1", repr(value)).replace(".0e", "e")
    return str(int(value)) if value.is_integer() else format(Decimal(repr(value)), "f")


def _replaced(held: JSON, steps: Sequence[str], other: JSON) -> JSON:
    if not steps:
        return other
    step, *rest = steps
    if isinstance(held, Mapping) and step in held:
        return {**held, step: _replaced(held[step], rest, other)}
    if isinstance(held, list) and (index := _index(step, held)) is not None:
        return [*held[:index], _replaced(held[index], rest, other), *held[index + 1 :]]
    return held


def _index(step: str, held: Sequence[JSON]) -> int | None:
    """Which entry of a list a step of a reference names, if any."""
    number = int(step[:9]) if step.isascii() and step.isdigit() else len(held)
    return number if number < len(held) else None


def _look_up(path: str, data: Mapping[str, JSON]) -> JSON:
    """What stands at the end of a path such as `a.b[0]`; None where it leads nowhere. A key may hold dots itself."""
    if path in data:
        return data[path]
    found: JSON = data
    for step in _STEP.findall(path):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and (index := _index(step, found)) is not None:
            found = found[index]
        else:
            return None
    return found
