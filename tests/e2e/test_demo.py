"""The demo as a newcomer starts it: one command, six projects, and everything gone after Ctrl-C."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from llm_backend.demo.api import Api
from llm_backend.demo.label_studio import PASSWORD, USERNAME, requirements, version
from llm_backend.demo.processes import answers, free_port
from llm_backend.demo.projects import SAMPLES
from llm_backend.demo.stand_in import MARK
from tests.support.browser import annotator, values
from tests.support.lab import HOME, ROOT


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the demo, in which Label Studio is installed already."""
    made = tmp_path_factory.mktemp("demo")
    named = os.environ.get("E2E_LABEL_STUDIO")
    if named is None:
        (made / "label-studio").symlink_to(HOME)
        return made
    place = made / "label-studio" / f"venv-{version()}"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "label-studio").symlink_to(named)
    (place / "complete").write_text(sha256(requirements().encode()).hexdigest(), encoding="utf-8")
    return made


@contextmanager
def demo(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The demo's process and what it said until it was ready."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR") if name in os.environ}
    command = [sys.executable, "-m", "llm_backend", "demo", "--folder", str(folder), *options]
    environ = {**kept, "PYTHONPATH": str(ROOT)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, env=environ, cwd=folder, text=True, **streams) as process:
        said: list[str] = []
        try:
            assert process.stdout is not None
            for line in process.stdout:
                said.append(line)
                if line.startswith("Ctrl-C"):
                    break
            yield process, said
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def test_the_demo_starts_connected_fills_forms_and_stops_whole(folder: Path, browser: Browser, shots: Path) -> None:
    host, port = free_port(), free_port()
    with demo(folder, "--label-studio-port", str(host), "--port", str(port)) as (process, said):
        told = "".join(said)
        assert f"http://127.0.0.1:{host}" in told
        assert USERNAME in told
        assert PASSWORD in told
        assert "OPENAI_API_KEY" in told
        api = Api(f"http://127.0.0.1:{host}")
        api.login(USERNAME, PASSWORD)
        projects = {project["title"]: int(project["id"]) for project in api.projects()}
        assert set(projects) == {sample.title for sample in SAMPLES}
        with annotator(browser, api) as editor:
            for sample in SAMPLES:
                project = projects[sample.title]
                editor.open(project, int(api.tasks(project)[0]["id"]))
                if sample.prompted:
                    editor.auto_annotation()
                    editor.prompt("Sum this up in one sentence.")
                    texts = editor.wait_for_region("summarization-response" if sample.pictures else "response")
                    assert all(text.startswith(MARK) for text in texts["value"]["text"])
                else:
                    editor.wait_for_region("evals" if sample.slug == "moderation" else "comparison")
                assert set(values(editor.result())) - {"prompt"}
                editor.screenshot(shots / f"demo-{sample.slug}.png")
            assert editor.noise.errors == []

    assert process.returncode == 0
    assert not answers(f"http://127.0.0.1:{host}/health")
    assert not answers(f"http://127.0.0.1:{port}/health")


def test_a_second_start_beside_busy_ports_takes_others_and_doubles_nothing(folder: Path) -> None:
    busy = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    host, port = (server.getsockname()[1] for server in busy)
    with demo(folder, "--label-studio-port", str(host), "--port", str(port)) as (_, said):
        for server in busy:
            server.close()
        told = "".join(said)
        host, port = _taken(told, host), _taken(told, port)
        api = Api(f"http://127.0.0.1:{host}")
        api.login(USERNAME, PASSWORD)
        projects = api.projects()
        assert sorted(project["title"] for project in projects) == sorted(sample.title for sample in SAMPLES)
        for project in projects:
            assert project["task_number"] in (4, 5, 6)
            connections = api.connections(int(project["id"]))
            assert [connection["url"] for connection in connections] == [f"http://127.0.0.1:{port}"]
            webhooks = api.call("GET", f"/api/webhooks/?project={project['id']}")
            assert [webhook["url"] for webhook in webhooks] == [f"http://127.0.0.1:{port}/webhook"]


def _taken(told: str, wanted: int) -> int:
    """The port that was taken in the place of a busy one, as the demo says it."""
    found = re.search(rf"^Port {wanted} is in use; .* takes (\d+)\.$", told, re.MULTILINE)
    assert found, told
    return int(found[1])


def test_a_second_demo_on_the_same_folder_is_refused(folder: Path) -> None:
    with demo(folder, "--label-studio-port", str(free_port()), "--port", str(free_port())):
        command = [sys.executable, "-m", "llm_backend", "demo", "--folder", str(folder)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        second = subprocess.run(command, env=environ, text=True, capture_output=True, timeout=60)

    assert second.returncode == 1
    assert "still runs on" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_backend_that_falls_ends_the_demo_with_the_end_of_its_log(folder: Path) -> None:
    host, port = free_port(), free_port()
    with demo(folder, "--label-studio-port", str(host), "--port", str(port)) as (process, _):
        os.killpg(_backend_on(port), signal.SIGKILL)
        assert process.stdout is not None
        rest = process.stdout.read()

    assert process.returncode == 1
    assert "The backend ended" in rest
    assert "serving on" in rest  # its log
    assert "Traceback" not in rest
    assert not answers(f"http://127.0.0.1:{host}/health")


def _backend_on(port: int) -> int:
    """The process group of the demo's backend."""
    wanted = f"llm_backend.demo.server\0{port}\0".encode()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (place / "cmdline").read_bytes():
                return os.getpgid(int(place.name))
        except OSError:
            continue
    raise AssertionError("the demo's backend does not run")
