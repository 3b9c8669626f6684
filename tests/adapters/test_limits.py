"""Do batch calls wait for their turn, and interactive ones never?"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llm_backend.adapters.limits import Limits
from llm_backend.core.chat import Lane


class Callers:
    """Calls that hold their place until they are told to leave."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inside: list[str] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._leave: dict[str, asyncio.Event] = {}

    async def start(self, name: str, lane: Lane = "batch") -> asyncio.Task[None]:
        self._leave[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._call(name, lane))
        await settle()
        return self._tasks[name]

    async def end(self, name: str) -> None:
        self._leave[name].set()
        await self._tasks[name]
        await settle()

    async def _call(self, name: str, lane: Lane) -> None:
        async with self.limits.place(lane):
            self.inside.append(name)
            await self._leave[name].wait()
            self.inside.remove(name)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def run(test: Callable[[Limits, Callers], Awaitable[None]], concurrency: int = 2) -> None:
    limits = Limits(concurrency)  # outside of the loop, as at start-up

    async def inside() -> None:
        await test(limits, Callers(limits))

    asyncio.run(inside())


def test_batch_calls_wait_while_all_places_are_taken() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        for name in "abc":
            await callers.start(name)
        assert (callers.inside, limits.in_flight, limits.waiting) == (["a", "b"], 2, 1)
        for name in "abc":
            await callers.end(name)
        assert (limits.in_flight, limits.waiting) == (0, 0)

    run(test)


def test_waiting_calls_go_first_come_first_served() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        for name in "abc":
            await callers.start(name)
        for name in "abc":
            assert callers.inside == [name]
            await callers.end(name)

    run(test, concurrency=1)


def test_an_interactive_call_never_waits_and_still_counts() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        for name in "abc":
            await callers.start(name)
        await callers.start("person", "interactive")
        assert (callers.inside, limits.in_flight) == (["a", "b", "person"], 3)
        await callers.end("a")
        assert callers.inside == ["b", "person"], "the person's call holds the place that c waits for"
        await callers.end("person")
        assert callers.inside == ["b", "c"]
        for name in "bc":
            await callers.end(name)

    run(test)


def test_a_newcomer_does_not_overtake_the_queue() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        await callers.start("a")
        waiting = await callers.start("b")
        callers._leave["a"].set()
        await callers.start("c")
        assert callers.inside == ["b"]
        await callers.end("b")
        await callers.end("c")
        assert waiting.done()

    run(test, concurrency=1)


def test_a_call_that_fails_gives_its_place_back() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        with pytest.raises(ValueError, match="inside"):
            async with limits.place("batch"):
                raise ValueError("inside")
        assert limits.in_flight == 0

    run(test)


def test_a_call_that_gives_up_waiting_leaves_no_trace() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        await callers.start("a")
        given_up = [await callers.start(name) for name in "bc"]
        last = await callers.start("d")
        for task in given_up:
            task.cancel()
        await asyncio.gather(*given_up, return_exceptions=True)
        assert limits.waiting == 1
        await callers.end("a")
        assert callers.inside == ["d"]
        await callers.end("d")
        assert last.done()
        assert limits.in_flight == 0

    run(test, concurrency=1)


def test_a_free_place_is_given_although_only_calls_that_gave_up_stand_in_the_queue() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        await callers.start("a")
        given_up = await callers.start("b")
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        await callers.end("a")
        await callers.start("c")
        assert callers.inside == ["c"]
        await callers.end("c")

    run(test, concurrency=1)


def test_a_place_given_in_the_moment_of_giving_up_is_passed_on() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        await callers.start("a")
        unlucky = await callers.start("b")
        await callers.start("c")
        callers._leave["a"].set()
        await asyncio.sleep(0)  # a leaves and hands its place to b, which has not woken yet
        unlucky.cancel()
        await settle()
        assert callers.inside == ["c"]
        await callers.end("c")
        assert limits.in_flight == 0

    run(test, concurrency=1)


def test_many_calls_never_exceed_the_limit() -> None:
    async def test(limits: Limits, callers: Callers) -> None:
        most = 0

        async def call() -> None:
            nonlocal most
            async with limits.place("batch"):
                most = max(most, limits.in_flight)
                await asyncio.sleep(0)

        await asyncio.gather(*(call() for _ in range(500)))
        assert (most, limits.in_flight, limits.waiting) == (7, 0, 0)

    run(test, concurrency=7)
