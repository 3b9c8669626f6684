"""What goes along at each moment, and what it costs to know it."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_backend.adapters.store import Learned, Store
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.backend import Pools, Projects
from llm_backend.backend.lessons import Superseded
from llm_backend.backend.projects import Bound
from llm_backend.core.examples import Asked, Correction
from llm_backend.errors import StoreError
from llm_backend.services import Connections, texts
from llm_backend.settings import Settings
from tests.support.scripted import ScriptedLLM
from tests.support.serving import CONFIG, GOOD, PROJECT

MANY = 600
"""More than are built in a moment."""


class Memory:
    """A store that counts how often all corrections are read, and may be out of order."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.read = 0
        self.broken = False

    def learned(self, key: str) -> Learned:
        return self.store.learned(key)

    def corrections(self, key: str, *, published: bool = False) -> tuple[Correction, ...]:
        self.read += 1
        if self.broken:
            raise StoreError("The disk is full.")
        return self.store.corrections(key, published=published)


class At:
    """A project, and what goes along with a question of it."""

    def __init__(self, store: Store) -> None:
        self.memory = Memory(store)
        self.store = store
        self.pools = Pools(self.memory)
        settings = Settings(api_key="test-key", few_shot=3)
        connections = Connections(settings, ScriptedLLM(GOOD))
        self.projects = Projects(settings, store, connections, texts())

    @property
    def bound(self) -> Bound:
        return self.projects.bind(PROJECT, CONFIG)

    async def live(self, text: str = "word") -> list[str]:
        lessons = await self.pools.live(self.bound)
        return [] if lessons is None else chosen(lessons, text)

    async def published(self, text: str = "word") -> list[str]:
        bound = self.bound
        lessons = await self.pools.published(bound.spec(CONFIG, bound.prompt()), bound.plan, "m")
        return [] if lessons is None else chosen(lessons, text)

    def learn(self, *corrections: Correction) -> None:
        self.store.learn(PROJECT, corrections)


def chosen(lessons: Any, text: str) -> list[str]:
    return [one.annotation for one in lessons.choose(Asked({"text": "?"}, text), 3)]


def correction(ident: int, text: str = "word") -> Correction:
    return Correction(str(ident), {"text": f"{text} {ident}"}, {"sentiment": "Positive"}, task=ident)


@pytest.fixture
def at(tmp_path: Path) -> Iterator[At]:
    with closing(SqliteStore(tmp_path)) as store:
        yield At(store)


def test_a_pool_is_read_and_built_once_however_many_ask(at: At) -> None:
    async def ask() -> None:
        at.learn(correction(1))
        assert await asyncio.gather(*(at.live() for _ in range(20))) == [["1"]] * 20
        assert await at.live() == ["1"]

    asyncio.run(ask())
    assert at.memory.read == 1


def test_what_is_new_is_there_with_the_next_question_and_what_was_unlearned_is_not(at: At) -> None:
    async def ask() -> None:
        at.learn(correction(1))
        assert await at.live() == ["1"]
        at.learn(correction(2, "nearby"))
        assert "2" in await at.live("nearby")
        at.store.unlearn(PROJECT, ["2"])
        assert await at.live("nearby") == ["1"]

    asyncio.run(ask())


def test_of_a_large_pool_what_was_unlearned_or_changed_leaves_at_once_and_what_is_new_comes_soon(at: At) -> None:
    async def ask() -> None:
        at.learn(*(correction(ident) for ident in range(MANY)), correction(MANY, "special"))
        assert (await at.live("special"))[-1] == str(MANY)
        at.store.unlearn(PROJECT, [str(MANY)])
        assert str(MANY) not in await at.live("special")
        at.learn(correction(MANY + 1, "special"), replace(correction(7), answers={"sentiment": "Negative"}))
        assert str(MANY) not in await at.live("special")
        assert "7" not in await at.live("7")
        while await at.live("special") == [] or (await at.live("special"))[-1] != str(MANY + 1):
            await asyncio.sleep(0.01)
        assert (await at.live("7"))[-1] == "7"
        assert str(MANY) not in await at.live("special")

    asyncio.run(asyncio.wait_for(ask(), 30))


def test_batches_go_by_exactly_what_was_published_however_large(at: At) -> None:
    async def ask() -> None:
        at.learn(*(correction(ident) for ident in range(MANY)))
        at.store.publish(PROJECT)
        assert await at.published("5") == await at.published("5")
        at.learn(correction(MANY, "special"))
        assert str(MANY) not in await at.published("special")
        at.store.publish(PROJECT)
        assert (await at.published("special"))[-1] == str(MANY)

    asyncio.run(ask())


def test_what_was_published_since_never_goes_along_with_a_run_of_before(at: At) -> None:
    async def ask() -> None:
        at.learn(correction(1))
        at.store.publish(PROJECT)
        bound = at.bound
        spec = bound.spec(CONFIG, bound.prompt())
        assert await at.pools.published(spec, bound.plan, "m") is not None
        at.learn(correction(2))
        at.store.publish(PROJECT)
        with pytest.raises(Superseded):
            await at.pools.published(spec, bound.plan, "m")

    asyncio.run(ask())


def test_another_labeling_config_meets_no_pool_of_the_one_before(at: At) -> None:
    async def ask() -> None:
        at.learn(correction(1))
        assert await at.live() == ["1"]
        bound = at.projects.bind(PROJECT, CONFIG.replace('value="Positive"', 'value="Good"'))
        lessons = await at.pools.live(bound)
        assert lessons is not None
        assert chosen(lessons, "word") == []

    asyncio.run(ask())


def test_a_store_that_fails_for_a_moment_is_asked_again(at: At) -> None:
    async def ask() -> None:
        at.learn(correction(1))
        at.memory.broken = True
        with pytest.raises(StoreError):
            await at.live()
        at.memory.broken = False
        assert await at.live() == ["1"]

    asyncio.run(ask())
