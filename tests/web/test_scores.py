"""Scores of predictions, from the model's tokens to what the host stores."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.chat import Call, Completion
from tests.support.scripted import ScriptedLLM
from tests.support.serving import PROJECT, Caller, serving, task

TABLE = {"knots": [[0.0, 0.1], [0.5, 0.3], [1.0, 0.7]], "count": 60}


def unsure(call: Call) -> Completion:
    """`Negative` with a probability of one half, where that is asked for."""
    pieces = [('{"response": "Well", "sentiment": "', 1.0), ("Neg", 0.5), ("ative", 1.0), ('"}', 1.0)]
    tokens = [{"token": piece, "logprob": math.log(p)} for piece, p in pieces]
    text = "".join(piece for piece, _ in pieces)
    return Completion((text,) * call.n, ("stop",) * call.n, ({"content": tokens},) if call.logprobs else ())


def predicted(host: Caller, ident: int) -> Any:
    (prediction,) = host.batch(task(ident))
    return prediction


def calibrate(host: Caller, body: Any, project: str = PROJECT) -> Any:
    return host.http.post(f"/projects/{project}/calibration", data=json.dumps(body))


def test_predictions_say_how_sure_the_model_is(tmp_path: Path) -> None:
    with serving(ScriptedLLM(unsure), tmp_path, score="logprobs") as host:
        prediction = predicted(host, 1)
        assert prediction["score"] == pytest.approx(0.5)
        assert [region.get("score") for region in prediction["result"]] == [None, pytest.approx(0.5)]


def test_by_default_nobody_asks_how_sure_it_is(tmp_path: Path) -> None:
    with serving(llm := ScriptedLLM(unsure), tmp_path) as host:
        assert predicted(host, 1)["score"] is None
        assert not llm.calls[0].logprobs


def test_a_project_asks_in_its_own_way_and_has_a_version_of_its_own(tmp_path: Path) -> None:
    with serving(llm := ScriptedLLM(unsure), tmp_path) as host:
        before = host.setup()
        after = host.setup(extra_params={"score": 3})
        assert before != after
        assert predicted(host, 1)["score"] == 1.0
        assert llm.calls[0].n == 3


def test_scores_become_what_they_have_been_worth(tmp_path: Path) -> None:
    with serving(ScriptedLLM(unsure), tmp_path, score="logprobs") as host:
        version = host.setup()
        assert calibrate(host, TABLE).get_json()["calibration"] == TABLE
        prediction = predicted(host, 1)
        assert prediction["score"] == pytest.approx(0.3)
        assert prediction["result"][1]["score"] == pytest.approx(0.5)  # as the model has it
        assert host.setup() == version
        assert calibrate(host, None).get_json()["calibration"] is None


@pytest.mark.parametrize("body", [{}, {"knots": [[1, 0], [0, 1]]}, [1], "x"])
def test_what_is_no_calibration_is_refused_in_a_sentence(tmp_path: Path, body: Any) -> None:
    with serving(ScriptedLLM(unsure), tmp_path) as host:
        host.setup()
        refused = calibrate(host, body)
        assert refused.status_code == 400
        assert "calibration is" in refused.get_json()["error"]
        assert calibrate(host, TABLE, "9.9").status_code == 404
