"""Predictions that a real Label Studio did not wait for, pushed into it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from llm_backend.adapters.host import Host, HostError
from llm_backend.adapters.store import Project
from llm_backend.backend.push import Push, PushReport, Target
from llm_backend.backend.pushing import Targets
from llm_backend.core.wire import JSON, Prediction, Region, project_key
from llm_backend.demo.api import Api
from llm_backend.demo.label_studio import LabelStudio
from llm_backend.loop import Loop

pytestmark = pytest.mark.e2e

T = TypeVar("T")

VERSION = 'stub-model 100% "odd"+ab12'
FLAT = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/></Choices>
</View>"""
NESTED = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text" allowNested="true">
    <Choice value="Top"><Choice value="Leaf"/></Choice><Choice value="Other"/>
  </Choices>
</View>"""
# Options of the config beside options of the task: the editor shows both, the host's checker knows the first alone.
MIXED = """
<View>
  <Text name="text" value="$text"/>
  <Choices name="tone" toName="text" value="$options"><Choice value="good"/><Choice value="costs $5"/></Choices>
</View>"""


@dataclass(frozen=True)
class Setup:
    """What /setup said, and nothing else."""

    hostname: str = ""
    access_token: str = ""

    def project(self, key: str) -> Project:
        return Project(key, hostname=self.hostname, access_token=self.access_token)


def made(choice: JSON) -> Prediction:
    return Prediction((Region("tone", "text", "choices", {"choices": [choice]}),))


def project_of(api: Api, title: str, config: str, count: int) -> tuple[int, list[int]]:
    project = api.create_project(title, config, show_collab_predictions=False)
    return project, api.import_tasks(
        project, [{"text": f"Text {n}", "options": [{"value": "own"}]} for n in range(count)]
    )


def key_of(api: Api, project: int) -> str:
    key = project_key(api.call("GET", f"/api/projects/{project}/"))
    assert key is not None
    return key


def pushed(api: Api, token: str, project: int, predictions: Sequence[tuple[int, Prediction]]) -> PushReport:
    """Push with the operator's key, as the backend does."""

    async def push(target: Target) -> PushReport:
        return await Push().push(target, VERSION, predictions)

    return at(Host(api.url, token), key_of(api, project), push)


def ran(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of another thread: the browser of the session has this one's."""
    loop = Loop()
    try:
        return loop.run(work)
    finally:
        loop.close()


def at(host: Host, key: str, scene: Callable[[Target], Awaitable[PushReport]]) -> PushReport:
    async def run() -> PushReport:
        try:
            return await scene(await Targets(Setup(), host).find(key))
        finally:
            await host.close()

    return ran(run())


def having(api: Api, project: int) -> list[int]:
    return sorted(stored["task"] for stored in api.predictions(project) if stored["model_version"] == VERSION)


@contextmanager
def legacy_tokens(api: Api) -> Iterator[str]:
    """Legacy tokens as the organization's settings switch them on; gives the user's."""

    def switch(on: bool) -> None:
        api.call("POST", "/api/jwt/settings", {"api_tokens_enabled": True, "legacy_api_tokens_enabled": on})

    switch(True)
    try:
        yield str(api.call("GET", "/api/current-user/token")["token"])
    finally:
        switch(False)


def test_many_predictions_are_stored_once_however_often_they_are_pushed(api: Api, token: str) -> None:
    project, tasks = project_of(api, "push many", FLAT, 1200)
    predictions = [(task, made("good")) for task in tasks]
    assert pushed(api, token, project, predictions[:700]) == PushReport(stored=700)
    assert pushed(api, token, project, predictions) == PushReport(stored=500, already_there=700)
    assert having(api, project) == tasks


def test_deleted_tasks_cost_their_neighbours_nothing(api: Api, token: str) -> None:
    project, tasks = project_of(api, "push deleted", FLAT, 6)
    for task in tasks[1:3]:
        api.call("DELETE", f"/api/tasks/{task}/")
    report = pushed(api, token, project, [(task, made("good")) for task in tasks])
    assert report == PushReport(stored=4, gone=2)
    assert having(api, project) == [tasks[0], *tasks[3:]]


@pytest.mark.parametrize(
    ("config", "choices", "singly"),
    [(NESTED, [["Top", "Leaf"], ["Other"]], 2), (MIXED, ["own", "costs $5", "good"], 1)],
    ids=["nested", "the task's own options"],
)
def test_shapes_that_the_import_refuses_are_stored_one_by_one(
    api: Api, token: str, config: str, choices: list[JSON], singly: int
) -> None:
    project, tasks = project_of(api, "push odd shapes", config, len(choices))
    predictions = [(task, made(choice)) for task, choice in zip(tasks, choices, strict=True)]
    assert pushed(api, token, project, predictions) == PushReport(stored=len(choices), singly=singly)
    stored = {made["task"]: made["result"][0]["value"]["choices"][0] for made in api.predictions(project)}
    assert [stored[task] for task in tasks] == choices


def test_the_token_of_setup_is_refused_by_a_new_install_and_used_by_one_that_allows_it(api: Api) -> None:
    project, tasks = project_of(api, "push with the token of setup", FLAT, 3)
    key = key_of(api, project)

    async def push(access_token: str) -> PushReport:
        targets = Targets(Setup(api.url, access_token), None, ["127.0.0.1"])
        try:
            target = await targets.find(key)
            return await Push().push(target, VERSION, [(task, made("bad")) for task in tasks])
        finally:
            await targets.close()

    with legacy_tokens(api) as access_token:
        pass
    with pytest.raises(HostError, match="legacy tokens are switched off"):
        ran(push(access_token))
    with legacy_tokens(api) as access_token:
        assert ran(push(access_token)) == PushReport(stored=3)
    assert having(api, project) == tasks


def test_a_project_of_the_same_number_elsewhere_is_not_touched(api: Api, token: str) -> None:
    project, _ = project_of(api, "push elsewhere", FLAT, 1)

    async def push(target: Target) -> PushReport:
        raise AssertionError("It was found.")

    with pytest.raises(HostError, match=f"has another project {project} than the one that asks us"):
        at(Host(api.url, token), f"{project}.1234567890", push)


def test_a_label_studio_that_is_down_gets_everything_when_it_is_back(
    label_studio: LabelStudio, api: Api, token: str
) -> None:
    project, tasks = project_of(api, "push while down", FLAT, 40)
    pauses: list[float] = []

    async def back_after(seconds: float) -> None:
        """The third pause brings it back."""
        pauses.append(seconds)
        if len(pauses) == 3:
            await asyncio.to_thread(label_studio.start)

    async def push(target: Target) -> PushReport:
        await asyncio.to_thread(label_studio.stop)
        return await Push(sleep=back_after).push(target, VERSION, [(task, made("good")) for task in tasks])

    assert at(Host(api.url, token), key_of(api, project), push) == PushReport(stored=40)
    assert having(api, project) == tasks
