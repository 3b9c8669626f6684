"""What a run keeps, and finds again."""

import pytest

from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Spec
from llm_backend.core.wire import JSON

STORED = {
    "project": "1.1",
    "version": "m-1",
    "label_config": "<View/>",
    "prompt": ["Classify", "submitted"],
    "source": "predict",
}


@pytest.mark.parametrize(
    ("stored", "parameters"),
    [
        pytest.param(["m", 0.5, 3], Parameters("m", 0.5, 3), id="of a version without geometry"),
        pytest.param([None, 0.7, 1, True], Parameters(fill_geometry=True), id="with geometry"),
    ],
)
def test_a_stored_spec_is_read(stored: JSON, parameters: Parameters) -> None:
    spec = Spec("1.1", "m-1", "<View/>", Prompt("Classify", "submitted"), parameters)
    assert Spec.from_json({**STORED, "parameters": stored}) == spec
    assert Spec.from_json(spec.to_json()) == spec


def test_a_stored_spec_keeps_what_goes_along() -> None:
    parameters = Parameters(few_shot=3)
    spec = Spec("1.1", "m-1", "<View/>", Prompt("Classify", "submitted"), parameters, publication="p1")
    assert Spec.from_json(spec.to_json()) == spec
