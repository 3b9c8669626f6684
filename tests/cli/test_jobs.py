"""Runs in a terminal: what a person sees of them, and does with them, over HTTP."""

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from llm_backend.cli import main
from llm_backend.core.chat import Call
from llm_backend.errors import KeyRefused, ProviderRefused
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import GOOD, PROJECT, Caller, serving, task
from tests.support.serving import listening as on_a_port

TROUBLE = "m: refused \x1b[31m[red]this[/red]\x07 one."


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def listening(host: Caller) -> Iterator[str]:
    """The application on a port of its own; the flag that leads there."""
    with on_a_port(host) as port:
        yield f"--port={port}"


def say(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, ("jobs", *words), env=environ, prog_name="llm-backend")


def refuses_poison(call: Call) -> Reply:
    return ProviderRefused(TROUBLE) if "poison" in call.messages[-1].text else GOOD


class Held:
    """A model that holds its answers back until it is let go."""

    def __init__(self) -> None:
        self._go = asyncio.Event()

    async def __call__(self, call: Call) -> Reply:
        await self._go.wait()
        return refuses_poison(call)

    async def let_go(self) -> None:
        self._go.set()


def ten(*poison: int) -> list[Any]:
    return [task(ident, f"{'poison' if ident in poison else 'text'} {ident}") for ident in range(1, 11)]


def run_id(host: Caller) -> str:
    return str(host.http.get("/jobs").get_json()["jobs"][0]["id"])


@pytest.mark.parametrize("command", ["", "list", "show", "cancel", "retry", "watch"])
def test_help_teaches_with_an_example(command: str) -> None:
    said = say(*filter(None, (command, "--help")))
    assert said.exit_code == 0
    assert f"llm-backend jobs {command}".strip() in said.stdout.partition("\n\n")[2]


def test_jobs_alone_lists_the_runs(tmp_path: Path) -> None:
    with serving(ScriptedLLM(refuses_poison), tmp_path / "data") as host, listening(host) as here:
        assert say(here).stdout == "There is no run.\n"
        version = host.setup()
        host.batch(*ten(2, 4))
        head, row = say(here).stdout.splitlines()
        assert head.split() == ["RUN", "PROJECT", "STATE", "DONE", "FAILED", "LEFT", "STARTED", "VERSION"]
        ident = run_id(host)
        assert row.split()[:5] + row.split()[-1:] == [ident, PROJECT, "completed", "8/10", "2", version]
        assert say("list", here, "--state", "running").stdout == "There is no run.\n"
        (told,) = json.loads(say(here, "--json").stdout)
        assert (told["id"], told["done"], told["failed"]) == (ident, 8, 2)


def test_flags_may_stand_before_the_word_or_behind_it(tmp_path: Path) -> None:
    with serving(ScriptedLLM(refuses_poison), tmp_path / "data") as host, listening(host) as here:
        host.batch(*ten(2, 4))
        url = f"http://127.0.0.1:{here.partition('=')[2]}"
        ident = run_id(host)
        row = say(here).stdout
        assert ident in row
        for words in (("list", "--url", url), ("--url", url, "list"), (f"--url={url}", "list"), ("--url", url)):
            assert say(*words).stdout == row, words
        running = ("--state", "running")
        for words in (("--url", url, "list", *running), (*running, "--url", url, "list"), (*running, "--url", url)):
            assert say(*words).stdout == "There is no run.\n", words
        told = json.loads(say("--json", "--url", url, "show", ident).stdout)
        assert (told["id"], len(told["tasks"])) == (ident, 2)


@pytest.mark.parametrize(
    "words",
    [("--nonsense",), ("--nonsense", "list"), ("--ulr", "http://127.0.0.1:1"), ("--ulr", "x", "show", "y"), ("--url",)],
    ids=" ".join,
)
def test_a_wrong_flag_in_front_is_refused(words: tuple[str, ...]) -> None:
    said = say(*words)
    assert (said.exit_code, said.stdout) == (2, "")
    assert words[0] in said.stderr


def test_show_tells_why_tasks_failed_in_words_that_no_terminal_obeys(tmp_path: Path) -> None:
    with serving(ScriptedLLM(refuses_poison), tmp_path / "data") as host, listening(host) as here:
        host.batch(*ten(2, 4))
        said = say("show", run_id(host), here)
        told = json.loads(say("show", run_id(host), here, "--json").stdout)
    assert said.exit_code == 0
    assert "State:    completed\n" in said.stdout
    assert "Tasks:    8 done, 2 failed, 0 waiting, 0 cancelled\n" in said.stdout
    assert "Task 2: m: refused [31m[red]this[/red] one.\nTask 4: " in said.stdout
    assert [failed["task"] for failed in told["tasks"]] == [2, 4]


def test_show_tells_of_fifty_failures_or_of_all(tmp_path: Path) -> None:
    tasks = [task(ident, f"poison {ident}") for ident in range(1100)]
    with serving(ScriptedLLM(refuses_poison), tmp_path / "data") as host, listening(host) as here:
        host.batch(*tasks)
        some = say("show", run_id(host), here).stdout
        every = say("show", run_id(host), here, "--all").stdout
    assert some.count("\nTask ") == 50
    assert some.endswith("... and 1,050 more; --all shows them.\n")
    assert every.count("\nTask ") == 1100


def test_a_run_is_cancelled_and_retried(tmp_path: Path) -> None:
    held = Held()
    with serving(ScriptedLLM(held), tmp_path / "data", batch_deadline=0.01) as host, listening(host) as here:
        host.batch(*ten())
        ident = run_id(host)
        cancelled = "project 1 cancelled: 0 of 10 done. cancelled by a person\n"
        assert say("cancel", ident, here).stdout == f"{ident} {cancelled}"
        again = say("cancel", ident, here)
        assert (again.exit_code, again.stderr) == (
            *(1, f"Error: Run {ident} is cancelled already; there is nothing to cancel.\n"),
        )
        host.services.loop.run(held.let_go())
        assert json.loads(say("retry", ident, here, "--json").stdout)["id"] == ident
        said = say("watch", ident, here, "--every", "0.05")
        assert said.exit_code == 0
        assert said.stdout.endswith(f"{ident} project 1 completed: 10 of 10 done\n")


def test_watch_tells_of_every_change_until_the_end(tmp_path: Path) -> None:
    held = Held()
    with serving(ScriptedLLM(held), tmp_path / "data", batch_deadline=0.01) as host, listening(host) as here:
        host.batch(*ten(3))
        ident = run_id(host)
        command = [sys.executable, "-m", "llm_backend", "jobs", "watch", "--every", "0.05", here]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as watching:
            assert watching.stdout is not None
            assert watching.stdout.readline() == f"{ident} project 1 running: 0 of 10 done\n"
            host.services.loop.run(held.let_go())
            *_, last = watching.stdout
            assert watching.wait(10) == 0
    assert last == f"{ident} project 1 completed: 9 of 10 done, 1 failed\n"


def test_watch_draws_a_bar_where_a_terminal_shows_it(tmp_path: Path) -> None:
    with serving(ScriptedLLM(refuses_poison), tmp_path / "data") as host, listening(host) as here:
        host.batch(*ten(3))
        ours, theirs = pty.openpty()
        command = [sys.executable, "-m", "llm_backend", "jobs", "watch", run_id(host), here]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm", "COLUMNS": "110"}
        with subprocess.Popen(command, env=environ, stdout=theirs) as watching:
            assert watching.wait(20) == 0
        os.close(theirs)
        said = os.read(ours, 100_000).decode()
        os.close(ours)
    assert "━━━━" in said
    assert "completed: 9 of 10 done, 1 failed" in said
    assert f"(llm-backend jobs show {run_id_in(said)})" in said


def run_id_in(said: str) -> str:
    return said[said.index(" project 1 ") - 12 : said.index(" project 1 ")]


def test_watch_without_a_run_says_so_and_a_paused_one_is_a_failure(tmp_path: Path) -> None:
    with (
        serving(ScriptedLLM(KeyRefused("m: wrong key.")), tmp_path / "data", llm_concurrency=1) as host,
        listening(host) as here,
    ):
        assert say("watch", here).stdout == "No run is under way.\n"
        host.batch(task(1))
        said = say("watch", run_id(host), here)
        assert said.exit_code == 1
        assert said.stdout.endswith("paused: 0 of 1 done. m: wrong key.\n")


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "watch"])
def test_an_unknown_run_is_told_so(tmp_path: Path, command: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as here:
        said = say(command, "no-such-run", here)
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == "Error: There is no run no-such-run; finished ones are forgotten after a while.\n"


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "watch"])
@pytest.mark.parametrize("ident", ["../health", "a/cancel?x=1", "é", ""])
def test_what_is_no_id_is_not_asked_for(command: str, ident: str) -> None:
    said = say(command, ident)
    assert (said.exit_code, said.stdout) == (2, "")
    assert "is no run's id; llm-backend jobs lists them." in said.stderr


def test_the_server_is_shown_its_own_credentials_and_secret(tmp_path: Path) -> None:
    guarded = {"basic_auth_user": "ann", "basic_auth_pass": "wörd", "url_secret": "open-sesame"}
    told = {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "wörd", "URL_SECRET": "open-sesame"}
    with serving(ScriptedLLM(GOOD), tmp_path / "data", **guarded) as host, listening(host) as here:
        assert say(here, **told).stdout == "There is no run.\n"
        wrong = say(here, **{**told, "BASIC_AUTH_PASS": "x"})
        assert (wrong.exit_code, "BASIC_AUTH_PASS" in wrong.stderr) == (1, True)
        elsewhere = say(here, **{**told, "URL_SECRET": "other-secret"})
        assert elsewhere.stderr == "Error: There is no such door here.\n"


def test_without_a_server_one_sentence_says_so_and_keeps_the_secret() -> None:
    for words in ((), ("show", "x"), ("watch",), ("retry", "x")):
        said = say(*words, "--port", "1", URL_SECRET="hidden-1")
        assert (said.exit_code, said.stdout) == (1, "")
        assert said.stderr.startswith("Error: No answer from http://127.0.0.1:1/…/jobs")
        assert "Start the server with `llm-backend serve`" in said.stderr


def test_another_server_is_told_apart(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path / "data") as host, listening(host) as here:
        said = say("--url", f"http://127.0.0.1:{here.partition('=')[2]}/health?")
    assert said.exit_code == 1
    assert "is not a server of llm-backend: its answer gives no jobs." in said.stderr
