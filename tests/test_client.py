"""A program labels a dataset with the client, against a real server on loopback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_backend.client import AutoEval, BuiltinMetrics, Metric, Refused
from llm_backend.core.chat import Call
from llm_backend.core.judge import read_criterion
from llm_backend.errors import KeyRefused, Unreachable
from llm_backend.services import criteria
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import listening, serving


def judge(call: Call) -> Reply:
    text = call.messages[-1].text
    if "poison" in text:
        return KeyRefused("m: the key is refused.")
    return {"explanation": "So it seems.", "label": str(int("yes" in text))}


@pytest.fixture
def model() -> ScriptedLLM:
    return ScriptedLLM(judge)


@pytest.fixture
def url(tmp_path: Path, model: ScriptedLLM) -> Iterator[str]:
    guarded = {"basic_auth_user": "ann", "basic_auth_pass": "secret"}
    with serving(model, tmp_path / "server", **guarded) as host, listening(host) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def client(url: str) -> AutoEval:
    return AutoEval(api_token="ann:secret", base_url=url)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "answers.csv"
    file.write_text("input,output,ground_truth\nq,yes it is,yes\nq,no way,yes\n")
    return file


def records(frame: Any) -> list[dict[str, Any]]:
    """Rows, with pandas or without."""
    found: list[dict[str, Any]] = frame if isinstance(frame, list) else frame.to_dict("records")
    return found


def test_the_calls_of_the_snippet_label_a_dataset(client: AutoEval, data: Path, tmp_path: Path) -> None:
    dataset_id = client.upload_dataset(file_path=str(data), name="answers", description="two of them")
    job_id = client.label_dataset(
        dataset_id=dataset_id, prompt_template=BuiltinMetrics.FAITHFULNESS, wait_for_completion=False
    )
    client.wait_for_label_dataset_job(job_id, interval=0.01)
    labelled = client.download_dataset(dataset_id, output_file_path=tmp_path / "labelled.csv")
    assert [str(row["label_source"]) for row in records(labelled)] == ["llm", "llm"]
    assert [str(row["output"]) for row in records(labelled)] == ["yes it is", "no way"]
    assert (tmp_path / "labelled.csv").read_text().startswith("input,output,ground_truth,label,label_source,")


def test_examples_go_along_and_the_call_may_wait(client: AutoEval, data: Path, model: ScriptedLLM) -> None:
    dataset_id = client.upload_dataset(data)
    examples = [{"output": "perhaps", "label": "good"}]
    template = "Is {output} clear?"
    client.label_dataset(dataset_id, template, examples, wait_for_completion=True, labels=["good", "bad"])
    assert "Is perhaps clear?" in [message.text for message in model.calls[0].messages]


def test_every_metric_is_one_that_the_server_has() -> None:
    named = {metric.name for metric in vars(BuiltinMetrics).values() if isinstance(metric, Metric)}
    assert named == set(criteria())
    assert all(read_criterion(text).pass_when for text in criteria().values())


def test_faults_are_sentences(client: AutoEval, data: Path, tmp_path: Path, url: str) -> None:
    dataset_id = client.upload_dataset(data)
    with pytest.raises(ValueError, match=r"uses \{text\}, which no column of the dataset fills; its columns are input"):
        client.label_dataset(dataset_id, "Is {text} clear?")
    with pytest.raises(ValueError, match="cannot be read"):
        client.upload_dataset(tmp_path / "missing.csv")
    with pytest.raises(Refused, match="There is no dataset x"):
        client.download_dataset("x")
    with pytest.raises(Refused, match="User name or password"):
        AutoEval(base_url=url, api_token="ann:wrong").upload_dataset(data)
    with pytest.raises(Unreachable, match=r"No answer from http://127\.0\.0\.1:9/.*: nothing listens there\. Start"):
        AutoEval(base_url="http://127.0.0.1:9").upload_dataset(data)


def test_a_paused_job_is_a_runtime_error(client: AutoEval, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(json.dumps({"output": "poison"}))
    dataset_id = client.upload_dataset(tmp_path / "bad.jsonl")
    job_id = client.label_dataset(dataset_id, "Is {output} clear?")
    with pytest.raises(RuntimeError, match="is paused: m: the key is refused"):
        client.wait_for_label_dataset_job(job_id, interval=0.01)


def test_waiting_looks_ever_less_often_and_ends_in_time(client: AutoEval) -> None:
    looked: list[str] = []

    class Never:
        def ask(self, path: str, holds: str) -> dict[str, Any]:
            looked.append(path)
            return {"state": "running", "done": 3, "total": 9}

    now, pauses = [0.0], []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        now[0] += seconds

    client._server = Never()  # type: ignore[assignment]
    with pytest.raises(TimeoutError, match="3 of 9 rows are done"):
        client.wait_for_label_dataset_job("j", timeout=1000, clock=lambda: now[0], sleep=sleep)
    assert pauses == [30, 60, 120, 240, 300, 250]
    assert set(looked) == {"jobs/j"}


def test_importing_the_client_brings_no_server_along() -> None:
    look = "import sys, llm_backend.client; print({'flask', 'openai', 'click', 'aiohttp', 'redis'} & set(sys.modules))"
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert seen.stdout.strip() == "set()"
