"""What the end-to-end tests share: one Label Studio, one browser, and for each module a stub model and a backend.

E2E_LABEL_STUDIO names a `label-studio` to use instead of the one that is installed into .demo; E2E_SHOTS the folder
that takes the screenshots (.e2e).
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from llm_backend.demo.api import Api
from llm_backend.demo.label_studio import LabelStudio, install
from tests.support.browser import Editor, annotator, chromium
from tests.support.lab import HOME, ROOT, Lab, backend
from tests.support.stub_model import StubModel, answers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudio]:
    named = os.environ.get("E2E_LABEL_STUDIO")
    executable = Path(named) if named else install(HOME)
    with LabelStudio(executable, tmp_path_factory.mktemp("label-studio"), cache=HOME) as running:
        yield running


@pytest.fixture(scope="session")
def api(label_studio: LabelStudio) -> Api:
    return label_studio.login()


@pytest.fixture(scope="session")
def token(api: Api) -> str:
    return api.create_token()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def _served(
    api: Api, token: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Lab]:
    told = {"LABEL_STUDIO_URL": api.url, "LABEL_STUDIO_API_KEY": token}
    folder = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    with StubModel() as stub, backend(folder, stub.base_url, **told) as (address, process):
        yield Lab(api, stub, address, process)


@pytest.fixture
def lab(_served: Lab) -> Lab:
    """The module's backend, with a stub model that answers as it does by itself."""
    _served.stub.responder = answers
    return _served


@pytest.fixture
def editor(browser: Browser, api: Api) -> Iterator[Editor]:
    """An annotator's window; at the end nothing may have gone wrong in the page."""
    with annotator(browser, api) as window:
        yield window
        assert window.noise.errors == []


@pytest.fixture(scope="session")
def shots() -> Path:
    """The folder for screenshots."""
    return Path(os.environ.get("E2E_SHOTS", ROOT / ".e2e"))
