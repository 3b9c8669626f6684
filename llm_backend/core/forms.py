"""What does one question ask? Its fields as a JSON Schema, and as words."""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass

from llm_backend.core.controls.base import Control
from llm_backend.core.controls.regions import set_in
from llm_backend.core.inputs import Inputs
from llm_backend.core.wire import JSON

# Strict structured outputs take at most 1000 enum values in a schema, 15,000 characters in an enum of more than 250
# values, and 120,000 characters in all names and values (OpenAI's guide to structured outputs).
_ENUM_VALUES = 1000
_LONG_ENUM = 250
_LONG_ENUM_CHARACTERS = 15_000
_ALL_CHARACTERS = 120_000


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one question.

    Attributes:
        schema: In OpenAI's strict subset and limits.
        schema_json: The same as text, for servers that are only told of it.
        words: A line for each field.
    """

    schema: JSON
    schema_json: str
    words: str


def make_form(asked: Mapping[str, Control], inputs: Inputs) -> Form:
    """The form for some controls, by the key of their field."""
    schema = {
        "type": "object",
        "properties": {key: control.question(inputs) for key, control in asked.items()},
        "required": list(asked),
        "additionalProperties": False,
    }
    schema = _within_limits(schema)
    words = "\n".join(_line(key, control, inputs) for key, control in asked.items())
    return Form(schema, json.dumps(schema, ensure_ascii=False), words)


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


def _within_limits(schema: JSON) -> JSON:
    """The schema with its largest enums opened to plain strings until it keeps the provider's limits.

    The labels then stand in the question alone, and the control refuses what is not among them.
    """
    if _fits(_enums(schema)):
        return schema
    schema = copy.deepcopy(schema)  # controls keep theirs
    for enum in sorted(_enums(schema), key=_characters, reverse=True):
        if _fits(_enums(schema)):
            break
        del enum["enum"]
    return schema


def _fits(enums: list[dict[str, JSON]]) -> bool:
    long = any(len(e["enum"]) > _LONG_ENUM and _characters(e) > _LONG_ENUM_CHARACTERS for e in enums)
    values = sum(len(e["enum"]) for e in enums)
    return not long and values <= _ENUM_VALUES and sum(_characters(e) for e in enums) <= _ALL_CHARACTERS


def _enums(schema: JSON) -> list[dict[str, JSON]]:
    if isinstance(schema, list):
        return [found for part in schema for found in _enums(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if schema.get("type") == "string" and isinstance(schema.get("enum"), list) else []
    return own + [found for key, part in schema.items() if key != "enum" for found in _enums(part)]


def _characters(enum: Mapping[str, JSON]) -> int:
    return sum(len(str(value)) for value in enum["enum"])
