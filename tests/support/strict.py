"""What strict structured outputs refuse in a schema, by the provider's documented rules, spelled out anew."""

from collections.abc import Iterator
from typing import Any

import jsonschema

_KEYWORDS = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "description"),
        *("pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
        *("minItems", "maxItems"),
    )
)
_TYPES = frozenset(("string", "number", "integer", "boolean", "null", "object", "array"))


def outside_the_subset(schema: Any) -> list[str]:
    """What of a part of a schema strict mode does not know, or wants to be otherwise."""
    jsonschema.Draft202012Validator.check_schema(schema)
    return [fault for part, _ in _parts(schema, 1) for fault in _faults(part)]


def refusals(schema: Any) -> list[str]:
    """Why a whole schema is refused; empty if it is taken."""
    parts = list(_parts(schema, 1))
    enums = [part["enum"] for part, _ in parts if "enum" in part]
    names = [name for part, _ in parts for name in part.get("properties", ())]
    constants = [part["const"] for part, _ in parts if "const" in part]
    words = sum(len(str(word)) for word in (*names, *constants, *(value for enum in enums for value in enum)))
    long = [enum for enum in enums if len(enum) > 250 and sum(map(len, enum)) > 15_000]
    limits = {
        "the root is no object": schema.get("type") != "object" or "anyOf" in schema,
        f"{len(names)} properties": len(names) > 5000,
        f"{max(level for _, level in parts)} levels": max(level for _, level in parts) > 10,
        f"{words} characters": words > 120_000,
        f"{sum(map(len, enums))} enum values": sum(map(len, enums)) > 1000,
        f"{len(long)} long enums": bool(long),
    }
    return [*outside_the_subset(schema), *(name for name, broken in limits.items() if broken)]


def _faults(part: dict[str, Any]) -> Iterator[str]:
    yield from (f"{key!r} is not known" for key in part.keys() - _KEYWORDS)
    if ("type" in part) == ("anyOf" in part):
        yield f"neither a type nor alternatives, or both: {sorted(part)}"
    if "type" in part and part["type"] not in _TYPES:
        yield f"{part['type']!r} is no type"
    if part.get("type") == "object":
        if part.get("required") != list(part.get("properties", ())):
            yield "a property is not required"
        if part.get("additionalProperties") is not False:
            yield "additional properties are allowed"
    if part.get("type") == "array" and "items" not in part:
        yield "a list of anything"
    if "enum" in part and (not part["enum"] or len(set(part["enum"])) != len(part["enum"])):
        yield "an enum that is empty, or names a value twice"


def _parts(schema: dict[str, Any], level: int) -> Iterator[tuple[dict[str, Any], int]]:
    yield schema, level
    for below in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else ())):
        yield from _parts(below, level + 1)
    for below in schema.get("anyOf", ()):
        yield from _parts(below, level)
