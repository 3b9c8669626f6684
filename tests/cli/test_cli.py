"""What does a person read in a shell? Right usage, slips of the pen, wrong settings, and files that cannot be read."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from llm_backend.cli import main

CONFIG = """
<View>
  <Header value="Rate the answer"/>
  <Text name="text" value="$text"/>
  <TextArea name="prompt" toName="text"/>
  <Choices name="tone" toName="text" required="true"><Choice value="good"/><Choice value="bad"/></Choices>
  <Rating name="stars" toName="text" maxRating="4"/>
  <Image name="page" value="$page"/>
  <BrushLabels name="mask" toName="page"><Label value="stain"/></BrushLabels>
</View>
"""
TASK = {"data": {"text": "Hello {you}", "page": "http://files.example/page.png"}}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: no .env of a developer lies in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.xml").write_text(CONFIG)
    (tmp_path / "task.json").write_text(json.dumps(TASK))
    return tmp_path


def say(*words: str, **environ: str) -> Result:
    return CliRunner().invoke(main, words, env=environ, prog_name="llm-backend")


@pytest.mark.parametrize(
    "command", [[], *([name] for name in main.commands)], ids=lambda words: "".join(words) or "main"
)
def test_help_teaches_with_an_example(command: list[str]) -> None:
    said = say(*command, "--help")
    assert said.exit_code == 0
    assert f"llm-backend {' '.join(command)}".strip() in said.stdout.partition("\n\n")[2]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["srve"], "Did you mean 'serve'?"),
        (["serve", "--prot", "1"], "'--port'"),
        (["serve", "--port", "99999"], "not in the range"),
        (["serve", "--provider", "opena"], "'openai', 'azure', 'ollama'"),
        (["check", "nowhere.xml"], "does not exist"),
        (["check", "config.xml", "--set", "TEMPERATUR=1"], "Did you mean TEMPERATURE?"),
        (["check", "config.xml", "--set", "QQQ=1"], "There are OPENAI_PROVIDER, "),
        (["check", "config.xml", "--set", "TEMPERATURE"], "write NAME=VALUE"),
        (["check", "config.xml", "--env-file", "nowhere"], "does not exist"),
        (["health", "--url", "localhost:9090"], "write http://localhost:9090"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_what_was_meant(words: list[str], wanted: str) -> None:
    said = say(*words)
    assert (said.exit_code, said.stdout) == (2, "")
    assert wanted in said.stderr


def test_wrong_settings_end_with_one_message_that_names_them_all() -> None:
    said = say("serve", TEMPERATURE="hot", LLM_TIMEOUT="1m")
    assert said.exit_code == 2
    assert said.stderr.startswith('Error: TEMPERATURE="hot": give a number')
    assert "LLM_TIMEOUT" in said.stderr
    assert "OPENAI_API_KEY is not set" in said.stderr
    assert "Traceback" not in said.output


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(folder: Path) -> None:
    (folder / ".env").write_text("PROMPT_PREFIX=a\nDEFAULT_PROMPT=of the file\nTEMPERATURE=hot\n")
    said = say("check", "config.xml", "--set", "temperature=0", PROMPT_PREFIX="prompt")
    assert said.exit_code == 0, said.output
    assert 'typed in:\n  TextArea "prompt"' in said.stdout
    assert "The prompt, from DEFAULT_PROMPT:\n  of the file\n" in said.stdout


def test_another_env_file_can_be_named(folder: Path) -> None:
    (folder / "other.env").write_text("DEFAULT_PROMPT=of the other\n")
    assert "of the other" in say("check", "config.xml", "--env-file", "other.env").stdout


def test_check_says_what_is_seen_filled_and_not_filled() -> None:
    said = say("check", "config.xml").stdout
    assert '  Text "text": $text\n' in said
    assert '  Choices "tone", required\n  Rating "stars"\n' in said
    assert 'It cannot fill:\n  BrushLabels "mask" paints single pixels' in said
    assert "The prompt, from the labeling config's own words:\n" in said
    assert '"enum": [' in said
    assert "--task" in said


@pytest.mark.parametrize(("wanted", "listed"), [("1", "It fills:\n"), ("0", "It cannot fill:\n")])
def test_check_goes_by_the_setting_for_shapes(folder: Path, wanted: str, listed: str) -> None:
    page = '<Image name="page" value="$page"/><Rectangle name="box" toName="page"/>'
    (folder / "config.xml").write_text(f'<View>{page}<Rating name="stars" toName="page"/></View>')
    said = say("check", "config.xml", FILL_GEOMETRY=wanted).stdout
    assert 'Rectangle "box"' in said.partition(listed)[2].partition("\n\n")[0]


def test_check_shows_what_the_model_would_be_sent() -> None:
    said = say("check", "config.xml", "--task", "task.json", "--prompt", 'Judge {text} as {"a": 1} or {foo}.').stdout
    assert 'Message of the user:\n  Judge Hello {you} as {"a": 1} or {foo}.\n' in said
    assert "http://files.example/page.png" in said
    assert "name no field of the task: {foo}\n" in said
    assert '"maximum": 4' in said


@pytest.mark.parametrize("task", [TASK["data"], [TASK], [TASK["data"], {}]], ids=["data alone", "list", "list of data"])
def test_check_takes_a_task_as_the_import_takes_it(folder: Path, task: object) -> None:
    (folder / "task.json").write_text(json.dumps(task))
    assert "Hello {you}" in say("check", "config.xml", "--task", "task.json").stdout


def test_check_says_that_a_single_text_is_asked_in_plain_words(folder: Path) -> None:
    (folder / "config.xml").write_text('<View><Text name="t" value="$text"/><TextArea name="r" toName="t"/></View>')
    assert "Asked in plain words" in say("check", "config.xml", "--task", "task.json").stdout


def test_check_says_that_dynamic_choices_depend_on_the_task(folder: Path) -> None:
    dynamic = '<View><Text name="t" value="$text"/><Choices name="c" toName="t" value="$options"/></View>'
    (folder / "config.xml").write_text(dynamic)
    assert "JSON Schema depends on the task" in say("check", "config.xml").stdout
    (folder / "task.json").write_text('{"text": "x", "options": [{"value": "tea"}, {"value": "milk"}]}')
    assert '"tea"' in say("check", "config.xml", "--task", "task.json").stdout


def test_check_says_what_is_asked_in_both_orders(folder: Path) -> None:
    texts = '<Text name="a" value="$a"/><Text name="b" value="$b"/>'
    (folder / "pair.xml").write_text(f'<View>{texts}<Pairwise name="better" toName="a,b"/></View>')
    assert 'It fills:\n  Pairwise "better", asked in both orders\n' in say("check", "pair.xml").stdout


def test_check_takes_the_empty_config_of_a_new_project(folder: Path) -> None:
    (folder / "config.xml").write_text("<View/>")
    said = say("check", "config.xml")
    assert (said.exit_code, said.stdout) == (0, "The labeling config is empty: nothing is asked.\n")


@pytest.mark.parametrize(
    ("file", "held", "wanted"),
    [
        ("config.xml", b"<View><Text></View>", "not readable XML"),
        ("config.xml", b'<View><Image name="i" value="$i"/></View>', "Nothing here that a model can fill"),
        ("config.xml", b"\xff\xfe\xfa", "config.xml is not UTF-8 text"),
        ("task.json", b"{text: 1}", "task.json is not JSON"),
        ("task.json", b"[]", 'A task is an object with a "data" object; found a list.'),
        ("task.json", b"3", "found a number"),
        ("task.json", b'{"body": "x"}', 'which the task does not have; it has "body".'),
    ],
)
def test_a_file_that_cannot_be_used_ends_with_a_sentence(folder: Path, file: str, held: bytes, wanted: str) -> None:
    (folder / file).write_bytes(held)
    said = say("check", "config.xml", "--task", "task.json")
    assert said.exit_code == 1
    assert wanted in said.stderr
    assert said.stderr.startswith("Error: ")


class _Health(BaseHTTPRequestHandler):
    """Answers as its server says, and notes what it was asked."""

    server: "_Server"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.send_response(self.server.code)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


class _Server(ThreadingHTTPServer):
    code = 200
    body = b'{"status": "UP"}'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Health)
        self.asked: list[tuple[str, str | None]] = []


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_health_asks_the_server_with_its_own_credentials(server: _Server) -> None:
    told = {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "wörd", "URL_SECRET": "hidden-1"}
    said = say("health", "--port", str(server.server_port), **told)
    assert (said.exit_code, said.stdout) == (0, "UP\n")
    assert server.asked == [("/hidden-1/health", "Basic " + base64.b64encode("ann:wörd".encode()).decode())]


def test_health_asks_another_address_as_it_is_connected(server: _Server) -> None:
    assert say("health", "--url", f"http://127.0.0.1:{server.server_port}/prefix/").exit_code == 0
    assert server.asked == [("/prefix/health", None)]


@pytest.mark.parametrize(
    ("code", "body", "wanted"),
    [
        (401, b"{}", "answers 401 Unauthorized"),
        (500, b"", "answers 500"),
        (200, b"<html>", "is not a server of llm-backend"),
        (200, b"[]", "is not a server of llm-backend"),
        (200, b"\xff", "is not a server of llm-backend"),
    ],
)
def test_health_says_what_is_wrong_and_keeps_the_secret(server: _Server, code: int, body: bytes, wanted: str) -> None:
    server.code, server.body = code, body
    said = say("health", "--port", str(server.server_port), URL_SECRET="hidden-1")
    assert said.exit_code == 1
    assert wanted in said.stderr
    assert "hidden-1" not in said.stderr


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def test_health_without_a_server_ends_with_a_sentence() -> None:
    said = say("health", "--port", str(free_port()))
    assert said.exit_code == 1
    assert "No answer from http://127.0.0.1:" in said.stderr


def test_serve_serves_until_it_is_told_to_end(folder: Path) -> None:
    port = free_port()
    program = [sys.executable, "-m", "llm_backend", "serve", "--port", str(port), "--base-url", "http://127.0.0.1:9/v1"]
    with subprocess.Popen(program, env={**os.environ, "DATA_DIR": str(folder)}, cwd=folder) as serving:
        try:
            while say("health", "--port", str(port)).exit_code:
                assert serving.poll() is None, "the server ended"
            serving.send_signal(signal.SIGTERM)
            assert serving.wait(timeout=20) == 0
        finally:
            serving.kill()


MEDIA = """
<View>
  <Image name="page" value="$page"/>
  <Pdf name="contract" valueType="url" value="$contract"/>
  <Audio name="call" value="$call"/>
  <Audio name="mute" value="$mute"/>
  <Video name="film" value="$film"/>
  <Text name="mail" valueType="url" value="$mail"/>
  <TimeSeries name="pulse" value="$pulse"/>
  <Choices name="tone" toName="page"><Choice value="good"/><Choice value="bad"/></Choices>
</View>
"""


@pytest.mark.parametrize(
    ("environ", "page", "contract", "film"),
    [
        (
            {},
            "as a picture",
            "as a file where the model takes files, else as its text, with pictures of pages that have none",
            "as frames, evenly spread, with their times",
        ),
        (
            {"IMAGE_MODE": "ocr"},
            "as its text, by OCR",
            "as its text, by OCR where a page has none",
            "as the texts of frames, by OCR, with their times",
        ),
    ],
)
def test_check_says_how_each_medium_would_be_shown(
    folder: Path, environ: dict[str, str], page: str, contract: str, film: str
) -> None:
    (folder / "media.xml").write_text(MEDIA)
    names = ("contract", "call", "mute", "film", "mail", "pulse")
    data = {name: f"/data/upload/1/{name}" for name in names}
    data |= {"page": "data:image/png;base64,SECRET", "call_transcript": "Hello"}
    (folder / "media.json").write_text(json.dumps(data))
    said = say("check", "media.xml", "--task", "media.json", **environ).stdout
    assert said[said.index("Sent along, once fetched:") :].splitlines()[1:15] == [
        *('  Image "page": data:image/png;base64,...', f"    {page}"),
        *('  Pdf "contract": /data/upload/1/contract', f"    {contract}"),
        *('  Audio "call": /data/upload/1/call', "    as a sound where the model hears, else its transcript"),
        '  Audio "mute": /data/upload/1/mute',
        '    as a sound where the model hears, else nothing: the task has no "transcript"',
        *('  Video "film": /data/upload/1/film', f"    {film}"),
        *('  Text "mail": /data/upload/1/mail', "    as text, read as the Text that it is"),
        *('  TimeSeries "pulse": /data/upload/1/pulse', "    as text, read as the TimeSeries that it is"),
    ]
