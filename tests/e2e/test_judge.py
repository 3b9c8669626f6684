"""A judge's labels are reviewed in a real Label Studio: they are on the screen, and what is submitted comes back."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

from llm_backend.core.wire import JSON
from llm_backend.demo.api import Api
from tests.support.browser import Editor
from tests.support.lab import MODEL, ROOT
from tests.support.stub_model import Reply, StubModel, says


def polite(request: JSON, n_th: int) -> Reply:
    text = request["messages"][-1]["content"]
    return says(json.dumps({"explanation": "So it seems.", "label": str(int("please" in text))}))


def judge(folder: Path, stub: StubModel, api: Api, token: str) -> "subprocess.CompletedProcess[str]":
    told = {
        "OPENAI_BASE_URL": stub.base_url,
        "OPENAI_API_KEY": "k",
        "OPENAI_MODEL": MODEL,
        "LABEL_STUDIO_API_KEY": token,
    }
    words = ("judge", "data.csv", "--criterion", "Is {reply} polite?", "--output", "out.csv", "--review", "3")
    return subprocess.run(
        [sys.executable, "-m", "llm_backend", *words, "--label-studio", api.url],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env={**os.environ, **told, "LABEL_STUDIO_API_KEY": token, "PYTHONPATH": str(ROOT)},
    )


def test_a_judges_labels_are_reviewed_on_the_screen(
    api: Api, token: str, editor: Editor, shots: Path, tmp_path: Path
) -> None:
    replies = [f"{'please' if n % 2 else 'no'} {'very ' * n}{n}" for n in range(8)]
    (tmp_path / "data.csv").write_text("reply\n" + "".join(f"{reply}\n" for reply in replies))
    with StubModel(polite) as stub:
        made = judge(tmp_path, stub, api, token)
        assert made.returncode == 130, made.stderr
        project = next(int(one["id"]) for one in api.projects() if one["title"] == "Review: Is {reply} polite?")
        first, *others = api.tasks(project)
        assert len(others) == 2

        editor.open(project, first["id"])
        shown = editor.wait_for_region("label")["value"]["choices"]
        assert editor.wait_for_region("explanation")["value"] == {"text": ["So it seems."]}
        editor.choose("0" if shown == ["1"] else "1")
        editor.wait_for_region("label", lambda value: value["choices"] != shown)
        editor.screenshot(shots / "judge-review.png")
        editor.submit()
        for task in others:
            api.annotate(task["id"], task["predictions"][0]["result"])

        done = judge(tmp_path, stub, api, token)
    assert done.returncode == 0, done.stderr
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as stream:
        rows = {row["reply"]: row for row in csv.DictReader(stream)}
    assert rows[first["data"]["reply"]]["label"] not in shown
    people = {reply for reply, row in rows.items() if row["label_source"] == "human"}
    assert people == {task["data"]["reply"] for task in (first, *others)}
    assert "Judge and people agree on 2 of 3 rows" in done.stdout
