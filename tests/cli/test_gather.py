"""A model's answers to prompts, gathered from a shell as tasks."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click import ClickException
from click.testing import CliRunner, Result

from llm_backend.cli import main
from llm_backend.cli.asking import ask_dataset
from llm_backend.cli.gather import Job
from llm_backend.cli.target import Target
from llm_backend.core.chat import LLM, Call
from llm_backend.errors import ProviderRefused, Unreachable
from llm_backend.settings import Settings
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.sites import Site
from tests.support.stub_model import StubModel
from tests.support.studio import Studio, meeting

TOKEN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(call: Call) -> Reply:
    text = call.messages[-1].text
    if "bomb" in text:
        return ProviderRefused("m: the model declined.")
    return f"About {text}: no idea."


def prompts(*rows: Any, name: str = "prompts.jsonl") -> Path:
    Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return Path(name)


def gathered(llm: LLM, data: Path, system: str = "", *, output: str = "tasks.json", **more: Any) -> int:
    return ask_dataset(Settings(api_key="test-key"), Job(data, Path(output), system, **more), llm)


def chats(output: str = "tasks.json") -> list[Any]:
    return [task["data"]["chat"] for task in json.loads(Path(output).read_text("utf-8"))]


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def run(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ("gather", *words), env={"OPENAI_API_KEY": "k", **environ}, prog_name="llm-backend")


def test_each_prompt_becomes_a_task_with_the_user_s_turn_and_the_model_s() -> None:
    assert gathered(ScriptedLLM(answer), prompts({"prompt": "cats"}, {"prompt": "dogs", "id": 7})) == 0
    tasks = json.loads(Path("tasks.json").read_text("utf-8"))
    assert [task["data"] for task in tasks] == [
        {"chat": [turn("user", "cats"), turn("assistant", "About cats: no idea.")]},
        {"chat": [turn("user", "dogs"), turn("assistant", "About dogs: no idea.")]},
    ]
    assert all(task["meta"]["model_version"].startswith("test-model-") for task in tasks)
    assert [set(task) for task in tasks] == [{"data", "meta"}] * 2


def test_the_model_hears_the_conversation_as_it_is_and_no_word_of_ours() -> None:
    llm = ScriptedLLM("Tired, I guess.")
    before = [turn("user", "Why {name}?"), turn("assistant", "Because."), turn("user", "Why so short?")]
    assert gathered(llm, prompts({"messages": before})) == 0
    (call,) = llm.calls
    assert [turn(message.role, message.text) for message in call.messages] == before
    assert call.schema is None
    assert call.n == 1
    assert chats() == [[*before, turn("assistant", "Tired, I guess.")]]


def test_a_system_text_goes_first_and_stays_out_of_the_task() -> None:
    llm = ScriptedLLM("Yes.")
    assert gathered(llm, prompts({"prompt": "Open?"}), "You are {a bank}. Say {text}.") == 0
    assert [(message.role, message.text) for message in llm.calls[0].messages] == [
        ("system", "You are {a bank}. Say {text}."),
        ("user", "Open?"),
    ]
    assert chats() == [[turn("user", "Open?"), turn("assistant", "Yes.")]]


@pytest.mark.parametrize("setting", ["default_prompt", "prompt_template"])
def test_no_setting_about_labeling_changes_what_is_asked(setting: str) -> None:
    llm = ScriptedLLM("Yes.")
    told = replace(Settings(api_key="k"), num_responses=3, **{setting: "Label {text} well. {prompt}"})
    assert ask_dataset(told, Job(prompts({"prompt": "Open?"}), Path("tasks.json")), llm) == 0
    assert [message.text for message in llm.calls[0].messages] == ["Open?"]
    assert llm.calls[0].n == 1


def test_a_table_and_tasks_of_label_studio_are_read_too() -> None:
    with open("prompts.csv", "w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([["prompt", "messages"], ["cats", ""], ["", json.dumps([turn("user", "dogs")])]])
    assert gathered(ScriptedLLM("Well."), Path("prompts.csv")) == 0
    assert [chat[0]["content"] for chat in chats()] == ["cats", "dogs"]
    Path("tasks-in.json").write_text(json.dumps([{"data": {"chat": [turn("user", "birds")]}}]))
    assert gathered(ScriptedLLM("Well."), Path("tasks-in.json"), output="birds.jsonl") == 0
    (line,) = Path("birds.jsonl").read_text("utf-8").splitlines()
    assert json.loads(line)["data"]["chat"][0] == turn("user", "birds")


def test_rows_without_a_question_are_named_by_their_line(capsys: pytest.CaptureFixture[str]) -> None:
    data = prompts(
        {"question": "cats"},
        {"prompt": 7},
        {"messages": []},
        {"messages": [turn("user", "a"), turn("assistant", "b")]},
        {"messages": [turn("tool", "a")]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
        {"prompt": "dogs"},
    )
    assert gathered(ScriptedLLM(answer), data) == 1
    a_turn = 'a turn has a "role" (system, user or assistant) and a "content", a text.'
    assert [line.removeprefix("prompts.jsonl ") for line in capsys.readouterr().err.splitlines()] == [
        'line 1 is skipped: it has no "prompt" and no "messages"; it has "question".',
        'line 2 is skipped: its "prompt" is no text.',
        'line 3 is skipped: its "messages" is no list of turns such as {"role": "user", "content": "..."}.',
        'line 4 is skipped: its "messages" ends with a turn of the assistant: there is nothing to answer.',
        f'line 5 is skipped: turn 1 of its "messages" cannot be used: {a_turn}',
        f'line 6 is skipped: turn 1 of its "messages" cannot be used: {a_turn}',
    ]
    assert [chat[0]["content"] for chat in chats()] == ["dogs"]


def test_a_refusal_is_a_failed_row_and_no_task(capsys: pytest.CaptureFixture[str]) -> None:
    data = prompts({"prompt": "cats"}, {"prompt": "bombs"}, {"prompt": "dogs"})
    assert gathered(ScriptedLLM(answer), data) == 1
    assert [chat[0]["content"] for chat in chats()] == ["cats", "dogs"]
    said = capsys.readouterr().out
    assert "3 rows of prompts.jsonl: 2 answered, 1 failed.\n" in said
    assert "  1 row (line 2): m: the model declined.\n" in said
    again = ScriptedLLM("I had better not.")
    assert gathered(again, data, retry=True) == 0
    assert len(again.calls) == 1
    assert chats()[1] == [turn("user", "bombs"), turn("assistant", "I had better not.")]


def test_of_many_reasons_it_does_not_say_that_the_output_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    def declining(call: Call) -> Reply:
        return ProviderRefused(f"m: declined {call.messages[-1].text}.")

    assert gathered(ScriptedLLM(declining), prompts(*({"prompt": f"bomb {number}"} for number in range(12)))) == 1
    said = capsys.readouterr().out
    assert said.count(": m: declined bomb ") == 10
    assert "  ... and 2 further reasons.\n" in said
    assert json.loads(Path("tasks.json").read_text("utf-8")) == []


def test_what_the_model_says_in_its_own_words_is_an_answer_whatever_it_says() -> None:
    assert gathered(ScriptedLLM("I can't help with that."), prompts({"prompt": "bombs"})) == 0
    assert chats()[0][-1] == turn("assistant", "I can't help with that.")


def test_a_filter_of_a_real_provider_is_a_failed_row(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.support.stub_model import filtered_output, refuses, says, script

    data = prompts({"prompt": "a"}, {"prompt": "b"}, {"prompt": "c"})
    with StubModel(script(refuses(), filtered_output(), says("Yes."))) as stub:
        said = run(str(data), "--output", "tasks.json", "--base-url", stub.base_url, "--set", "LLM_CONCURRENCY=1")
    assert said.exit_code == 1
    assert "3 rows of prompts.jsonl: 1 answered, 2 failed." in said.stdout
    assert chats() == [[turn("user", "c"), turn("assistant", "Yes.")]]
    assert stub.asked[0].json["messages"] == [turn("user", "a")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "Missing argument 'PROMPTS'"),
        (("prompts.jsonl", "--output", "tasks.csv"), "the name of the output ends in .json or .jsonl."),
        (("prompts.jsonl", "--output", "tasks.txt"), "the name of the output ends in .json or .jsonl."),
        (("prompts.jsonl", "--output", "prompts.jsonl", "--overwrite"), "give the output another name."),
        (("prompts.jsonl", "--output", "old.json"), "give another name, or --overwrite."),
        (("prompts.jsonl", "--output", "t.json", "--import-to", "http://127.0.0.1:1"), "say where to import"),
        (("prompts.jsonl", "--output", "t.json", "--title", "T"), "say which Label Studio is meant"),
        (
            ("prompts.jsonl", "--output", "t.json", "--title", "T", "--import-to", "http://127.0.0.1:1"),
            "LABEL_STUDIO_API_KEY",
        ),
        (("prompts.jsonl", "--output", "t.json", "--title", "T", "--project", "1"), "not both"),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...], sentence: str) -> None:
    prompts({"prompt": "cats"})
    Path("old.json").write_text("[]")
    said = run(*words)
    assert (said.exit_code, sentence in said.stderr) == (2, True), said.stderr
    assert Path("old.json").read_text() == "[]"


def importing(studio: Studio, *runs: Callable[[Target], Any]) -> list[Any]:
    """The exit code, or the fault, of each run: a function of the target."""

    def into(run: Callable[[Target], Any]) -> Callable[[Site], Any]:
        return lambda here: run(Target(here.origin, TOKEN, title="Answers", label_config="<View/>"))

    return meeting(studio, *map(into, runs))


def asked(studio: Studio) -> list[str]:
    """What the imported tasks ask."""
    return [task["data"]["chat"][0]["content"] for task in studio.tasks]


def test_tasks_are_imported_into_a_new_project(capsys: pytest.CaptureFixture[str]) -> None:
    data, studio = prompts({"prompt": "cats"}, {"prompt": "cats"}, {"prompt": "dogs"}), Studio()
    assert importing(studio, lambda target: gathered(ScriptedLLM(answer), data, target=target)) == [0]
    assert studio.projects == [{"title": "Answers", "label_config": "<View/>"}]
    assert asked(studio) == ["cats", "cats", "dogs"]
    assert "3 tasks imported into project 1 of http://127.0.0.1:" in capsys.readouterr().out
    assert not Path("tasks.json.state").exists()


def test_what_was_imported_is_not_imported_again_and_what_failed_is(capsys: pytest.CaptureFixture[str]) -> None:
    data, studio = prompts({"prompt": "cats"}, {"prompt": "dogs"}), Studio()
    away = ScriptedLLM(lambda call: Unreachable("m: no answer.") if "dogs" in call.messages[-1].text else answer(call))
    studio.down = 1

    def first(target: Target) -> int:
        return gathered(away, data, target=target)

    def last(target: Target) -> int:
        return gathered(ScriptedLLM(answer), data, target=target)

    fault, some, rest = importing(studio, first, first, last)
    assert "Label Studio answered 503" in fault
    assert (some, rest) == (1, 0)
    assert asked(studio) == ["cats", "dogs"]
    assert len(studio.projects) == 1
    assert len(away.calls) == 3  # cats once


def test_a_note_that_cannot_be_read_stops_the_import() -> None:
    Path("tasks.json.state").mkdir()
    (Path("tasks.json.state") / "llm_backend.imported.txt").write_text("[")
    with pytest.raises(ClickException, match="Remove it to import all"):
        gathered(ScriptedLLM(answer), prompts({"prompt": "cats"}), target=Target("http://127.0.0.1:1", TOKEN, 1))


def test_help_teaches_with_an_example() -> None:
    assert "llm-backend gather prompts.jsonl --output tasks.json" in run("--help").stdout
