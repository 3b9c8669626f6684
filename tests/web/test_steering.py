"""Runs and projects over HTTP: seen, cancelled, retried; pinned, reset, forgotten."""

import asyncio
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from llm_backend.core.chat import Call
from llm_backend.core.run import Run
from llm_backend.errors import KeyRefused, ProviderRefused, Unreachable
from llm_backend.web.steering import eta
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import CONFIG, GOOD, PROJECT, Caller, serving, task, typed

OTHER = "2.1795217999"
POISON = "poison"


def refuses_poison(call: Call) -> Reply:
    return ProviderRefused("m: refused.") if POISON in call.messages[-1].text else GOOD


async def never(call: Call) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


def jobs(host: Caller, **query: Any) -> list[Any]:
    found: list[Any] = host.http.get("/jobs", query_string=query).get_json()["jobs"]
    return found


def show(host: Caller, run_id: str, **query: Any) -> Any:
    response = host.http.get(f"/jobs/{run_id}", query_string=query)
    assert response.status_code == 200
    return response.get_json()


TEN = [task(ident, f"{'' if ident % 2 else POISON} {ident}") for ident in range(1, 11)]


def some_fail(host: Caller) -> str:
    """A finished run of ten tasks, of which those with an even id failed; returns its id."""
    host.batch(*TEN)
    (run,) = jobs(host)
    return str(run["id"])


def under_way(tmp_path: Path) -> Any:
    """A host whose model never answers, so that its runs stay."""
    return serving(ScriptedLLM(never), tmp_path, batch_deadline=0.01)


# Runs


def test_runs_are_listed_the_newest_first(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert jobs(host) == []
        host.batch(task(1))
        host.batch(task(1), project=OTHER)
        assert [run["project"] for run in jobs(host)] == [OTHER, PROJECT]
        assert [run["project"] for run in jobs(host, most=1)] == [OTHER]


def test_runs_are_listed_by_state(tmp_path: Path) -> None:
    with under_way(tmp_path) as host:
        host.batch(task(1))
        assert len(jobs(host, state="running")) == 1
        assert jobs(host, state="completed") == []
        assert len(jobs(host, state=["completed", "running"])) == 1


def test_a_run_tells_what_became_of_its_tasks(tmp_path: Path) -> None:
    with serving(ScriptedLLM(refuses_poison), tmp_path) as host:
        version = host.setup()
        shown = show(host, some_fail(host))
    assert [shown[name] for name in ("state", "project", "version")] == ["completed", PROJECT, version]
    assert [shown[name] for name in ("total", "done", "failed", "waiting", "cancelled")] == [10, 5, 5, 0, 0]
    assert shown["created"] <= shown["started"] <= shown["finished"]
    assert (shown["calls"], shown["prompt_tokens"], shown["completion_tokens"]) == (5, 50, 25)
    assert shown["eta"] is None
    assert [told["task"] for told in shown["tasks"]] == [2, 4, 6, 8, 10]
    assert shown["tasks"][0] == {"task": 2, "state": "failed", "reason": "m: refused."}
    assert shown["next"] is None


def test_the_tasks_of_a_run_are_read_page_by_page(tmp_path: Path) -> None:
    with serving(ScriptedLLM(refuses_poison), tmp_path) as host:
        run_id, pages, after = some_fail(host), [], -1
        while after is not None:
            page = show(host, run_id, most=2, after=after)
            pages.append([told["task"] for told in page["tasks"]])
            after = page["next"]
        assert pages == [[2, 4], [6, 8], [10]]
        assert [told["task"] for told in show(host, run_id, state="done")["tasks"]] == [1, 3, 5, 7, 9]
        assert len(show(host, run_id, state=["done", "failed"])["tasks"]) == 10


def test_cancelling_ends_a_run_once(tmp_path: Path) -> None:
    with under_way(tmp_path) as host:
        host.batch(task(1), task(2))
        (run,) = jobs(host)
        response = host.http.post(f"/jobs/{run['id']}/cancel")
        assert response.status_code == 200
        assert (response.get_json()["state"], response.get_json()["cancelled"]) == ("cancelled", 2)
        assert response.get_json()["reason"] == "cancelled by a person"
        again = host.http.post(f"/jobs/{run['id']}/cancel")
        assert again.status_code == 400
        assert again.get_json()["error"] == f"Run {run['id']} is cancelled already; there is nothing to cancel."


def test_a_finished_run_is_not_cancelled(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.batch(task(1))
        (run,) = jobs(host)
        response = host.http.post(f"/jobs/{run['id']}/cancel")
        assert response.status_code == 400
        assert "is completed already" in response.get_json()["error"]
        assert show(host, run["id"])["state"] == "completed"


def test_retrying_asks_for_the_failed_tasks_only(tmp_path: Path) -> None:
    with serving(llm := ScriptedLLM(refuses_poison), tmp_path) as host:
        run_id = some_fail(host)
        before = len(llm.calls)
        llm._script = [GOOD]
        assert host.http.post(f"/jobs/{run_id}/retry").status_code == 200
        host.batch(*TEN)  # waits for the run
        assert len(llm.calls) == before + 5
        assert len(jobs(host)) == 1
        assert (show(host, run_id)["state"], show(host, run_id)["done"]) == ("completed", 10)
        response = host.http.post(f"/jobs/{run_id}/retry")
        assert response.status_code == 400
        assert "none of its tasks failed" in response.get_json()["error"]


def test_a_paused_run_tells_why_and_goes_on_when_it_is_retried(tmp_path: Path) -> None:
    with serving(ScriptedLLM(KeyRefused("m: the API key was refused."), GOOD), tmp_path, llm_concurrency=1) as host:
        host.batch(task(1), task(2, "another text"))
        (run,) = jobs(host)
        assert (run["state"], run["reason"]) == ("paused", "m: the API key was refused.")
        host.http.post(f"/jobs/{run['id']}/retry")
        host.batch(task(1), task(2, "another text"))  # waits for the run
        assert (show(host, run["id"])["state"], show(host, run["id"])["reason"]) == ("completed", "")


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/cancel"), ("POST", "/retry")])
def test_an_unknown_run_is_told_so(tmp_path: Path, method: str, path: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.open(f"/jobs/no-such-run{path}", method=method)
    assert response.status_code == 404
    told = "There is no run no-such-run; finished ones are forgotten after a while."
    assert response.get_json() == {"error": told}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"state": "done"}, '"state" is one of queued, running, paused, completed, cancelled, failed; found "done"'),
        ({"most": "all"}, '"most" is a whole number from 1 to 1000; found "all"'),
        ({"most": "0"}, '"most"'),
        ({"most": "1001"}, '"most"'),
        ({"most": "9" * 5000}, '"most"'),
        ({"most": "1.5"}, '"most"'),
    ],
    ids=str,
)
def test_a_query_that_means_nothing_is_refused_in_a_sentence(tmp_path: Path, query: dict[str, str], told: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.get("/jobs", query_string=query)
    assert response.status_code == 400
    assert told in response.get_json()["error"]
    assert len(response.get_json()["error"]) < 200


@pytest.mark.parametrize(
    ("counts", "started", "left"),
    [
        ({"done": 40, "failed": 10, "waiting": 100}, 1000.0, 200.0),
        ({"waiting": 100}, 1000.0, None),
        ({"done": 1, "waiting": 1}, 0.0, None),
    ],
    ids=["half a task per second", "nothing settled yet", "not started"],
)
def test_the_time_left_goes_by_the_pace_so_far(counts: dict[str, int], started: float, left: float | None) -> None:
    run = Run("r", None, "running", started=started, counts=counts)  # type: ignore[arg-type]
    assert eta(run, 1100.0) == left


# Projects


def project(host: Caller, key: str = PROJECT) -> Any:
    return host.http.get(f"/projects/{key}").get_json()


def test_projects_tell_the_prompt_in_force_its_origin_and_version(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, default_prompt="By default.") as host:
        assert host.http.get("/projects").get_json() == {"projects": []}
        version = host.setup()
        (told,) = host.http.get("/projects").get_json()["projects"]
        assert (told["key"], told["prompt"], told["origin"], told["version"], told["hostname"]) == (
            *(PROJECT, "By default.", "default", version),
            "http://localhost:8080",
        )
        host.submitted(typed("A prompt"))
        assert (project(host)["prompt"], project(host)["origin"]) == ("A prompt", "submitted")
        host.setup(extra_params={"prompt": "The manager's."})
        assert (project(host)["prompt"], project(host)["origin"]) == ("The manager's.", "manager")


def test_a_pinned_prompt_stays_until_it_is_reset(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup()
        told = host.http.post(f"/projects/{PROJECT}/pin", json={"prompt": " Pinned. "}).get_json()
        assert (told["prompt"], told["origin"]) == ("Pinned.", "pinned")
        host.submitted(typed("A prompt"))
        assert project(host)["prompt"] == "Pinned."
        told = host.http.post(f"/projects/{PROJECT}/reset").get_json()
        assert (told["prompt"], told["origin"]) == ("", "config")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"prompt": 3}', b'{"prompt": " \\n"}', b'"prompt"'], ids=repr
)
def test_a_pin_without_words_is_refused(tmp_path: Path, body: bytes) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup()
        response = host.http.post(f"/projects/{PROJECT}/pin", data=body)
        assert response.status_code == 400
        assert response.get_json()["error"]
        assert project(host)["origin"] == "config"


def test_a_forgotten_project_is_gone_with_its_runs(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup()
        host.submitted(typed("A prompt"))
        host.batch(task(1))
        host.batch(task(1), project=OTHER)
        assert host.http.delete(f"/projects/{PROJECT}").get_json() == {"forgotten": PROJECT}
        assert host.http.get(f"/projects/{PROJECT}").status_code == 404
        assert [run["project"] for run in jobs(host)] == [OTHER]


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("POST", "/pin"), ("POST", "/reset"), ("DELETE", "")])
def test_an_unknown_project_is_told_so(tmp_path: Path, method: str, path: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.open(f"/projects/9.9{path}", method=method, json={"prompt": "p"})
    assert response.status_code == 404
    assert response.get_json()["error"].startswith("There is no project 9.9; ")


# Who may


DOORS = [
    *(("GET", "/jobs"), ("GET", "/jobs/x"), ("POST", "/jobs/x/cancel"), ("POST", "/jobs/x/retry")),
    *(("GET", "/projects"), ("GET", f"/projects/{PROJECT}"), ("POST", f"/projects/{PROJECT}/pin")),
    *(("POST", f"/projects/{PROJECT}/reset"), ("DELETE", f"/projects/{PROJECT}")),
    *(("POST", f"/projects/{PROJECT}/{door}") for door in ("publish", "corrections", "kept")),
    *(("GET", "/status"), ("GET", "/metrics"), ("GET", "/page/status.js")),
]


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_basic_auth_guards_every_door(tmp_path: Path, method: str, path: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, basic_auth_user="u", basic_auth_pass="p") as host:
        for told in ("", "u:x", "x:p"):
            headers = {"Authorization": "Basic " + b64encode(told.encode()).decode()} if told else {}
            assert host.http.open(path, method=method, json={}, headers=headers).status_code == 401
        headers = {"Authorization": "Basic " + b64encode(b"u:p").decode()}
        assert host.http.open(path, method=method, json={}, headers=headers).status_code in (200, 404)


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_the_url_secret_guards_every_door(tmp_path: Path, method: str, path: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, url_secret="open-sesame") as host:
        for prefix in ("", "/wrong-secret"):
            response = host.http.open(prefix + path, method=method, json={})
            assert (response.status_code, response.get_json()["error"]) == (404, "There is no such door here.")
        response = host.http.open("/open-sesame" + path, method=method, json={})
        assert response.status_code == 200 or "There is no such door" not in response.get_json()["error"]


def test_no_answer_holds_a_secret(tmp_path: Path) -> None:
    provider = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-project-secret"}
    secrets = {"api_key": "sk-server-secret", "url_secret": "url-secret", "basic_auth_pass": "pass-secret"}
    told = {**secrets, "basic_auth_user": "u", "batch_deadline": 0.5, "task_deadline": 0.5}
    headers = {"Authorization": "Basic " + b64encode(b"u:pass-secret").decode()}
    with serving(ScriptedLLM(Unreachable("m: no connection.")), tmp_path, **told) as host:
        http = host.http
        setup = {"project": PROJECT, "schema": CONFIG, "access_token": "token-secret", "hostname": "http://ls"}
        for extra in ({"provider": provider}, None):
            body = {**setup, "extra_params": extra}
            assert http.post("/url-secret/setup", json=body, headers=headers).status_code == 200
            body = {
                "tasks": [task(1), task(2)],
                "label_config": CONFIG,
                "project": PROJECT,
                "params": {"context": None},
            }
            assert http.post("/url-secret/predict", json=body, headers=headers).status_code == 200
        (run, *_) = http.get("/url-secret/jobs", headers=headers).get_json()["jobs"]
        paths = ("jobs", f"jobs/{run['id']}", "projects", f"projects/{PROJECT}", "status", "metrics", "versions")
        for path in paths:
            response = http.get(f"/url-secret/{path}", headers=headers)
            assert response.status_code == 200
            assert "secret" not in response.get_data(as_text=True)
