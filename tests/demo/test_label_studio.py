"""Label Studio is installed once, started with what it needs, and says why when it does not come up."""

import json
import os
import sqlite3
import sys
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from llm_backend.demo.label_studio import LabelStudio, install, requirements, version
from llm_backend.demo.processes import ChildFailed

# Stands for `label-studio`: keeps what it was told, makes its database, and answers /health.
PROGRAM = f"""#!{sys.executable}
import http.server, json, os, pathlib, sqlite3, sys
options = sys.argv
data = pathlib.Path(options[options.index("--data-dir") + 1])
database = data / "label_studio.sqlite3"
(data / "told.json").write_text(json.dumps([options[1:], dict(os.environ), database.exists()]))
with sqlite3.connect(database) as db:
    db.execute("create table if not exists migrated (at text)")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args):
        pass
port = int(options[options.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


def quiet(line: str) -> None:
    """Takes what is said, and keeps it to itself."""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    place = tmp_path / "label-studio"
    place.write_text(PROGRAM, encoding="utf-8")
    place.chmod(0o755)
    return place


def told(data: Path) -> tuple[list[str], dict[str, str], bool]:
    options, environ, known = json.loads((data / "told.json").read_text(encoding="utf-8"))
    return options, environ, known


def test_every_requirement_is_pinned_and_hashed_and_names_no_index() -> None:
    lines = [line for line in requirements().splitlines() if line and not line.startswith("#")]
    pinned = [line for line in lines if not line.startswith(" ")]
    assert len(pinned) > 100
    assert all("==" in line for line in pinned)
    assert requirements().count("--hash=sha256:") >= len(pinned)
    assert "://" not in requirements()
    assert version() == "1.23.2"


def test_it_is_told_to_report_nothing_and_to_allow_a_backend_on_loopback(program: Path, tmp_path: Path) -> None:
    with LabelStudio(program, tmp_path / "data", say=quiet) as running:
        options, environ, _ = told(tmp_path / "data")
    assert options[:2] == ["start", "--no-browser"]
    assert options[options.index("--internal-host") + 1] == "127.0.0.1"
    assert options[options.index("--port") + 1] == str(running.port)
    assert environ["COLLECT_ANALYTICS"] == "0"
    assert environ["SENTRY_DSN"] == ""
    assert environ["ML_BLOCK_LOCAL_IP"] == environ["SSRF_PROTECTION_ENABLED"] == "false"
    assert environ["LABEL_STUDIO_BASE_DATA_DIR"] == str(tmp_path / "data")
    assert environ["LABEL_STUDIO_HOST"] == running.url
    assert "--enable-legacy-api-token" not in options


def test_our_own_environment_stays_with_us(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with LabelStudio(program, tmp_path / "data", say=quiet, predict_timeout=4, legacy_tokens=True):
        options, environ, _ = told(tmp_path / "data")
    assert "OPENAI_API_KEY" not in environ
    assert "HTTPS_PROXY" not in environ
    assert environ["ML_TIMEOUT_PREDICT"] == "4"
    assert "--enable-legacy-api-token" in options


def test_a_second_first_start_begins_with_the_kept_database(program: Path, tmp_path: Path) -> None:
    with LabelStudio(program, tmp_path / "one", cache=tmp_path / "cache", say=quiet):
        assert told(tmp_path / "one")[2] is False
    (kept,) = (tmp_path / "cache").iterdir()
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("select name from sqlite_master").fetchall() == [("migrated",)]

    with LabelStudio(program, tmp_path / "two", cache=tmp_path / "cache", say=quiet):
        assert told(tmp_path / "two")[2] is True


def test_another_password_does_not_begin_with_the_kept_database(program: Path, tmp_path: Path) -> None:
    with LabelStudio(program, tmp_path / "one", cache=tmp_path / "cache", say=quiet):
        pass
    with LabelStudio(program, tmp_path / "two", cache=tmp_path / "cache", password="other", say=quiet):
        assert told(tmp_path / "two")[2] is False


def test_data_of_an_earlier_start_is_kept(program: Path, tmp_path: Path) -> None:
    for known in (False, True):
        with LabelStudio(program, tmp_path / "data", say=quiet):
            assert told(tmp_path / "data")[2] is known


def test_a_failed_start_passes_on_the_end_of_its_log(program: Path, tmp_path: Path) -> None:
    program.write_text("#!/bin/sh\necho no such table: users\nexit 1\n", encoding="utf-8")
    with pytest.raises(ChildFailed, match=r"Label Studio ended .*(?s:.)*no such table: users"):
        LabelStudio(program, tmp_path / "data", say=quiet).start()


def test_what_is_installed_is_not_installed_again(tmp_path: Path) -> None:
    place = tmp_path / f"venv-{version()}"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "label-studio").touch()
    (place / "complete").write_text(sha256(requirements().encode()).hexdigest(), encoding="utf-8")
    said: list[str] = []
    assert install(tmp_path, said.append) == place / "bin" / "label-studio"
    assert said == []


def test_a_half_made_environment_is_made_anew_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    leftover = tmp_path / f"venv-{version()}" / "leftover"
    leftover.parent.mkdir()
    leftover.touch()
    said: list[str] = []

    with pytest.raises(ChildFailed, match=r"could not be installed.*install\.log"):
        install(tmp_path, said.append)

    assert not leftover.exists()
    assert len(said) == 1
    assert not (leftover.parent / "complete").exists()
