"""A dataset through a labeling config, from a shell."""

import csv
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from llm_backend.backend.datasets import Progress
from llm_backend.cli import main
from llm_backend.cli.asking import ask_dataset
from llm_backend.cli.label import Job
from llm_backend.cli.label_progress import Obstacle
from llm_backend.core.chat import LLM, Call
from llm_backend.core.wire import Task
from llm_backend.errors import KeyRefused, ProviderRefused, Unreachable
from llm_backend.services import open_for_dataset
from llm_backend.settings import Settings
from tests.support.scripted import Reply, ScriptedLLM, prefers
from tests.support.shell import ended, environ
from tests.support.stub_model import StubModel

CONFIG = """<View><Text name="text" value="$text"/>
<Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices></View>"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(CONFIG)
    return tmp_path


def tone(call: Call) -> Reply:
    text = next(message.text for message in call.messages if message.role == "user")
    if "poison" in text:
        return ProviderRefused("m: the model declined.")
    return {"tone": "bad" if "bad" in text else "good"}


def rows(*texts: str, name: str = "data.csv") -> Path:
    with open(name, "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["text"], *([text] for text in texts)])
    return Path(name)


def numbered(count: int) -> list[str]:
    return [f"{'bad' if number % 3 else 'good'} row {number}" for number in range(count)]


def labelled(llm: LLM, data: Path, output: str = "out.json", prompt: str | None = None, **more: Any) -> int:
    job = Job(data, Path("config.xml"), Path(output), prompt, more.pop("retry", False))
    return ask_dataset(replace(Settings(api_key="test-key"), **more), job, llm)


def tones(output: str = "out.json") -> list[tuple[str, str | None]]:
    """The text and the answer of each task, in order."""
    return [
        (
            task["data"]["text"],
            task["predictions"][0]["result"][0]["value"]["choices"][0] if task["predictions"] else None,
        )
        for task in json.loads(Path(output).read_text("utf-8"))
    ]


def right(texts: list[str]) -> list[tuple[str, str | None]]:
    return [(text, "bad" if "bad" in text else "good") for text in texts]


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ("label", *words), env={"OPENAI_API_KEY": "k", **environ}, prog_name="llm-backend")


def test_every_row_is_answered_in_order_and_nothing_else_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    texts = numbered(40)
    assert labelled(ScriptedLLM(tone), rows(*texts)) == 0
    assert tones() == right(texts)
    assert not Path("out.json.state").exists()
    said = capsys.readouterr().out
    assert said.startswith("40 rows of data.csv: 40 answered, 0 failed.\ntest-model-")
    assert "40 calls, 400 + 200 tokens.\nWritten to out.json.\n" in said


def test_rows_that_hold_the_same_are_asked_once_and_each_gets_the_answer() -> None:
    llm = ScriptedLLM(tone)
    tasks = [{"id": number, "data": {"text": f"bad {number % 2}"}} for number in range(10)]
    Path("data.json").write_text(json.dumps(tasks))
    assert labelled(llm, Path("data.json")) == 0
    assert tones() == [(f"bad {number % 2}", "bad") for number in range(10)]
    assert [task["id"] for task in json.loads(Path("out.json").read_text())] == list(range(10))
    assert len(llm.calls) == 2


def test_a_failed_row_tells_why_and_the_rest_is_kept_for_the_next_time(capsys: pytest.CaptureFixture[str]) -> None:
    data = rows("good 1", "poison", "bad 2", "away")
    first = ScriptedLLM(lambda call: Unreachable("m: no answer.") if "away" in call.messages[1].text else tone(call))
    assert labelled(first, data, "out.csv") == 1
    with open("out.csv", encoding="utf-8", newline="") as stream:
        held = list(csv.DictReader(stream))
    assert [row["tone"] for row in held] == ["good", "", "bad", ""]
    assert [row["error"] for row in held] == ["", "m: the model declined.", "", "m: no answer."]
    assert [bool(row["model_version"]) for row in held] == [True, False, True, False]
    said = capsys.readouterr().out
    assert "4 rows of data.csv: 2 answered, 2 failed.\n" in said
    assert "  1 row (line 3): m: the model declined.\n" in said
    assert "kept in out.csv.state. The same command asks again for the others; for 1 of them add --retry.\n" in said

    again = ScriptedLLM(tone)
    assert labelled(again, data, "out.csv") == 1
    assert ["away" in call.messages[1].text for call in again.calls] == [True]
    assert "To ask for the others again, add --retry." in capsys.readouterr().out

    better = ScriptedLLM({"tone": "good"})
    assert labelled(better, data, "out.csv", retry=True) == 0
    assert len(better.calls) == 1
    assert not Path("out.csv.state").exists()


def test_what_another_order_did_not_bear_out_is_told_row_by_row(capsys: pytest.CaptureFixture[str]) -> None:
    texts = '<Text name="a" value="$a"/><Text name="b" value="$b"/><TextArea name="why" toName="a"/>'
    Path("config.xml").write_text(f'<View>{texts}<Pairwise name="better" toName="a,b"/></View>')
    Path("data.jsonl").write_text("\n".join(json.dumps({"a": a, "b": b}) for a, b in ("xy", "zx", "zz")))
    llm = ScriptedLLM(lambda call: {"why": "So."} | prefers("x")(call))
    assert labelled(llm, Path("data.jsonl"), "out.csv") == 0
    with open("out.csv", encoding="utf-8", newline="") as stream:
        held = [(row["better"], row["error"].partition(",")[0]) for row in csv.DictReader(stream)]
    assert held == [("left", ""), ("right", ""), ("", 'Asked again with "a" and "b" exchanged')]
    said = capsys.readouterr().out
    assert "3 rows of data.jsonl: 3 answered (1 of them with a field left empty or unsure), 0 failed." in said
    assert "6 calls, 60 + 30 tokens" in said


@pytest.mark.parametrize("change", ["prompt", "config", "model"])
def test_another_prompt_config_or_model_asks_anew(change: str) -> None:
    data = rows("good 1", "poison")
    assert labelled(ScriptedLLM(tone), data) == 1
    if change == "config":
        Path("config.xml").write_text(CONFIG.replace('value="bad"', 'value="worse"'))
    llm = ScriptedLLM({"tone": "good"}, model="other" if change == "model" else "test-model")
    assert labelled(llm, data, prompt="Which tone?" if change == "prompt" else None) == 0
    assert len(llm.calls) == 2


def test_a_refused_key_ends_the_command_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    texts = numbered(50)
    data = rows(*texts)
    refused = ScriptedLLM(*[{"tone": "good"}] * 5, KeyRefused("m: the key is refused; set OPENAI_API_KEY."))
    assert labelled(refused, data, llm_concurrency=1) == 1
    assert len(refused.calls) < 10
    said = capsys.readouterr().err
    assert "Answers are kept in out.json.state; run the same command again to go on.\n" in said
    assert said.endswith("Error: m: the key is refused; set OPENAI_API_KEY.\n")
    assert not Path("out.json").exists()
    llm = ScriptedLLM(tone)
    assert labelled(llm, data) == 0
    assert len(llm.calls) == 45


def test_unusable_rows_are_named_and_skipped(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data.jsonl").write_text('{"text": "bad"}\n{"text": \n{"txt": "good"}\n{"text": "good"}\n')
    assert labelled(ScriptedLLM(tone), Path("data.jsonl")) == 1
    held = json.loads(Path("out.json").read_text())
    assert [(task["data"], len(task["predictions"])) for task in held] == [
        ({"text": "bad"}, 1),
        ({"txt": "good"}, 0),
        ({"text": "good"}, 1),
    ]
    said = capsys.readouterr()
    assert said.err == "data.jsonl line 2 is skipped: it is not JSON (Expecting value).\n"
    assert "4 rows of data.jsonl: 2 answered, 1 failed, 1 skipped.\n" in said.out
    assert (
        '  1 row (line 3): <Text name="text"> shows "$text", which the task does not have; it has "txt".\n' in said.out
    )


@pytest.mark.parametrize(
    ("name", "held", "config", "sentence"),
    [
        pytest.param("a.csv", "", CONFIG, "a.csv holds no rows: there is nothing to label.", id="empty"),
        pytest.param("a.jsonl", "[1]\n", CONFIG, "a.jsonl holds no row that can be used.", id="nothing usable"),
        pytest.param(
            *("a.csv", "id,txt\n1,one\n", CONFIG),
            'config.xml shows $text; a.csv has the columns "id", "txt". Rename the column, or the value in the config.',
            id="missing column",
        ),
        pytest.param("a.csv", "text\none\n", "<View/>", "there is nothing to fill", id="empty config"),
        pytest.param("a.csv", "text\none\n", "<View>", "labeling config", id="broken config"),
        pytest.param(
            *("a.csv", "text\none\n", '<View><Image name="i" value="$text"/><BrushLabels name="b" toName="i"/></View>'),
            "Nothing here that a model can fill",
            id="a config that no model can fill",
        ),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_asked(name: str, held: str, config: str, sentence: str) -> None:
    Path(name).write_text(held)
    Path("config.xml").write_text(config)
    llm = ScriptedLLM(tone)
    with pytest.raises(ClickException) as refused:
        labelled(llm, Path(name))
    assert sentence in refused.value.message
    assert refused.value.exit_code == 2
    assert llm.calls == []
    assert not Path("out.json.state").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Missing argument 'DATA'"),
        (("data.csv", "--output", "out.json"), "Missing option '--config'"),
        (("data.csv", "--config", "config.xml", "--output", "out.txt"), "the output ends in .json, .jsonl or .csv."),
        (
            ("data.csv", "--config", "config.xml", "--output", "data.csv", "--overwrite"),
            "give the output another name.",
        ),
        (("data.csv", "--config", "config.xml", "--output", "old.json"), "give another name, or --overwrite."),
        (("config.xml", "--config", "config.xml", "--output", "out.json"), "a dataset's name ends in"),
        (("data.csv", "--config", "config.xml", "--output", "out.json", "--set", "TPM=no"), 'TPM="no"'),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...], sentence: str) -> None:
    rows("good")
    Path("old.json").write_text("[]")
    said = run(*words)
    assert said.exit_code == 2
    assert sentence in said.stderr
    assert Path("old.json").read_text() == "[]"


def test_help_teaches_with_an_example() -> None:
    assert "llm-backend label reviews.csv --config config.xml --output labelled.json" in run("--help").stdout


def test_two_commands_on_one_output_are_refused() -> None:
    data = rows("good")
    services = open_for_dataset(Settings(api_key="k"), Path("out.json.state"), ScriptedLLM(tone))
    try:
        with pytest.raises(ClickException) as refused:
            labelled(ScriptedLLM(tone), data)
        assert refused.value.message == (
            f"out.json.state is in use: process {os.getpid()} works on out.json, too. "
            "Wait until it has ended, or give another --output."
        )
        assert Path("out.json.state").is_dir()
    finally:
        services.close()


def test_a_folder_that_cannot_be_made_is_named_and_no_setting_is() -> None:
    data = rows("good")
    Path("out.json.state").write_text("a file of somebody else's")
    with pytest.raises(ClickException, match=r'^".*/out\.json\.state" cannot be used \(File exists\): give a folder'):
        labelled(ScriptedLLM(tone), data)


def test_a_dataset_comes_in_parts_and_is_read_no_faster_than_it_is_asked() -> None:
    texts = numbered(100)
    read: list[str] = []
    ahead: list[int] = []
    llm = ScriptedLLM(lambda call: (ahead.append(len(read) - len(llm.calls)), tone(call))[1])

    def tasks() -> Iterator[Task]:
        for text in texts:
            read.append(text)
            yield Task(None, {"text": text})

    services = open_for_dataset(Settings(api_key="k", llm_concurrency=2), Path("state"), llm)
    try:
        dataset = services.backend.datasets.open(CONFIG, part=10)
        told: list[Progress] = []
        progress = services.loop.run(dataset.ask(tasks(), told.append))
        answers = list(dataset.answers([Task(None, {"text": text}) for text in texts]))
    finally:
        services.close()
    assert (progress.answered, progress.failed, progress.asked) == (100, 0, 100)
    assert max(ahead) <= 20
    assert [answer.prediction.result[0].value["choices"] for answer in answers if answer.prediction] == [
        [answer] for _, answer in right(texts)
    ]


# Real processes


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "llm_backend", "label", "data.csv", "--config", "config.xml", *more]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["kill -9", "Ctrl-C"])
def test_the_same_command_goes_on_where_it_was_ended(how: int) -> None:
    texts = numbered(80)
    rows(*texts)
    with StubModel(latency=0.05) as stub:
        first = ended(command("--output", "out.json"), stub, how, after=30)
        assert not Path("out.json").exists()
        if how == signal.SIGINT:
            assert first.returncode == 130
            assert "Answers are kept in out.json.state; run the same command again to go on.\n" in first.stderr
            assert "Traceback" not in first.stderr
        asked = len(stub.asked)
        again = subprocess.run(
            command("--output", "out.json"), env=environ(stub), capture_output=True, text=True, timeout=60
        )
        total = len(stub.asked)
    assert again.returncode == 0, again.stderr
    assert asked < 80
    assert total <= 80 + 4  # nothing is paid for twice but the calls in flight
    assert tones() == right(texts)
    assert not Path("out.json.state").exists()


NO_CONNECTION = "no connection. Is the server running, and OPENAI_BASE_URL right? Trying again."


def test_a_model_that_cannot_be_reached_is_told_while_it_is_tried_again() -> None:
    rows(*numbered(20))
    with StubModel() as stub:
        address = stub.base_url
    nobody = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OPENAI_BASE_URL": address}
    with subprocess.Popen(command("--output", "out.json"), env=nobody, stderr=subprocess.PIPE, text=True) as labelling:
        assert labelling.stderr is not None
        try:
            host = urlsplit(address).netloc
            assert labelling.stderr.readline() == f"0 of 20 done. gpt-5.4-mini at {host}: {NO_CONNECTION}\n"
            assert labelling.poll() is None
        finally:
            labelling.send_signal(signal.SIGINT)
        assert labelling.wait(30) == 130


def test_a_terminal_is_told_above_its_bar_that_the_model_cannot_be_reached() -> None:
    rows(*numbered(20))
    with StubModel() as stub:
        nobody = environ(stub, TERM="xterm", COLUMNS="200")
    ours, theirs = pty.openpty()
    labelling = subprocess.Popen(command("--output", "out.json"), env=nobody, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = ""
    with labelling:
        while NO_CONNECTION not in said and (more := _read_on(ours)):
            said += more
        labelling.send_signal(signal.SIGINT)
        while more := _read_on(ours):
            said += more
    os.close(ours)
    assert NO_CONNECTION in said
    assert "0 of 20 done" in said
    assert labelling.returncode == 130


def _read_on(terminal: int) -> str:
    """What it shows further; "" once nobody writes to it any more."""
    try:
        return os.read(terminal, 10_000).decode(errors="replace")
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (("refused",), "m: no connection."),
        (("refused", "answered"), ""),
        (("refused", "answered", "refused"), "m: no connection."),
        (("refused", "Unreachable"), "m: no connection."),
    ],
)
def test_an_obstacle_is_over_with_the_first_answer(told: tuple[str, ...], sentence: str) -> None:
    obstacle = Obstacle()
    for word in told:
        obstacle.sent()
        if word == "refused":
            obstacle.retried(Unreachable("m: no\nconnection."))
        else:
            obstacle.ended(word, 0.1)
    assert obstacle.sentence == sentence


def test_a_terminal_is_shown_a_bar() -> None:
    rows(*numbered(20))
    ours, theirs = pty.openpty()
    with StubModel(latency=0.01) as stub:
        labelling = subprocess.Popen(
            command("--output", "out.json"),
            env=environ(stub, TERM="xterm", COLUMNS="110"),
            stdout=theirs,
            stderr=theirs,
        )
        with labelling:
            assert labelling.wait(30) == 0
    os.close(theirs)
    said = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "━━━━" in said
    assert "20 of 20 done" in said
