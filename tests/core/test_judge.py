"""A criterion becomes a plan: its columns are found, reasons come before the label, people's labels are read."""

from pathlib import Path

import pytest

from llm_backend.core.controls import bind
from llm_backend.core.forms import make_form
from llm_backend.core.inputs import Inputs
from llm_backend.core.judge import Criterion, Verdict, make_rubric, read_criterion
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Annotation, Prediction
from llm_backend.errors import RequestError

FOLDER = Path(__file__).parents[2] / "prompts" / "judge"
OURS = {file.stem: read_criterion(file.read_text("utf-8")) for file in FOLDER.glob("*.txt")}
POLITE = Criterion("Is {output} a polite answer to {input}?")


def choice(label: str, name: str = "label", **more: object) -> dict[str, object]:
    return {"from_name": name, "to_name": "output", "type": "choices", "value": {"choices": [label]}, **more}


def test_there_is_a_criterion_for_each_of_the_eight_meanings() -> None:
    assert set(OURS) == {
        *("faithfulness", "relevance", "answer_correctness", "summarization"),
        *("toxicity", "coherence", "hallucination", "instruction_following"),
    }
    assert {name for name, one in OURS.items() if one.pass_when == "0"} == {"toxicity", "hallucination"}
    assert {one.pass_when for one in OURS.values()} == {"0", "1"}


@pytest.mark.parametrize("name", OURS)
def test_ours_say_what_both_labels_mean_and_use_each_column_of_their_head(name: str) -> None:
    criterion = OURS[name]
    assert set(criterion.named) == set(criterion.columns)
    assert "Label 1 if" in criterion.text
    assert "Label 0 if" in criterion.text
    assert make_rubric(criterion, ["input", "output", "ground_truth"]).columns


def test_reasons_are_asked_for_before_the_label() -> None:
    rubric = make_rubric(POLITE, ["input", "output"])
    controls, unfillable = bind(parse(rubric.label_config, "prompt"), False)
    form = make_form({control.name: control for control in controls}, Inputs((), {}))
    assert not unfillable
    assert form.strict
    assert list(form.schema["properties"]) == ["explanation", "label"]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        pytest.param(["input", "output", "ground_truth"], ["input", "ground_truth", "output"], id="their own names"),
        pytest.param(["query", "response", "context"], ["query", "context", "response"], id="other names"),
        pytest.param(["Question", "Answer", "Context"], ["Question", "Context", "Answer"], id="other case"),
        pytest.param(["question", "answer", "reference", "context"], ["question", "context", "answer"], id="likeliest"),
    ],
)
def test_ours_know_the_columns_under_other_names(columns: list[str], found: list[str]) -> None:
    rubric = make_rubric(OURS["faithfulness"], columns)
    assert list(rubric.columns.values()) == found
    assert all(f"{{{column}}}" in rubric.prompt and f'"${column}"' in rubric.label_config for column in found)


@pytest.mark.parametrize(
    ("criterion", "columns", "labels", "sentence"),
    [
        pytest.param(
            *(OURS["faithfulness"], ["question", "text"], ()),
            "uses {ground_truth} (or context, retrieval_context, source, reference, expected_output), {output} (or "
            'answer, response, actual_output, prediction), which no column fills. The columns are "question", "text".',
            id="missing columns of ours",
        ),
        pytest.param(
            *(POLITE, ["question", "output"], ()),
            'uses {input}, which no column fills. The columns are "question", "output".',
            id="a placeholder that no column fills",
        ),
        pytest.param(Criterion("Polite?"), ["output"], (), "names no column", id="no placeholder"),
        pytest.param(Criterion("{labels}"), ["output"], (), "names no column", id="labels are no column"),
        pytest.param(
            Criterion("Is {Model Output} polite?"),
            ["Model Output", "n"],
            (),
            '{Model Output} is no placeholder: the name of a column in braces is made of letters, digits and "_". '
            "Give the column such a name in the dataset.",
            id="a column of two words",
        ),
        pytest.param(Criterion("Is {label}?"), ["label", "a"], (), "must not see", id="people's labels"),
        pytest.param(POLITE, ["input", "output"], ("1",), "two labels or more", id="one label"),
        pytest.param(POLITE, ["input", "output"], ("1", "1 "), "each told once", id="a label twice"),
        pytest.param(OURS["toxicity"], ["output"], ("yes", "no"), "passes with the label 0", id="other labels"),
    ],
)
def test_what_cannot_be_judged_is_said(
    criterion: Criterion, columns: list[str], labels: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(RequestError) as refused:
        make_rubric(criterion, columns, labels)
    assert sentence in refused.value.sentence


def test_other_braces_are_literal() -> None:
    rubric = make_rubric(Criterion('{output}: {{output}} {"a": 1} {labels}'), ["output"])
    assert (rubric.columns, rubric.prompt) == ({"output": "output"}, '{output}: {{output}} {"a": 1} {labels}')


def test_the_judge_sees_what_the_criterion_names_and_nothing_else() -> None:
    rubric = make_rubric(POLITE, ["input", "output", "label", "secret"])
    assert rubric.task({"input": "a", "output": "b", "label": "1", "secret": "c"}).data == {"input": "a", "output": "b"}


def test_columns_and_labels_of_any_name_make_a_config() -> None:
    rubric = make_rubric(Criterion("{explanation} {Größe}"), ["explanation", "Größe"], ['so "so"', "a<b & c"])
    config = parse(rubric.label_config, "prompt")
    assert [source.name for source in config.sources] == ["explanation_text", "Größe"]
    assert [choice.value for choice in config.outputs[1].choices] == ['so "so"', "a<b & c"]


@pytest.mark.parametrize(("told", "label"), [("1", "1"), (" 0 ", "0"), (1, "1"), (1.0, "1"), ("0.0", "0")])
def test_a_label_may_be_written_as_a_number(told: object, label: str) -> None:
    assert make_rubric(POLITE, ["input", "output"]).given({"label": told}) == Verdict(label)


@pytest.mark.parametrize("told", ["yes", 2, True, "nan", ["1"], {"a": 1}])
def test_a_label_that_is_none_is_refused(told: object) -> None:
    with pytest.raises(RequestError, match="is none of the labels 0, 1"):
        make_rubric(POLITE, ["input", "output"]).given({"label": told})


@pytest.mark.parametrize("told", [{}, {"label": None}, {"label": " "}, {"label": "1", "label_source": "llm"}])
def test_where_no_person_gave_a_label_there_is_none(told: dict[str, object]) -> None:
    assert make_rubric(POLITE, ["input", "output"]).given(told) is None


def test_annotations_give_labels_the_latest_that_was_not_skipped() -> None:
    rubric = make_rubric(POLITE, ["input", "output"])
    raw = [
        {"id": 1, "result": [choice("1")], "updated_at": "2026-11-20T10:00:00Z"},
        {"id": 2, "result": [choice("0")], "updated_at": "2026-11-20T11:00:00Z"},
        {"id": 3, "result": [choice("1")], "updated_at": "2026-11-20T12:00:00Z", "was_cancelled": True},
        {"id": 4, "result": [choice("1", "other")], "updated_at": "2026-11-20T13:00:00Z"},
    ]
    assert rubric.given({}, map(Annotation.from_json, raw)) == Verdict("0")


def test_a_verdict_is_read_from_a_prediction() -> None:
    rubric = make_rubric(POLITE, ["input", "output"])
    why = {"from_name": "explanation", "to_name": "output", "type": "textarea", "value": {"text": ["Kind."]}}
    prediction = Prediction.from_json({"result": [why, choice("1", score=0.75)]})
    assert rubric.verdict(prediction) == Verdict("1", "Kind.", 0.75)
    assert rubric.verdict(Prediction.from_json({"result": [why]})) is None


def test_a_persons_label_becomes_an_example_and_is_read_back() -> None:
    rubric = make_rubric(POLITE, ["input", "output"])
    example = rubric.correction("row-1", {"input": "a", "output": "b", "x": 1}, Verdict("1", "Kind."), "people", 5.0)
    assert example.data == {"input": "a", "output": "b"}
    assert not example.accepted
    assert rubric.learned(example) == Verdict("1", "Kind.")
    assert make_rubric(POLITE, ["input", "output"], ["good", "bad"]).learned(example) is None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" \n", "The criterion is empty"),
        ("name: a\n", "ends with its head"),
        ("name: a\nfoo\n\ntext {a}", 'has the line "foo"'),
    ],
)
def test_a_criterion_that_cannot_be_read_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(RequestError, match=sentence):
        read_criterion(text)


def test_a_file_may_have_a_head() -> None:
    criterion = read_criterion("name: Polite\npass_when: 1\nanswer: reply, output\n\nIs {answer} polite?\n")
    assert criterion == Criterion("Is {answer} polite?", "Polite", "1", {"answer": ("reply", "output")})
    assert make_rubric(criterion, ["reply"]).columns == {"answer": "reply"}
