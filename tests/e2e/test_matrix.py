"""Every template that Label Studio ships: asked, checked by its own validator, loaded into its own editor.

The tables, template by template, are written where the screenshots are.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from playwright.sync_api import TimeoutError as Overdue

from llm_backend.core.wire import JSON
from llm_backend.demo.api import Api
from tests.support.browser import Editor, annotator
from tests.support.matrix import EXCEPTED, FOREIGN, Filled, controls, fill, table, whole
from tests.support.readme import TEMPLATES
from tests.support.validator import complaints, templates


@pytest.fixture(scope="module")
def as_they_are(shots: Path) -> list[Filled]:
    return filled(shots / "templates.md", geometry=False)


@pytest.fixture(scope="module")
def with_geometry(shots: Path) -> list[Filled]:
    return filled(shots / "templates-with-geometry.md", geometry=True)


def filled(file: Path, *, geometry: bool) -> list[Filled]:
    rows = [fill(name, xml, geometry=geometry) for name, xml in templates().items()]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(table(rows) + "\n", encoding="utf-8")
    return rows


def test_every_plain_control_is_filled(as_they_are: list[Filled]) -> None:
    assert {row.name: row.lacking for row in as_they_are if row.lacking} == {}


def test_the_readme_tells_how_much_is_filled(as_they_are: list[Filled], with_geometry: list[Filled]) -> None:
    found = {"0": (whole(as_they_are), controls(as_they_are)), "1": (whole(with_geometry), controls(with_geometry))}
    assert found == TEMPLATES


def test_every_prediction_passes_the_hosts_validator(as_they_are: list[Filled], with_geometry: list[Filled]) -> None:
    rows = [*as_they_are, *with_geometry]
    said = complaints([(row.xml, row.prediction) for row in rows])
    refused = {row.name: errors for row, errors in zip(rows, said, strict=True) if errors}
    assert refused.keys() == EXCEPTED.keys(), refused


def test_every_prediction_loads_into_the_editor(with_geometry: list[Filled], api: Api, browser: Browser) -> None:
    with annotator(browser, api) as window:
        faults = {row.name: loaded(window, api, row) for row in with_geometry}
    foreign = {name for name, found in faults.items() if any("Not expecting tag" in fault for fault in found)}
    assert foreign == set(FOREIGN)
    assert {name: found for name, found in faults.items() if found and name not in foreign} == {}


def loaded(window: Editor, api: Api, row: Filled) -> list[str]:
    """What is amiss once the task is open with its prediction: console errors, and regions that are not as stored."""
    project = api.create_project(row.name, row.xml)
    entry = {"data": row.data, "predictions": [row.prediction]}
    (task,) = api.call("POST", f"/api/projects/{project}/import?return_task_ids=true", [entry])["task_ids"]
    window.noise.errors.clear()
    window.pick(project, task)
    wanted = row.prediction["result"]
    if row.name not in FOREIGN:
        try:
            window.wait_for_prediction(len(wanted))
        except Overdue:
            pass  # told by the differences
    return [*(error[:300] for error in window.noise.errors), *differences(wanted, window.result())]


def differences(wanted: Sequence[JSON], found: Sequence[JSON]) -> list[str]:
    """Regions that the editor dropped or changed, and those that it made up."""
    stored, shown = (Counter(map(told, regions)) for regions in (wanted, found))
    return [f"not shown: {one}" for one in stored - shown] + [f"made up: {one}" for one in shown - stored]


def told(region: Mapping[str, JSON]) -> str:
    """What a region says, as the editor gives it back: shapes to a tenth of a percent."""
    value = region.get("value", {key: region.get(key) for key in ("direction", "labels")})
    return json.dumps([region.get("from_name"), region["type"], rounded(value)], sort_keys=True, ensure_ascii=False)


def rounded(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(float(value), 1) if type(value) in (int, float) else value
