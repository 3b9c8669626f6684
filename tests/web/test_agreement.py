"""How well people and the model agree in a project, as the server itself remembers both."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from llm_backend.core.chat import Call
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import PROJECT, Caller, chosen, serving, task, typed

PAGE = {"Accept": "text/html"}
DOOR = f"/projects/{PROJECT}/agreement"


def answer(call: Call) -> Reply:
    return json.dumps(
        {"response": "A response.", "sentiment": "Negative" if "bad" in call.messages[-1].text else "Positive"}
    )


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Caller]:
    with serving(ScriptedLLM(answer), tmp_path) as host:
        host.setup(hostname="https://labels.example")
        yield host


def worked(host: Caller, ident: int, text: str, label: str, **more: Any) -> None:
    host.submitted(chosen(label, more.pop("origin", "manual")), ident=ident, task=task(ident, text), **more)


def report(host: Caller, version: str = "") -> dict[str, Any]:
    told: dict[str, Any] = host.http.get(DOOR).get_json()
    assert "error" not in told, told
    (found,) = [
        one
        for one in told["comparisons"]
        if one["control"] == "sentiment" and (not version or one["version"] == version)
    ]
    return found


def test_people_are_compared_with_the_answers_that_are_kept(host: Caller) -> None:
    version = host.setup(hostname="https://labels.example")
    host.batch(*(task(n, "good" if n % 2 else "bad") for n in range(1, 9)))
    for n in range(1, 9):
        worked(host, n, "good" if n % 2 else "bad", "Positive", completed_by=1 + n % 2)
    found = report(host)
    assert found["version"] == version
    assert found["people"] == 2
    assert found["all"]["tasks"] == 8
    assert found["all"]["accuracy"]["value"] == 0.5
    assert found["differing"] == 4
    assert {one["link"] for one in found["disagreements"]} == {
        f"https://labels.example/projects/1/data?task={n}" for n in (2, 4, 6, 8)
    }


def test_what_people_left_as_it_was_shown_is_set_aside_field_by_field(host: Caller) -> None:
    host.batch(task(1, "bad"), task(2, "bad"), task(3, "bad"))
    worked(host, 1, "bad", "Negative", origin="prediction")
    host.submitted(
        chosen("Negative", "prediction"), typed("Mine.", "response", "prediction-changed"), ident=2, task=task(2, "bad")
    )
    worked(host, 3, "bad", "Positive")
    found = report(host)
    assert (found["all"]["tasks"], found["agreements"], found["accepted"]) == (3, 2, 2)
    assert found["unaccepted"]["tasks"] == 1


def test_tasks_whose_answers_nobody_is_shown_are_told_apart(tmp_path: Path) -> None:
    with serving(ScriptedLLM(answer), tmp_path, blind_share=1.0) as host:
        host.setup()
        host.batch(task(1, "bad"))
        worked(host, 1, "bad", "Negative")
        found = report(host)
    assert (found["blind"]["tasks"], found["shown"]["tasks"]) == (1, 0)


def test_versions_are_compared_on_the_same_tasks(host: Caller) -> None:
    host.batch(task(1, "bad"), task(2, "good"))
    before = host.http.get(f"/projects/{PROJECT}").get_json()["version"]
    after = host.setup(extra_params={"prompt": "Not bad, is it?"}, hostname="https://labels.example")
    host.batch(task(1, "bad"), task(2, "good"))
    for n, text in ((1, "bad"), (2, "good")):
        worked(host, n, text, "Negative")
    told = host.http.get(DOOR).get_json()
    assert told["versions"] == [before, after]
    (change,) = [one for one in told["changes"] if one["control"] == "sentiment"]
    assert (change["old_value"], change["new_value"], change["tasks"]) == (0.5, 1.0, 2)


def test_a_correction_of_labels_that_are_gone_is_not_compared(host: Caller) -> None:
    config = """<View><Text name="text" value="$text"/>
      <Choices name="sentiment" toName="text"><Choice value="Positive"/><Choice value="Neutral"/></Choices></View>"""
    worked(host, 1, "good", "Positive")
    worked(host, 2, "good", "Negative")
    host.setup(config, hostname="https://labels.example")
    host.batch(task(1, "good"), task(2, "good"), config=config)
    assert report(host)["all"]["tasks"] == 1


def test_a_browser_is_shown_the_page_without_script_and_again_only_where_something_changed(host: Caller) -> None:
    host.batch(task(1, "bad"))
    worked(host, 1, "bad", "Positive")
    shown = host.http.get(DOOR, headers=PAGE)
    assert shown.mimetype == "text/html"
    assert "script-src" not in shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    tree = html.fromstring(shown.get_data(as_text=True))
    assert tree.xpath("//script") == []
    assert tree.xpath("//a/@href") == ["https://labels.example/projects/1/data?task=1"]
    seen = {**PAGE, "If-None-Match": shown.headers["ETag"]}
    assert host.http.get(DOOR, headers=seen).status_code == 304
    worked(host, 2, "good", "Positive")
    assert host.http.get(DOOR, headers=seen).status_code == 200


def test_an_address_that_is_no_page_makes_no_link(host: Caller) -> None:
    host.setup(hostname="javascript:alert(1)")
    host.batch(task(1, "bad"))
    worked(host, 1, "bad", "Positive")
    assert report(host)["disagreements"][0]["link"] == ""


@pytest.mark.parametrize(
    ("headers", "kind"), [(PAGE, "text/html"), ({}, "application/json")], ids=["browser", "script"]
)
def test_why_there_is_no_report_is_one_sentence(host: Caller, headers: dict[str, str], kind: str) -> None:
    def told() -> str:
        response = host.http.get(DOOR, headers=headers)
        assert (response.status_code, response.mimetype) == (400, kind)
        return html.fromstring(response.get_data(as_text=True)).text_content()

    assert "No annotation has been learned yet" in told()
    worked(host, 1, "bad", "Positive")
    assert "none has a prediction that can be compared" in told()


def test_without_the_extra_the_page_says_how_to_get_it(
    host: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tmp_path / "without" / "krippendorff.py"
    absent.parent.mkdir()
    absent.write_text("raise ModuleNotFoundError(name='krippendorff')")
    monkeypatch.syspath_prepend(absent.parent)
    worked(host, 1, "bad", "Positive")
    response = host.http.get(DOOR, headers=PAGE)
    assert response.status_code == 400
    assert "pip install &#34;llm-backend[evaluate]&#34;" in response.get_data(as_text=True)


def test_the_libraries_that_measure_stay_out_of_the_server(host: Caller) -> None:
    loaded = {"sklearn", "scipy", "krippendorff"} & set(sys.modules)
    host.batch(task(1, "bad"))
    worked(host, 1, "bad", "Positive")
    assert report(host)["all"]["tasks"] == 1
    assert {"sklearn", "scipy", "krippendorff"} & set(sys.modules) == loaded


def test_of_an_unknown_project_there_is_none(host: Caller) -> None:
    assert host.http.get("/projects/9.9/agreement", headers=PAGE).status_code == 404


def test_of_many_who_ask_at_once_few_wait_and_nobody_else_does(host: Caller) -> None:
    worked(host, 1, "bad", "Positive")
    application = host.http.application

    def ask(path: str) -> int:
        return application.test_client().get(path).status_code

    with ThreadPoolExecutor(12) as many:
        asked = [many.submit(ask, DOOR) for _ in range(12)]
        assert ask("/health") == 200
        told = Counter(one.result() for one in asked)
    assert set(told) == {400, 503}  # nothing can be compared yet; and too many
    assert told[400] >= 3
