"""Asking for one task of a run: which faults are the task's own?"""

import asyncio
from pathlib import Path

import pytest

from llm_backend.adapters.store import Project
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.backend import Asker, Pools, Projects
from llm_backend.core.chat import LLM
from llm_backend.core.overrides import ProviderOverride
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import RunTask, Spec
from llm_backend.core.wire import Task
from llm_backend.errors import StoreError
from llm_backend.services import texts
from llm_backend.settings import Settings
from tests.support.scripted import ScriptedLLM, no_media
from tests.support.serving import CONFIG, GOOD


class Away(SqliteStore):
    """A store that knows nothing of projects at this moment."""

    def project(self, key: str) -> Project:
        raise StoreError("The store cannot be reached.")


class Single:
    """One model for all projects."""

    def __init__(self, model: LLM) -> None:
        self._model = model

    def llm(self, override: ProviderOverride | None) -> LLM:
        return self._model


def test_a_store_that_is_away_fails_no_task(tmp_path: Path) -> None:
    model, store, settings = ScriptedLLM(GOOD), Away(tmp_path), Settings()
    asker = Asker(settings, Projects(settings, store, Single(model), texts()), no_media, Pools(store))
    spec = Spec("1.1", "v", CONFIG, Prompt("Go", "saved"), Parameters())
    with pytest.raises(StoreError):
        asyncio.run(asker.ask(spec, RunTask("d", Task(1, {"text": "x"}))))
    store.close()
    assert not model.calls


def test_the_store_is_not_asked_for_the_provider_with_every_task(tmp_path: Path) -> None:
    reads, now = [], [0.0]

    class Counting(SqliteStore):
        def project(self, key: str) -> Project:
            reads.append(key)
            return super().project(key)

    store, settings = Counting(tmp_path), Settings()
    projects = Projects(settings, store, Single(ScriptedLLM(GOOD)), texts(), lambda: now[0])
    spec = Spec("1.1", "v", CONFIG, Prompt("Go", "saved"), Parameters())
    for _ in range(20):
        projects.rebuild(spec)
    assert reads == ["1.1"]
    now[0] += 0.6  # a manager's new key is in use soon
    projects.rebuild(spec)
    assert reads == ["1.1", "1.1"]
    store.close()
