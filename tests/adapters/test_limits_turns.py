"""Whose turn is it, between projects, models and processes?"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from llm_backend.adapters.limits import Gate, Limits
from tests.support import virtual_time


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Calls of one second each, which note when they came in."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.served: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    def call(self, name: str, gate: Gate | None = None, *, group: str = "", lane: str = "batch") -> asyncio.Task[None]:
        task = asyncio.create_task(self._call(name, gate, group, lane))
        self._tasks.append(task)
        return task

    async def _call(self, name: str, gate: Gate | None, group: str, lane: str) -> None:
        async with self.limits.place(lane, gate, group):  # type: ignore[arg-type]
            self.served.append(name)
            await asyncio.sleep(1)

    async def all(self) -> list[str]:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.served


def served(test: Callable[[Crowd], Awaitable[None]], concurrency: int, **options: object) -> list[str]:
    async def inside() -> list[str]:
        crowd = Crowd(Limits(concurrency, clock=virtual_time.now, **options))  # type: ignore[arg-type]
        await test(crowd)
        names = await crowd.all()
        assert (crowd.limits.in_flight, crowd.limits.waiting) == (0, 0)
        return names

    return virtual_time.run(inside())


def test_projects_take_turns() -> None:
    async def test(crowd: Crowd) -> None:
        for group in "abc":
            for number in range({"a": 5, "b": 2, "c": 3}[group]):
                crowd.call(f"{group}{number}", group=group)

    assert served(test, 1) == ["a0", "a1", "b0", "c0", "a2", "b1", "c1", "a3", "c2", "a4"]


def test_a_small_project_does_not_wait_for_a_large_one() -> None:
    async def test(crowd: Crowd) -> None:
        for number in range(200):
            crowd.call(f"large{number}", group="large")
        await settle()
        for number in range(3):
            crowd.call(f"small{number}", group="small")

    names = served(test, 4)
    assert max(names.index(f"small{number}") for number in range(3)) < 12


def test_projects_take_turns_at_a_known_rate_too() -> None:
    async def test(crowd: Crowd) -> None:
        gate = Gate(metered=True)
        for group in "ab":
            for number in range(3):
                crowd.call(f"{group}{number}", gate, group=group)

    assert served(test, 50, rpm=60) == ["a0", "a1", "b0", "a2", "b1", "b2"]


def test_a_model_that_is_full_does_not_stop_others() -> None:
    async def test(crowd: Crowd) -> None:
        full, free = Gate(), Gate()
        narrow(full)
        for number in range(3):
            crowd.call(f"full{number}", full)
        for number in range(3):
            crowd.call(f"free{number}", free)

    assert served(test, 10) == ["full0", "free0", "free1", "free2", "full1", "full2"]


def narrow(gate: Gate) -> None:
    """Overload it until one call at a time is left."""
    for _ in range(50):
        gate.overloaded(0.0, 0.0, None)
    assert not gate.full
    gate.in_flight += 1
    assert gate.full
    gate.in_flight -= 1


def test_a_call_that_gives_up_at_a_closed_gate_is_forgotten() -> None:
    async def test(crowd: Crowd) -> None:
        gate = Gate()
        gate.paused_until = 30.0
        given_up = crowd.call("a", gate)
        crowd.call("b", gate)
        await settle()
        given_up.cancel()
        await settle()
        assert crowd.limits.waiting == 1

    assert served(test, 10) == ["b"]


def test_a_paused_gate_opens_by_itself() -> None:
    async def inside() -> float:
        gate = Gate()
        gate.paused_until = 30.0
        async with Limits(5, clock=virtual_time.now).place("batch", gate):
            return virtual_time.now()

    assert virtual_time.run(inside()) == pytest.approx(30.0)


def test_the_gate_that_opens_first_wakes_first() -> None:
    async def test(crowd: Crowd) -> None:
        for name, until in (("late", 60.0), ("soon", 5.0), ("later", 90.0)):
            gate = Gate()
            gate.paused_until = until
            crowd.call(name, gate)

    assert served(test, 5) == ["soon", "late", "later"]


def test_an_interactive_call_goes_through_a_closed_gate() -> None:
    async def test(crowd: Crowd) -> None:
        gate = Gate()
        gate.paused_until = 30.0
        crowd.call("batch", gate)
        crowd.call("person", gate, lane="interactive")

    assert served(test, 1) == ["person", "batch"]


@pytest.mark.parametrize(("processes", "share"), [(0, 64), (1, 64), (2, 32), (3, 21), (64, 1), (100, 1)])
def test_a_process_keeps_to_its_part_of_the_places(processes: int, share: int) -> None:
    assert Limits(64, processes=lambda: processes).share == share


def test_the_part_grows_as_other_processes_leave() -> None:
    processes = [4]

    async def inside() -> list[int]:
        limits = Limits(8, clock=virtual_time.now, processes=lambda: processes[0])
        crowd = Crowd(limits)
        for number in range(40):
            crowd.call(str(number))
        seen = []
        for processes[0] in (4, 2, 1):
            await asyncio.sleep(1.5)
            seen.append(limits.in_flight)
        await crowd.all()
        return seen

    assert virtual_time.run(inside()) == [2, 4, 8]
