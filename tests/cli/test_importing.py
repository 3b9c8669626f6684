"""An export's annotations, learned by a running server."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llm_backend.cli import main
from tests.cli.test_jobs import folder, listening
from tests.support.scripted import ScriptedLLM
from tests.support.serving import GOOD, PROJECT, Caller, chosen, serving, task, typed

__all__ = ["folder"]  # a fixture: the current folder

OTHER = "2.1795217999"


def say(*words: str) -> Result:
    return CliRunner().invoke(main, ("import", *words), prog_name="llm-backend")


def exported(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            **task(ident, f"The parcel came {ident}"),
            "annotations": [{"id": ident, "result": [chosen("Positive")], "completed_by": 1}],
            **more,
        }
        for ident in range(count)
    ]


def written(tasks: Any, name: str = "export.json") -> str:
    Path(name).write_text(json.dumps(tasks, indent=1))
    return name


def learned(host: Caller, key: str = PROJECT) -> int:
    count: int = host.http.get(f"/projects/{key}").get_json()["learned"]["count"]
    return count


def test_annotations_are_learned_and_counted(tmp_path: Path) -> None:
    tasks = exported(450)
    tasks[3]["annotations"] = [{"id": 3, "result": [chosen("Negative", "prediction")]}]
    tasks[4]["annotations"] = [{"id": 4, "result": [], "was_cancelled": True}]
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as port:
        host.setup()
        told = say(written(tasks), port)
        assert told.exit_code == 0, told.output
        assert "450 tasks read, 449 corrections learned: 448 by people, 1 accepted as they were" in told.stdout
        assert "1 annotation skipped or empty" in told.stdout
        assert f"Project {PROJECT} knows 449 corrections now; 448 of them are not published yet" in told.stdout
        assert learned(host) == 449
        assert say(written(tasks), port).exit_code == 0
        assert learned(host) == 449


def test_bad_entries_are_named_by_their_line(tmp_path: Path) -> None:
    tasks = [5, *exported(1), {**task(7, "x" * 200_000), "annotations": [{"id": 9, "result": [chosen("Positive")]}]}]
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as port:
        host.setup()
        told = say(written(tasks), port)
    assert told.exit_code == 1
    assert "line 2 cannot be used: it is no task" in told.stderr
    assert "cannot be used: The task and its answers are larger than" in told.stderr
    assert "1 task" not in told.stdout
    assert "2 not usable" in told.stdout


def test_a_table_is_read_through_the_projects_labeling_config(tmp_path: Path) -> None:
    with open("export.csv", "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["id", "text", "annotation_id", "annotator", "sentiment", "response", "prompt"])
        rows.writerow([5, "The parcel came", 8, 1, "Positive", "Thanks!", "Classify"])
    with serving(ScriptedLLM(GOOD), tmp_path / "data", few_shot=1) as host, listening(host) as port:
        host.setup()
        told = say("export.csv", port)
        assert told.exit_code == 0, told.output
        host.shift_enter(typed("How is it?"), task=task(9, "The parcel"))
        llm = host.services.connections.llm(None)
        assert isinstance(llm, ScriptedLLM)
        assert json.loads(llm.calls[-1].messages[2].text) == {"response": "Thanks!", "sentiment": "Positive"}


@pytest.mark.parametrize(
    ("words", "named", "key"),
    [((), 2, OTHER), (("--project", "1"), 2, PROJECT), (("--project", OTHER), None, OTHER)],
    ids=["by the export", "by its number", "by its key"],
)
def test_the_project_is_found(tmp_path: Path, words: tuple[str, ...], named: int | None, key: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as port:
        host.setup()
        host.setup(project=OTHER)
        told = say(written(exported(2, project=named)), port, *words)
        assert told.exit_code == 0, told.output
        assert learned(host, key) == 2


@pytest.mark.parametrize(
    ("known", "words", "sentence"),
    [
        ((), (), "The server knows no project yet"),
        ((PROJECT, OTHER), (), f"2 projects could be meant; name one with --project: {OTHER} or {PROJECT}"),
        ((PROJECT,), ("--project", "9"), f"The server knows no project 9; name one with --project: {PROJECT}"),
    ],
)
def test_which_project_is_asked_in_a_sentence(
    tmp_path: Path, known: tuple[str, ...], words: tuple[str, ...], sentence: str
) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as port:
        for key in known:
            host.setup(project=key)
        told = say(written(exported(1)), port, *words)
    assert told.exit_code == 1
    assert sentence in told.stderr


def test_a_broken_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as port:
        host.setup()
        Path("broken.json").write_text("[{]")
        told = say("broken.json", port)
    assert told.exit_code == 1
    assert "broken.json line 1 is not JSON" in told.stderr
