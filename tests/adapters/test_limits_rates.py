"""Are known rates kept, and unknown limits found? Against a provider's bucket, on a clock that jumps."""

import asyncio
import random
from typing import Any

import pytest

from llm_backend.adapters.limits import Gate, Limits
from tests.support import virtual_time
from tests.support.stub_model import Bucket, Reply, Responder, rate_limited, says, server_error

IDEAL = 290 / 50  # seconds for 300 calls at 50 a second, when 10 may go at once


class Asking:
    """Calls to one provider, tried again until they are answered, as a provider does it."""

    def __init__(self, responder: Responder, *, latency: float = 0.1, workers: int = 1, **options: Any) -> None:
        self.limits = tuple(
            Limits(128, clock=virtual_time.now, processes=lambda: workers, **options) for _ in range(workers)
        )
        self.gates = tuple(Gate(metered=True) for _ in range(workers))
        self.answered = self.refused = self.in_flight = self.most = 0
        self.moments: list[float] = []
        self._responder = responder
        self._latency = latency
        self._random = random.Random(7)

    async def tasks(self, count: int, **options: Any) -> float:
        began = virtual_time.now()
        await asyncio.gather(*(self.task(number % len(self.limits), **options) for number in range(count)))
        return virtual_time.now() - began

    async def task(self, worker: int = 0, lane: str = "batch", size: int = 0, tokens: int = 0) -> None:
        tries = 0
        while True:
            async with self.limits[worker].place(lane, self.gates[worker], "", size) as place:  # type: ignore[arg-type]
                reply = await self._exchange()
                wait = float(reply.headers.get("retry-after", 0))
                if reply.status == 200:
                    place.answered(reply.headers)
                elif reply.status == 429:
                    place.refused(wait, reply.headers)
                else:
                    place.overloaded(wait)
            if reply.status == 200:
                place.counted(tokens)
                self.answered += 1
                return
            self.refused += 1
            await asyncio.sleep(wait + self._random.random() * min(4.0, 0.5 * 2**tries))
            tries += 1

    async def _exchange(self) -> Reply:
        self.moments.append(virtual_time.now())
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(min(0.005, self._latency / 2))
        reply = self._responder(self.in_flight, 0)
        if reply.status == 200:
            await asyncio.sleep(max(0.0, self._latency - 0.005))
        self.in_flight -= 1
        return reply


def bucket(per_second: float = 50, burst: int = 10, **options: Any) -> Bucket:
    return Bucket(per_second, burst, then=lambda request, n_th: says("yes"), clock=virtual_time.now, **options)


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("latency", [0.001, 0.1, 0.4])
def test_a_known_rate_is_kept_and_used(latency: float, workers: int) -> None:
    async def inside() -> None:
        asking = Asking(bucket(whole_seconds=True), latency=latency, workers=workers, rpm=3000)
        seconds = await asking.tasks(300)
        assert asking.answered == 300
        assert asking.refused < 0.05 * 300
        assert seconds <= 1.15 * IDEAL

    virtual_time.run(inside())


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("latency", [0.001, 0.1, 0.5])
@pytest.mark.parametrize("tells", [False, True], ids=["silent", "x-ratelimit"])
@pytest.mark.parametrize("whole", [False, True], ids=["exact", "whole seconds"])
def test_an_unknown_rate_is_found(whole: bool, tells: bool, latency: float, workers: int) -> None:
    async def inside() -> None:
        asking = Asking(bucket(whole_seconds=whole, tells=tells), latency=latency, workers=workers)
        seconds = await asking.tasks(300)
        assert asking.answered == 300
        assert asking.refused < 200
        assert seconds <= 2 * IDEAL

    virtual_time.run(inside())


@pytest.mark.parametrize("whole", [False, True], ids=["exact", "whole seconds"])
def test_a_rate_once_found_is_kept(whole: bool) -> None:
    async def inside() -> None:
        asking = Asking(bucket(whole_seconds=whole), latency=0.5)
        await asking.tasks(1000)
        before = asking.refused
        seconds = await asking.tasks(1000)
        assert seconds <= 1.15 * 1000 / 50
        assert asking.refused - before < 0.15 * 1000

    virtual_time.run(inside())


@pytest.mark.parametrize("per_second", [0.05, 0.5, 5])
def test_a_slow_provider_is_found_too(per_second: float) -> None:
    async def inside() -> None:
        asking = Asking(bucket(per_second, 3, whole_seconds=True))
        seconds = await asking.tasks(60)
        assert seconds <= 1.5 * 57 / per_second
        assert asking.refused < 240

    virtual_time.run(inside())


def test_a_limit_that_is_lifted_is_noticed_soon() -> None:
    async def inside() -> None:
        narrow = bucket(2, 2)
        asking = Asking(narrow, latency=0.5)
        await asking.tasks(40)
        narrow.per_second, narrow.burst = 100.0, 100
        assert await asking.tasks(1000) <= 50, "10 s at the new rate, and the time to find it"

    virtual_time.run(inside())


def test_single_refusals_stop_nobody_else() -> None:
    dice = random.Random(3)

    def balancer(request: Any, n_th: int) -> Reply:
        return rate_limited(retry_after="1") if dice.random() < 0.05 else says("yes")

    async def inside() -> None:
        asking = Asking(balancer, latency=0.5)
        assert await asking.tasks(2000) <= 1.5 * 2000 / 128 * 0.5
        assert asking.refused > 60

    virtual_time.run(inside())


def test_many_refusals_stop_all_for_as_long_as_the_provider_asks() -> None:
    async def inside() -> None:
        asking = Asking(lambda request, n_th: rate_limited(retry_after="60"), latency=0.5)
        work = asyncio.ensure_future(asking.tasks(300))
        await asyncio.sleep(50)
        assert len(asking.moments) < 200, "the first 128, and not each of the others in its turn"
        assert 0 < asking.limits[0].pause(asking.gates[0]) <= 60
        assert asking.limits[0].refused == len(asking.moments)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)

    virtual_time.run(inside())


def test_after_a_pause_calls_come_back_one_by_one() -> None:
    closed = True

    def closing(request: Any, n_th: int) -> Reply:
        return rate_limited(retry_after="10") if closed else says("yes")

    async def inside() -> None:
        nonlocal closed
        asking = Asking(closing, latency=0.05)
        work = asyncio.ensure_future(asking.tasks(300))
        await asyncio.sleep(5)
        closed, first = False, len(asking.moments)
        await work
        back = asking.moments[first:]
        most = max(sum(1 for moment in back if start <= moment < start + 0.1) for start in back)
        assert most <= 20, "not all that waited for the end of the pause"

    virtual_time.run(inside())


def concurrent(most: int, reply: Reply) -> Responder:
    """A server that bears so many requests at once; the request is how many there are."""
    return lambda in_flight, n_th: reply if in_flight > most else says("yes")


@pytest.mark.parametrize("reply", [server_error(503), rate_limited()], ids=["503", "429"])
def test_a_server_that_bears_few_calls_at_once_gets_few(reply: Reply) -> None:
    async def inside() -> None:
        asking = Asking(concurrent(8, reply), latency=0.5)
        await asking.tasks(128)
        assert asking.answered == 128
        before = asking.refused
        assert await asking.tasks(400) <= 2 * 400 / 8 * 0.5
        assert asking.refused - before <= 120

    virtual_time.run(inside())


def test_an_overloaded_server_always_gets_one_call_and_recovers() -> None:
    broken = True

    def breaking(request: Any, n_th: int) -> Reply:
        return server_error(503) if broken else says("yes")

    async def inside() -> None:
        nonlocal broken
        asking = Asking(breaking, latency=0.2)
        work = asyncio.ensure_future(asking.tasks(128))
        await asyncio.sleep(60)
        assert asking.gates[0].limiting
        asking.most, broken = 0, False
        await work
        await asking.tasks(2000)
        assert asking.most == 128

    virtual_time.run(inside())


@pytest.mark.parametrize("rpm", [30, 600, 6000])
def test_a_known_rate_allows_no_burst(rpm: int) -> None:
    async def inside() -> None:
        asking = Asking(lambda request, n_th: says("yes"), latency=0.01, rpm=rpm)
        await asking.tasks(50)
        await asyncio.sleep(600)
        await asking.tasks(50)
        for start in asking.moments:
            assert sum(1 for moment in asking.moments if start <= moment < start + 1) <= 1.1 * rpm / 60 + 1.01

    virtual_time.run(inside())


def test_interactive_calls_go_at_once_and_batch_calls_make_up_for_them() -> None:
    async def inside() -> None:
        asking = Asking(lambda request, n_th: says("yes"), latency=0.01, rpm=60)
        batch = asyncio.ensure_future(asking.tasks(20))
        await asyncio.sleep(5.05)
        assert await asking.tasks(5, lane="interactive") == pytest.approx(0.01)
        before = len(asking.moments)
        await asyncio.sleep(4.5)
        assert len(asking.moments) == before, "five seconds' allowance is used up"
        await batch
        assert virtual_time.now() == pytest.approx(24, abs=1)

    virtual_time.run(inside())


@pytest.mark.parametrize("workers", [1, 2])
def test_known_tokens_per_minute_are_kept_by_what_calls_really_took(workers: int) -> None:
    async def inside() -> None:
        asking = Asking(lambda request, n_th: says("yes"), tpm=60_000, workers=workers)
        seconds = await asking.tasks(100, size=400, tokens=1000)
        assert 95 <= seconds <= 110, "a thousand tokens a second, although the text alone looks like a tenth of that"

    virtual_time.run(inside())


def test_tokens_of_refused_calls_are_not_counted() -> None:
    async def inside() -> None:
        refusals = iter([rate_limited()] * 3)
        asking = Asking(lambda request, n_th: next(refusals, None) or says("yes"), tpm=60_000)
        await asking.tasks(1, size=40_000, tokens=10_000)
        assert virtual_time.now() < 5, "and not ten seconds more for every try"

    virtual_time.run(inside())


def test_a_provider_that_does_not_count_tokens_is_taken_by_the_guess() -> None:
    async def inside() -> None:
        asking = Asking(lambda request, n_th: says("yes"), tpm=60_000)
        assert await asking.tasks(11, size=3000) == pytest.approx(10, abs=0.5)

    virtual_time.run(inside())


def test_rates_are_of_gates_that_they_speak_of() -> None:
    async def inside() -> None:
        limits = Limits(8, rpm=1, tpm=1, clock=virtual_time.now)
        for _ in range(10):
            async with limits.place("batch", Gate(metered=False), size=4000):
                pass
        assert virtual_time.now() == 0

    virtual_time.run(inside())


def test_workers_make_room_for_interactive_calls_of_another_process() -> None:
    """Fifty calls a second, of which a person at a server takes a fifth: what workers and server send keeps to it."""

    async def inside() -> None:
        asking = Asking(bucket(50, 10), workers=4, rpm=50 * 60)

        def elsewhere(requests: int, tokens: float) -> None:
            for limits in asking.limits:
                limits.spent_elsewhere(requests, tokens)

        person = Asking(asking._responder, rpm=50 * 60, spent=elsewhere)
        batch = asyncio.create_task(asking.tasks(400))
        for _ in range(100):
            await person.task(lane="interactive")
            await asyncio.sleep(0)
        took = await batch
        assert asking.refused + person.refused <= 0.02 * 500
        assert took == pytest.approx(500 / 50, abs=1.5)

    virtual_time.run(inside())


def test_tokens_of_interactive_calls_are_told_as_they_are_counted() -> None:
    told: list[tuple[int, float]] = []

    async def inside() -> None:
        asking = Asking(lambda request, n_th: says("yes"), tpm=60_000, spent=lambda *spent: told.append(spent))
        await asking.task(size=400, tokens=900)
        assert told == []
        await asking.task(lane="interactive", size=400, tokens=900)

    virtual_time.run(inside())
    assert sum(requests for requests, _ in told) == 1
    assert sum(tokens for _, tokens in told) == 900


def test_nothing_is_told_of_where_no_rate_is_known() -> None:
    told: list[tuple[int, float]] = []

    async def inside() -> None:
        await Asking(lambda request, n_th: says("yes"), spent=lambda *spent: told.append(spent)).task(
            lane="interactive"
        )

    virtual_time.run(inside())
    assert told == []


def test_a_bucket_that_is_told_empties_evenly() -> None:
    """A minute's allowance at once, and the provider says what is left of it: no refusals, and no stop at its end."""

    async def inside() -> None:
        asking = Asking(bucket(10, 600, tells=True), latency=0.5)
        await asking.tasks(1500)
        assert asking.refused == 0
        per_ten_seconds = [sum(1 for at in asking.moments if start <= at < start + 10) for start in range(0, 60, 10)]
        assert min(per_ten_seconds) >= 90

    virtual_time.run(inside())
