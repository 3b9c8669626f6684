"""A dataset is judged by a criterion, from a shell: labels, examples, agreement, and the review before."""

import asyncio
import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click import ClickException
from click.testing import CliRunner, Result

from llm_backend.cli import main
from llm_backend.cli.judge import Judgement, judge_dataset
from llm_backend.core.chat import LLM, Call, Completion, Usage
from llm_backend.errors import KeyRefused, ProviderRefused
from llm_backend.settings import Settings
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.sites import site
from tests.support.stub_model import StubModel, refuses, says

POLITE = "Is {reply} polite?"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def question(call: Call) -> str:
    return [message.text for message in call.messages if message.role == "user"][-1]


def examples(call: Call) -> dict[str, str]:
    """The examples that went along: label by question."""
    (_, *turns, _) = call.messages
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return {asked.text: json.loads(answer.text)["label"] for asked, answer in pairs}


def polite(call: Call) -> Reply:
    text = question(call)
    if "poison" in text:
        return ProviderRefused("m: the model declined.")
    return {
        "explanation": f"It says {'please' if 'please' in text else 'no kind word'}.",
        "label": str(int("please" in text)),
    }


def table(*rows: dict[str, object], name: str = "data.csv") -> Path:
    with open(name, "w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(dict.fromkeys(column for row in rows for column in row)))
        writer.writeheader()
        writer.writerows(rows)
    return Path(name)


def replies(count: int) -> list[dict[str, object]]:
    return [{"n": n, "reply": f"{'please' if n % 3 == 0 else 'no'} {n} {'word' * (n % 5)}"} for n in range(count)]


def judged(llm: LLM, data: Path, criterion: str = POLITE, output: str = "out.csv", **more: Any) -> int:
    known = {name: more.pop(name) for name in ("labels", "label_column", "few_shot", "retry") if name in more}
    job = Judgement(data, criterion, Path(output), review=more.pop("review", 0), **known)
    return judge_dataset(replace(Settings(api_key="test-key"), **more), job, llm)


def held(output: str = "out.csv") -> list[dict[str, str]]:
    with open(output, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def run(*words: str, typed: str = "", **environ: str) -> Result:
    told = {"OPENAI_API_KEY": "k", **environ}
    return CliRunner().invoke(main, ("judge", *words), env=told, input=typed, prog_name="llm-backend")


def test_every_row_gets_a_label_with_its_reason_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert judged(ScriptedLLM(polite), table(*replies(7))) == 0
    rows = held()
    assert list(rows[0]) == ["n", "reply", "label", "label_source", "explanation", "score"]
    assert [(row["n"], row["label"]) for row in rows] == [(str(n), str(int(n % 3 == 0))) for n in range(7)]
    assert {row["label_source"] for row in rows} == {"llm"}
    assert rows[0]["explanation"] == "It says please."
    assert not Path("out.csv.state").exists()
    said = capsys.readouterr().out
    assert "7 rows of data.csv: 7 labelled, 0 without a label.\nLabels: 0: 4, 1: 3.\n" in said


def test_lines_of_json_stay_objects_and_labels_of_digits_are_numbers() -> None:
    Path("data.jsonl").write_text('{"reply": "please", "more": [1]}\n{"reply": "no", "label": 1}\n')
    assert judged(ScriptedLLM(polite), Path("data.jsonl"), output="out.jsonl") == 0
    first, second = map(json.loads, Path("out.jsonl").read_text().splitlines())
    assert first == {
        "reply": "please",
        "more": [1],
        "label": 1,
        "label_source": "llm",
        "explanation": "It says please.",
        "score": None,
    }
    assert (second["label"], second["label_source"]) == (1, "human")


def test_the_models_certainty_is_the_score() -> None:
    text = '{"explanation": "x", "label": "1"}'
    tokens = [('{"explanation": "x", "label": "', 0.0), ("1", -0.5), ('"}', 0.0)]
    content = [{"token": token, "logprob": chance, "bytes": list(token.encode())} for token, chance in tokens]
    sure = Completion((text,), ("stop",), usage=Usage(1, 1, 1), structured=True, logprobs=({"content": content},))
    llm = ScriptedLLM(sure)
    assert judged(llm, table({"reply": "a"})) == 0
    assert llm.calls[0].logprobs
    assert held()[0]["score"].startswith("0.606")


def test_peoples_labels_stay_and_are_examples_for_all_rows_but_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    people = [{"n": n, "reply": f"please {n}", "label": "0" if n == 2 else "1.0"} for n in range(3)]
    llm = ScriptedLLM(polite)
    assert judged(llm, table(*people, {"n": 3, "reply": "no", "label": ""})) == 0
    rows = held()
    assert [(row["label"], row["label_source"]) for row in rows] == [
        *(("1.0", "human"), ("1.0", "human"), ("0", "human"), ("0", "llm"))
    ]
    own = {f"Is please {n} polite?": "0" if n == 2 else "1" for n in range(3)}
    asked = {question(call): examples(call) for call in llm.calls}
    assert asked == {
        text: {other: label for other, label in own.items() if other != text} for text in (*own, "Is no polite?")
    }
    # An explanation is told with the label that it explains: the judge's own is 1 for all three.
    assert [bool(row["explanation"]) for row in rows] == [True, True, False, True]
    told = capsys.readouterr()
    assert "3 rows have a person's label already.\n" in told.err
    assert (
        "Judge and people agree on 2 of 3 rows (67%) that both labelled.\n  1 row: people say 0, the judge 1\n"
        in told.out
    )


def test_labels_that_a_judge_gave_before_are_judged_anew() -> None:
    first = table(*replies(4), {"n": 4, "reply": "kind", "label": "1"})
    assert judged(ScriptedLLM(polite), first) == 0
    llm = ScriptedLLM({"explanation": "Anew.", "label": "0"})
    assert judged(llm, Path("out.csv"), output="again.csv") == 0
    rows = held("again.csv")
    assert list(rows[0]) == ["n", "reply", "label", "label_source", "explanation", "score"]
    assert [row["label"] for row in rows] == ["0", "0", "0", "0", "1"]
    assert [row["label_source"] for row in rows] == ["llm"] * 4 + ["human"]
    assert {row["explanation"] for row in rows[:4]} == {"Anew."}


def test_a_datasets_own_columns_are_not_overwritten() -> None:
    assert judged(ScriptedLLM(polite), table({"reply": "no", "score": "7", "explanation": "mine"})) == 0
    (row,) = held()
    assert (row["score"], row["explanation"], row["predicted_explanation"]) == ("7", "mine", "It says no kind word.")
    assert row["predicted_score"] == ""


def test_a_dataset_of_examples_goes_along() -> None:
    shots = table({"reply": "thank you", "label": "1"}, {"reply": "get lost", "label": "0"}, name="shots.csv")
    llm = ScriptedLLM(polite)
    assert judged(llm, table({"reply": "no"}), few_shot=shots) == 0
    assert examples(llm.calls[0]) == {"Is thank you polite?": "1", "Is get lost polite?": "0"}


def test_an_export_of_label_studio_brings_peoples_labels() -> None:
    result = [{"from_name": "label", "to_name": "reply", "type": "choices", "value": {"choices": ["0"]}}]
    tasks = [
        {"id": 4, "data": {"reply": "please"}, "annotations": [{"id": 1, "result": result}]},
        {"id": 9, "data": {"reply": "no"}, "annotations": []},
    ]
    Path("export.json").write_text(json.dumps(tasks))
    assert judged(ScriptedLLM(polite), Path("export.json"), output="out.json") == 0
    told = [
        [row[name] for name in ("id", "reply", "label", "label_source")]
        for row in json.loads(Path("out.json").read_text())
    ]
    assert told == [[4, "please", "0", "human"], [9, "no", 0, "llm"]]


def test_our_criteria_are_known_by_name_and_say_which_label_passes(capsys: pytest.CaptureFixture[str]) -> None:
    data = table({"question": "q1", "answer": "a", "context": "c"}, {"question": "q2", "answer": "b", "context": "d"})
    llm = ScriptedLLM(lambda call: {"explanation": "x", "label": str(int("q1" in question(call)))})
    assert judged(llm, data, "Faithfulness") == 0
    told = capsys.readouterr()
    assert '{input} is read from the column "question".\n' in told.err
    assert "Faithfulness: 1 of 2 (50%) pass, with the label 1.\n" in told.out
    assert list(llm.calls[0].schema["properties"]) == ["explanation", "label"]


def test_a_failed_row_tells_why_and_is_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    data = table({"reply": "please"}, {"reply": "poison"})
    assert judged(ScriptedLLM(polite), data) == 1
    assert [(row["label"], row["label_source"], row["error"]) for row in held()] == [
        *(("1", "llm", ""), ("", "", "m: the model declined."))
    ]
    assert "1 row (line 3): m: the model declined." in capsys.readouterr().out
    llm = ScriptedLLM({"explanation": "x", "label": "1"})
    assert judged(llm, data, retry=True) == 0
    assert len(llm.calls) == 1


def test_an_answer_off_the_list_is_no_label() -> None:
    llm = ScriptedLLM({"explanation": "x", "label": "maybe"})
    assert judged(llm, table({"reply": "a"})) == 1
    assert (held()[0]["label"], len(llm.calls)) == ("", 2)


def test_what_was_judged_before_an_interruption_is_not_asked_again() -> None:
    data = table(*replies(50), {"n": 50, "reply": "kind", "label": "1"})
    refused = ScriptedLLM(*[{"explanation": "x", "label": "1"}] * 5, KeyRefused("m: the key is refused."))
    assert judged(refused, data, llm_concurrency=1) == 1
    assert not Path("out.csv").exists()
    llm = ScriptedLLM(polite)
    assert judged(llm, data) == 0
    assert len(llm.calls) == 46


@pytest.mark.parametrize(
    ("data", "criterion", "more", "sentence"),
    [
        pytest.param("", POLITE, {}, "data.csv holds no rows", id="empty file"),
        pytest.param(
            "a,b\n1,2\n",
            "relevance",
            {},
            "uses {input} (or question, query, user_input, request), {output}",
            id="missing",
        ),
        pytest.param(
            "a,b\n1,2\n", POLITE, {}, 'uses {reply}, which no column fills. The columns are "a", "b".', id="unfilled"
        ),
        pytest.param(
            "reply\n1\n", "politness", {}, 'There is no criterion and no file "politness". Ours are', id="no such"
        ),
        pytest.param(
            *("reply,label\na,1\nb,yes\nc,no\n", POLITE, {}),
            'data.csv line 3: "yes" is none of the labels 0, 1 (2 rows have such labels). Tell all labels',
            id="labels outside the set",
        ),
        pytest.param(
            *("reply,verdict\na,1\n", POLITE, {"label_column": "lable"}),
            'data.csv has no column "lable" of labels; it has "reply", "verdict".',
            id="no such label column",
        ),
        pytest.param(
            "reply\na\n", POLITE, {"few_shot": Path("data.csv")}, 'no label in the column "label"', id="no shots"
        ),
    ],
)
def test_what_cannot_be_used_is_said_before_anything_is_asked(
    data: str, criterion: str, more: dict[str, Any], sentence: str
) -> None:
    Path("data.csv").write_text(data)
    llm = ScriptedLLM(polite)
    with pytest.raises(ClickException) as refused:
        judged(llm, Path("data.csv"), criterion, **more)
    assert sentence in refused.value.message
    assert refused.value.exit_code == 2
    assert llm.calls == []
    assert not Path("out.csv.state").exists()


def test_mixed_encodings_are_refused_in_one_sentence() -> None:
    Path("data.csv").write_bytes("reply\nä\n".encode() + "ö\n".encode("latin-1"))
    with pytest.raises(ClickException, match=r"data\.csv line 3 is not UTF-8 text"):
        judged(ScriptedLLM(polite), Path("data.csv"))


def test_ids_that_come_twice_are_told_and_each_row_gets_its_own_label(capsys: pytest.CaptureFixture[str]) -> None:
    data = table({"id": 1, "reply": "please"}, {"id": 1, "reply": "no"}, {"id": 2, "reply": "no"})
    assert judged(ScriptedLLM(polite), data) == 0
    assert [row["label"] for row in held()] == ["1", "0", "0"]
    assert "1 id comes more than once: rows are told apart by what they hold.\n" in capsys.readouterr().err


# The review


def review(llm: StubModel, *typed: str, count: int = 40, n: int = 4, criterion: str = POLITE) -> Result:
    data = table(*replies(count)) if not Path("data.csv").exists() else Path("data.csv")
    words = (str(data), "--criterion", criterion, "--output", "out.csv", "--review", str(n))
    return run(*words, typed="".join(f"{line}\n" for line in typed), OPENAI_BASE_URL=llm.base_url)


def judging(request: Any, n_th: int) -> Any:
    """A judge that knows no better than to call all polite, unless an example tells of a `no`."""
    *turns, last = [message["content"] for message in request["messages"] if message["role"] != "system"]
    taught = any('"label": "0"' in turn for turn in turns)
    label = "0" if taught and "no" in last.split() else "1"
    return says(json.dumps({"explanation": "So it seems.", "label": label}))


def test_what_a_person_says_in_the_review_stands_and_teaches_the_judge() -> None:
    with StubModel(judging) as stub:
        done = review(stub, "0", "Rude.", "", "", "", "")
    assert done.exit_code == 0, done.output
    assert "1 of 4\n" in done.output
    assert "4 of 4\n" in done.output
    assert "You and the judge agree on 3 of 4." in done.output
    rows = held()
    people = [row for row in rows if row["label_source"] == "human"]
    assert sorted(row["label"] for row in people) == ["0", "1", "1", "1"]
    assert [row["explanation"] for row in people if row["label"] == "0"] == ["Rude."]
    others = [row for row in rows if row["label_source"] == "llm"]
    assert len(others) == 36
    assert all(row["label"] == str(int("please" in row["reply"])) for row in others)
    assert "Judge and people agree on" in done.output


def test_a_review_that_was_closed_goes_on_where_it_was() -> None:
    with StubModel(judging) as stub:
        closed = review(stub, "0", "", "", "/quit")
        assert closed.exit_code == 130
        assert "run the same command again to go on" in closed.output
        asked = len(stub.asked)
        done = review(stub, "", "", "")
    assert done.exit_code == 0, done.output
    assert "1 of 4\n" not in done.output
    assert "3 of 4\n" in done.output
    assert sum(row["label_source"] == "human" for row in held()) == 4
    assert len(stub.asked) > asked


def test_the_end_of_the_input_closes_the_review() -> None:
    with StubModel(judging) as stub:
        closed = review(stub)
    assert closed.exit_code == 130
    assert "The review has not ended." in closed.output
    assert not Path("out.csv").exists()


def test_the_criterion_is_changed_and_the_round_repeated() -> None:
    with StubModel(judging) as stub:
        first = review(
            stub,
            "",
            "",
            "",
            "",
            "/criterion",
            "Is {reply} kind, and {nonsense}?",
            "/criterion",
            "Is {reply} kind?",
            "/quit",
        )
        assert "uses {nonsense}, which no column fills" in first.output
        assert first.output.count("You and the judge agree on 4 of 4.") == 2
        done = review(stub, "")
    assert done.exit_code == 0, done.output
    assert "The criterion is the one that you changed in the review." in done.output
    assert stub.asked[-1].json["messages"][-1]["content"].endswith("kind?")


def test_one_goes_back_looks_again_and_is_told_what_is_no_answer() -> None:
    with StubModel(judging) as stub:
        done = review(stub, "0", "", "/back", "1", "maybe", "", "", "", "9", "2", "0", "", "")
    assert done.exit_code == 0, done.output
    assert '"maybe" is none of the labels 0, 1.' in done.output
    assert "There is no row 9." in done.output
    assert sorted(row["label"] for row in held() if row["label_source"] == "human") == ["0", "1", "1", "1"]


def test_an_interrupted_run_after_a_review_asks_no_person_again() -> None:
    def breaks(request: Any, n_th: int) -> Any:
        return judging(request, n_th) if n_th < 12 else replace(judging(request, n_th), status=401, body={"error": {}})

    with StubModel(breaks) as stub:
        stopped = review(stub, "0", "", "", "", "", "")
        assert stopped.exit_code == 1, stopped.output
    with StubModel(judging) as stub:
        done = review(stub)
    assert done.exit_code == 0, done.output
    assert "of 4\n" not in done.output


# The review in Label Studio


class Studio:
    """What of Label Studio's API a review meets, and a person who labels there."""

    def __init__(self) -> None:
        self.projects: list[dict[str, Any]] = []
        self.tasks: list[dict[str, Any]] = []

    async def create(self, request: web.Request) -> web.Response:
        self.projects.append(await request.json())
        return web.json_response({"id": 7}, status=201)

    async def take(self, request: web.Request) -> web.Response:
        told = await request.json()
        self.tasks += [{"id": ident, "annotations": [], **task} for ident, task in enumerate(told, 1)]
        return web.json_response({"task_count": len(told)}, status=201)

    async def list(self, request: web.Request) -> web.Response:
        return web.json_response({"tasks": self.tasks, "total": len(self.tasks)})

    def label(self, place: int, label: str) -> None:
        """Submit the prediction, with this label in its place."""
        made = json.loads(json.dumps(self.tasks[place]["predictions"][0]["result"]))
        next(region for region in made if region["from_name"] == "label")["value"]["choices"] = [label]
        self.tasks[place]["annotations"] = [{"id": 100 + place, "result": made, "was_cancelled": False}]


def reviewing(*scenes: Any, count: int = 40, model: Any = judging) -> tuple[Studio, list[Result]]:
    """Run the command after each scene, in which a person may label."""
    studio, results = Studio(), []

    async def play() -> None:
        pages = {"/api/projects/": studio.create, "/api/projects/7/import": studio.take, "/api/tasks": studio.list}
        async with site(pages) as here:
            for scene in scenes:
                scene(studio)
                words = (*("data.csv", "--criterion", POLITE, "--output", "out.csv", "--review", "4"),)
                told = {"OPENAI_BASE_URL": stub.base_url, "LABEL_STUDIO_API_KEY": "0" * 40}
                there = ("--label-studio", here.origin)
                results.append(await asyncio.to_thread(run, *words, *there, **told))

    table(*replies(count))
    with StubModel(model) as stub:
        asyncio.run(play())
    return studio, results


def test_the_rows_are_reviewed_in_a_project_of_label_studio() -> None:
    def some(studio: Studio) -> None:
        studio.label(0, "0")
        studio.label(1, "1")

    def rest(studio: Studio) -> None:
        studio.label(2, "1")
        studio.label(3, "1")

    studio, (made, waiting, done) = reviewing(lambda _: None, some, rest)
    assert (made.exit_code, waiting.exit_code, done.exit_code) == (130, 130, 0), done.output
    assert "4 rows wait to be labelled at http://127.0.0.1:" in made.output
    assert "/projects/7/data." in made.output
    assert "2 of 4 rows are labelled at" in waiting.output
    (project,) = studio.projects
    assert project["title"] == "Review: Is {reply} polite?"
    assert '<Choices name="label"' in project["label_config"]
    assert all(task["predictions"][0]["model_version"] for task in studio.tasks)
    people = {row["reply"]: row for row in held() if row["label_source"] == "human"}
    assert [people[task["data"]["reply"]]["label"] for task in studio.tasks] == ["0", "1", "1", "1"]
    # The reasons that the judge gave for its own label are none for the person's.
    assert [bool(people[task["data"]["reply"]]["explanation"]) for task in studio.tasks] == [False, True, True, True]
    others = [row for row in held() if row["label_source"] == "llm"]
    assert all(row["label"] == str(int("please" in row["reply"])) for row in others)
    assert not Path("out.csv.state").exists()


def test_rows_that_cannot_be_judged_are_not_waited_for_there() -> None:
    def declines(request: Any, n_th: int) -> Any:
        text = request["messages"][-1]["content"]
        return refuses() if " 1 " in text else judging(request, n_th)

    def label(studio: Studio) -> None:
        studio.label(0, "1")
        studio.label(1, "1")

    studio, (_, done) = reviewing(lambda _: None, label, count=3, model=declines)
    assert len(studio.tasks) == 2
    assert done.exit_code == 1, done.output
    assert "3 rows of data.csv: 2 labelled, 1 without a label." in done.output


def test_a_review_there_needs_a_key() -> None:
    table(*replies(3))
    words = ("data.csv", "--criterion", POLITE, "--output", "out.csv", "--label-studio", "http://localhost:8080")
    refused = run(*words)
    assert refused.exit_code == 2
    assert "--label-studio needs LABEL_STUDIO_API_KEY" in refused.output
