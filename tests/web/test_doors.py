"""The HTTP doors, as Label Studio and strangers knock at them."""

import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from tests.support.scripted import ScriptedLLM
from tests.support.serving import CONFIG, GOOD, PROJECT, serving, task, typed


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/health", "/", "/some/prefix/health", "//health"])
def test_health_says_up_under_any_prefix(tmp_path: Path, path: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.get(path)
    assert response.status_code == 200
    assert response.get_json()["status"] == "UP"


def test_setup_answers_the_version_and_versions_repeats_it(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.http.get("/versions").get_json() == {"versions": ["test-model"]}
        version = host.setup()
        assert host.http.get("/versions").get_json() == {"versions": [version]}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("<View><Text", "not readable XML"),
        ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><View>&e;</View>', "document type"),
        ('<View><Image name="i" value="$i"/><BrushLabels name="mask" toName="i"/></View>', 'BrushLabels "mask"'),
        ('<View><Text name="t" value="$t"/><TextArea name="prompt" toName="t"/></View>', '"prompt" holds the prompt'),
    ],
    ids=["broken", "entity", "no control a model can fill", "only a prompt"],
)
def test_a_config_that_cannot_work_is_refused_with_its_cause_in_the_reason_phrase(
    tmp_path: Path, config: str, told: str
) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.post("/setup", json={"project": PROJECT, "schema": config})
    assert response.status_code == 400
    assert told in response.status
    assert "\n" not in response.status
    assert told in response.get_json()["error"]


@pytest.mark.parametrize("config", ["<View/>", "<View></View>", ""])
def test_an_empty_config_of_a_new_project_is_fine(tmp_path: Path, config: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.setup(config)


@pytest.mark.parametrize(
    "extra", [None, {"prompt": "p"}, '{"prompt": "p"}', ""], ids=["null", "object", "text", "empty"]
)
def test_extra_params_come_in_three_shapes(tmp_path: Path, extra: Any) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup(extra_params=extra)
        assert host.services.store.project(PROJECT).extra_params == ({"prompt": "p"} if extra else {})


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ('{"prompt": ', "not JSON"),
        ("[1]", "must be a JSON object"),
        ({"temperature": "hot"}, '"temperature"'),
        ({"modle": "x"}, 'did you mean "model"'),
        ({"provider": {"base_url": "http://[::1", "api_key": "sk-x"}}, '"provider"'),
    ],
)
def test_extra_params_that_cannot_be_used_are_refused_in_a_sentence(tmp_path: Path, extra: Any, told: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.post("/setup", json={"project": PROJECT, "schema": CONFIG, "extra_params": extra})
    assert response.status_code == 400
    assert told in response.status


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "must be a JSON object"),
        (b"{}", '"tasks"'),
        (b'{"tasks": 1, "label_config": ""}', '"tasks"'),
        (b'{"tasks": []}', '"label_config"'),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_an_unreadable_body_is_a_400_with_one_sentence(tmp_path: Path, body: bytes, told: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.post("/predict", data=body)
    assert response.status_code == 400
    assert told in response.get_json()["error"]
    assert "Traceback" not in response.get_data(as_text=True)


def test_a_body_over_the_limit_names_the_limit(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, max_body_mb=0.01) as host:
        response = host.http.post("/predict", data=b"x" * 20_000)
    assert response.status_code == 413
    assert "MAX_BODY_MB" in response.status
    assert "0.01" in response.status


def test_unknown_doors_and_methods_are_told_so(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.http.get("/nowhere").status_code == 404
        assert host.http.get("/predict").status_code == 405
        assert host.http.get("/nowhere").get_json()["error"]


DOORS = [
    ("GET", "/health"),
    ("POST", "/setup"),
    ("POST", "/predict"),
    ("POST", "/webhook"),
    ("GET", "/versions"),
    ("GET", "/"),
]


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_basic_auth_guards_every_door(tmp_path: Path, method: str, path: str) -> None:
    body = {"project": PROJECT, "schema": CONFIG, "tasks": [], "label_config": CONFIG, "action": "START_TRAINING"}
    with serving(ScriptedLLM(GOOD), tmp_path, basic_auth_user="u", basic_auth_pass="p") as host:
        for headers in ({}, basic("u", "x"), basic("x", "p"), {"Authorization": "Bearer p"}):
            response = host.http.open(path, method=method, json=body, headers=headers)
            assert response.status_code == 401
            assert "BASIC_AUTH_USER" in response.get_json()["error"]
        assert host.http.open(path, method=method, json=body, headers=basic("u", "p")).status_code == 200


def test_a_door_that_no_list_names_is_guarded_as_well(tmp_path: Path) -> None:
    guarded = {"basic_auth_user": "u", "basic_auth_pass": "p", "url_secret": "open-sesame"}
    with serving(ScriptedLLM(GOOD), tmp_path, **guarded) as host:
        doors = [
            (method, re.sub("<[^>]+>", "x", rule.rule))
            for rule in host.http.application.url_map.iter_rules()
            for method in rule.methods or ()
        ]
        assert {("GET", "/jobs/x"), ("DELETE", "/datasets/x"), ("POST", "/predict")} <= set(doors)
        for method, path in doors:
            vouched = path == "/webhook"  # the secret is all that the host can show there
            assert host.http.open(path, method=method, headers=basic("u", "p")).status_code == 404
            told = host.http.open(f"/open-sesame{path}", method=method, json={}).status_code
            assert (told == 401) is not vouched


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_the_url_secret_guards_every_door(tmp_path: Path, method: str, path: str) -> None:
    body = {"project": PROJECT, "schema": CONFIG, "tasks": [], "label_config": CONFIG, "action": "START_TRAINING"}
    with serving(ScriptedLLM(GOOD), tmp_path, url_secret="open-sesame") as host:
        for prefix in ("", "/wrong-secret", "/open-sesam", "/open-sesame-x"):
            assert host.http.open(prefix + path, method=method, json=body).status_code == 404
        for prefix in ("/open-sesame", "/llm/open-sesame"):
            assert host.http.open(prefix + path, method=method, json=body).status_code == 200


def test_webhooks_are_believed_under_the_secret_though_they_carry_no_credentials(tmp_path: Path) -> None:
    event = {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 1, "result": [typed("A prompt")]},
        "project": {"id": 1, "created_at": "2026-11-20T23:32:30.227997Z", "label_config": CONFIG},
    }
    guarded = {"basic_auth_user": "u", "basic_auth_pass": "p"}
    with serving(ScriptedLLM(GOOD), tmp_path / "a", **guarded) as host:
        assert host.http.post("/webhook", json=event).status_code == 401
        assert host.services.store.project(PROJECT).prompt is None
    with serving(ScriptedLLM(GOOD), tmp_path / "b", **guarded, url_secret="open-sesame") as host:
        assert host.http.post("/open-sesame/webhook", json=event).status_code == 200
        assert host.services.store.project(PROJECT).prompt == "A prompt"
        assert host.http.post("/open-sesame/predict", json={}).status_code == 401


@pytest.mark.parametrize(
    "event",
    [
        {"action": "START_TRAINING", "project": {"id": 1}},
        {"action": "PROJECT_UPDATED", "project": {"id": 1, "created_at": "not a time"}},
        {
            "action": "ANNOTATIONS_DELETED",
            "annotations": [{"id": 2}],
            "project": {"id": 1, "created_at": "2026-11-20T23:32:30Z"},
        },
        {"action": "TASKS_CREATED", "tasks": []},
        {
            "action": "ANNOTATION_CREATED",
            "project": {"id": 1, "created_at": "2026-11-20T23:32:30Z", "label_config": CONFIG},
        },
        {},
    ],
    ids=["training", "bad time", "deleted", "tasks", "no annotation", "empty"],
)
def test_every_webhook_is_answered_at_once(tmp_path: Path, event: dict[str, Any]) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.http.post("/webhook", json=event).status_code == 200


def test_a_webhook_whose_config_cannot_be_read_is_refused_without_a_traceback(tmp_path: Path) -> None:
    event = {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 1, "result": [typed("A prompt")]},
        "project": {"id": 1, "created_at": "2026-11-20T23:32:30Z", "label_config": "<View"},
    }
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.http.post("/webhook", json=event).status_code == 400


@pytest.mark.parametrize("said", ["a secret answer", '{"response": "x", "sentiment": "a secret answer"}'])
def test_neither_prompt_nor_answer_reaches_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture, said: str) -> None:
    caplog.set_level("DEBUG")
    with serving(ScriptedLLM(said), tmp_path) as host:
        host.shift_enter(typed("a secret prompt"))
        host.shift_enter(typed("a secret prompt {txet}"))
        host.submitted(typed("a secret prompt {txet}"))
        host.batch(task(1), task(2, "a secret text"))
    assert "secret" not in caplog.text


def test_no_secret_reaches_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    provider = {"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": "sk-project-secret"}
    with serving(ScriptedLLM(GOOD), tmp_path, api_key="sk-server-secret") as host:
        host.setup(access_token="host-token-secret", extra_params={"provider": provider})
        host.setup(extra_params=None)
        host.shift_enter(typed("a secret prompt"))
        host.batch(task(1, "a secret text"))
    said = caplog.text
    for secret in ("sk-project-secret", "sk-server-secret", "host-token-secret", "a secret prompt", "a secret text"):
        assert secret not in said
