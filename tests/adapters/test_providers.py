"""Does a call get its answer in time, and is every fault told as it should be?"""

import asyncio
import email.utils
import gzip
import json
import logging
import time as real_time
import traceback
from dataclasses import replace
from typing import Any

import pytest

from llm_backend.adapters.limits import Limits
from llm_backend.adapters.providers import Endpoint, Provider
from llm_backend.core.chat import Call, Completion, ImagePart, Message, TextPart, Usage
from llm_backend.errors import BackendError, Busy, KeyRefused, ProviderRefused, Unreachable
from tests.support import stub_model as stub
from tests.support.asking import KEY, SCHEMA, TEXT, FakeTime, ask, ask_each, call_of, form_of, using
from tests.support.stub_model import Reply, StubModel, always, script

PICTURE = "data:image/png;base64,AAAA"


# What is sent, what comes back


def test_an_answer_comes_back_with_its_tokens_and_time() -> None:
    with StubModel(script(stub.says("fine", prompt_tokens=7))) as model:
        completion = ask(model, call_of())
    assert completion.texts == ("fine",)
    assert completion.finish_reasons == ("stop",)
    assert completion.usage == Usage(prompt_tokens=7, completion_tokens=2, calls=1)
    assert not completion.structured
    assert completion.seconds > 0


def test_the_request_holds_what_the_call_says_and_nothing_else() -> None:
    with StubModel() as model:
        ask(model, call_of(temperature=0.2))
    assert model.bodies == [
        {
            "model": "m",
            "messages": [{"role": "system", "content": "You label."}, {"role": "user", "content": TEXT}],
            "temperature": 0.2,
        }
    ]
    assert model.asked[0].path == "/v1/chat/completions"
    assert model.asked[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_temperature_that_is_left_to_the_provider_is_not_sent() -> None:
    with StubModel() as model:
        ask(model, call_of())
    assert "temperature" not in model.bodies[0]


def test_a_call_may_name_another_model() -> None:
    with StubModel() as model:
        ask(model, call_of(model="other"))
    assert model.bodies[0]["model"] == "other"


def test_pictures_go_as_parts_and_words_alone_as_a_string() -> None:
    parts = (TextPart("What is"), TextPart("this?"), ImagePart(PICTURE))
    with StubModel() as model:
        ask(model, Call((Message.of("system", "You label."), Message("user", parts))))
    assert [message["content"] for message in model.bodies[0]["messages"]] == [
        "You label.",
        [
            {"type": "text", "text": "What is"},
            {"type": "text", "text": "this?"},
            {"type": "image_url", "image_url": {"url": PICTURE}},
        ],
    ]


def test_text_with_half_a_surrogate_pair_can_be_asked() -> None:
    with StubModel() as model:
        ask(model, call_of("broken \ud83d emoji, whole 😀, עברית"))
    assert model.bodies[0]["messages"][1]["content"] == "broken � emoji, whole 😀, עברית"


def test_logprobs_come_back_where_they_were_asked_for() -> None:
    reply = stub.says("good")
    reply.body["choices"][0]["logprobs"] = {"content": [{"token": "good", "logprob": -0.1}]}
    with StubModel(script(reply)) as model:
        completion = ask(model, call_of(logprobs=True))
    assert model.bodies[0]["logprobs"] is True
    assert completion.logprobs == ({"content": [{"token": "good", "logprob": -0.1}]},)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param("", "", id="empty"),
        pytest.param(
            [{"type": "thinking"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab", id="parts"
        ),
        pytest.param("ünï 😀", "ünï 😀", id="unicode"),
    ],
)
def test_content_is_read_as_the_model_wrote_it(content: object, text: str) -> None:
    with StubModel(script(stub.says(content))) as model:  # type: ignore[arg-type]
        assert ask(model, call_of()).texts == (text,)


@pytest.mark.parametrize("text", ['{"tone": "go', None], ids=["half", "thoughts only"])
def test_an_answer_that_the_length_limit_cut_is_marked(text: str | None) -> None:
    with StubModel(script(stub.cut_off(text))) as model:
        completion = ask(model, call_of())
    assert completion.truncated(0)
    assert completion.texts == (text or "",)


def test_missing_or_odd_usage_counts_as_nothing() -> None:
    odd = stub.says("a")
    odd.body["usage"] = {"prompt_tokens": "many", "completion_tokens": None}
    missing = stub.says("b")
    del missing.body["usage"]
    with StubModel(script(odd, missing)) as model:
        completions = ask_each(model, call_of(), call_of())
    assert [completion.usage for completion in completions] == [Usage(calls=1), Usage(calls=1)]


def test_later_requests_are_as_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Gateway: here")
    with StubModel() as model:
        ask_each(model, call_of(), call_of(), call_of("another, longer text: \u00fc\U0001f600"), call_of(model="other"))
    first, same, longer, other = ({**asked.headers} for asked in model.asked)
    assert first["x-gateway"] == "here"
    assert first["openai-organization"] == "org-ours"
    assert same == first
    assert {**longer, "content-length": ""} == {**first, "content-length": ""}
    assert longer["content-length"] != first["content-length"]
    assert {**other, "content-length": ""} == {**first, "content-length": ""}
    assert [asked.path for asked in model.asked] == ["/v1/chat/completions"] * 4
    assert model.bodies[2]["messages"][1]["content"] == "another, longer text: \u00fc\U0001f600"


def test_a_cookie_is_given_back_only_as_long_as_the_server_wants() -> None:
    baked = replace(stub.says("a"), headers={"Set-Cookie": "place=1; Path=/"})
    eaten = replace(stub.says("b"), headers={"Set-Cookie": "place=; Path=/; Max-Age=0"})
    with StubModel(script(baked, eaten, stub.says("c"))) as model:
        ask_each(model, call_of(), call_of(), call_of())
    assert [asked.headers.get("cookie") for asked in model.asked] == [None, "place=1", None]


def test_connections_are_reused() -> None:
    with StubModel() as model:
        ask_each(model, *[call_of() for _ in range(5)])
    assert len({request.connection for request in model.asked}) == 1


def test_calls_at_once_share_the_connections_of_those_before() -> None:
    async def work(provider: Provider) -> None:
        for _ in range(3):
            await asyncio.gather(*(provider.complete(call_of()) for _ in range(8)))

    with StubModel(latency=0.02) as model:
        using(model, work)
    assert len(model.asked) == 24
    assert len({request.connection for request in model.asked}) <= 8


def test_batch_calls_stay_within_the_limits() -> None:
    async def work(provider: Provider) -> None:
        await asyncio.gather(*(provider.complete(call_of()) for _ in range(20)))

    with StubModel(latency=0.01) as model:
        using(model, work, llm_concurrency=3)
    assert model.most_in_flight == 3


def test_an_interactive_call_passes_a_full_batch() -> None:
    async def work(provider: Provider) -> list[str]:
        ended: list[str] = []

        async def one(name: str, call: Call) -> None:
            await provider.complete(call)
            ended.append(name)

        batch = [asyncio.create_task(one("batch", call_of())) for _ in range(4)]
        await asyncio.sleep(0)
        await asyncio.gather(*batch, one("person", call_of(lane="interactive")))
        return ended

    with StubModel(latency=0.1) as model:
        ended = using(model, work, llm_concurrency=1)
    assert "person" in ended[:2]


# Faults that pass


PASSING = [
    pytest.param(stub.rate_limited(), id="429"),
    pytest.param(stub.server_error(500), id="500"),
    pytest.param(stub.server_error(502), id="502"),
    pytest.param(stub.server_error(503), id="503"),
    pytest.param(stub.server_error(529), id="529"),
    pytest.param(stub.fails(408, "Request timeout"), id="408"),
    pytest.param(stub.fails(409, "Conflict"), id="409"),
    pytest.param(Reply(502, b"<html>Bad gateway</html>"), id="502 in HTML"),
    pytest.param(stub.reset(), id="connection reset"),
    pytest.param(stub.malformed(), id="half a body"),
    pytest.param(Reply(200, b"<html>Welcome</html>"), id="HTML"),
    pytest.param(Reply(200, [1]), id="a list"),
    pytest.param(Reply(200, b"[" * 100_000), id="deep nonsense"),
    pytest.param(Reply(200, {"error": {"message": "upstream"}}), id="200 with an error"),
    pytest.param(stub.no_choices(), id="no choices"),
    pytest.param(Reply(200, {"choices": [None]}), id="choices of nothing"),
    pytest.param(Reply(200, {"choices": [{"finish_reason": "stop"}]}), id="no message"),
    pytest.param(stub.says(None), id="null content"),
]


FIRST_OR_LATER = pytest.mark.parametrize("before", [0, 1], ids=["at first", "later"])
"""The library makes a provider's first request, and those after a success are made like it."""


@FIRST_OR_LATER
@pytest.mark.parametrize("fault", PASSING)
def test_a_fault_that_passes_is_asked_through(fault: Reply, before: int) -> None:
    time = FakeTime()
    with StubModel(script(*[stub.says("before")] * before, fault, fault, stub.says("fine"))) as model:
        completion = ask_each(model, *[call_of()] * before, call_of(), time=time)[-1]
    assert completion.texts == ("fine",)
    assert len(model.asked) == before + 3
    assert time.slept == [0.25, 0.5], "full jitter: half of 0.5 s, half of 1 s"
    assert completion.seconds == 0.75


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        pytest.param(stub.rate_limited(), Busy, "rate limit reached (HTTP 429, rate_limit_exceeded)", id="429"),
        pytest.param(stub.server_error(503), Busy, "overloaded (HTTP 503, server_error)", id="503"),
        pytest.param(stub.server_error(500), Unreachable, "fails (HTTP 500, server_error)", id="500"),
        pytest.param(stub.reset(), Unreachable, "no connection", id="reset"),
        pytest.param(stub.malformed(), Unreachable, "it is not JSON", id="malformed"),
        pytest.param(stub.no_choices(), Unreachable, "no choices", id="no choices"),
        pytest.param(stub.says(None), Unreachable, "its message is empty", id="null"),
    ],
)
def test_a_fault_that_does_not_pass_is_told_when_patience_ends(
    fault: Reply, kind: type[BackendError], sentence: str
) -> None:
    time = FakeTime(1.0)
    with StubModel(always(fault)) as model:
        with pytest.raises(kind) as told:
            ask(model, call_of(patience=10.0), time=time)
        assert sentence in str(told.value)
        assert str(told.value).startswith(f"m at 127.0.0.1:{model.port}: ")
    assert time.slept == [0.5, 1.0, 2.0, 4.0], "the next pause of 8 s would pass the end: told at once"
    assert not told.value.lasting


def test_pauses_stop_growing() -> None:
    time = FakeTime(1.0)
    with StubModel(always(stub.server_error(500))) as model, pytest.raises(Unreachable):
        ask(model, call_of(patience=1500.0), time=time)
    assert time.slept[:8] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert sum(time.slept) <= 1500 < sum(time.slept) + 30


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"retry_after": "7"}, 7, id="seconds"),
        pytest.param({"retry_after": "0.5"}, 0.5, id="half a second"),
        pytest.param({"retry_after_ms": "1500", "retry_after": "2"}, 1.5, id="milliseconds win"),
        pytest.param({"retry_after": "soon"}, 0, id="nonsense"),
        pytest.param({"retry_after": "-3"}, 0, id="negative"),
        pytest.param({"retry_after": "nan"}, 0, id="not a number"),
        pytest.param(
            {"retry_after": "Wed, 21 Oct 2026 07:28:09 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 9, id="date"
        ),
        pytest.param(
            {"retry_after": "Wed, 21 Oct 2026 07:28:00 GMT", "date": "Wed, 21 Oct 2026 07:28:09 GMT"}, 0, id="past"
        ),
    ],
)
def test_the_provider_is_left_alone_as_long_as_it_asks_plus_jitter(headers: dict[str, str], wait: float) -> None:
    time = FakeTime(0.5)
    with StubModel(script(stub.rate_limited(**headers))) as model:
        ask(model, call_of(), time=time)
    assert time.slept == [pytest.approx(wait + 0.25)]


def test_jitter_on_top_of_what_the_provider_asks_for_stays_small() -> None:
    time = FakeTime(1.0)
    with StubModel(script(*[stub.rate_limited(retry_after="1")] * 6)) as model:
        ask(model, call_of(), time=time)
    assert time.slept == [1.5, 2, 3, 5, 5, 5]


def test_a_date_is_measured_by_the_clock_where_the_provider_does_not_tell_its_own() -> None:
    time = FakeTime(0.0)
    until = email.utils.formatdate(real_time.time() + 30, usegmt=True)
    with StubModel(script(stub.rate_limited(retry_after=until, date="no date"))) as model:
        ask(model, call_of(), time=time)
    assert time.slept == [pytest.approx(30, abs=3)]


def test_callers_that_were_refused_together_do_not_come_back_together() -> None:
    time, refused = FakeTime(0.1, 0.4, 0.7, 0.9), set[str]()

    def refuse_once(request: Any, n_th: int) -> Reply:
        caller = stub.user_text(request)
        if caller in refused:
            return stub.answers(request, n_th)
        refused.add(caller)
        return stub.rate_limited(retry_after="2")

    async def work(provider: Provider) -> None:
        await asyncio.gather(*(provider.complete(call_of(f"caller {number}")) for number in range(4)))

    with StubModel(refuse_once) as model:
        using(model, work, time=time)
    assert sorted(time.slept) == [pytest.approx(2 + 0.5 * roll) for roll in (0.1, 0.4, 0.7, 0.9)]


def test_a_wait_beyond_patience_is_told_at_once() -> None:
    time = FakeTime()
    with StubModel(always(stub.rate_limited(retry_after="120"))) as model:
        with pytest.raises(Busy, match="It asks to wait 120 s"):
            ask(model, call_of(patience=50.0), time=time)
        assert len(model.asked) == 1
    assert time.slept == []


def test_a_provider_that_says_not_to_retry_is_not_asked_again() -> None:
    with StubModel(always(stub.rate_limited(x_should_retry="false"))) as model:
        with pytest.raises(Busy):
            ask(model, call_of(), time=FakeTime())
        assert len(model.asked) == 1


def test_no_place_is_held_while_sleeping() -> None:
    limits, time, held = Limits(2), FakeTime(), []
    time.when_asleep = lambda: held.append(limits.in_flight)
    with StubModel(script(stub.server_error(), stub.server_error())) as model:
        ask(model, call_of(), time=time, limits=limits)
    assert held == [0, 0]
    assert limits.in_flight == 0


def test_a_call_that_finds_no_place_in_its_time_says_so() -> None:
    async def work(provider: Provider) -> None:
        async with limits.place("batch"):
            with pytest.raises(Busy, match="no turn came"):
                await provider.complete(call_of(patience=0.05))

    limits = Limits(1)
    with StubModel() as model:
        using(model, work, limits=limits)
        assert not model.asked
    assert (limits.in_flight, limits.waiting) == (0, 0)


def test_a_hung_server_ends_at_the_time_out_and_is_asked_again() -> None:
    time = FakeTime()
    with StubModel(script(stub.hangs())) as model:
        completion = ask(model, call_of(), time=time, llm_timeout=0.1)
        assert len(model.asked) == 2
    assert completion.texts


def test_a_server_that_always_hangs_ends_with_patience() -> None:
    began = real_time.monotonic()
    with StubModel(always(stub.hangs())) as model, pytest.raises(Unreachable, match=r"no answer within 0\.2 s"):
        ask(model, call_of(patience=0.2))
    assert real_time.monotonic() - began < 5


def test_nobody_at_the_address_is_told_with_the_setting_to_check() -> None:
    model = StubModel().start()
    model.stop()
    with pytest.raises(Unreachable, match=r"no connection\. Is the server running, and OPENAI_BASE_URL right"):
        ask(model, call_of(patience=5.0), time=FakeTime())


def test_a_person_is_told_after_a_few_tries_that_nobody_is_there() -> None:
    model, time = StubModel().start(), FakeTime(1.0)
    model.stop()
    with pytest.raises(Unreachable, match="no connection"):
        ask(model, call_of(patience=50.0, lane="interactive"), time=time)
    assert time.slept == [0.5, 1.0, 2.0, 4.0]


def test_a_persons_call_that_is_under_way_has_its_whole_time_out() -> None:
    with StubModel(always(replace(stub.says("Late."), delay=0.3))) as model:
        assert ask(model, call_of(patience=0.05, lane="interactive")).texts == ("Late.",)
        with pytest.raises(Unreachable):
            ask(model, call_of(patience=0.05))


def test_a_cancelled_call_gives_its_place_back() -> None:
    async def work(provider: Provider) -> None:
        task = asyncio.create_task(provider.complete(call_of()))
        await asyncio.to_thread(model.until_asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    limits = Limits(1)
    with StubModel(always(stub.hangs())) as model:
        using(model, work, limits=limits)
    assert limits.in_flight == 0


# Faults that do not pass


LASTING = [
    pytest.param(stub.wrong_key(), KeyRefused, "the API key was refused (HTTP 401, invalid_api_key)", id="401"),
    pytest.param(stub.fails(400, "Incorrect API key provided"), KeyRefused, "the API key was refused", id="400 key"),
    pytest.param(stub.no_rights(), KeyRefused, "may not use this model (HTTP 403, unsupp", id="403"),
    pytest.param(stub.out_of_quota(), KeyRefused, "quota is used up (HTTP 429, insufficient_quota)", id="quota"),
    pytest.param(stub.fails(402, "Insufficient Balance"), KeyRefused, "quota is used up (HTTP 402)", id="402"),
    pytest.param(stub.no_such_model(), KeyRefused, "there is no such model (HTTP 404, model_not_found)", id="model"),
    pytest.param(stub.no_such_model("DeploymentNotFound"), KeyRefused, "there is no such model", id="deployment"),
    pytest.param(stub.fails(400, "Model Not Exist"), KeyRefused, "there is no such model", id="400 model"),
    pytest.param(Reply(404, b"404 page not found"), KeyRefused, "no chat completions at this address", id="404"),
    pytest.param(Reply(405, {}), KeyRefused, "no chat completions at this address (HTTP 405)", id="405"),
    pytest.param(Reply(307, b"", {"Location": "http://127.0.0.1:1/"}), KeyRefused, "(HTTP 307)", id="redirect"),
    pytest.param(stub.too_long(), ProviderRefused, "too long for the model (HTTP 400, context_length_", id="too long"),
    pytest.param(stub.fails(400, "maximum context length is 9"), ProviderRefused, "too long", id="too long in words"),
    pytest.param(
        Reply(400, gzip.compress(json.dumps(stub.too_long().body).encode()), {"Content-Encoding": "gzip"}),
        ProviderRefused,
        "too long for the model (HTTP 400, context_length_",
        id="too long, compressed",
    ),
    pytest.param(Reply(413, b"big"), ProviderRefused, "too long for the model (HTTP 413)", id="413"),
    pytest.param(
        stub.fails(429, "Request too large for m on tokens per min", "rate_limit_exceeded", "tokens"),
        ProviderRefused,
        "over the provider's tokens per minute",
        id="over the tokens per minute",
    ),
    pytest.param(stub.azure_filtered(), ProviderRefused, "content filter stopped this question", id="filter"),
    pytest.param(stub.fails(400, "no", "invalid_prompt"), ProviderRefused, "content filter", id="invalid prompt"),
    pytest.param(
        Reply(403, {"error": {"code": 403, "message": "flagged", "metadata": {"flagged_input": "x"}}}),
        ProviderRefused,
        "content filter stopped this question (HTTP 403)",
        id="moderated",
    ),
    pytest.param(stub.filtered_output(), ProviderRefused, "content filter stopped the answer", id="filtered output"),
    pytest.param(stub.filtered_output("half"), ProviderRefused, "content filter stopped", id="filtered half"),
    pytest.param(stub.refuses(), ProviderRefused, "the model refused to answer", id="refusal"),
    pytest.param(
        stub.fails(400, "Bad value", "invalid_value", "invalid_request_error", "messages[0].role"),
        ProviderRefused,
        "refused the request (HTTP 400, invalid_value)",
        id="other 400",
    ),
    pytest.param(Reply(422, {"detail": [{"loc": ["body"]}]}), ProviderRefused, "(HTTP 422)", id="422"),
    pytest.param(
        stub.fails(400, "image_url is only supported by certain models"), ProviderRefused, "picture", id="no pictures"
    ),
]


@FIRST_OR_LATER
@pytest.mark.parametrize(("reply", "kind", "sentence"), LASTING)
def test_what_cannot_pass_is_asked_once_and_told_in_a_sentence(
    reply: Reply, kind: type[BackendError], sentence: str, before: int
) -> None:
    time = FakeTime()
    with StubModel(script(*[stub.says("before")] * before, then=always(reply))) as model:
        with pytest.raises(kind) as told:
            ask_each(model, *[call_of()] * before, form_of(), time=time)
        assert len(model.asked) == before + 1
        assert str(told.value).startswith(f"m at 127.0.0.1:{model.port}: ")
    assert type(told.value) is kind
    assert sentence in str(told.value)
    assert str(told.value).endswith((".", "?"))
    assert time.slept == []


def test_some_refused_choices_leave_the_others() -> None:
    reply = stub.says("a", None, "c")
    reply.body["choices"][1]["message"]["refusal"] = "no"
    with StubModel(script(reply)) as model:
        completion = ask(model, call_of(n=3))
        assert len(model.asked) == 1
    assert completion.texts == ("a", "c")


# What must not leak


ECHO = f"{KEY} and {TEXT}"
LEAKS = [
    pytest.param(stub.wrong_key(KEY), id="401 that echoes the key"),
    pytest.param(stub.fails(403, ECHO, KEY, KEY, KEY), id="403 with the key as code"),
    pytest.param(stub.fails(400, ECHO, "bad", "invalid_request_error", TEXT), id="400 that echoes the task"),
    pytest.param(Reply(422, {"detail": [{"input": ECHO}]}), id="422 that echoes the task"),
    pytest.param(Reply(404, ECHO.encode()), id="404 that echoes all"),
    pytest.param(stub.rate_limited(x_echo=KEY), id="429"),
    pytest.param(stub.fails(500, ECHO), id="500"),
    pytest.param(Reply(200, ECHO.encode()), id="nonsense that echoes all"),
    pytest.param(stub.refuses(ECHO), id="refusal"),
    pytest.param(stub.reset(), id="reset"),
    pytest.param(stub.says(TEXT), id="answer"),
]


@FIRST_OR_LATER
@pytest.mark.parametrize("reply", LEAKS)
def test_keys_and_texts_reach_neither_errors_nor_logs(
    reply: Reply, before: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    with StubModel(script(*[stub.says("before")] * before, then=always(reply))) as model:
        try:
            ask_each(model, *[call_of("before")] * before, form_of(patience=2.0), time=FakeTime())
        except BackendError as error:
            logging.getLogger("test").exception("failed")
            told = "".join(traceback.format_exception(error)) + _chain(error)
    shown = told + caplog.text
    assert KEY not in shown
    assert TEXT not in shown


def _chain(error: BaseException) -> str:
    """Every error that hangs on another, shown or not."""
    found, todo = [], [error]
    while todo:
        one = todo.pop()
        found.append(repr(one) + str(one))
        todo += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "\n".join(found)


def test_an_endpoint_does_not_show_its_key() -> None:
    assert KEY not in repr(Endpoint("openai", "m", "http://h/v1", api_key=KEY))


def test_a_call_is_logged_by_its_counts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "llm_backend.providers")
    with StubModel(script(stub.server_error(), stub.says("fine", prompt_tokens=7))) as model:
        ask(model, call_of(), time=FakeTime())
    waits, counts = (record.getMessage() for record in caplog.records if record.name == "llm_backend.providers")
    assert waits == f"m at 127.0.0.1:{model.port}: try 2 in 0.2 s, after Unreachable"
    assert "batch call, 1 answers of 1, 7 + 2 tokens, 1 requests" in counts


class Noting:
    """An observer that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def sent(self) -> None:
        self.told.append("sent")

    def ended(self, outcome: str, seconds: float) -> None:
        self.told.append(outcome)

    def retried(self, fault: BackendError) -> None:
        self.told.append(f"retried after {type(fault).__name__}")


def test_an_observer_is_told_how_every_request_ended() -> None:
    noting = Noting()
    replies = (stub.rate_limited(), stub.reset(), stub.unsupported_value("temperature"))
    with StubModel(script(*replies)) as model:
        ask(model, call_of(temperature=0.1), time=FakeTime(), observer=noting)
    limited, reset = (["sent", fault, f"retried after {fault}"] for fault in ("RateLimited", "Unreachable"))
    assert noting.told == [*limited, *reset, "sent", "Declined", "sent", "answered"]


def test_an_observer_is_not_told_of_a_call_that_got_no_place() -> None:
    noting = Noting()
    with StubModel() as model, pytest.raises(Busy, match="no turn came"):
        ask(model, call_of(patience=0.05), observer=noting, limits=Limits(0))
    assert noting.told == []


def test_a_schema_that_was_followed_is_told_from_one_that_was_only_asked_for() -> None:
    with StubModel() as model:
        completion: Completion = ask(model, form_of("This is bad, really bad."))
    assert completion.structured
    assert completion.texts == ('{"tone": "bad"}',)
    assert model.bodies[0]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
    assert model.bodies[0]["messages"][1]["content"] == "This is bad, really bad.", "the schema is not told twice"
