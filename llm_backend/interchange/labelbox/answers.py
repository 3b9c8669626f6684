"""What does a label or pre-label say? A line of NDJSON, or a classification of an export: the answer to a question."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.controls.base import listed, shown
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.ontology import Feature, Option

# Lines of other kinds, which name no answer.
_OTHER = ("location", "bbox", "messageEvaluationTask", "segments", "relationship")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question.

    Attributes:
        options: Those chosen; none for a text.
        text: What was written; "" where options are chosen.
        nested: Answers to the questions that hang on the chosen options.
        confidence: Between 0 and 1; None where none is told.
        message: The id of the message that it is about, "" where it is about the row.
        uuid: The line's own id.
    """

    feature: Feature
    options: tuple[Option, ...] = ()
    text: str = ""
    nested: tuple["Answer", ...] = ()
    confidence: float | None = None
    message: str = ""
    uuid: str = ""


def read_line(raw: Mapping[str, JSON], features: Sequence[Feature]) -> Answer:
    """Read a line by the ontology's questions.

    Raises:
        RequestError: It answers none of them, or not so as it may be answered.
    """
    if other := next((key for key in _OTHER if key in raw), None):
        raise RequestError(f'it is no classification: it has "{other}", which has no counterpart here.')
    answer = _read(raw, features)
    message = raw.get("messageId")
    if answer.feature.per_message != isinstance(message, str):
        where = "of every message" if answer.feature.per_message else "once of the row"
        raise RequestError(
            f"{shown(answer.feature.name)} is asked {where}; the line has {'no' if message is None else 'a'} messageId."
        )
    return answer


def of_export(raw: Mapping[str, JSON]) -> dict[str, JSON]:
    """A classification of an export, as a line would say it.

    Raises:
        RequestError: It is of a kind that is not known.
    """
    line: dict[str, JSON] = {"name": raw.get("name")}
    message = raw.get("message_id")
    if isinstance(message, str):
        line["messageId"] = message
    for key in ("feature_id", "feature_schema_id"):
        if isinstance(raw.get(key), str):
            line["uuid" if key == "feature_id" else "schemaId"] = raw[key]
    before = "conversational_" if f"conversational_{_kind_of(raw)}" in raw else ""
    told = raw[f"{before}{_kind_of(raw)}"]
    if _kind_of(raw) == "text_answer":
        line["answer"] = told.get("content") if isinstance(told, Mapping) else told
    elif isinstance(told, list):
        line["answer"] = [_option_of_export(one) for one in told]
    else:
        line["answer"] = _option_of_export(told)
    return line


def _kind_of(raw: Mapping[str, JSON]) -> str:
    for kind in ("radio_answer", "checklist_answers", "text_answer"):
        if kind in raw or f"conversational_{kind}" in raw:
            return kind
    raise RequestError(f"{shown(raw.get('name'))} has no answer that is known; there is {listed(list(raw))}.")


def _option_of_export(raw: JSON) -> dict[str, JSON]:
    if not isinstance(raw, Mapping):
        raise RequestError(f"an answer must be an object; found {shown(raw)}.")
    below = raw.get("classifications")
    told = [of_export(one) for one in below if isinstance(one, Mapping)] if isinstance(below, list) else []
    named = {"name": raw.get("name"), "value": raw.get("value"), "schemaId": raw.get("feature_schema_id")}
    return {**named, **({"classifications": told} if told else {})}


def _read(raw: Mapping[str, JSON], features: Sequence[Feature]) -> Answer:
    feature = _feature(raw, features)
    answer = raw["answer"] if "answer" in raw else raw.get("answers")
    confidence, message, ident = _confidence(raw.get("confidence")), _text(raw.get("messageId")), _text(raw.get("uuid"))
    if feature.kind == "text":
        if not isinstance(answer, str):
            raise RequestError(f"{shown(feature.name)} is answered with a text; found {shown(answer)}.")
        return Answer(feature, (), answer, (), confidence, message, ident)
    chosen: list[JSON] = answer if isinstance(answer, list) else [answer]
    if feature.kind == "radio" and len(chosen) != 1:
        raise RequestError(f"{shown(feature.name)} takes one option; found {len(chosen)}.")
    options = [_option(feature, one) for one in chosen]
    nested = tuple(
        _read(below, option.features)
        for option, one in zip(options, chosen, strict=True)
        for below in _classifications(one)
    )
    if confidence is None and feature.kind == "radio":
        confidence = _confidence(chosen[0].get("confidence"))
    return Answer(feature, tuple(options), "", nested, confidence, message, ident)


def _feature(raw: Mapping[str, JSON], features: Sequence[Feature]) -> Feature:
    name, schema = raw.get("name"), raw.get("schemaId")
    found = next((one for one in features if name is not None and one.name == name), None)
    found = found or next((one for one in features if schema and one.schema == schema), None)
    if found is None:
        known = listed([f'"{one.name}"' for one in features]) or "nothing"
        raise RequestError(f"it answers {shown(name or schema)}; the ontology asks {known} here.")
    return found


def _option(feature: Feature, raw: JSON) -> Option:
    """The option that an answer names: by its value, its label or its id."""
    if not isinstance(raw, Mapping):
        raise RequestError(f'{shown(feature.name)} is answered with {{"name": ...}}; found {shown(raw)}.')
    for key, attribute in (("name", "value"), ("name", "label"), ("schemaId", "schema"), ("value", "value")):
        wanted = raw.get(key)
        for option in feature.options if isinstance(wanted, str) and wanted else ():
            if getattr(option, attribute) == wanted:
                return option
    told = shown(raw.get("name") or raw.get("schemaId"))
    has = listed([f'"{option.value}"' for option in feature.options])
    raise RequestError(f"{shown(feature.name)} has no option {told}; it has {has}.".replace(" or ", " and "))


def _classifications(raw: Mapping[str, JSON]) -> Iterable[Mapping[str, JSON]]:
    below = raw.get("classifications")
    return [one for one in below if isinstance(one, Mapping)] if isinstance(below, list) else []


def _confidence(raw: JSON) -> float | None:
    usable = isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw) and 0 <= raw <= 1
    return float(raw) if usable else None


def _text(raw: JSON) -> str:
    return raw if isinstance(raw, str) else ""
