"""Does a call find the words that the server takes, and are they remembered?"""

import asyncio
from collections.abc import Callable

import pytest

from llm_backend.adapters.providers import Endpoint, Provider
from llm_backend.core.chat import Call, ImagePart, Message, TextPart
from llm_backend.errors import KeyRefused, ProviderRefused
from tests.support import stub_model as stub
from tests.support.asking import SCHEMA, TEXT, TOLD, FakeTime, ask, ask_each, call_of, form_of, using
from tests.support.stub_model import JSON, Reply, Responder, StubModel, always, answers, script

Says = Callable[[str], Reply]


def form(request: JSON) -> str | None:
    """How a request asks for the form of the answer."""
    return request.get("response_format", {}).get("type")


def without(kinds: set[str], says: Says = stub.no_response_format) -> Responder:
    """A server that lacks these kinds of `response_format`."""

    def respond(request: JSON, n_th: int) -> Reply:
        return says(str(form(request))) if form(request) in kinds else answers(request, n_th)

    return respond


def lacking(*params: str, says: Says = stub.unsupported_value) -> Responder:
    """A model that takes none of these parameters; it names one per refusal."""

    def respond(request: JSON, n_th: int) -> Reply:
        return next((says(name) for name in params if name in request), answers(request, n_th))

    return respond


# The ladder


def test_a_server_without_schemas_gets_json_mode_and_the_schema_in_words() -> None:
    with StubModel(without({"json_schema"})) as model:
        completion = ask(model, form_of())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object"]
    assert model.bodies[1]["messages"][-1]["content"] == f"{TEXT}\n\n{TOLD}"
    assert not completion.structured


def test_a_server_without_json_mode_gets_words_alone() -> None:
    with StubModel(without({"json_schema", "json_object"})) as model:
        completion = ask(model, form_of())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", None]
    assert model.bodies[2]["messages"][-1]["content"] == f"{TEXT}\n\n{TOLD}"
    assert not completion.structured


def test_the_second_call_does_not_repeat_the_refused_form() -> None:
    with StubModel(without({"json_schema", "json_object"})) as model:
        ask_each(model, form_of(), form_of())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", None, None]


def test_finding_the_form_needs_no_pause() -> None:
    time = FakeTime()
    with StubModel(without({"json_schema", "json_object"})) as model:
        ask(model, form_of(), time=time)
    assert time.slept == []


def test_words_are_added_to_a_message_with_pictures_as_a_part() -> None:
    parts = (TextPart("What is this?"), ImagePart("data:image/png;base64,AAAA"))
    with StubModel(without({"json_schema"})) as model:
        ask(model, Call((Message("user", parts),), schema=SCHEMA, schema_text=TOLD))
    assert model.bodies[1]["messages"][0]["content"][-1] == {"type": "text", "text": TOLD}


def test_json_mode_always_says_json_in_the_messages() -> None:
    with StubModel(without({"json_schema"})) as model:
        ask(model, call_of(schema=SCHEMA, schema_text="Say the tone."))
    assert model.bodies[1]["messages"][-1]["content"].endswith("Say the tone.\n\nAnswer with one JSON object.")


FEATURES_MISSING = [
    pytest.param(stub.no_response_format(), id="OpenAI"),
    pytest.param(
        stub.fails(400, "Unsupported parameter", "unsupported_parameter", None, "response_format"), id="by param"
    ),
    pytest.param(stub.fails(400, "x", "unsupported_value", None, "response_format.type"), id="by a path in param"),
    pytest.param(stub.fails(400, "This response_format type is unavailable now"), id="DeepSeek"),
    pytest.param(
        stub.fails(400, "response_format value as json_schema is enabled only for api versions ..."), id="Azure"
    ),
    pytest.param(stub.fails(400, "This model does not support response format `json_schema`"), id="Groq"),
    pytest.param(
        Reply(
            422,
            {
                "detail": [
                    {
                        "loc": ["body", "response_format", "type"],
                        "msg": "Input should be 'text'",
                        "input": {"schema": SCHEMA},
                    }
                ]
            },
        ),
        id="FastAPI, with an echo of the schema",
    ),
    pytest.param(Reply(400, b"unknown field: json_schema"), id="plain text"),
]


@pytest.mark.parametrize("refusal", FEATURES_MISSING)
def test_a_missing_feature_is_remembered(refusal: Reply) -> None:
    with StubModel(without({"json_schema"}, lambda kind: refusal)) as model:
        ask_each(model, form_of(), form_of())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", "json_object"]


def test_a_schema_that_is_too_large_is_told_in_words_at_once_and_for_that_call_alone() -> None:
    with StubModel() as model:
        completions = ask_each(model, form_of(strict=False), form_of())
    assert [form(body) for body in model.bodies] == ["json_object", "json_schema"]
    assert model.bodies[0]["messages"][-1]["content"] == f"{TEXT}\n\n{TOLD}"
    assert [completion.structured for completion in completions] == [False, True]


def test_labels_that_hold_half_a_character_do_not_stop_a_call() -> None:
    schema = {**SCHEMA, "properties": {"tone": {"type": "string", "enum": ["good", "\ud800"]}}}
    with StubModel() as model:
        ask(model, call_of(schema=schema, schema_text=TOLD))
    assert "good" in model.bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["tone"]["enum"]


THIS_SCHEMA = [
    pytest.param(stub.bad_schema(), id="OpenAI"),
    pytest.param(stub.fails(400, "x", "invalid_json_schema", None, "text.format.schema"), id="by code"),
    pytest.param(stub.fails(400, "The specified schema produces a constraint that has too many states"), id="states"),
    pytest.param(stub.fails(400, "JSON schema conversion failed: unrecognized schema"), id="llama.cpp"),
    pytest.param(
        stub.fails(400, "Failed to generate JSON. See 'failed_generation'", "json_validate_failed"), id="Groq"
    ),
]


@pytest.mark.parametrize("refusal", THIS_SCHEMA)
def test_a_schema_that_is_refused_for_itself_steps_down_alone(refusal: Reply) -> None:
    with StubModel(script(refusal)) as model:
        completions = ask_each(model, form_of(), form_of())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", "json_schema"]
    assert [completion.structured for completion in completions] == [False, True]


def test_a_server_that_knows_schemas_but_not_json_mode_keeps_its_schemas() -> None:
    replies = (stub.bad_schema(), stub.fails(400, "'response_format.type' must be 'json_schema' or 'text'"))
    with StubModel(script(*replies)) as model:
        ask_each(model, form_of(), form_of())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", None, "json_schema"]


def test_a_step_down_that_did_not_help_teaches_nothing() -> None:
    refusals = [stub.no_response_format()] * 3
    with StubModel(script(*refusals)) as model:

        async def work(provider: Provider) -> None:
            with pytest.raises(ProviderRefused):
                await provider.complete(form_of())
            assert (await provider.complete(form_of())).structured

        using(model, work)
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", None, "json_schema"]


def test_a_step_down_survives_a_fault_in_between() -> None:
    replies = (stub.no_response_format(), stub.server_error(), stub.rate_limited())
    with StubModel(script(*replies)) as model:
        ask(model, form_of(), time=FakeTime())
    assert [form(body) for body in model.bodies] == ["json_schema", "json_object", "json_object", "json_object"]


def test_calls_under_way_together_all_find_the_form() -> None:
    async def work(provider: Provider) -> None:
        await asyncio.gather(*(provider.complete(form_of()) for _ in range(10)))
        await provider.complete(form_of())

    with StubModel(without({"json_schema"}), latency=0.01) as model:
        using(model, work)
    assert [form(body) for body in model.bodies] == ["json_schema"] * 10 + ["json_object"] * 11


# Parameters


@pytest.mark.parametrize("says", [stub.unsupported_value, stub.unsupported_parameter])
def test_a_refused_parameter_is_left_out_and_remembered(says: Says) -> None:
    time = FakeTime()
    with StubModel(lacking("temperature", says=says)) as model:
        ask_each(model, form_of(temperature=0.2), form_of(temperature=0.2), time=time)
    assert ["temperature" in body for body in model.bodies] == [True, False, False]
    assert all(form(body) == "json_schema" for body in model.bodies)
    assert time.slept == []


@pytest.mark.parametrize(
    "told",
    [
        pytest.param("temperature: Extra inputs are not permitted", id="extra input"),
        pytest.param("`temperature` does not support 0.2 with this model", id="backticks"),
        pytest.param("UnsupportedParamsError: m does not support parameters: ['temperature']", id="LiteLLM"),
    ],
)
def test_a_parameter_is_found_in_words_where_no_field_names_it(told: str) -> None:
    with StubModel(lacking("temperature", says=lambda name: stub.fails(400, told))) as model:
        ask_each(model, call_of(temperature=0.2), call_of(temperature=0.2))
    assert ["temperature" in body for body in model.bodies] == [True, False, False]


def test_several_parameters_are_left_out_one_after_the_other() -> None:
    refuse = lacking("temperature", "logprobs", "n", says=stub.unsupported_parameter)
    with StubModel(refuse) as model:
        completion = ask(model, call_of(temperature=0.2, logprobs=True, n=2))
    assert len(completion.texts) == 2
    assert set(model.bodies[-1]) == {"model", "messages"}


def test_top_logprobs_are_dropped_with_the_logprobs() -> None:
    with StubModel(lacking("logprobs", says=lambda name: stub.unsupported_parameter("top_logprobs"))) as model:
        ask(model, call_of(logprobs=True))
    assert ["logprobs" in body for body in model.bodies] == [True, False]


def test_parameters_and_forms_are_found_in_one_call() -> None:
    def respond(request: JSON, n_th: int) -> Reply:
        return (
            lacking("temperature")(request, n_th)
            if "temperature" in request
            else without({"json_schema"})(request, n_th)
        )

    with StubModel(respond) as model:
        ask_each(model, form_of(temperature=0.2), form_of(temperature=0.2))
    assert [("temperature" in body, form(body)) for body in model.bodies] == [
        (True, "json_schema"),
        (False, "json_schema"),
        (False, "json_object"),
        (False, "json_object"),
    ]


def test_a_parameter_that_was_not_sent_is_not_left_out_again_and_again() -> None:
    with StubModel(always(stub.unsupported_value("temperature"))) as model:
        with pytest.raises(ProviderRefused, match="unsupported_value: temperature"):
            ask(model, call_of(temperature=0.2))
        assert len(model.asked) == 2


@pytest.mark.parametrize("param", ["model", "messages", "max_tokens", "messages[0].content"])
def test_parts_that_cannot_be_left_out_are_not(param: str) -> None:
    with StubModel(always(stub.unsupported_value(param))) as model:
        with pytest.raises(ProviderRefused):
            ask(model, form_of(temperature=0.2))
        assert len(model.asked) == 1


def test_a_guess_that_did_not_help_is_not_remembered() -> None:
    told = stub.fails(400, "Bad request: the temperature of this conversation is too high")
    with StubModel(script(told, told)) as model:

        async def work(provider: Provider) -> None:
            with pytest.raises(ProviderRefused):
                await provider.complete(call_of(temperature=0.2))
            await provider.complete(call_of(temperature=0.2))

        using(model, work)
    assert ["temperature" in body for body in model.bodies] == [True, False, True]


# Memory


def test_models_at_one_address_do_not_share_what_was_learned() -> None:
    def respond(request: JSON, n_th: int) -> Reply:
        return (lacking("temperature") if request["model"] == "m" else answers)(request, n_th)

    with StubModel(respond) as model:
        ask_each(model, call_of(temperature=0.2), call_of(temperature=0.2, model="other"), call_of(temperature=0.2))
    assert [(body["model"], "temperature" in body) for body in model.bodies] == [
        ("m", True),
        ("m", False),
        ("other", True),
        ("m", False),
    ]


def test_two_endpoints_do_not_share_what_was_learned() -> None:
    with StubModel(lacking("temperature")) as poor, StubModel() as rich:
        ask(poor, call_of(temperature=0.2))
        ask(rich, call_of(temperature=0.2))
    assert ["temperature" in body for body in poor.bodies] == [True, False]
    assert ["temperature" in body for body in rich.bodies] == [True]


def test_what_was_learned_is_logged_without_texts(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "llm_backend.providers")
    with StubModel(without({"json_schema"})) as model:
        ask_each(model, form_of(), form_of())
    messages = [record.getMessage() for record in caplog.records if record.name == "llm_backend.providers"]
    assert messages == [f"m at 127.0.0.1:{model.port} does not take strict; it will not be asked for again"]


# Several completions


def test_several_completions_are_one_request_where_the_server_can() -> None:
    with StubModel() as model:
        completion = ask(model, call_of(n=3))
    assert [body.get("n") for body in model.bodies] == [3]
    assert len(set(completion.texts)) == 3
    assert completion.usage.calls == 1


def test_one_completion_is_asked_without_n() -> None:
    with StubModel() as model:
        ask(model, call_of(n=1))
    assert "n" not in model.bodies[0]


def test_completions_that_a_server_leaves_out_are_asked_one_by_one() -> None:
    with StubModel(stub.ignores_n) as model:
        first, second = ask_each(model, call_of(n=3), call_of(n=2))
    assert [body.get("n") for body in model.bodies] == [3, None, None, None, None]
    assert (len(first.texts), first.usage.calls) == (3, 3)
    assert (len(second.texts), second.usage.calls) == (2, 2)


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(stub.unsupported_value("n"), id="by param"),
        pytest.param(stub.fails(400, "Only n = 1 is supported"), id="n = 1"),
        pytest.param(stub.fails(400, "'n' : number must be at most 1"), id="quoted"),
        pytest.param(stub.fails(400, "multiple completions are not supported"), id="in words"),
    ],
)
def test_a_server_that_refuses_n_is_asked_one_by_one(refusal: Reply) -> None:
    with StubModel(lacking("n", says=lambda name: refusal)) as model:
        completions = ask_each(model, call_of(n=2), call_of(n=2))
    assert [body.get("n") for body in model.bodies] == [2, None, None, None, None]
    assert [len(completion.texts) for completion in completions] == [2, 2]


def test_tokens_of_all_requests_are_added_up() -> None:
    replies = (stub.says("a", prompt_tokens=5), stub.says("b", prompt_tokens=6), stub.says("c", prompt_tokens=7))
    with StubModel(script(*replies)) as model:
        completion = ask(model, call_of(n=3))
    assert completion.usage.prompt_tokens == 18
    assert completion.usage.calls == 3


def test_single_completions_are_asked_at_once_and_within_the_limits() -> None:
    with StubModel(stub.ignores_n, latency=0.02) as model:
        ask(model, call_of(n=9), llm_concurrency=4)
    assert model.most_in_flight == 4


def test_one_failed_completion_does_not_spoil_the_others() -> None:
    with StubModel(script(stub.says("a"), stub.refuses(), stub.says("c"))) as model:
        completion = ask(model, call_of(n=3))
    assert sorted(completion.texts) == ["a", "c"]


def test_completions_that_all_fail_are_told_as_one() -> None:
    async def work(provider: Provider) -> None:
        await provider.complete(call_of(n=2))
        model.responder = always(stub.wrong_key())
        with pytest.raises(KeyRefused):
            await provider.complete(call_of(n=2))

    with StubModel(stub.ignores_n) as model:
        using(model, work)


def test_more_completions_than_asked_for_are_cut() -> None:
    with StubModel(script(stub.says("a", "b", "c"))) as model:
        assert ask(model, call_of(n=2)).texts == ("a", "b")


# Ollama


def test_ollama_is_told_the_schema_and_asked_one_by_one_from_the_start() -> None:
    with StubModel(stub.ignores_n) as model:
        completion = ask(model, form_of(n=2), endpoint=Endpoint("ollama", "llama3.2", model.base_url))
    assert [form(body) for body in model.bodies] == ["json_schema", "json_schema"]
    assert all("n" not in body for body in model.bodies)
    assert all(body["messages"][-1]["content"] == f"{TEXT}\n\n{TOLD}" for body in model.bodies)
    assert completion.structured
    assert len(completion.texts) == 2
