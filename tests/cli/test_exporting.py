"""Annotations as data to train from, from a shell."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from llm_backend.cli import main
from tests.support.exported import PAIR, PAIRWISE, annotation, side, stars, task, written
from tests.support.sites import Site, site

TOKEN = "0123456789abcdef0123456789abcdef01234567"
SFT = '<View><Text name="prompt" value="$prompt"/><TextArea name="instruction" toName="prompt"/></View>'
MIN = {"prompt": "Hello?", "id": 5, "annotator": 1, "annotation_id": 8, "created_at": "2026-11-20T10:00:00Z"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(PAIRWISE)
    return tmp_path


def tasks(*told: dict[str, Any]) -> None:
    Path("export.json").write_text(json.dumps(list(told), indent=1))


def run(*told: str, config: str = "config.xml", export: str = "export.json") -> Result:
    return CliRunner().invoke(main, ["export", export, "--config", config, *told])


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def test_pairs_are_written_and_what_was_left_out_is_counted() -> None:
    tasks(
        task(2, PAIR | {"prompt": "Second?"}, annotation(3, side("right"))),
        task(1, PAIR, annotation(1, side("left")), annotation(2, was_cancelled=True), annotation(4, side("left"))),
        task(3, PAIR),
    )
    done = run("--format", "trl-preference", "--output", "pairs.jsonl")
    assert done.exit_code == 0, done.output
    told = [(row["prompt"], row["chosen"]) for row in rows("pairs.jsonl")]
    assert told == [("Hello?", "Hi."), ("Second?", "Go away.")]
    assert sorted(done.stdout.splitlines()) == [
        "  1 left out: no annotation",
        "  1 left out: skipped by the annotator",
        "  1 left out: the same record is there already",
        '2 rows of trl-preference, by Pairwise "comparison".',
        "Written to pairs.jsonl.",
        "export.json: 3 tasks, 4 annotations.",
    ]


def test_a_dry_run_writes_nothing(folder: Path) -> None:
    tasks(task(1, PAIR, annotation(1, side("left"))))
    done = run("--format", "reward", "--dry-run", "--output", "pairs.jsonl", "--split", "0.5")
    assert done.exit_code == 0
    assert "1 row of reward" in done.stdout
    assert "Nothing was written (--dry-run)." in done.stdout
    assert sorted(file.name for file in folder.iterdir()) == ["config.xml", "export.json"]


def test_a_split_makes_two_files() -> None:
    tasks(*(task(n, PAIR | {"prompt": f"{n}"}, annotation(n, side("left"))) for n in range(1, 41)))
    done = run("--format", "openai-dpo", "--output", "pairs.jsonl", "--split", "0.8")
    assert done.exit_code == 0
    train, test = rows("pairs.train.jsonl"), rows("pairs.test.jsonl")
    assert len(train) + len(test) == 40
    assert f"Written to pairs.train.jsonl ({len(train)} rows)." in done.stdout
    assert len(test) < 10
    assert "at least 10 lines" in done.stdout


def test_what_cannot_be_used_is_named_by_line_and_key_and_the_exit_code_says_so() -> None:
    good = json.dumps(task(1, PAIR, annotation(1, side("left"))))
    lacking = json.dumps(task(2, {"prompt": "a", "answer1": "\x1b[31m"}, annotation(1, side("left"))))
    Path("export.jsonl").write_text(f"{good}\n{lacking}\n{{broken\n[]\n")
    done = run("--format", "trl-preference", "--output", "pairs.jsonl", export="export.jsonl")
    assert done.exit_code == 1
    assert len(rows("pairs.jsonl")) == 1
    assert done.stderr.splitlines() == [
        'export.jsonl line 2 (task 2) is left out: Its data has no "answer2".',
        "export.jsonl line 3 is left out: it is not JSON (Expecting property name enclosed in double quotes).",
        "export.jsonl line 4 is left out: it is no task; an export holds objects.",
    ]
    assert "export.jsonl: 4 tasks, 3 not usable, 2 annotations." in done.stdout


def test_of_many_faults_the_first_are_told() -> None:
    Path("export.jsonl").write_text("{broken\n" * 25)
    done = run("--format", "csv", "--output", "table.csv", export="export.jsonl")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 21
    assert done.stderr.splitlines()[-1] == "... and 5 more."


def test_an_export_that_breaks_off_leaves_the_older_file() -> None:
    Path("pairs.jsonl").write_text("old")
    Path("export.json").write_text('[{"id": 1, "data": {"a": 1}},')
    done = run("--format", "trl-preference", "--output", "pairs.jsonl")
    assert done.exit_code == 1
    assert "line 1 is not JSON" in done.stderr
    assert Path("pairs.jsonl").read_text() == "old"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("export.json", json.dumps([MIN | {"instruction": {"text": ["Hi.", "Ho."]}}])),
        ("export.csv", 'prompt,id,annotation_id,instruction\nHello?,5,8,"{""text"": [""Hi."", ""Ho.""]}"\n'),
    ],
)
def test_flat_exports_are_read_too(name: str, content: str) -> None:
    Path(name).write_text(content)
    Path("sft.xml").write_text(SFT)
    done = run("--format", "trl-sft", "--output", "sft.jsonl", "--meta", config="sft.xml", export=name)
    assert done.exit_code == 0, done.output
    assert [(row["prompt"], row["completion"], row["meta"]["annotation"]) for row in rows("sft.jsonl")] == [
        ("Hello?", "Hi.", 8),
        ("Hello?", "Ho.", 8),
    ]


def test_the_seeds_table_comes_out_of_the_seeds_export() -> None:
    Path("sft.xml").write_text(SFT)
    tasks(task(1, {"prompt": "Generate..."}, annotation(1, written("instruction", "def sum..."))))
    done = run("--format", "csv", "--output", "table.csv", config="sft.xml")
    assert done.exit_code == 0, done.output
    assert Path("table.csv").read_text() == "prompt,instruction\nGenerate...,def sum...\n"


def test_the_annotations_that_count_come_out_as_raw_json_again() -> None:
    true = annotation(5, side("left"), ground_truth=True)
    told = [
        task(2, PAIR | {"more": {"a": [1]}}, annotation(3, side("right"), was_cancelled=True), annotation(4), true),
        task(1, PAIR, annotation(2, side("left")), annotation(1, side("right"), by=2), meta={"generated": {"seed": 1}}),
        task(3, PAIR),
    ]
    tasks(*told)
    done = run("--format", "json", "--output", "raw.json")
    assert done.exit_code == 0, done.output
    made = json.loads(Path("raw.json").read_text())
    assert [(one["id"], one["data"], [made["id"] for made in one["annotations"]]) for one in made] == [
        (1, told[1]["data"], [1, 2]),
        (2, told[0]["data"], [5]),
    ]
    assert made[0]["annotations"][1]["result"] == [side("left")]
    assert (made[0]["meta"], made[0]["annotations"][0]["created_at"][:10]) == ({"generated": {"seed": 1}}, "2026-11-01")
    assert "2 rows of json, by every control." in done.stdout
    again = run("--format", "trl-preference", "--output", "a.jsonl", export="raw.json")
    assert (again.exit_code, len(rows("a.jsonl"))) == (0, 2)
    first = run("--format", "trl-preference", "--output", "b.jsonl")
    assert (first.exit_code, Path("a.jsonl").read_text()) == (0, Path("b.jsonl").read_text())


def test_raw_json_of_nothing_is_an_empty_list() -> None:
    tasks(task(1, PAIR))
    assert run("--format", "json", "--output", "raw.json").exit_code == 0
    assert json.loads(Path("raw.json").read_text()) == []


def test_roles_and_thresholds_can_be_told() -> None:
    shown = '<Paragraphs name="chat" value="$chat" nameKey="who" textKey="said"/>'
    Path("chat.xml").write_text(f'<View>{shown}<Rating name="r" toName="chat"/></View>')
    turns = [{"who": "Ann", "said": "Hi"}, {"who": "Zed", "said": "Hello."}]
    tasks(task(1, {"chat": turns}, annotation(1, stars("r", 3))))
    told = ["--format", "trl-kto", "--output", "kto.jsonl", "--role", "zed=assistant", "--good-from", "3"]
    done = run(*told, config="chat.xml")
    assert done.exit_code == 0, done.output
    assert rows("kto.jsonl") == [
        {
            "prompt": [{"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Hello."}],
            "label": True,
        }
    ]


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (["export.json", "--format", "reward", "--output", "a.jsonl"], "give it with --config"),
        (["--config", "config.xml", "--format", "reward", "--dry-run"], "either an EXPORT or a --project"),
        (["--project", "1", "--config", "config.xml", "--format", "reward", "--dry-run"], "leave --config out"),
        (["export.json", "--config", "config.xml", "--format", "reward"], "Give an --output"),
        (["export.json", "--config", "config.xml", "--format", "reward", "--output", "a.csv"], "ends in .jsonl"),
        (["export.json", "--config", "config.xml", "--format", "json", "--output", "a.jsonl"], "ends in .json"),
        (["export.json", "--config", "config.xml", "--format", "csv", "--output", "a.jsonl"], "ends in .csv"),
        (
            ["export.json", "--config", "config.xml", "--format", "openai-sft", "--meta", "--dry-run"],
            "takes no other fields",
        ),
        (["export.json", "--config", "config.xml", "--format", "reward", "--dry-run", "--role", "a=b"], "NAME=ROLE"),
        (["export.json", "--config", "config.xml", "--format", "reward", "--dry-run", "--split", "1"], "--split"),
        (
            ["export.json", "--config", "config.xml", "--format", "trl-sft", "--dry-run", "--scores"],
            "--scores goes with",
        ),
        (
            ["export.json", "--config", "config.xml", "--format", "reward", "--dry-run", "--annotators", "agreement"],
            "'agreement>=0.8' (from 0 to 1; in quotes",
        ),
    ],
)
def test_wrong_usage_is_told_before_anything_is_read(told: list[str], sentence: str) -> None:
    tasks()
    done = CliRunner().invoke(main, ["export", *told])
    assert (done.exit_code, sentence in done.stderr) == (2, True), done.output


def test_the_export_itself_is_not_overwritten() -> None:
    Path("export.jsonl").write_text("")
    done = run("--format", "reward", "--output", "export.jsonl", export="export.jsonl")
    assert done.exit_code == 2
    assert "give the output another name" in done.stderr


# From a project


@contextmanager
def label_studio(*exported: dict[str, Any]) -> Iterator[Site]:
    """A Label Studio with a project 7, in a thread of its own."""

    def guarded(body: Any) -> Any:
        async def page(request: web.Request) -> web.Response:
            if request.headers.get("Authorization") != f"Token {TOKEN}":
                return web.json_response({"detail": "Authentication credentials were not provided."}, status=401)
            return web.json_response(body)

        return page

    pages = {
        "/api/projects/7/": guarded({"id": 7, "label_config": PAIRWISE}),
        "/api/projects/8/": guarded(["no project"]),
        "/api/tasks": guarded({"tasks": list(exported), "total": len(exported)}),
    }
    started, loop, found = threading.Event(), asyncio.new_event_loop(), []
    ended = asyncio.Event()

    async def serve() -> None:
        async with site(pages) as here:
            found.append(here)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def test_a_project_is_exported_with_its_own_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", TOKEN)
    with label_studio(
        task(1, PAIR, annotation(1, side("right"))), task(31, {"x": "y"}, annotation(2, side("left")))
    ) as here:
        told = ["export", "--project", "7", "--url", here.origin, "--format", "trl-preference", "--output", "p.jsonl"]
        done = CliRunner().invoke(main, told)
    assert rows("p.jsonl") == [{"prompt": "Hello?", "chosen": "Go away.", "rejected": "Hi."}]
    assert done.stderr == 'Project 7 entry 2 (task 31) is left out: Its data has no "answer1".\n'
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("project", "key", "sentence"),
    [("7", "wrong", "does not accept"), ("9", TOKEN, "has nothing at"), ("8", TOKEN, "is not Label Studio's API")],
)
def test_a_project_that_cannot_be_had_is_told(
    project: str, key: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", key)
    with label_studio() as here:
        told = ["export", "--project", project, "--url", here.origin, "--format", "reward", "--output", "p.jsonl"]
        done = CliRunner().invoke(main, told)
    assert (done.exit_code, sentence in done.stderr) == (1, True), done.output
    assert not Path("p.jsonl").exists()


def test_a_project_needs_to_know_where_label_studio_is() -> None:
    done = CliRunner().invoke(main, ["export", "--project", "7", "--format", "reward", "--dry-run"])
    assert (done.exit_code, "Say where Label Studio is: --url" in done.stderr) == (1, True), done.output
