"""Does a provider keep the limits that its replies tell of? The real client against the stub model."""

import asyncio
from typing import Any

import pytest

from llm_backend.adapters.limits import Limits
from llm_backend.adapters.providers import Endpoint, Provider
from llm_backend.core.chat import Completion
from llm_backend.errors import Busy, RateLimited, Unreachable
from tests.support import stub_model as stub
from tests.support.asking import FakeTime, ask, call_of, using
from tests.support.stub_model import Bucket, StubModel, always, script

PER_SECOND, BURST = 150, 25


def all_of(model: StubModel, count: int, **options: Any) -> list[Completion]:
    """Ask so many questions at once."""

    async def work(provider: Provider) -> list[Completion]:
        asked = [provider.complete(call_of(f"Question {number}.", patience=30.0)) for number in range(count)]
        return await asyncio.gather(*asked)

    return using(model, work, **options)


def test_a_known_rate_leaves_nothing_to_refuse() -> None:
    bucket = Bucket(PER_SECOND, BURST, whole_seconds=True)
    with StubModel(bucket) as model:
        completions = all_of(model, 150, limits=Limits(128, rpm=60 * PER_SECOND))
    assert [completion.texts for completion in completions] == [(f'You wrote "Question {n}.".',) for n in range(150)]
    assert bucket.refused < 0.05 * 150


@pytest.mark.parametrize("tells", [False, True], ids=["silent", "x-ratelimit"])
def test_an_unknown_rate_costs_time_and_no_task(tells: bool) -> None:
    bucket = Bucket(PER_SECOND, BURST, tells=tells)
    limits = Limits(128)
    with StubModel(bucket) as model:
        completions = all_of(model, 200, limits=limits)
    assert [completion.texts for completion in completions] == [(f'You wrote "Question {n}.".',) for n in range(200)]
    assert bucket.taken == 200
    assert limits.refused == bucket.refused
    assert bucket.refused < 200
    assert (limits.in_flight, limits.waiting) == (0, 0)


def test_a_person_is_not_held_up_by_a_known_rate() -> None:
    async def work(provider: Provider) -> int:
        batch = [asyncio.create_task(provider.complete(call_of("Many.", patience=30.0))) for _ in range(20)]
        await asyncio.to_thread(model.until_asked)
        await provider.complete(call_of("One.", lane="interactive"))
        waiting = sum(not task.done() for task in batch)
        for task in batch:
            task.cancel()
        await asyncio.gather(*batch, return_exceptions=True)
        return waiting

    with StubModel() as model:
        assert using(model, work, limits=Limits(128, rpm=60)) > 10


async def until_paused(provider: Provider) -> None:
    """Be refused until the limits stop everybody."""
    refused = [provider.complete(call_of(patience=100.0)) for _ in range(20)]
    results = await asyncio.gather(*refused, return_exceptions=True)
    assert {type(result) for result in results} == {RateLimited}


def test_a_call_that_would_wait_in_vain_is_not_sent_after_those_that_were_refused() -> None:
    async def work(provider: Provider) -> None:
        await until_paused(provider)
        sent = len(model.asked)
        with pytest.raises(RateLimited, match=r"^m at 127\.0\.0\.1:\d+: rate limit reached\. It asks to wait \d+ s\."):
            await provider.complete(call_of(patience=100.0))
        assert len(model.asked) == sent
        model.responder = stub.answers
        assert (await provider.complete(call_of(lane="interactive"))).texts

    with StubModel(always(stub.rate_limited(retry_after="600"))) as model:
        using(model, work)


def test_a_call_whose_turn_does_not_come_names_the_provider_if_it_is_the_reason() -> None:
    async def work(provider: Provider) -> None:
        await until_paused(provider)
        calls = [provider.complete(call_of(patience=0.5)) for _ in range(30)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        told = [str(result) for result in results if isinstance(result, Busy)]
        assert len(told) > 10
        assert all("the provider takes fewer calls than there are" in sentence for sentence in told)

    # No call is refused after the pause is over, but they must go one by one.
    with StubModel(script(*[stub.rate_limited(x_should_retry="false")] * 20)) as model:
        using(model, work, llm_concurrency=20)


def test_a_server_that_is_too_slow_for_many_calls_gets_fewer() -> None:
    async def work(provider: Provider) -> None:
        calls = [provider.complete(call_of(patience=0.5)) for _ in range(40)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert Unreachable in {type(result) for result in results}
        model.responder = noting
        await asyncio.gather(*(provider.complete(call_of(patience=30.0)) for _ in range(40)))
        assert 1 <= max(under_way) <= 30

    def noting(request: Any, n_th: int) -> stub.Reply:
        under_way.append(limits.in_flight)
        return stub.answers(request)

    limits, under_way = Limits(40), list[int]()
    with StubModel(always(stub.hangs())) as model:
        using(model, work, llm_timeout=0.1, limits=limits)


@pytest.mark.parametrize(
    "fault", [stub.server_error(500), stub.reset(), stub.malformed()], ids=["500", "reset", "malformed"]
)
def test_faults_that_speak_of_no_limit_set_none(fault: stub.Reply) -> None:
    async def work(provider: Provider) -> None:
        await asyncio.gather(*(provider.complete(call_of(patience=30.0)) for _ in range(40)), return_exceptions=True)
        model.most_in_flight, model.latency = 0, 0.4
        await asyncio.gather(*(provider.complete(call_of(patience=30.0)) for _ in range(40)))
        assert model.most_in_flight == 40

    with StubModel(script(*[fault] * 40)) as model:
        using(model, work, time=FakeTime())


def tokens_limited(time: FakeTime) -> Limits:
    return Limits(8, tpm=60_000, clock=time.clock, sleep=time.drift)


async def five_calls(provider: Provider) -> None:
    for _ in range(5):
        await provider.complete(call_of(patience=600.0))


def test_tokens_that_the_provider_counted_are_what_counts() -> None:
    time = FakeTime()
    began = time.now
    with StubModel(always(stub.says("yes", prompt_tokens=2999))) as model:
        using(model, five_calls, time=time, limits=tokens_limited(time))
    assert time.now - began == pytest.approx(4 * 3, abs=0.5)


def test_known_rates_are_not_those_of_a_project_s_own_provider() -> None:
    time = FakeTime()
    began = time.now
    with StubModel(always(stub.says("yes", prompt_tokens=2999))) as model:
        own = Endpoint("openai", "m", model.base_url, "sk-theirs", guarded=True)
        host = model.origin.removeprefix("http://")
        using(model, five_calls, time=time, limits=tokens_limited(time), endpoint=own, media_hosts=(host,))
    assert time.now == began


def test_each_model_has_its_own_limits() -> None:
    def only_small(request: Any, n_th: int) -> stub.Reply:
        return stub.answers(request) if request["model"] == "small" else stub.rate_limited(retry_after="600")

    async def work(provider: Provider) -> None:
        await until_paused(provider)
        assert (await provider.complete(call_of(model="small", patience=100.0))).texts

    with StubModel(only_small) as model:
        using(model, work)


def test_a_single_call_is_as_patient_as_before() -> None:
    time = FakeTime(0.5)
    with StubModel(script(*[stub.rate_limited(retry_after="1")] * 12)) as model:
        assert ask(model, call_of(patience=600.0), time=time).texts
        assert len(model.asked) == 13
