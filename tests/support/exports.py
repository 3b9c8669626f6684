"""Exports of Label Studio, made of what people and models said."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

JSON = Any
CONFIG = """<View>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
</View>"""

EVERY = """
<View>
  <Text name="text" value="$text"/><Text name="other" value="$other"/>
  <TextArea name="prompt" toName="text"/>
  <TextArea name="response" toName="text"/>
  <Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
  <Choices name="topics" toName="text" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>
  <Rating name="stars" toName="text"/><Number name="count" toName="text"/>
  <DateTime name="day" toName="text" only="date"/>
  <Taxonomy name="tax" toName="text"><Choice value="x"><Choice value="y"/></Choice></Taxonomy>
  <Pairwise name="better" toName="text,other"/>
  <Labels name="ner" toName="text"><Label value="City"/></Labels>
</View>"""
"""Controls of every kind that an export tells in a way of its own."""


def said(value: JSON, name: str = "tone", kind: str = "choices", to: str = "text", **more: JSON) -> dict[str, JSON]:
    """A region; a bare label or number stands for the usual value of its kind."""
    if not isinstance(value, Mapping):
        value = {kind: [value] if kind in ("choices", "textarea") else value}
    return {"id": "r", "from_name": name, "to_name": to, "type": kind, "value": value, **more}


def annotation(*result: JSON, by: int = 1, at: float = 1000.0, **more: JSON) -> dict[str, JSON]:
    return {"completed_by": by, "created_at": moment(at), "result": list(result), "was_cancelled": False, **more}


def prediction(
    *result: JSON, version: str = "m-1", at: float = 500.0, ident: int = 1, score: float | None = None
) -> dict[str, JSON]:
    told = {"id": ident, "model_version": version, "created_at": moment(at), "score": score}
    return {**told, "result": list(result)}


def task(ident: int, annotations: Sequence[JSON], predictions: Sequence[JSON], **data: JSON) -> dict[str, JSON]:
    shown = data or {"text": f"Text number {ident}."}
    return {
        "id": ident,
        "project": 7,
        "data": shown,
        "annotations": list(annotations),
        "predictions": list(predictions),
    }


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
