"""Who is let in, and in which order?"""

import asyncio

import pytest

from llm_backend.adapters.runs.rq.gate import Gate


async def _entering(gate: Gate, name: str, rank: int, entered: list[str]) -> None:
    await gate.enter(rank)
    entered.append(name)


def test_the_lowest_rank_goes_first_and_of_one_rank_whoever_came_first() -> None:
    async def play() -> list[str]:
        gate, entered = Gate(lambda: 1), list[str]()
        await gate.enter()
        names = {"batch 1": 2, "first 1": 1, "batch 2": 2, "opened": 0, "first 2": 1}
        waiting = [asyncio.create_task(_entering(gate, name, rank, entered)) for name, rank in names.items()]
        await asyncio.sleep(0)
        for _ in waiting:
            gate.leave()
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
        return entered

    assert asyncio.run(play()) == ["opened", "first 1", "first 2", "batch 1", "batch 2"]


@pytest.mark.parametrize("let_in", [False, True], ids=["while they wait", "as they are let in"])
def test_whoever_gives_up_takes_no_place(let_in: bool) -> None:
    async def play() -> list[str]:
        gate, entered = Gate(lambda: 1), list[str]()
        await gate.enter()
        gone = asyncio.create_task(_entering(gate, "gone", 0, entered))
        there = asyncio.create_task(_entering(gate, "there", 1, entered))
        await asyncio.sleep(0)
        if let_in:
            gate.leave()
            gone.cancel()
        else:
            gone.cancel()
            await asyncio.sleep(0)
            gate.leave()
        await asyncio.wait_for(there, 10)
        return entered

    assert asyncio.run(play()) == ["there"]
