"""A Taxonomy takes whole paths of its tree."""

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError
from tests.support.controls import by_person, config_of, made, one

TREE = (
    '<Choice value="Animal">'
    '<Choice value="Bird" alias="b"><Choice value="Owl"/></Choice><Choice value="Other"/>'
    "</Choice>"
    '<Choice value="Plant" alias="p"><Choice value="Other"/></Choice>'
    '<Choice value="Animal"><Choice value="Dragon"/></Choice>'
)


def taxonomy(attrs: str = "", tree: str = TREE) -> str:
    return f'<Taxonomy name="kind" toName="text" {attrs}>{tree}</Taxonomy>'


ANY, LEAFS = taxonomy(), taxonomy('leafsOnly="true"')


@pytest.mark.parametrize(
    ("tag", "answer", "held"),
    [
        pytest.param(ANY, ["Animal / Bird / Owl"], [["Animal", "b", "Owl"]], id="whole path"),
        pytest.param(ANY, ["Animal / Bird", "Plant"], [["Animal", "b"], ["p"]], id="inner entries"),
        pytest.param(ANY, ["owl"], [["Animal", "b", "Owl"]], id="lone name that the tree has once"),
        pytest.param(ANY, [["Animal", "Other"]], [["Animal", "Other"]], id="list of names"),
        pytest.param(ANY, "p / Other", [["p", "Other"]], id="one without a list, by alias"),
        pytest.param(ANY, ["Plant", "plant", "p"], [["p"]], id="the same thrice"),
        pytest.param(
            LEAFS, ["Animal / Bird / Owl", "Plant / Other"], [["Animal", "b", "Owl"], ["p", "Other"]], id="leafs"
        ),
        pytest.param(LEAFS, ["Plant", "Other"], [["p", "Other"]], id="a path as the whole list"),
        pytest.param(ANY, [], None, id="none applies"),
    ],
)
def test_entries_are_stored_as_paths_from_the_root(tag: str, answer: JSON, held: JSON) -> None:
    assert made(tag, answer) == (None if held is None else {"taxonomy": held})


@pytest.mark.parametrize(
    ("tag", "answer", "words"),
    [
        pytest.param(ANY, ["Other"], "several options like", id="lone name that the tree has twice"),
        pytest.param(ANY, ["Plant / Bird"], "the model gave", id="child of another"),
        pytest.param(ANY, ["Bird / Owl"], "the model gave", id="not from the root"),
        pytest.param(ANY, ["Animal / Dragon"], "the model gave", id="below a sibling that the editor drops"),
        pytest.param(LEAFS, ["Animal"], 'takes an entry below "Animal"', id="not a leaf"),
        pytest.param(LEAFS, ["Animal / Bird"], "takes an entry below", id="not a leaf, deeper"),
        pytest.param(ANY, [["Animal", ["Bird"]]], "the model gave", id="too many brackets"),
        pytest.param(ANY, {"taxonomy": []}, "the model gave", id="object"),
    ],
)
def test_anything_else_is_refused(tag: str, answer: JSON, words: str) -> None:
    with pytest.raises(AnswerError) as refusal:
        made(tag, answer)
    assert words in refusal.value.sentence


def test_no_more_than_max_usages_are_taken() -> None:
    tag = taxonomy('maxUsages="1"')
    control, inputs = one(tag)
    assert control.schema(inputs)["maxItems"] == 1
    assert control.describe(inputs).startswith("a list of at most 1 of these (empty if none applies): ")
    assert made(tag, ["Plant", "p"]) == {"taxonomy": [["p"]]}
    with pytest.raises(AnswerError, match=r'"kind" takes at most 1; the model gave 2\.'):
        made(tag, ["Plant", "Animal"])


def test_the_question_offers_whole_paths() -> None:
    control, inputs = one(LEAFS)
    assert control.schema(inputs) == {
        "type": "array",
        "items": {"type": "string", "enum": ["Animal / Bird / Owl", "Animal / Other", "Plant / Other"]},
    }


@pytest.mark.parametrize(
    ("tag", "value", "answer"),
    [
        (ANY, {"taxonomy": [["Animal", "b", "Owl"], ["p"]]}, ["Animal / Bird / Owl", "Plant"]),
        (LEAFS, {"taxonomy": [["Animal", "b"], ["p", "Other"]]}, ["Plant / Other"]),
        (ANY, {"taxonomy": [["added by a person"]]}, None),
        (ANY, {"taxonomy": []}, None),
    ],
)
def test_a_persons_entries_are_read(tag: str, value: JSON, answer: JSON) -> None:
    assert by_person(tag, value) == answer


def test_entries_of_the_task_are_offered() -> None:
    tag = taxonomy('value="$tree"', '<Choice value="None"/>')
    data = {"tree": [{"value": "A", "children": [{"value": "B", "alias": "b"}]}]}
    assert made(tag, ["A / B", "none"], data) == {"taxonomy": [["A", "b"], ["None"]]}


@pytest.mark.parametrize(
    ("attrs", "words"),
    [('apiUrl="$url"', "(apiUrl)"), ('labeling="true"', 'labeling="true"')],
    ids=["apiUrl", "labeling"],
)
def test_what_a_model_cannot_fill_is_said(attrs: str, words: str) -> None:
    controls, (other,) = bind(config_of(taxonomy(attrs)))
    assert controls == ()
    assert words in other.reason
