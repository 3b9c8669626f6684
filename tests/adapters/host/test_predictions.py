"""Which tasks of Label Studio have a prediction of this version, and how does one get there?"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from llm_backend.adapters.host import Host, HostError
from llm_backend.adapters.host.predictions import (
    MOST_ASKED,
    created_at,
    import_predictions,
    store_prediction,
    tasks_there,
    tasks_with,
)
from tests.support.host_stub import CREATED_AT, LEGACY, PROJECT, StubHost, serving
from tests.support.sites import Site, site

VERSION = 'odd "model" 100% + more-ab12'


def made(task: int, label: Any = "good", version: str = VERSION) -> dict[str, Any]:
    region = {"from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return {"task": task, "result": [region], "score": None, "model_version": version}


def play(studio: StubHost, scene: Callable[[Host, Site], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(studio) as here:
            host = Host(here.origin, LEGACY)
            try:
                await scene(host, here)
            finally:
                await host.close()

    asyncio.run(run())


def test_tasks_with_a_prediction_of_the_version_are_told_from_the_others() -> None:
    studio = StubHost({1, 2, 3, 4}, [made(1), made(2, version="older"), made(4)])

    async def scene(host: Host, here: Site) -> None:
        assert await tasks_with(host, PROJECT, VERSION, {1, 2, 3, 9}) == {1}
        assert await tasks_there(host, PROJECT, {1, 2, 9}) == {1, 2}

    play(studio, scene)


def test_no_tasks_are_asked_for_without_a_call() -> None:
    """An empty list of selected tasks would mean all of them."""
    studio = StubHost({1}, [made(1)])

    async def scene(host: Host, here: Site) -> None:
        assert await tasks_with(host, PROJECT, VERSION, ()) == set()
        assert here.asked == []

    play(studio, scene)


def test_many_tasks_are_asked_for_in_several_short_questions() -> None:
    tasks = range(100_000_000, 100_000_000 + 2 * MOST_ASKED + 1)
    studio = StubHost(set(tasks))

    async def scene(host: Host, here: Site) -> None:
        assert await tasks_there(host, PROJECT, tasks) == set(tasks)
        assert len(here.asked) == 3
        assert max(map(len, here.asked)) < 4000

    play(studio, scene)


def test_a_host_that_shows_fewer_at_once_is_asked_page_by_page() -> None:
    studio = StubHost(set(range(1, 26)), most_shown=10)

    async def scene(host: Host, here: Site) -> None:
        assert await tasks_there(host, PROJECT, range(1, 31)) == set(range(1, 26))
        assert len(here.asked) == 3

    play(studio, scene)


def test_predictions_are_stored_in_bulk_and_one_by_one() -> None:
    studio = StubHost({1, 2, 3})

    async def scene(host: Host, here: Site) -> None:
        assert await import_predictions(host, PROJECT, [made(1), made(2, "nowhere in the config")]) == 1
        await store_prediction(host, made(3, ["Top", "Leaf"]))
        assert studio.having(VERSION) == [1, 3]

    play(studio, scene)


def test_a_task_that_is_gone_refuses_the_list() -> None:
    async def scene(host: Host, here: Site) -> None:
        for send in (import_predictions(host, PROJECT, [made(1), made(2)]), store_prediction(host, made(2))):
            with pytest.raises(HostError) as caught:
                await send
            assert caught.value.answered == 400

    play(StubHost({1}), scene)


def test_it_is_known_when_a_project_was_made() -> None:
    async def scene(host: Host, here: Site) -> None:
        assert await created_at(host, PROJECT) == CREATED_AT
        with pytest.raises(HostError, match="nothing at /api/projects/8/"):
            await created_at(host, 8)

    play(StubHost(set()), scene)


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b""], ids=["a page", "a list", "nothing"])
def test_what_is_no_label_studio_is_told(body: bytes) -> None:
    async def run() -> None:
        async with site({f"/api/projects/{PROJECT}/": body}) as here:
            host = Host(here.origin, LEGACY)
            with pytest.raises(HostError, match="is not Label Studio's API") as caught:
                await created_at(host, PROJECT)
            assert caught.value.lasting
            await host.close()

    asyncio.run(run())
