"""The status page in a real browser, before a real server that asks the stub model."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import stub_model as stub
from tests.support.browser import PATIENCE, Noise
from tests.support.serving import CONFIG, PROJECT, chosen, task
from tests.support.stub_model import Reply, StubModel

pytestmark = pytest.mark.e2e

CHOICE = """
<View><Text name="text" value="$text"/>
<Choices name="tone" toName="text" required="true"><Choice value="good"/><Choice value="bad"/></Choices></View>"""
EVIL = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"


def answers(request: Any, n_th: int) -> Reply:
    """Poison is refused, evil is answered with markup that no list holds."""
    asked = json.dumps(request["messages"])
    if "poison" in asked:
        return stub.refuses()
    return stub.says(json.dumps({"tone": EVIL})) if "evil data" in asked else stub.answers(request, n_th)


@dataclass
class Backend:
    """`llm-backend serve` in a process of its own."""

    url: str
    process: "subprocess.Popen[bytes]"
    headers: dict[str, str]

    def post(self, path: str, body: Any) -> Any:
        told = {"Content-Type": "application/json", **self.headers}
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(body).encode(), told)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", headers=self.headers)) as answer:
            return json.load(answer)

    def setup(self, config: str = CONFIG, **more: Any) -> None:
        self.post("setup", {"project": PROJECT, "schema": config, "hostname": "http://localhost:8080", **more})

    def batch(self, *texts: str, config: str = CONFIG) -> None:
        tasks = [task(number, text) for number, text in enumerate(texts, 1)]
        params = {"context": None}
        self.post("predict", {"tasks": tasks, "label_config": config, "project": PROJECT, "params": params})

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@contextmanager
def backend(model: StubModel, folder: Path, port: int = 0, prefix: str = "", **told: str) -> Iterator[Backend]:
    port = port or free_port()
    ours = {"OPENAI_BASE_URL": model.base_url, "OPENAI_API_KEY": "key", "DATA_DIR": str(folder / "data")}
    quick = {"BATCH_DEADLINE": "0.2", "LLM_CONCURRENCY": "2"}
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **ours, **quick, **told}
    credentials = f"{told.get('BASIC_AUTH_USER', '')}:{told.get('BASIC_AUTH_PASS', '')}"
    headers = {"Authorization": "Basic " + b64encode(credentials.encode()).decode()} if credentials != ":" else {}
    command = [sys.executable, "-m", "llm_backend", "serve", "--port", str(port)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, env=environ, cwd=folder, stderr=log)
    served = Backend(f"http://127.0.0.1:{port}{prefix}", process, headers)
    try:
        until_it_answers(served)
        yield served
    finally:
        process.kill()
        process.wait()


def until_it_answers(served: Backend) -> None:
    while True:
        try:
            served.get("health")
            return
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, OSError):
            assert served.process.poll() is None, "the server ended"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def window(browser: Browser, url: str, **more: Any) -> Iterator[tuple[Page, Noise]]:
    """A window that shows the page, and what it complained of."""
    context = browser.new_context(**{"viewport": {"width": 1100, "height": 1300}, "locale": "en-GB", **more})
    page, noise = context.new_page(), Noise()
    page.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    noise.listen(page)
    try:
        page.goto(url)
        expect(page.locator("#pulse")).to_have_text("live")
        yield page, noise
        if folder := os.environ.get("SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            name = os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].partition(" ")[0]
            page.screenshot(path=f"{folder}/{name}.png", full_page=True)
    finally:
        context.close()


def test_a_batch_is_followed_and_cancelled(browser: Browser, tmp_path: Path) -> None:
    texts = [f"{'poison' if number == 3 else 'text'} {number}" for number in range(1, 201)]
    with StubModel(answers, latency=0.2) as model, backend(model, tmp_path) as served:
        served.setup()
        with window(browser, f"{served.url}/") as (page, noise):
            expect(page.locator("#no-runs")).to_be_visible()
            served.batch(*texts)
            run = page.locator("#runs article").first
            expect(run.locator(".chip")).to_have_text("running")
            bar = run.get_by_role("progressbar")
            page.evaluate("() => { window.same = document.querySelector('#runs progress'); }")
            first = float(bar.evaluate("bar => bar.value"))
            page.wait_for_function(f"() => document.querySelector('#runs progress').value > {first}")
            assert page.evaluate("() => document.querySelector('#runs progress') === window.same")
            failure = run.locator(".failures li")
            expect(failure).to_contain_text("Task 3")
            expect(failure).to_contain_text("the model refused to answer this question.")
            expect(page.locator("#in_flight")).not_to_have_text("0")
            run.get_by_role("button", name="Cancel").click()
            page.get_by_role("button", name="Back").click()
            expect(run.locator(".chip")).to_have_text("running")
            run.get_by_role("button", name="Cancel").click()
            page.get_by_role("button", name="Cancel the run").click()
            expect(run.locator(".chip")).to_have_text("cancelled")
            expect(run.locator(".reason")).to_have_text("cancelled by a person")
            (told,) = served.get("jobs")["jobs"]
            assert (told["state"], told["waiting"]) == ("cancelled", 0)
            model.latency = 0.0
            run.get_by_role("button", name="Retry").click()
            expect(run.locator(".chip")).to_have_text("completed")
            expect(run).to_contain_text("199 of 200 done · 1 failed")
            assert noise.errors == []


def test_markup_in_prompts_and_reasons_is_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    with StubModel(answers) as model, backend(model, tmp_path, BATCH_DEADLINE="10") as served:
        served.setup(CHOICE, extra_params={"prompt": f"Judge. {EVIL}"})
        served.batch("evil data", config=CHOICE)
        with window(browser, f"{served.url}/") as (page, noise):
            expect(page.locator("#projects blockquote")).to_have_text(f"Judge. {EVIL}")
            expect(page.locator("#runs .failures li")).to_contain_text("<script>window.hacked = 1</script>")
            assert page.evaluate("() => window.hacked") is None
            assert page.locator("main script, main img").count() == 0
            with pytest.raises(Exception, match="TrustedHTML"):
                page.evaluate("() => { document.querySelector('main').innerHTML = '<b>x</b>'; }")
            assert [error for error in noise.errors if "TrustedHTML" not in error] == []


def test_all_failures_are_read_page_by_page(browser: Browser, tmp_path: Path) -> None:
    with StubModel(answers) as model:
        settings = {"BATCH_DEADLINE": "20", "LLM_CONCURRENCY": "32"}
        with backend(model, tmp_path, **settings) as served:
            served.setup()
            served.batch(*(f"poison {number}" for number in range(1, 251)))
            with window(browser, f"{served.url}/") as (page, noise):
                failures = page.locator("#runs .failures li")
                expect(failures).to_have_count(3)
                page.get_by_role("button", name="Show all 250 failures").click()
                expect(failures).to_have_count(200)
                page.get_by_role("button", name="Show more").click()
                expect(failures).to_have_count(250)
                expect(page.get_by_role("button", name="Show more")).to_be_hidden()
                assert noise.errors == []


def test_a_project_is_pinned_reset_and_forgotten_behind_secret_and_credentials(
    browser: Browser, tmp_path: Path
) -> None:
    told = {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "pass", "URL_SECRET": "open-sesame"}
    credentials = {"username": "ann", "password": "pass"}
    with StubModel(answers) as model, backend(model, tmp_path, prefix="/llm/open-sesame", **told) as served:
        served.setup()
        with window(browser, served.url, http_credentials=credentials) as (page, noise):
            assert page.url == f"{served.url}/"
            assert page.locator(".notice").count() == 0
            project = page.locator("#projects article")
            expect(project.locator(".chip")).to_have_text("the labeling config's own words")
            project.get_by_role("button", name="Pin").click()
            page.get_by_label("Prompt", exact=True).fill("Say <b>why</b>.")
            page.get_by_role("button", name="Pin", exact=True).click()
            expect(project.locator("blockquote")).to_have_text("Say <b>why</b>.")
            expect(project.locator(".chip")).to_have_text("pinned")
            project.get_by_role("button", name="Reset").click()
            page.get_by_role("button", name="Reset", exact=True).click()
            expect(project.locator("blockquote")).to_contain_text("No prompt")
            project.get_by_role("button", name="Pin").click()
            page.get_by_label("Prompt", exact=True).fill("  ")
            page.get_by_role("button", name="Pin", exact=True).click()
            expect(page.locator(".notice")).to_contain_text("A prompt to pin must hold words")
            page.get_by_role("button", name="Close").click()
            project.get_by_role("button", name="Forget").click()
            page.get_by_role("button", name="Forget the project").click()
            expect(page.locator("#no-projects")).to_be_visible()
            assert served.get("projects") == {"projects": []}
            refused = "the server responded with a status of 400"  # the prompt without words
            assert [error for error in noise.errors if refused not in error] == []


def test_basic_auth_without_a_secret_is_warned_of(browser: Browser, tmp_path: Path) -> None:
    told = {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "pass"}
    credentials = {"username": "ann", "password": "pass"}
    with (
        StubModel(answers) as model,
        backend(model, tmp_path, **told) as served,
        window(browser, f"{served.url}/", http_credentials=credentials) as (page, noise),
    ):
        expect(page.locator(".notice")).to_contain_text("Basic Auth is on without URL_SECRET")
        assert noise.errors == []


def test_a_page_of_another_origin_changes_nothing(browser: Browser, tmp_path: Path) -> None:
    told = {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "pass"}
    with StubModel(answers) as model, backend(model, tmp_path, **told) as served:
        served.setup()
        served.post(f"projects/{PROJECT}/pin", {"prompt": "Pinned."})
        address = f"{served.url}/projects/{PROJECT}/reset"
        with window(browser, f"{served.url}/", http_credentials={"username": "ann", "password": "pass"}) as (page, _):
            page.goto(f"{model.origin}/models")  # another port is another origin
            post = "(url) => fetch(url, {method: 'POST', mode: 'no-cors', credentials: 'include'}).then(() => 'sent')"
            assert page.evaluate(post, address) == "sent"
            shown = "{'X-Requested-With': 'llm-backend'}"
            post = (
                f"(url) => fetch(url, {{method: 'POST', headers: {shown}, credentials: 'include'}}).then(() => 'sent')"
            )
            with pytest.raises(Exception, match="Failed to fetch"):
                page.evaluate(post, address)
        assert served.get(f"projects/{PROJECT}")["prompt"] == "Pinned."


def test_a_server_that_is_gone_is_told_and_found_again(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with StubModel(answers) as model, backend(model, tmp_path, port) as served:
        served.setup()
        with window(browser, f"{served.url}/") as (page, _):
            served.stop()
            expect(page.locator("#pulse")).to_contain_text("The server does not answer")
            expect(page.locator("#projects article")).to_have_count(1)
            with backend(model, tmp_path, port):
                expect(page.locator("#pulse")).to_have_text("live")


def test_a_hidden_page_asks_nothing(browser: Browser, tmp_path: Path) -> None:
    asked: list[str] = []
    hide = """hidden => {
        Object.defineProperty(document, 'hidden', {get: () => hidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
    }"""
    with (
        StubModel(answers) as model,
        backend(model, tmp_path) as served,
        window(browser, f"{served.url}/") as (page, noise),
    ):
        page.on("request", lambda request: asked.append(request.url))
        with page.expect_response("**/status"):
            pass
        page.evaluate(hide, True)
        asked.clear()
        page.wait_for_timeout(2500)  # it asks every 2 s, else
        assert asked == []
        with page.expect_request("**/status"):
            page.evaluate(hide, False)
        assert noise.errors == []


def test_the_page_is_readable_on_a_phone_in_the_dark(browser: Browser, tmp_path: Path) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
    with StubModel(answers) as model, backend(model, tmp_path, BATCH_DEADLINE="10") as served:
        served.setup(extra_params={"prompt": "W" * 300 + " Judge the tone."})
        served.batch("poison " + "x" * 200, "text 2")
        with window(browser, f"{served.url}/", **phone) as (page, noise):
            expect(page.locator("#runs article")).to_have_count(1)
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
            assert all(int(part) < 60 for part in ground.removeprefix("rgb(").rstrip(")").split(","))
            assert noise.errors == []


def test_what_was_learned_is_shown_and_published(browser: Browser, tmp_path: Path) -> None:
    project = {"id": 1, "created_at": "2026-11-20T23:32:30Z", "label_config": CONFIG}
    with StubModel(answers) as model, backend(model, tmp_path, FEW_SHOT="2") as served:
        served.setup()
        with window(browser, f"{served.url}/") as (page, noise):
            card = page.locator("#projects article")
            expect(card.locator("[data-is=learned]")).to_be_hidden()
            expect(card.get_by_role("button", name="Publish")).to_be_hidden()
            for ident, origin in ((1, "manual"), (2, "manual"), (3, "prediction")):
                made = {"id": ident, "result": [chosen("Positive", origin)]}
                event = {"action": "ANNOTATION_CREATED", "annotation": made, "task": task(ident), "project": project}
                served.post("webhook", event)
            told = card.locator("[data-is=learned]")
            expect(told).to_have_text(
                "2 corrections learned · 1 accepted as they were · nothing is published · 2 since"
            )
            before = served.get("projects")["projects"][0]["version"]
            card.get_by_role("button", name="Publish").click()
            expect(page.locator("dialog")).to_contain_text("the version moves")
            page.locator("dialog").get_by_role("button", name="Publish").click()
            expect(told).to_have_text("2 corrections learned · 1 accepted as they were · batches go by 2")
            expect(card.get_by_role("button", name="Publish")).to_be_hidden()
            assert served.get("projects")["projects"][0]["version"] != before
            expect(card.locator("[data-is=ids]")).not_to_contain_text(before)
    assert noise.errors == []


def test_agreement_is_opened_from_the_page_behind_secret_and_credentials(browser: Browser, tmp_path: Path) -> None:
    project = {"id": 1, "created_at": "2026-11-20T23:32:30Z", "label_config": CONFIG}
    told = {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "pass", "URL_SECRET": "open-sesame", "BATCH_DEADLINE": "20"}
    credentials = {"username": "ann", "password": "pass"}
    with StubModel(answers) as model, backend(model, tmp_path, prefix="/llm/open-sesame", **told) as served:
        served.setup()
        served.batch(*(f"text {number}" for number in range(1, 31)))
        with window(browser, served.url, http_credentials=credentials) as (page, noise):
            link = page.locator("#projects").get_by_role("link", name="Agreement")
            expect(link).to_be_hidden()
            for ident in range(1, 31):
                label = "Positive" if ident % 3 else "Negative"
                made = {"id": ident, "result": [chosen(label)], "completed_by": 1 + ident % 2}
                event = {"action": "ANNOTATION_CREATED", "annotation": made, "task": task(ident, f"text {ident}")}
                served.post("webhook", {**event, "project": project})
            link.click()
            expect(page.locator("h1")).to_have_text("How well people and the model agree")
            expect(page.locator("header p")).to_contain_text("Project 1")
            expect(page.locator("h2").first).to_have_text("response")
            card = page.locator("article", has_text="labels")
            expect(card).to_contain_text("accuracy")
            there = card.get_by_role("link").first
            expect(there).to_have_attribute("href", re.compile("^http://localhost:8080/projects/1/data[?]task="))
            assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
            if folder := os.environ.get("SCREENSHOTS"):
                page.screenshot(path=f"{folder}/agreement.png", full_page=True)
            page.go_back()
            expect(page.locator("#pulse")).to_have_text("live")
            assert noise.errors == []
