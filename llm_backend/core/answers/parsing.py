"""Which JSON stands in a model's text?"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NoReturn

from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)\n?\s*```", re.DOTALL)
_OPENED = re.compile(r'\{\s*"([^"\\]*)"\s*:')
_BROKEN = "The answer is broken or cut-off JSON."
CONTRADICTION = "The answer says several things that contradict each other."
# How many opening braces of a chatty answer are tried; a real answer begins early.
_TRIES = 64


def parse(text: str, keys: Sequence[str], names: Collection[str] = ()) -> Mapping[str, JSON] | None:
    """Find the one JSON object in an answer, bare, fenced, or amid chatter.

    Args:
        keys: The fields that were asked for. With a single one, a bare JSON value stands for it.
        names: What else an answer may call the fields.
    Returns:
        The object, or None where there is no JSON at all (plain words).
    Raises:
        AnswerError: JSON that is broken or cut off, or several answers that contradict each other.
    """
    try:
        found = _loads(text)
    except ValueError:
        return _amid_chatter(text, {*keys, *names}) or _fenced(text, keys)
    if isinstance(found, Mapping):
        return found
    if len(keys) == 1:
        return {keys[0]: found}
    return _amid_chatter(text, {*keys, *names})


def _amid_chatter(text: str, fields: Collection[str]) -> Mapping[str, JSON] | None:
    found: list[Mapping[str, JSON]] = []
    at, tries = text.find("{"), 0
    while at >= 0 and tries < _TRIES:
        tries += 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            # What lies within an answer that cannot be read is no answer of its own.
            if (opened := _OPENED.match(text, at)) and opened[1] in fields:
                raise AnswerError(_BROKEN) from None
            at = text.find("{", at + 1)
            continue
        if isinstance(value, Mapping) and any(field in value for field in fields):
            found.append(value)
        at = text.find("{", end)
    if not found:
        if "{" in text and any(f'"{field}"' in text for field in fields):
            raise AnswerError(_BROKEN)
        return None
    if any(other != found[0] for other in found[1:]):
        raise AnswerError(CONTRADICTION)
    return found[0]


def _fenced(text: str, keys: Sequence[str]) -> Mapping[str, JSON] | None:
    """The one JSON value that stands fenced for a single field."""
    found: list[JSON] = []
    for block in _FENCE.findall(text) if len(keys) == 1 and "```" in text else ():
        try:
            found.append(_loads(block))
        except ValueError:
            continue
    if any(other != found[0] for other in found[1:]):
        raise AnswerError(CONTRADICTION)
    return {keys[0]: found[0]} if found and not isinstance(found[0], Mapping) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _no_doubt(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    """An object whose keys are told once; the same key told twice with different values is no answer."""
    told: dict[str, JSON] = {}
    for key, value in pairs:
        if key in told and told[key] != value:
            raise ValueError(f"{key!r} is told twice")
        told[key] = value
    return told


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_doubt)


def _loads(text: str) -> JSON:
    try:
        return _DECODER.decode(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc
