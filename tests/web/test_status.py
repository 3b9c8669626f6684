"""The front door: a page for browsers, JSON for anything else; and no page of another origin changes anything."""

import re
from base64 import b64encode
from pathlib import Path

import pytest

from llm_backend.core.chat import Call
from llm_backend.errors import ProviderRefused
from tests.support.scripted import Reply, ScriptedLLM
from tests.support.serving import GOOD, PROJECT, serving, task

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
AUTH = {"Authorization": "Basic " + b64encode(b"u:p").decode()}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, "text/html"),
        ("text/html", "text/html"),
        ("*/*", "application/json"),
        (None, "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.5", "application/json"),
    ],
)
def test_the_front_door_is_a_page_for_browsers_and_json_for_others(
    tmp_path: Path, accept: str | None, kind: str
) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        for path in ("/", "/some/prefix/"):
            response = host.http.get(path, headers={"Accept": accept} if accept else {})
            assert response.mimetype == kind
            assert "Accept" in response.vary


def test_the_page_loads_its_own_files_and_nothing_else(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.get("/", headers={"Accept": BROWSER})
        html = response.get_data(as_text=True)
        named = re.findall(r'(?:src|href)="([^"]+)"', html)
        assert sorted(name for name in named if not name.startswith("data:")) == ["page/status.css", "page/status.js"]
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert " style=" not in html
        assert response.headers["Referrer-Policy"] == "no-referrer"
        for name, kind in (("page/status.css", "text/css"), ("page/status.js", "text/javascript")):
            file = host.http.get(f"/llm/{name}")
            assert (file.status_code, file.mimetype) == (200, kind)
            assert file.headers["X-Content-Type-Options"] == "nosniff"
            again = host.http.get(f"/llm/{name}", headers={"If-None-Match": file.headers["ETag"]})
            assert again.status_code == 304


def test_the_script_knows_no_way_to_make_markup_of_text(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        script = host.http.get("/page/status.js").get_data(as_text=True)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(", script)


@pytest.mark.parametrize("name", ["../status.py", "%2e%2e/status.py", "nothing.js", "..%2fstatus.py"])
def test_only_the_files_of_the_page_are_served(tmp_path: Path, name: str) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert host.http.get(f"/page/{name}").status_code == 404


def test_the_bare_secret_leads_a_browser_to_the_folder_that_the_page_stands_in(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, url_secret="open-sesame") as host:
        for path in ("/open-sesame", "/llm/open-sesame"):
            response = host.http.get(path, headers={"Accept": BROWSER})
            assert (response.status_code, response.headers["Location"]) == (308, "open-sesame/")
            assert host.http.get(f"{path}/", headers={"Accept": BROWSER}).mimetype == "text/html"
            assert host.http.get(path).get_json()["status"] == "UP"
        for path in ("/", "/llm/", "/open-sesame/llm/"):
            assert host.http.get(path, headers={"Accept": BROWSER}).status_code == 404


def test_the_status_is_small_and_whole(tmp_path: Path) -> None:
    def reply(call: Call) -> Reply:
        return ProviderRefused("m: " + "no " * 1000) if "poison" in call.messages[-1].text else GOOD

    with serving(ScriptedLLM(reply), tmp_path) as host:
        host.setup(extra_params={"prompt": "long " * 1000})
        host.batch(*(task(ident, f"poison {ident}") for ident in range(100)))
        response = host.http.get("/status")
        status = response.get_json()
    assert len(response.data) < 8000
    (run,) = status["runs"]
    assert (run["failed"], [told["task"] for told in run["failures"]]) == (100, [0, 1, 2])
    assert (status["queued"], status["in_flight"], status["workers"]) == (0, 0, ["this server"])
    assert (status["model"], status["projects"][0]["key"]) == ("test-model", PROJECT)


def test_basic_auth_without_a_secret_is_warned_of(tmp_path: Path) -> None:
    guarded = {"basic_auth_user": "u", "basic_auth_pass": "p"}
    with serving(ScriptedLLM(GOOD), tmp_path / "a", **guarded) as host:
        (warning,) = host.http.get("/status", headers=AUTH).get_json()["warnings"]
        assert "URL_SECRET" in warning
    with serving(ScriptedLLM(GOOD), tmp_path / "b", **guarded, url_secret="open-sesame") as host:
        assert host.http.get("/open-sesame/status", headers=AUTH).get_json()["warnings"] == []


STRANGE = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "http://localhost"},  # as if ours, but without what our page shows
    {"Origin": "http://evil.example", "X-Requested-With": "XMLHttpRequest"},
]


@pytest.mark.parametrize("headers", STRANGE, ids=str)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"/projects/{PROJECT}"),
        ("POST", f"/projects/{PROJECT}/reset"),
        ("POST", "/jobs/x/cancel"),
        ("POST", "/setup"),
        ("POST", "/webhook"),
    ],
)
def test_a_page_of_another_origin_changes_nothing(
    tmp_path: Path, method: str, path: str, headers: dict[str, str]
) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path, basic_auth_user="u", basic_auth_pass="p") as host:
        response = host.http.open(path, method=method, data=b"{}", headers={**AUTH, **headers})
    assert response.status_code == 403
    assert "only from the status page" in response.get_json()["error"]


def test_nobody_is_told_that_another_origin_may(tmp_path: Path) -> None:
    asking = {"Origin": "http://evil.example", "Access-Control-Request-Headers": "x-requested-with"}
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        response = host.http.options("/jobs/x/cancel", headers=asking)
    assert not [name for name in response.headers.keys() if name.startswith("Access-Control")]  # noqa: SIM118


def test_our_own_page_and_programs_may(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        host.setup()
        ours = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin", "X-Requested-With": "llm-backend"}
        for headers in (ours, {}):
            assert host.http.post(f"/projects/{PROJECT}/reset", headers=headers).status_code == 200
