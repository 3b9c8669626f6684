"""Does the labeling config that is made of an ontology ask what the ontology asks, and can all of it be filled?"""

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.labeling import Condition, parse
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.config import config_of
from llm_backend.interchange.labelbox.ontology import Ontology, preference, read_ontology


def asked(kind: str, name: str, *options: JSON, **more: JSON) -> dict[str, JSON]:
    told = [{"label": one, "value": one, "options": []} if isinstance(one, str) else one for one in options]
    return {"type": kind, "name": name, "instructions": name, "required": False, "options": told, **more}


def of(*classifications: JSON) -> Ontology:
    return read_ontology({"tools": [], "classifications": list(classifications)})


ALL = of(
    asked("radio", "Which one?", "A", {"label": "Neither", "value": "none", "options": [asked("text", "Why not?")]}),
    asked("checklist", "Faults", "rude", "wrong", required=True),
    asked("text", "Prompt quality"),
    asked("radio", "Tone", "kind", {"value": "cold", "options": [asked("text", "Where?")]}, scope="index"),
)


@pytest.mark.parametrize("media", [False, True])
@pytest.mark.parametrize("ontology", [ALL, preference(("Response A", "Response B"))], ids=["all", "preference"])
def test_every_control_can_be_filled(ontology: Ontology, media: bool) -> None:
    config = parse(config_of(ontology, media=media))
    controls, unfillable = bind(config)
    assert [item.reason for item in unfillable] == []
    assert config.prompt is None
    assert {"dialogue", "responses"} <= set(config.objects)
    assert controls


def test_each_question_gets_its_control_with_its_options() -> None:
    outputs = {output.name: output for output in parse(config_of(ALL)).outputs}
    assert [(one.tag, one.name) for one in outputs.values()] == [
        ("Choices", "which_one"),
        ("TextArea", "why_not"),
        ("Choices", "faults"),
        ("TextArea", "question_prompt_quality"),
        ("ParagraphLabels", "message"),
        ("Choices", "tone"),
        ("TextArea", "where"),
    ]
    assert [(option.value, option.hint) for option in outputs["which_one"].choices] == [("A", ""), ("none", "Neither")]
    assert outputs["which_one"].attrs["choice"] == "single"
    assert outputs["faults"].attrs["choice"] == "multiple"
    assert outputs["faults"].required
    assert not outputs["which_one"].required
    assert outputs["tone"].flag("perregion")
    assert Condition("choice-selected", "which_one", ("none",)) in outputs["why_not"].conditions
    assert Condition("choice-selected", "tone", ("cold",)) in outputs["where"].conditions
    assert outputs["faults"].heading == "Faults"


def test_an_option_with_a_comma_shows_what_hangs_on_it_with_any_option() -> None:
    (_, below) = parse(
        config_of(of(asked("radio", "R", "x", {"value": "a, b", "options": [asked("text", "T")]})))
    ).outputs
    assert set(below.conditions) == {Condition("choice-selected", "r")}


def test_signs_of_xml_and_of_references_stay_words() -> None:
    ontology = of(asked("radio", 'Is "$price" < 5 & fair?', "a<b", 'say "no"'))
    config = parse(config_of(ontology))
    assert [option.value for option in config.outputs[0].choices] == ["a<b", 'say "no"']
    assert {source.name for source in config.sources} == {"dialogue", "responses"}


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ([], "classifications"),
        ({"classifications": [asked("date", "When")]}, '"date"'),
        ({"classifications": [asked("radio", "R")]}, "no options"),
        ({"classifications": [{"type": "text"}]}, '"instructions" is missing'),
        ({"classifications": [asked("text", "T"), asked("text", "T")]}, "several"),
        ({"classifications": [asked("text", "T\x00")]}, "control signs"),
    ],
    ids=["none", "type", "options", "name", "twice", "signs"],
)
def test_an_ontology_that_cannot_be_used_is_refused(raw: JSON, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        read_ontology(raw)


def test_tools_are_named_as_left_out() -> None:
    raw = {"tools": [{"tool": "named-entity", "name": "Product"}], "classifications": []}
    assert read_ontology(raw).left_out == ("Product",)
