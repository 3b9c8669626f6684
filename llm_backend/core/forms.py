"""What does one question ask? Its fields as a JSON Schema, and as words."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from llm_backend.core.controls.base import Control
from llm_backend.core.controls.regions import set_in
from llm_backend.core.inputs import Inputs
from llm_backend.core.wire import JSON

# What strict structured outputs take at most (OpenAI's guide to structured outputs).
_PROPERTIES = 5000
_LEVELS = 10
_ALL_CHARACTERS = 120_000  # of all names and enum values
_ENUM_VALUES = 1000
_LONG_ENUM = 250
_LONG_ENUM_CHARACTERS = 15_000  # of an enum with more values than that


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one question.

    Attributes:
        schema: In OpenAI's strict subset.
        schema_json: The same as text, for servers that are only told of it.
        words: A line for each field.
        strict: Whether the schema keeps to the limits, too. If not, it can only be told in words.
    """

    schema: JSON
    schema_json: str
    words: str
    strict: bool = True


def make_form(asked: Mapping[str, Control], inputs: Inputs) -> Form:
    """The form for some controls, by the key of their field.

    Where all that may be answered is more than the limits take, it degrades in steps: first enums are opened to plain
    strings, the longest first, as far as needed; their labels then stand in the question alone, and the control
    refuses what is not among them. Where the fields by themselves are too many or too deep, the whole schema is only
    told in words (`Form.strict`).
    """
    schema = {
        "type": "object",
        "properties": {key: control.question(inputs) for key, control in asked.items()},
        "required": list(asked),
        "additionalProperties": False,
    }
    schema, strict = _within_limits(schema)
    words = "\n".join(_line(key, control, inputs) for key, control in asked.items())
    return Form(schema, json.dumps(schema, ensure_ascii=False), words, strict)


def title(control: Control) -> str:
    """How a field is called in a question: the control's name, and the words above it in the form."""
    heading = control.output.heading.rstrip(" :")
    return f'"{control.name}" ({heading})' if heading else f'"{control.name}"'


def _line(key: str, control: Control, inputs: Inputs) -> str:
    """A field in words; the lines of a list are set in below it."""
    heading = control.output.heading.rstrip(" :")
    named = ", ".join(part for part in (control.name if control.name != key else "", heading) if part)
    words = set_in(control.describe(inputs))
    return f'- "{key}" ({named}): {words}' if named else f'- "{key}": {words}'


def _within_limits(schema: JSON) -> tuple[JSON, bool]:
    """The schema with its enums opened as far as needed, and whether it then keeps to the limits."""
    parts = list(_parts(schema))
    names = [name for part, _ in parts for name in part.get("properties", ())]
    room = _ALL_CHARACTERS - sum(map(len, names))
    strict = len(names) <= _PROPERTIES and room >= 0 and max(level for _, level in parts) <= _LEVELS
    return _opened(schema, room), strict


def _opened(schema: JSON, room: int) -> JSON:
    """The schema with its longest enums opened, until all values keep to their limits.

    Args:
        room: How many characters all values may have.
    """
    enums = [part for part, _ in _parts(schema) if "enum" in part]
    values, characters = sum(len(enum["enum"]) for enum in enums), sum(map(_characters, enums))
    if values <= _ENUM_VALUES and characters <= room and not any(map(_too_long, enums)):
        return schema
    # A copy: the parts are the controls' own, and one may stand in several places.
    schema = json.loads(json.dumps(schema))
    enums = [part for part, _ in _parts(schema) if "enum" in part]
    for enum in sorted(enums, key=lambda enum: (_too_long(enum), _characters(enum)), reverse=True):
        if values <= _ENUM_VALUES and characters <= room and not _too_long(enum):
            break
        values, characters = values - len(enum["enum"]), characters - _characters(enum)
        del enum["enum"]
    return schema


def _parts(schema: JSON, level: int = 1) -> Iterator[tuple[dict[str, JSON], int]]:
    """The schema and every schema within it, each with the objects and lists it lies in, itself included."""
    yield schema, level
    below = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else ())]
    for part in below:
        yield from _parts(part, level + 1)
    for part in schema.get("anyOf", ()):
        yield from _parts(part, level)


def _too_long(enum: Mapping[str, JSON]) -> bool:
    return len(enum["enum"]) > _LONG_ENUM and _characters(enum) > _LONG_ENUM_CHARACTERS


def _characters(enum: Mapping[str, JSON]) -> int:
    return sum(map(len, enum["enum"]))
