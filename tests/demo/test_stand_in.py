"""The stand-in answers by rule, fits every form, and cannot be taken for a model."""

import asyncio
import json
from typing import Any

import jsonschema
import pytest

from llm_backend.core.chat import Call, ImagePart, Message, TextPart
from llm_backend.demo.stand_in import MARK, MODEL, StandIn

SARCASM = "Great, another update that moves all the buttons. Just what I needed."


def said(question: str, schema: Any = None, n: int = 1, picture: bool = False) -> list[Any]:
    parts = (TextPart(question), *((ImagePart("data:image/png;base64,AA=="),) if picture else ()))
    call = Call((Message.of("system", "Fill in the form."), Message("user", parts)), schema, n=n)
    texts = asyncio.run(StandIn(delay=0).complete(call)).texts
    return [json.loads(text) for text in texts] if schema else list(texts)


def form(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


TEXT = {"type": "string"}
OPEN_TEXT = {"anyOf": [TEXT, {"type": "null"}]}
SARCASTIC = {"type": "array", "items": {"type": "string", "enum": ["Sarcastic", "Not Sarcastic"]}}
STARS = {"type": "integer", "minimum": 1, "maximum": 5}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(TEXT, id="text"),
        pytest.param(OPEN_TEXT, id="text-or-null"),
        pytest.param({"type": "string", "enum": ["Good", "Bad"]}, id="one-label"),
        pytest.param({"type": "string", "enum": ["left", "right"]}, id="pairwise"),
        pytest.param(SARCASTIC, id="several-labels"),
        pytest.param({**SARCASTIC, "minItems": 1, "maxItems": 1}, id="exactly-one-of-several"),
        pytest.param({**SARCASTIC, "minItems": 2, "maxItems": 2, "uniqueItems": True}, id="all-in-order"),
        pytest.param(STARS, id="stars"),
        pytest.param({"type": "number", "minimum": 0.5}, id="number-from-a-half"),
        pytest.param({"type": "number", "maximum": -3}, id="number-below"),
        pytest.param({"type": "integer"}, id="any-whole-number"),
        pytest.param({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}, id="date"),
        pytest.param({"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"}, id="time"),
        pytest.param({"type": "string", "pattern": "^[0-9]{4}$"}, id="year"),
        pytest.param({"anyOf": [{"type": "string", "pattern": "^[A-F]{9}$"}, {"type": "null"}]}, id="odd-pattern"),
        pytest.param({"type": ["string", "null"]}, id="list-of-types"),
        pytest.param({"type": "boolean"}, id="yes-or-no"),
        pytest.param({"const": "x"}, id="constant"),
        pytest.param({"type": "array", "items": TEXT, "minItems": 2}, id="texts"),
        pytest.param({"type": "array", "items": form(inner=STARS)}, id="objects"),
    ],
)
def test_every_answer_fits_its_form(schema: Any) -> None:
    whole = form(field=schema)
    for question in ("", SARCASM, "🙂 עברית 12", "On 2024-05-01 we met 3 times."):
        (answer,) = said(question, whole)
        jsonschema.validate(answer, whole)


def test_every_text_begins_with_the_mark() -> None:
    for question in ("", SARCASM, "user: Hello\nassistant: Hi\nuser: Why?"):
        assert said(question)[0].startswith(MARK)
        assert said(question, form(a=TEXT))[0]["a"].startswith(MARK)
        assert said(question, form(a=OPEN_TEXT), picture=True)[0]["a"].startswith(MARK)


def test_its_name_says_what_it_is() -> None:
    assert StandIn().model == MODEL == "stand-in-demo"


def test_several_answers_differ() -> None:
    texts = [answer["a"] for answer in said(SARCASM, form(a=TEXT), n=3)]
    assert len(set(texts)) == 3
    assert len(set(said(SARCASM, n=3))) == 3


def test_the_same_question_gets_the_same_answer() -> None:
    whole = form(a=TEXT, b={"type": "string", "enum": ["x", "y", "z"]})
    assert said("Anything.", whole) == said("Anything.", whole)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (SARCASM, ["Sarcastic"]),
        ("The repair took ten minutes.", ["Not Sarcastic"]),
        ("Source Text: The soup was cold.\n\nTask Directive: Is it sarcastic?", ["Not Sarcastic"]),
    ],
    ids=["irony", "plain", "the-directive-is-no-data"],
)
def test_sarcasm_is_told_by_words(text: str, labels: list[str]) -> None:
    assert said(text, form(a=SARCASTIC)) == [{"a": labels}]


def test_moods_move_labels_and_stars() -> None:
    whole = form(tone={"type": "string", "enum": ["Positive", "Negative"]}, stars=STARS)
    (good,) = said("A wonderful, lovely day. Thank you.", whole)
    (bad,) = said("Awful. The worst soup, and late.", whole)
    assert (good["tone"], bad["tone"]) == ("Positive", "Negative")
    assert good["stars"] > bad["stars"]


def test_the_longer_side_is_better() -> None:
    sides = {"type": "string", "enum": ["left", "right"]}
    assert said("prompt:\nQ?\n\none:\nshort\n\ntwo:\nmuch longer", form(a=sides)) == [{"a": "right"}]
    assert said("prompt:\nQ?\n\none:\nmuch longer\n\ntwo:\nshort", form(a=sides)) == [{"a": "left"}]


def test_a_label_is_found_at_the_end_of_its_path() -> None:
    paths = {"type": "array", "items": {"type": "string", "enum": ["Tools / Hammer", "Tools / Saw", "Food / Bread"]}}
    assert said("I bought bread.", form(a=paths)) == [{"a": ["Food / Bread"]}]
    assert said("It rained.", form(a=paths)) == [{"a": []}]


def test_a_dialogue_is_replied_to() -> None:
    (text,) = said("user: How long do I boil an egg?\nassistant: Six minutes.\nuser: From the fridge?")
    assert "From the fridge?" in text


def test_a_picture_is_not_pretended_to_be_seen() -> None:
    assert "cannot look at pictures" in said("What is it?", picture=True)[0]


def test_a_summary_is_the_first_words() -> None:
    (text,) = said("Source Text: One two three.\n\nTask Directive: Sum it up.")
    assert text == f"{MARK}In short: One two three."
