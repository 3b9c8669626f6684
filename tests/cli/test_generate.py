"""Models' answers to prompts, made from a shell as tasks in which people compare them."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_backend.cli.comparisons import Form
from llm_backend.cli.generating import Job, generate_tasks
from llm_backend.cli.prompts import Prompts
from llm_backend.cli.target import Target
from llm_backend.core.chat import LLM, Call, Completion, Usage
from llm_backend.core.generate import Wanted
from llm_backend.core.labeling import parse
from llm_backend.errors import KeyRefused, ProviderRefused, Unreachable
from llm_backend.settings import Settings
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.shell import ended, environ, invoke
from tests.support.stub_model import StubModel, says, user_text
from tests.support.studio import Studio, meeting

TOKEN = "0123456789abcdef0123456789abcdef01234567"
ONE = {"prompt": "cats"}, {"prompt": "dogs"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(call: Call, *texts: str) -> Completion:
    return Completion(texts, ("stop",) * len(texts), usage=Usage(10, 5, 1))


def talker(call: Call) -> Reply:
    """Says something else each time it is asked, and at each temperature."""
    about = f"{call.model or 'test-model'} on {call.messages[-1].text} at {call.temperature}"
    return said(call, *(f"{about}, {number}" for number in range(call.n)))


def prompts(*rows: Any, name: str = "prompts.jsonl") -> Path:
    Path(name).write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return Path(name)


def generated(llm: LLM, *rows: Any, output: str = "tasks.json", **more: Any) -> int:
    """Generate of these rows; `more` are fields of Wanted, Form and Job."""
    fields = {kind: {name: more.pop(name) for name in kind.__slots__ if name in more} for kind in (Wanted, Form)}
    source = Prompts(prompts(*rows), more.pop("field", ""), most_turns=more.pop("most_turns", None))
    job = Job(source, Path(output), Wanted(**fields[Wanted]), Form(**fields[Form]), **more)
    return generate_tasks(Settings(api_key="test-key"), job, llm)


def written(output: str = "tasks.json") -> list[Any]:
    return list(json.loads(Path(output).read_text("utf-8")))


def run(*words: str, **environ: str) -> Any:
    return invoke("generate", *words, env={"OPENAI_API_KEY": "k", **environ})


def pair(task: Any) -> set[str]:
    return {task["data"]["answer1"], task["data"]["answer2"]}


def test_two_answers_to_a_prompt_are_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    llm = ScriptedLLM(talker)
    assert generated(llm, {"prompt": "cats", "topic": "pets"}, {"prompt": "dogs"}) == 0
    cats, dogs = written()
    assert cats["data"]["prompt"] == "cats"
    assert cats["data"]["topic"] == "pets"
    assert pair(cats) == {"test-model on cats at 0.7, 0", "test-model on cats at 0.7, 1"}
    assert pair(dogs) == {"test-model on dogs at 0.7, 0", "test-model on dogs at 0.7, 1"}
    assert [call.n for call in llm.calls] == [2, 2]
    assert not Path("tasks.json.state").exists()
    assert capsys.readouterr().out.splitlines() == [
        "2 rows of prompts.jsonl: 2 with answers to compare, 0 without.",
        "test-model: 2 answered, 0 failed; 2 calls, 20 + 10 tokens.",
        "2 tasks written to tasks.json.",
    ]


def test_every_model_is_asked_at_every_temperature_and_the_task_tells_who_stands_where() -> None:
    llm = ScriptedLLM(talker)
    ways = {"models": ("a", "b"), "temperatures": (0.2, 1.0), "answers": 1}
    assert generated(llm, *ONE, **ways) == 0
    assert [(call.model, call.temperature, call.messages[-1].text) for call in llm.calls] == [
        (model, temperature, text) for model in "ab" for temperature in (0.2, 1.0) for text in ("cats", "dogs")
    ]
    tasks = written()
    assert len(tasks) == 12  # six pairs of four answers, to two prompts
    for task in tasks:
        for place in ("answer1", "answer2"):
            who = task["meta"]["generated"]["answers"][place]
            assert task["data"][place].startswith(
                f"{who['model']} on {task['data']['prompt']} at {who['temperature']},"
            )
            assert who["model_version"].startswith(f"{who['model']}-")


def test_the_models_hear_the_conversation_as_it_is_and_the_system_text_first() -> None:
    llm = ScriptedLLM(talker)
    chat = [{"role": "user", "content": "Hi {you}"}, {"role": "assistant", "content": "Hi."}, *[
        {"role": "user", "content": "And?"}]]  # fmt: skip
    assert generated(llm, {"messages": chat}, system="Be {brief}.") == 0
    assert [(message.role, message.text) for message in llm.calls[0].messages] == [
        ("system", "Be {brief}."),
        ("user", "Hi {you}"),
        ("assistant", "Hi."),
        ("user", "And?"),
    ]
    assert written()[0]["data"]["messages"] == chat


@pytest.mark.parametrize(("seed", "other"), [(0, 1)])
def test_sides_go_by_the_seed_and_are_the_same_each_time(seed: int, other: int) -> None:
    rows = [{"prompt": f"cat {number}"} for number in range(40)]
    for output, chosen in (("one.json", seed), ("two.json", seed), ("three.json", other)):
        assert generated(ScriptedLLM(talker), *rows, output=output, seed=chosen) == 0
    assert written("one.json") == written("two.json")
    left = [task["data"]["answer1"][-1] for task in written("one.json")]
    assert 5 < left.count("0") < 35
    assert left != [task["data"]["answer1"][-1] for task in written("three.json")]


# Answers that repeat each other


def test_answers_that_are_the_same_are_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    replies = iter([("Four.", " Four. "), ("Four.", "Just four.")])
    llm = ScriptedLLM(lambda call: said(call, *next(replies)))
    assert generated(llm, {"prompt": "2+2?"}) == 0
    (task,) = written()
    assert pair(task) == {"Four.", "Just four."}
    assert [message.text for message in llm.calls[1].messages] == ["2+2?"]
    told = capsys.readouterr()
    assert "All answers to 1 prompt are the same. Asking again." in told.err
    assert "test-model: 1 answered, 0 failed; 2 calls, 20 + 10 tokens." in told.out


def test_a_prompt_whose_answers_stay_the_same_makes_no_task_and_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    llm = ScriptedLLM(lambda call: "Four." if "2+2" in call.messages[-1].text else talker(call))
    assert generated(llm, {"prompt": "cats"}, {"prompt": "2+2?"}, tries=3) == 1
    assert [task["data"]["prompt"] for task in written()] == ["cats"]
    assert len(llm.calls) == 1 + 3
    told = capsys.readouterr().out
    assert "2 rows of prompts.jsonl: 1 with answers to compare, 1 without.\n" in told
    assert "  1 row (line 2): All answers are the same.\n" in told
    assert "1 answer less than asked for: others say the same, or it did not come.\n" in told


@pytest.mark.parametrize(("more", "calls"), [({"tries": 1}, 1), ({"temperatures": (0.0,)}, 1), ({}, 2)])
def test_when_asking_again_is_in_vain_or_not_wanted(more: Any, calls: int) -> None:
    llm = ScriptedLLM("Four.")
    assert generated(llm, {"prompt": "2+2?"}, **more) == 1
    assert len(llm.calls) == calls


def test_what_two_models_say_alike_is_one_answer_of_both() -> None:
    llm = ScriptedLLM(lambda call: said(call, "Four.") if call.model != "c" else said(call, "Five."))
    assert generated(llm, {"prompt": "2+2?"}, models=("a", "b", "c"), answers=1, purpose="ranker") == 0
    (task,) = written()
    told = {item["body"]: task["meta"]["generated"]["answers"][item["id"]] for item in task["data"]["items"]}
    assert told["Four."]["model"] == "a"
    assert [other["model"] for other in told["Four."]["also"]] == ["b"]
    assert told["Five."]["model"] == "c"


# Failures


def without(model: str, fault: Exception) -> Callable[[Call], Reply]:
    return lambda call: fault if call.model == model else talker(call)


def test_a_model_that_is_not_there_costs_the_others_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    llm = ScriptedLLM(without("nope", KeyRefused("nope: there is no such model.")))
    ways = {"models": ("nope", "a", "b"), "answers": 1}
    assert generated(llm, *ONE, **ways) == 1
    assert [pair(task) for task in written()] == [
        {"a on cats at 0.7, 0", "b on cats at 0.7, 0"},
        {"a on dogs at 0.7, 0", "b on dogs at 0.7, 0"},
    ]
    told = capsys.readouterr().out
    assert "nope: 0 answered, 2 failed; 0 calls" in told
    assert "  2 rows (first line 1): nope: there is no such model.\n" in told
    assert "The same command asks again for the others." in told
    asked = len(llm.calls)
    mended = ScriptedLLM(talker)
    assert generated(mended, *ONE, **ways) == 0
    assert [call.model for call in mended.calls] == ["nope", "nope"]
    assert len(written()) == 6
    assert asked == 1 + 4 or asked == 2 + 4  # both questions to the missing one may be under way


def test_one_model_alone_whose_neighbour_is_not_there_is_not_asked_twice(capsys: pytest.CaptureFixture[str]) -> None:
    llm = ScriptedLLM(without("nope", KeyRefused("nope: there is no such model.")))
    assert generated(llm, *ONE, models=("a", "nope"), answers=1) == 1
    assert written() == []
    assert sum(call.model == "a" for call in llm.calls) == 2
    assert "  2 rows (first line 1): Only one answer came.\n" in capsys.readouterr().out


def test_where_nobody_can_be_asked_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    llm = ScriptedLLM(KeyRefused("the key was refused."))
    assert generated(llm, *ONE, models=("a", "b"), answers=1) == 1
    told = capsys.readouterr().err
    assert "Stopped at 0 of 4 done. Answers are kept in tasks.json.state" in told
    assert told.count("Error: the key was refused.") == 1
    assert not Path("tasks.json").exists()
    assert generated(ScriptedLLM(talker), *ONE, models=("a", "b"), answers=1) == 0
    assert len(written()) == 2


def test_what_a_model_refuses_is_told_and_asked_again_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    def shy(call: Call) -> Reply:
        declines = call.model == "b" and "dogs" in call.messages[-1].text
        return ProviderRefused("b: the model declined.") if declines else talker(call)

    ways = {"models": ("a", "b"), "answers": 1}
    assert generated(ScriptedLLM(shy), *ONE, **ways) == 1
    assert [task["data"]["prompt"] for task in written()] == ["cats"]
    told = capsys.readouterr().out
    assert "  1 row (line 2): b: the model declined.\n" in told
    assert "add --retry" in told
    same = ScriptedLLM(talker)
    assert generated(same, *ONE, **ways) == 1
    assert same.calls == []
    again = ScriptedLLM(talker)
    assert generated(again, *ONE, **ways, retry=True) == 0
    assert len(again.calls) == 1
    assert len(written()) == 2


def test_a_quota_that_ends_while_asking_again_is_told_and_the_same_command_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    replies = iter(["Four.", KeyRefused("test-model: the quota is used up.")])
    assert generated(ScriptedLLM(lambda call: next(replies)), {"prompt": "2+2?"}) == 1
    told = capsys.readouterr().out
    assert "  Not asked again: test-model: the quota is used up.\n" in told
    assert "kept in tasks.json.state. The same command goes on.\n" in told
    after = ScriptedLLM("Five.")
    assert generated(after, {"prompt": "2+2?"}) == 0
    assert len(after.calls) == 1
    assert pair(written()[0]) == {"Four.", "Five."}


# Rows


def test_rows_that_ask_nothing_or_what_was_asked_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"prompt": "cats"},
        {"question": "dogs"},
        {"prompt": ""},
        {"prompt": "  "},
        {"messages": [{"role": "user", "content": " "}]},
        {"prompt": "cats", "id": 7},
        {"messages": [{"role": "user", "content": "cats"}]},
        [1],
    ]
    llm = ScriptedLLM(talker)
    assert generated(llm, *rows) == 1
    told = capsys.readouterr()
    assert [line.removeprefix("prompts.jsonl ") for line in told.err.splitlines()] == [
        'line 2 is skipped: it has no "prompt" and no "messages"; it has "question".',
        'line 3 is skipped: its "prompt" is empty.',
        'line 4 is skipped: its "prompt" is empty.',
        'line 5 is skipped: its "messages" is empty.',
        "line 6 is skipped: it asks the same as line 1.",
        "line 7 is skipped: it asks the same as line 1.",
        "line 8 is skipped: it is no object; write a task's data as {...}.",
    ]
    assert "8 rows of prompts.jsonl: 1 with answers to compare, 0 without, 7 skipped.\n" in told.out
    assert len(llm.calls) == 1


def test_rows_that_ask_the_same_are_no_failure() -> None:
    assert generated(ScriptedLLM(talker), {"prompt": "cats"}, {"prompt": "cats"}) == 0
    assert len(written()) == 1


@pytest.mark.parametrize("value", ["cats", [{"role": "user", "content": "cats"}]])
def test_the_prompt_may_stand_in_another_field(value: Any) -> None:
    assert generated(ScriptedLLM(talker), {"question": value, "prompt": "no"}, field="question") == 0
    assert written()[0]["data"]["prompt"] == "cats"
    assert written()[0]["data"]["question"] == value


def test_a_field_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert generated(ScriptedLLM(talker), {"prompt": "no"}, {"text": '{"a": 1}'}, field="text") == 1
    assert 'line 1 is skipped: it has no "text"; it has "prompt".' in capsys.readouterr().err
    assert written()[0]["data"]["prompt"] == '{"a": 1}'


def test_tables_and_tasks_are_read_too() -> None:
    Path("prompts.csv").write_text("topic,prompt\npets,cats\n", encoding="utf-8")
    tasks = [{"id": 5, "data": {"prompt": "dogs"}, "meta": {"batch": 2}, "annotations": []}]
    Path("prompts.json").write_text(json.dumps(tasks), encoding="utf-8")
    with StubModel() as stub:
        for name in ("prompts.csv", "prompts.json"):
            done = run(name, "--for", "pairwise", "--output", f"of-{name}.jsonl", "--base-url", stub.base_url)
            assert done.exit_code == 0, done.output
    (cats,) = map(json.loads, Path("of-prompts.csv.jsonl").read_text("utf-8").splitlines())
    (dogs,) = map(json.loads, Path("of-prompts.json.jsonl").read_text("utf-8").splitlines())
    assert cats["data"]["topic"] == "pets"
    assert dogs["meta"]["batch"] == 2
    assert dogs["meta"]["generated"]["task"] == 5


# Labelbox


def test_rows_for_labelbox_are_read_by_our_own_converter() -> None:
    rows = [{"prompt": "cats", "global_key": "my-cats"}, {"prompt": "dogs"}]
    assert generated(ScriptedLLM(talker), *rows, purpose="labelbox", models=("a", "b"), answers=1) == 0
    cats, dogs = written()
    assert cats["global_key"] == "my-cats"
    assert dogs["global_key"].startswith("prompt-")
    told = invoke("convert", "labelbox-to-ls", "tasks.json", "--output", "ls.json", "--config-output", "c.xml")
    assert told.exit_code == 0, told.output
    for row, task in zip((cats, dogs), written("ls.json"), strict=True):
        content = row["row_data"]
        assert [output["title"] for output in content["modelOutputs"]] == ["Response A", "Response B"]
        assert {output["modelConfigName"] for output in content["modelOutputs"]} == {"a", "b"}
        for output in content["modelOutputs"]:
            assert output["content"].startswith(f"{output['modelConfigName']} on ")
        assert [item["body"] for item in task["data"]["items"]] == [o["content"] for o in content["modelOutputs"]]
        assert task["data"]["messages"][0]["text"] == content["messages"][0]["content"]
    idents = [message["messageId"] for row in (cats, dogs) for message in row["row_data"]["messages"]]
    assert len(set(idents)) == len(idents)


def test_roles_of_a_conversation_come_through_labelbox() -> None:
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    rows = {"messages": [*chat, {"role": "user", "content": "And?"}]}
    ways: dict[str, Any] = {"temperatures": (0.0, 1.0), "answers": 1}
    assert generated(ScriptedLLM(talker), rows, purpose="labelbox", **ways) == 0
    invoke("convert", "labelbox-to-ls", "tasks.json", "--output", "ls.json", "--config-output", "c.xml")
    assert [message["role"] for message in written("ls.json")[0]["data"]["messages"]] == ["user", "assistant", "user"]
    names = {output["modelConfigName"] for output in written()[0]["row_data"]["modelOutputs"]}
    assert names == {"test-model at temperature 0", "test-model at temperature 1"}


def test_what_labelbox_does_not_take_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    turn = {"role": "user", "content": "cats"}
    llm = ScriptedLLM(lambda call: said(call, "a" * 10_001, "b"))
    assert generated(llm, {"messages": [turn] * 251}, {"prompt": "cats"}, purpose="labelbox", most_turns=250) == 1
    told = capsys.readouterr()
    assert "line 1 is skipped: it has 251 turns; at most 250 can be written." in told.err
    assert "1 row holds a text of over 10,000 characters, which Labelbox does not take.\n" in told.out


# Label Studio


def test_prompts_come_from_a_project_and_tasks_go_into_a_new_one() -> None:
    held = [
        {"id": 11, "data": {"prompt": "cats"}},
        {"id": 12, "data": {"text": "no prompt"}},
        {"id": 13, "data": {"prompt": "cats"}},
    ]
    studio = Studio(held)
    with StubModel() as model:

        def run_there(here: Any) -> Any:
            words = ("--from-project", "1", "--for", "pairwise", "--output", "tasks.json", "--title", "Pairs")
            where = ("--import-to", here.origin, "--base-url", model.base_url)
            return run(*words, *where, LABEL_STUDIO_API_KEY=TOKEN)

        (done,) = meeting(studio, run_there)
    assert done.exit_code == 1, done.output
    assert 'Project 1 task 2 is skipped: it has no "prompt" and no "messages"; it has "text".' in done.stderr
    assert "Project 1 task 3 is skipped: it asks the same as task 1." in done.stderr
    assert "3 rows of Project 1: 1 with answers to compare, 0 without, 2 skipped." in done.stdout
    assert "1 task imported into project 1 of " in done.stdout
    assert [project["title"] for project in studio.projects] == ["Pairs"]
    assert {output.tag for output in parse(studio.projects[0]["label_config"]).outputs} == {"Pairwise"}
    (task,) = studio.tasks
    assert task == {name: written()[0][name] for name in ("data", "meta")}
    assert task["meta"]["generated"]["task"] == 11


@pytest.mark.parametrize(("form", "tag"), [("pairwise", "Pairwise"), ("ranker", "Ranker")])
def test_a_new_project_gets_a_config_that_shows_what_is_made(form: Any, tag: str) -> None:
    config = Form(form).label_config
    assert [output.tag for output in parse(config).outputs] == [tag]
    generated(ScriptedLLM(talker), *ONE, purpose=form)
    assert {source.value for source in parse(config).sources if source.value} <= {
        f"${key}" for key in written()[0]["data"]
    }


def test_a_project_that_shows_something_else_is_refused_before_it_costs_anything() -> None:
    studio, llm = Studio(label_config='<View><Text name="a" value="$query"/></View>'), ScriptedLLM(talker)

    def into(here: Any) -> int:
        return generated(llm, *ONE, target=Target(here.origin, TOKEN, 1))

    (fault,) = meeting(studio, into)
    there = 'they have "prompt", "answer1", "answer2"'
    assert fault == f'The project\'s labeling config shows "query", which the tasks do not have; {there}.'
    assert llm.calls == []


def test_tasks_that_answers_still_to_come_would_change_are_not_imported_yet(capsys: pytest.CaptureFixture[str]) -> None:
    studio = Studio()
    ways: dict[str, Any] = {"models": ("a", "b", "c"), "answers": 1, "purpose": "ranker"}

    def into(llm: ScriptedLLM) -> Callable[[Any], int]:
        def run_there(here: Any) -> int:
            return generated(llm, *ONE, **ways, target=Target(here.origin, TOKEN, title="T", label_config="<View/>"))

        return run_there

    gone = ScriptedLLM(without("b", Unreachable("b: no answer.")))
    assert meeting(studio, into(gone)) == [1]
    assert studio.projects == []
    assert "Nothing was imported yet" in capsys.readouterr().out
    assert meeting(studio, into(ScriptedLLM(talker))) == [0]
    assert [len(task["data"]["items"]) for task in studio.tasks] == [3, 3]


def test_what_could_not_be_imported_is_imported_by_the_same_command_and_nothing_is_asked_again() -> None:
    studio, llm = Studio(), ScriptedLLM(talker)
    studio.down = 1

    def into(here: Any) -> int:
        return generated(llm, *ONE, target=Target(here.origin, TOKEN, title="T", label_config="<View/>"))

    fault, code = meeting(studio, into, into)
    assert "Label Studio answered 503" in fault
    assert code == 0
    assert len(llm.calls) == len(studio.tasks) == 2
    assert len(studio.projects) == 1


def test_where_nothing_was_made_no_project_is_made() -> None:
    studio = Studio()

    def into(here: Any) -> int:
        target = Target(here.origin, TOKEN, title="T", label_config="<View/>")
        return generated(ScriptedLLM("Four."), *ONE, target=target)

    assert meeting(studio, into) == [1]
    assert studio.projects == []


def test_a_project_without_tasks_has_no_prompts() -> None:
    def run_there(here: Any) -> Any:
        words = ("--from-project", "1", "--for", "pairwise", "--output", "tasks.json")
        return run(*words, "--import-to", here.origin, LABEL_STUDIO_API_KEY=TOKEN)

    (done,) = meeting(Studio(), run_there)
    assert (done.exit_code, done.stderr) == (2, "Error: Project 1 has no tasks.\n")


# What is told beforehand


def test_a_dry_run_asks_and_writes_nothing() -> None:
    prompts(*ONE)
    words = ("--model", "a", "--model", "b", "--temperature", "0", "-n", "2", "--dry-run")
    with StubModel() as stub:
        where = ("--output", "t.json", "--base-url", stub.base_url)
        done = run("prompts.jsonl", "--for", "pairwise", *where, *words, OPENAI_API_KEY="")
        assert not stub.asked
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "2 prompts would be asked of a, b (temperature 0), 2 answers each: 8 answers, and of them at most 12 tasks.",
        "Nothing was asked (--dry-run).",
    ]
    assert [file.name for file in Path().iterdir()] == ["prompts.jsonl"]


@pytest.mark.parametrize(
    ("form", "most"),
    [
        (Form(pairing="all"), 15),
        (Form(pairing="adjacent"), 5),
        (Form(pairing="across"), 12),
        (Form("ranker"), 1),
    ],
)
def test_how_much_is_made_at_most(form: Form, most: int) -> None:
    wanted = Wanted(models=("a", "b", "c"), answers=2)
    assert form.most(wanted) == most
    fields = {name: getattr(wanted, name) for name in Wanted.__slots__}
    generated(ScriptedLLM(talker), ONE[0], **fields, purpose=form.purpose, pairing=form.pairing)
    assert len(written()) == most


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "give either PROMPTS or --from-project."),
        (("prompts.jsonl", "--from-project", "1"), "give either PROMPTS or --from-project."),
        (("prompts.jsonl", "-n", "1"), "there is nothing to compare in one answer"),
        (("prompts.jsonl", "-n", "20", "--model", "a", "--model", "b"), "40 answers to a prompt; at most 26"),
        (("prompts.jsonl", "--model", "a", "--model", "a"), "given twice"),
        (("prompts.jsonl", "--model", " ", "--model", "a"), "the name of a model"),
        (("prompts.jsonl", "--temperature", "3"), "--temperature"),
        (("prompts.jsonl", "--pairs", "across"), "give several"),
        (("prompts.jsonl", "--for", "labelbox", "--title", "T"), "convert labelbox-to-ls"),
        (("--from-project", "1", "--project", "1"), "give another --project"),
        (("--from-project", "1"), "Say where Label Studio is"),
        (("prompts.jsonl", "--output", "tasks.csv"), "the name of the output ends in .json or .jsonl."),
        (("prompts.jsonl", "--output", "tasks.txt"), "the name of the output ends in .json or .jsonl."),
        (("prompts.jsonl", "--output", "prompts.jsonl", "--overwrite"), "give the output another name."),
        (("prompts.jsonl", "--output", "old.json"), "give another name, or --overwrite."),
        (("prompts.jsonl", "--import-to", "http://127.0.0.1:1"), "say where to import"),
        (("prompts.jsonl", "--field", "query"), "prompts.jsonl holds no row that can be used."),
    ],
)
def test_wrong_usage_exits_with_2(words: tuple[str, ...], sentence: str) -> None:
    prompts(*ONE)
    Path("old.json").write_text("[]")
    said = run("--for", "pairwise", "--output", "t.json", *words)
    assert (said.exit_code, sentence in said.stderr) == (2, True), said.stderr
    assert Path("old.json").read_text() == "[]"
    assert not Path("t.json.state").exists()


def test_help_teaches_with_an_example() -> None:
    assert "llm-backend generate prompts.jsonl --for pairwise --output tasks.json" in run("--help").stdout


# A real process


def test_after_ctrl_c_the_same_command_goes_on_and_makes_the_same_tasks() -> None:
    rows = [{"prompt": f"cat {number}"} for number in range(40)]
    prompts(*rows)
    words = ("prompts.jsonl", "--for", "pairwise", "--model", "a", "--model", "b", "--output")
    command = [sys.executable, "-m", "llm_backend", "generate", *words, "tasks.json"]
    with StubModel(lambda body, n: says(f"{body['model']}: {user_text(body)}"), latency=0.05) as stub:
        first = ended(command, stub, signal.SIGINT, after=50)
        asked = len(stub.asked)
        assert (first.returncode, "Traceback" in first.stderr) == (130, False), first.stderr
        assert "of 80 done. Answers are kept in tasks.json.state; run the same command again to go on." in first.stderr
        assert not Path("tasks.json").exists()
        assert asked < 80
        subprocess.run(command, env=environ(stub), check=True, capture_output=True, timeout=60)
        assert len(stub.asked) <= 80 + 4  # nothing is paid for twice but the calls in flight
        whole = run(*words, "whole.json", OPENAI_BASE_URL=stub.base_url)
    assert whole.exit_code == 0, whole.output
    assert written() == written("whole.json")
