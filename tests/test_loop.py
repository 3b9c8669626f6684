"""Does the event loop serve those who are ready in turn, and end what runs on it?"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from llm_backend.loop import InTurn, Loop


def _played(count: int, read: Callable[[asyncio.AbstractEventLoop, int, socket.socket], None], rounds: int) -> None:
    """Let so many connections be ready in one moment, and the loop turn so many rounds."""
    loop = asyncio.SelectorEventLoop(InTurn())
    with ExitStack() as stack:
        stack.callback(loop.close)
        for number in range(count):
            here, there = (stack.enter_context(end) for end in socket.socketpair())
            loop.add_reader(here, read, loop, number, here)
            there.send(b"answer")
        loop.run_until_complete(_turned(rounds))


async def _turned(rounds: int) -> None:
    for _ in range(rounds):
        await asyncio.sleep(0)


def test_an_answer_is_worked_on_to_its_end_before_a_later_one_of_the_same_moment_is_read() -> None:
    seen: list[tuple[str, int]] = []

    def read(loop: asyncio.AbstractEventLoop, number: int, here: socket.socket) -> None:
        here.recv(16)
        seen.append(("read", number))
        loop.call_soon(loop.call_soon, seen.append, ("done", number))

    _played(8, read, 40)
    ended = [number for step, number in seen if step == "done"]
    assert sorted(ended) == list(range(8))
    for before, after in zip(ended, ended[3:], strict=False):
        assert seen.index(("done", before)) < seen.index(("read", after))


def test_whoever_is_always_ready_keeps_nobody_from_their_turn() -> None:
    served: list[int] = []

    def look(loop: asyncio.AbstractEventLoop, number: int, here: socket.socket) -> None:
        served.append(number)  # nothing is read: there is always more

    _played(4, look, 41)
    assert served[:40] == served[:4] * 10
    assert sorted(served[:4]) == list(range(4))


def test_a_connection_that_ends_before_its_turn_takes_no_other_with_it() -> None:
    served: list[str] = []

    with ExitStack() as stack:

        def pair() -> tuple[socket.socket, socket.socket]:
            here, there = socket.socketpair()
            stack.callback(here.close)
            stack.callback(there.close)
            there.send(b"answer")
            return here, there

        loop = asyncio.SelectorEventLoop(InTurn())
        stack.callback(loop.close)
        waiting = [pair()[0] for _ in range(3)]

        def replace(mine: socket.socket) -> None:
            """End the others, and let their numbers be those of new connections."""
            loop.remove_reader(mine)
            others = [other for other in waiting if other is not mine]
            freed = {other.fileno() for other in others}
            for other in others:
                loop.remove_reader(other)
                other.close()
            for _ in others:
                here, _ = pair()
                freed.discard(here.fileno())
                loop.add_reader(here, lambda here=here: served.append(here.recv(16).decode()))
            served.append("ended" if len(freed) < len(others) else "no number was used again")

        for here in waiting:
            loop.add_reader(here, replace, here)
        loop.run_until_complete(_turned(20))
    assert served == ["ended", "answer", "answer"]


def test_what_still_runs_is_ended_with_the_loop() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("work")

    async def begin() -> None:
        begun = asyncio.create_task(work())
        await asyncio.sleep(0)
        assert not begun.done()

    loop = Loop()
    loop.run(begin())
    loop.close()
    loop.close()
    assert ended == ["work"]


def test_what_a_coroutine_raises_is_raised_where_it_was_waited_for() -> None:
    async def fail() -> None:
        raise ValueError("of the loop")

    loop = Loop()
    with pytest.raises(ValueError, match="of the loop"):
        loop.run(fail())
    loop.close()
