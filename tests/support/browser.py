"""A real browser in front of a real Label Studio: what an annotator does, and what they then see."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route, sync_playwright

from llm_backend.core.wire import JSON
from llm_backend.demo.api import Api

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"),
)
PATIENCE = 20_000
"""Milliseconds that a condition may take to come true."""
SELECTED = "window.Htx && window.Htx.annotationStore && window.Htx.annotationStore.selected"
_SHOWN = """() => ({
  texts: [...document.querySelectorAll("[data-testid=htx-textbox-content]")].map(e => e.innerText),
  chosen: [...document.querySelectorAll(".lsf-choice input:checked")].map(e => e.name),
  stars: document.querySelectorAll(".ant-rate-star-full").length,
  entries: [...document.querySelectorAll(".ant-select-selection-item-content")].map(e => e.innerText),
  numbers: [...document.querySelectorAll("input[type=number]")].map(e => e.value),
  dates: [...document.querySelectorAll("input[type=date], input[type=time]")].map(e => e.value),
})"""
TOGGLE = "[data-testid=bottombar-auto-annotation-toggle]"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium with an empty profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Noise:
    """What went wrong in the page: console errors, exceptions, failed answers of the server."""

    errors: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"page error: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        # Fonts and the like from elsewhere, which `_only_loopback` keeps out, are no fault of the page.
        if message.type == "error" and "ERR_BLOCKED_BY_CLIENT" not in message.text:
            self.errors.append(f"console: {message.text} ({message.location.get('url', '')})")


class Editor:
    """One annotator's browser window."""

    def __init__(self, context: BrowserContext, api: Api) -> None:
        self.api = api
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self._visited: set[int] = set()
        self.noise = Noise()
        self.noise.listen(self.page)

    def open(self, project: int, task: int) -> None:
        """Open a task by its address, and wait until the form is on the screen."""
        if project not in self._visited:
            # Before a project's list of tasks was seen once, the host shows a task that is opened by its address
            # without its predictions.
            self.page.goto(f"{self.api.url}/projects/{project}/data", wait_until="domcontentloaded")
            self.page.locator("[data-testid=table-row]").first.wait_for()
            self._visited.add(project)
        self.page.goto(f"{self.api.url}/projects/{project}/data?task={task}", wait_until="domcontentloaded")
        self.wait(f"Boolean({SELECTED}) && window.Htx.task && String(window.Htx.task.id) === '{task}'")
        self.page.locator(".lsf-main-view, .lsf-editor, [class*=main-view]").first.wait_for()

    def pick(self, project: int, task: int) -> None:
        """Open a task by a click in its project's list, which loads one page and not two; wait for the editor."""
        self.page.goto(f"{self.api.url}/projects/{project}/data", wait_until="domcontentloaded")
        self._visited.add(project)
        self.page.locator("[data-testid=table-row]", has_text=str(task)).first.click()
        self.wait(f"Boolean({SELECTED}) && window.Htx.task && String(window.Htx.task.id) === '{task}'")

    def wait_for_prediction(self, regions: int) -> None:
        """Wait until the task's one prediction is there, and shown with so many regions."""
        shown = f"{SELECTED}.serializeAnnotation().length === {regions}"
        self.wait(f"window.Htx.annotationStore.predictions.length === 1 && {shown}")

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        self.page.wait_for_function(f"() => {condition}", timeout=PATIENCE)

    def auto_annotation(self) -> None:
        """Switch Auto-Annotation on."""
        self.wait("window.Htx !== undefined")
        toggle = self.page.locator(TOGGLE)
        toggle.wait_for()
        self.wait("Boolean(window.Htx.hasInterface && window.Htx.hasInterface('auto-annotation'))")
        if not self.page.evaluate("() => Boolean(window.Htx.autoAnnotation)"):
            toggle.click()
        self.wait("Boolean(window.Htx.autoAnnotation)")

    def prompt(self, text: str, name: str = "prompt") -> JSON:
        """Type a prompt, press Shift+Enter, and wait for the model's answer; returns what the editor got."""
        box = self.page.locator(f"textarea[name='{name}']").first
        box.click()
        box.fill(text)
        with self.page.expect_response(lambda reply: "/interactive-annotating" in reply.url, timeout=60_000) as reply:
            box.press("Shift+Enter")
        return reply.value.json()

    def result(self) -> list[JSON]:
        """The annotation on the screen as it would be submitted."""
        held = self.page.evaluate(f"() => JSON.stringify({SELECTED}.serializeAnnotation())")
        return list(json.loads(held))

    def region(self, name: str) -> JSON | None:
        """The region of a control on the screen, or None."""
        return next((region for region in self.result() if region["from_name"] == name), None)

    def wait_for_region(self, name: str, holds: Callable[[JSON], bool] = bool) -> JSON:
        """Wait until a control holds a value that fits; returns its region."""
        return self._until(lambda: (r := self.region(name)) is not None and holds(r["value"]) and r, f'"{name}"')

    def choose(self, label: str) -> None:
        """Click a choice."""
        self.page.locator(f"label:has(input[name='{label}'])").first.click()

    def rate(self, stars: int) -> None:
        """Click the n-th star."""
        self.page.locator(".ant-rate-star [role=radio]").nth(stars - 1).click()

    def rewrite(self, entry: str, text: str) -> None:
        """Edit an entry of a text box: its pencil, the new text, Shift+Enter."""
        row = self.page.locator("[data-testid=textarea-region]", has_text=entry)
        row.hover()
        row.locator("[data-testid=htx-textbox-edit-button]").click()
        box = self.page.locator("[data-testid=textarea-region] :is(textarea, input)").first
        box.fill(text)
        box.press("Shift+Enter")

    def shown(self) -> dict[str, JSON]:
        """What can be seen of the form, read from the page and not from the annotation behind it."""
        return dict(self.page.evaluate(_SHOWN))

    def outlined(self, text: str) -> bool:
        """Whether a text stands in a frame, as the chosen side of a Pairwise with an outline as selectionStyle does."""
        framed = """element => {
          for (let e = element; e; e = e.parentElement) if (getComputedStyle(e).outlineStyle === "solid") return true;
          return false;
        }"""
        return bool(self.page.locator(".lsf-object, [class*=richtext]", has_text=text).last.evaluate(framed))

    def submit(self) -> int:
        """Press Submit and wait until it is stored; returns the annotation's id."""
        with self.page.expect_response(
            lambda reply: "/annotations" in reply.url and reply.request.method in ("POST", "PATCH")
        ) as reply:
            self.page.locator("button[aria-label='Submit current annotation'], button:has-text('Submit')").first.click()
        return int(reply.value.json()["id"])

    def wait_until_quiet(self, still: float = 1.0) -> None:
        """Wait until the page has sent nothing for a while: no sign tells that the calls after Submit are over."""
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(still * 1000)
        self.page.wait_for_load_state("networkidle")

    def screenshot(self, file: Path) -> None:
        """Take a picture of the window, or nothing where no folder is wanted."""
        file.parent.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=str(file))

    def _until(self, look: Callable[[], JSON], what: str) -> JSON:
        waited = 0
        while not (found := look()):
            if waited > PATIENCE:
                raise AssertionError(f"{what} did not come; on the screen: {json.dumps(self.result())}")
            self.page.wait_for_timeout(50)
            waited += 50
        return found


@contextmanager
def annotator(browser: Browser, api: Api, size: tuple[int, int] = (1440, 1000)) -> Iterator[Editor]:
    """A window in which the API's user is logged in; nothing in it leaves loopback."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="en-GB")
    context.route("**/*", _only_loopback)
    context.add_cookies(
        [{"name": c.name, "value": c.value or "", "url": api.url} for c in api.cookies if c.value is not None]
    )
    try:
        yield Editor(context, api)
    finally:
        context.close()


def _only_loopback(route: Route) -> None:
    host = urlsplit(route.request.url).hostname
    if host in ("127.0.0.1", "localhost", None):
        route.continue_()
    else:
        route.abort("blockedbyclient")


def values(result: list[Mapping[str, JSON]]) -> dict[str, JSON]:
    """A result by control: what each holds."""
    return {str(region["from_name"]): region.get("value") for region in result}
