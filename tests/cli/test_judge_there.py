"""A dataset is judged by a running server: handed over from a shell, and its labels fetched."""

import csv
import json
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from llm_backend.core.chat import Call
from llm_backend.errors import KeyRefused, ProviderRefused
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serve import Server, until
from tests.support.serving import Caller, listening, serving, task
from tests.support.shell import invoke
from tests.support.stub_model import StubModel

POLITE = "Is {reply} polite?"


def polite(call: Call) -> Reply:
    text = call.messages[-1].text
    if "poison" in text:
        return ProviderRefused("m: the model declined.")
    if "no key" in text:
        return KeyRefused("m: the key is refused.")
    return {"explanation": "So it seems.", "label": str(int("please" in text))}


class Judge(ScriptedLLM):
    """A model whose mind may change."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.says: Callable[[Call], Reply] = polite

    def _answer(self, call: Call) -> Reply:
        return self.says(call)


@pytest.fixture
def model() -> Judge:
    return Judge()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Judge) -> Iterator[Caller]:
    """A server; the current folder has no .env of a developer, and there is no key here."""
    monkeypatch.chdir(tmp_path)
    with serving(model, tmp_path / "server") as host:
        yield host


@pytest.fixture
def here(host: Caller) -> Iterator[str]:
    with listening(host) as port:
        yield f"--port={port}"


def judge(*words: str) -> Result:
    return invoke("judge", *words)


def table(text: str = "n,reply\n1,please\n2,no\n3,please do\n", name: str = "data.csv") -> str:
    Path(name).write_text(text, encoding="utf-8")
    return name


def held(name: str = "out.csv") -> list[dict[str, str]]:
    with open(name, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def typed(told: Result) -> list[list[str]]:
    """The commands that a person is told to go on with."""
    lines = (line.partition("llm-backend ")[2] for line in told.stderr.splitlines())
    return [shlex.split(line) for line in lines if line]


def test_a_dataset_is_handed_over_and_the_commands_told_follow_and_fetch_it(host: Caller, here: str) -> None:
    begun = judge(table(), "--criterion", POLITE, "--no-wait", here)
    assert begun.exit_code == 0, begun.stderr
    job_id = begun.stdout.strip()
    watch, fetch = typed(begun)
    assert invoke(*watch).exit_code == 0
    fetched = invoke(*fetch)
    assert fetched.exit_code == 0, fetched.stderr
    assert fetched.stdout.endswith(f"Job {job_id} is completed: 3 answered.\nWritten to judged.csv: 3 rows.\n")
    assert [(row["n"], row["label"], row["label_source"]) for row in held("judged.csv")] == [
        ("1", "1", "llm"),
        ("2", "0", "llm"),
        ("3", "1", "llm"),
    ]
    assert job_id in invoke("jobs", here).stdout


def test_a_server_that_is_named_judges_and_is_waited_for(host: Caller, here: str) -> None:
    url = f"--url=http://127.0.0.1:{here.partition('=')[2]}"
    told = judge(table(), "--criterion", "relevance", "--output", "out.csv", url)
    assert told.exit_code == 2
    assert "uses {input} (or question" in told.stderr
    assert host.http.get("/datasets").get_json() == {"datasets": []}  # what cannot be judged is not left behind
    told = judge(table(), "--criterion", POLITE, "--output", "out.csv", url)
    assert told.exit_code == 0, told.stderr
    assert [row["label"] for row in held()] == ["1", "0", "1"]


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_labels_are_written_as_the_outputs_name_says(host: Caller, here: str, ending: str) -> None:
    job_id = judge(table(), "--criterion", POLITE, "--no-wait", here).stdout.strip()
    assert judge("--job", job_id, "--output", f"out.{ending}", here).exit_code == 0
    text = Path(f"out.{ending}").read_text()
    rows = json.loads(text) if ending == "json" else list(map(json.loads, text.splitlines()))
    assert [(row["n"], row["label"]) for row in rows] == [("1", 1), ("2", 0), ("3", 1)]


def test_a_criterion_of_a_file_labels_and_examples_reach_the_server(host: Caller, here: str, model: Judge) -> None:
    Path("tone.txt").write_text("name: Tone\npass_when: good\nreply: said\n\nWhich tone has {reply}?")
    table("said,mark\nplease,\nno,poor\n")
    table("said,mark\nplease do,good\n", "known.csv")
    model.says = lambda call: {"explanation": "x", "label": "good"}
    words = ("--labels", "good,poor", "--label-column", "mark", "--few-shot", "known.csv")
    told = judge("data.csv", "--criterion", "tone.txt", *words, "--no-wait", here)
    assert told.exit_code == 0, told.stderr
    assert judge("--job", told.stdout.strip(), "--output", "out.csv", here).exit_code == 0
    assert [(row["mark"], row["label_source"]) for row in held()] == [("good", "llm"), ("poor", "human")]
    assert any("please do" in message.text for message in model.calls[0].messages)
    (dataset,) = host.http.get("/datasets").get_json()["datasets"]  # the examples have served their turn
    assert (dataset["name"], dataset["metric"]) == ("data.csv", "Tone")


def test_rows_without_a_label_are_told_and_asked_for_again(host: Caller, here: str, model: Judge) -> None:
    job_id = judge(table("reply\nplease\npoison\n"), "--criterion", POLITE, "--no-wait", here).stdout.strip()
    told = judge("--job", job_id, "--output", "out.csv", here)
    assert told.exit_code == 1
    assert f"Job {job_id} is completed: 1 answered, 1 failed." in told.stdout
    assert held()[1]["error"] == "m: the model declined."
    retry = told.stdout.partition("again: llm-backend ")[2]
    model.says = lambda call: {"explanation": "x", "label": "0"}
    assert invoke(*shlex.split(retry)).exit_code == 0
    assert judge("--job", job_id, "--output", "out.csv", "--overwrite", here).exit_code == 0
    assert [row["label"] for row in held()] == ["1", "0"]


def test_of_a_cancelled_job_what_is_done_is_kept(host: Caller, here: str) -> None:
    text = "reply\nplease\nno key\n" + "".join(f"{n}\n" for n in range(500))
    job_id = judge(table(text), "--criterion", POLITE, "--no-wait", here).stdout.strip()
    until(lambda: host.http.get(f"/jobs/{job_id}").get_json()["state"] == "paused", 30.0)
    early = judge("--job", job_id, "--output", "early.csv", "--no-wait", here)
    assert early.exit_code == 1
    assert "is paused (m: the key is refused.)" in early.stdout
    assert {row["error"] for row in held("early.csv")} <= {"", "It was not asked yet.", "m: the key is refused."}
    assert invoke("jobs", "cancel", job_id, here).exit_code == 0
    late = judge("--job", job_id, "--output", "late.csv", here)
    assert late.exit_code == 1
    assert "is cancelled" in late.stdout
    rows = held("late.csv")
    assert rows[0]["label"] == "1"
    assert {row["error"] for row in rows if not row["label"]} <= {
        "It was not asked: the job was cancelled.",
        "m: the key is refused.",
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--job", "abc", "--no-wait"), "--job goes with --output FILE"),
        (("data.csv", "--job", "abc", "--output", "out.csv"), "--job goes with --output FILE"),
        (("--criterion", POLITE, "--no-wait"), "Say what to judge, and by what"),
        (("data.csv", "--no-wait"), "Say what to judge, and by what"),
        (("data.csv", "--criterion", POLITE, "--url", "http://x"), "Say where to: --output FILE; or --no-wait."),
        (("data.csv", "--criterion", POLITE, "--no-wait", "--review", "3"), "A running server judges without --review"),
        (("data.csv", "--criterion", POLITE, "--no-wait", "--retry"), "A running server judges without --review"),
        (("data.csv", "--criterion", POLITE, "--no-wait", "--output", "out.xml"), "ends in .json, .jsonl or .csv"),
        (("data.csv", "--criterion", "politness", "--no-wait"), 'There is no criterion and no file "politness"'),
        (("data.csv", "--criterion", POLITE, "--no-wait", "--port", "1"), "No answer from http://127.0.0.1:1/"),
        (("--job", "a/b", "--output", "out.csv"), "'a/b' is no run's id"),
    ],
)
def test_what_does_not_go_together_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    table()
    told = judge(*words)
    assert (told.exit_code, sentence in told.stderr) == (2, True), told.stderr


def test_a_job_that_labels_no_dataset_or_is_unknown_is_told_so(host: Caller, here: str) -> None:
    told = judge("--job", "0123456789ab", "--output", "out.csv", here)
    assert (told.exit_code, "0123456789ab" in told.stderr) == (2, True)
    host.setup()
    host.batch(task(1))
    (job,) = host.http.get("/jobs").get_json()["jobs"]
    told = judge("--job", job["id"], "--output", "out.csv", here)
    assert (told.exit_code, "labels no dataset" in told.stderr) == (2, True)
    assert not Path("out.csv").exists()


def test_of_a_dataset_that_was_judged_anew_only_the_last_job_has_labels(host: Caller, here: str) -> None:
    first = judge(table(), "--criterion", POLITE, "--no-wait", here).stdout.strip()
    (dataset,) = host.http.get("/datasets").get_json()["datasets"]
    body = {"prompt_template": "Is {reply} kind?"}
    second = host.http.post(f"/datasets/{dataset['id']}/label", json=body).get_json()["job_id"]
    told = judge("--job", first, "--output", "out.csv", here)
    assert (told.exit_code, f"--job {second}" in told.stderr) == (2, True)


def test_a_dataset_that_is_too_large_for_the_server_is_told_so(tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_text("reply\n" + "words of it\n" * 500_000)
    with StubModel() as stub, Server(stub, tmp_path, MAX_BODY_MB="1") as server:
        told = judge(str(large), "--criterion", POLITE, "--no-wait", f"--port={server.port}")
    assert (told.exit_code, told.stderr) == (2, "Error: The body is larger than 1 MB, the limit set by MAX_BODY_MB.\n")
