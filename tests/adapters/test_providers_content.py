"""What happens where a server does not take a document or a sound?"""

from collections.abc import Collection
from typing import Any

import pytest

from llm_backend.adapters.providers import Endpoint, Provider
from llm_backend.core.chat import AudioPart, Call, FilePart, ImagePart, Message, Part, TextPart
from llm_backend.errors import MediaError, ProviderRefused
from tests.support import stub_model as stub
from tests.support.asking import SCHEMA, TOLD, FakeTime, ask, ask_each, using
from tests.support.stub_model import JSON, Reply, StubModel, answers, script

PDF = "data:application/pdf;base64,JVBERi0="


class Spoken:
    """Makes other parts, and counts how often."""

    def __init__(self, *parts: Part) -> None:
        self.parts, self.times = parts, 0

    async def __call__(self) -> tuple[Part, ...]:
        self.times += 1
        return self.parts


def document(*instead: Part, caption: str = "") -> FilePart:
    return FilePart("contract.pdf", PDF, caption, Spoken(*(instead or (TextPart("the contract's text"),))))


def tone(*instead: Part) -> AudioPart:
    return AudioPart("wav", "UklGRg==", "call", Spoken(*(instead or (TextPart("the call's words"),))))


def call_with(*parts: Part, **fields: Any) -> Call:
    return Call((Message.of("system", "You label."), Message("user", (TextPart("What is this?"), *parts))), **fields)


def kinds(body: JSON) -> list[str]:
    content = body["messages"][1]["content"]
    return [part["type"] for part in content] if isinstance(content, list) else ["string"]


def texts(body: JSON) -> str:
    content = body["messages"][1]["content"]
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def without(missing: Collection[str], refusal: Reply) -> Any:
    """A server that refuses messages with parts of these kinds."""

    def respond(request: JSON, n_th: int) -> Reply:
        return refusal if set(missing) & set(kinds(request)) else answers(request, n_th)

    return respond


def test_documents_and_sounds_are_sent_as_the_api_has_them() -> None:
    with StubModel() as model:
        ask(model, call_with(document(caption="contract"), tone(), ImagePart("data:image/png;base64,AA==", "page 2")))
    assert model.bodies[0]["messages"][1]["content"] == [
        {"type": "text", "text": "What is this?"},
        {"type": "text", "text": "contract:"},
        {"type": "file", "file": {"filename": "contract.pdf", "file_data": PDF}},
        {"type": "text", "text": "call:"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "text", "text": "page 2:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
    ]


REFUSALS = [
    pytest.param(
        stub.fails(
            400,
            "Invalid value: 'file'. Supported values are: 'text', 'image_url', 'input_audio'.",
            "invalid_value",
            "invalid_request_error",
            "messages[1].content[1].type",
        ),
        id="OpenAI",
    ),
    pytest.param(stub.fails(400, "invalid message format", None, "invalid_request_error"), id="Ollama"),
    pytest.param(stub.fails(400, "Unknown part type: file"), id="vLLM"),
    pytest.param(stub.fails(500, "unsupported content[].type", 500, "server_error"), id="llama.cpp"),
    pytest.param(stub.fails(404, "No endpoints found that support file input", 404), id="OpenRouter"),
    pytest.param(
        Reply(422, {"detail": [{"loc": ["body", "messages", 1, "content", 1], "msg": "Input should be 'text'"}]}),
        id="FastAPI",
    ),
    pytest.param(Reply(400, b"bad request"), id="no words"),
]


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refused_document_is_said_in_another_form_in_the_same_call_and_it_is_remembered(refusal: Reply) -> None:
    first, second = document(), document()
    time = FakeTime()
    with StubModel(without({"file"}, refusal)) as model:
        ask_each(model, call_with(first), call_with(second), time=time)
    assert [kinds(body) for body in model.bodies] == [["text", "file"], ["string"], ["string"]]
    assert [texts(body) for body in model.bodies[1:]] == ["What is this?\nthe contract's text"] * 2
    assert time.slept == []


def test_a_refused_sound_is_said_in_another_form() -> None:
    refusal = stub.fails(404, "No endpoints found that support input audio", 404)
    with StubModel(without({"input_audio"}, refusal)) as model:
        ask_each(model, call_with(tone()), call_with(tone()))
    assert [kinds(body) for body in model.bodies] == [["text", "text", "input_audio"], ["string"], ["string"]]
    assert "call:\nthe call's words" in texts(model.bodies[1])


def test_what_takes_the_place_of_a_document_may_be_pictures() -> None:
    with StubModel(without({"file"}, stub.fails(400, "no files"))) as model:
        ask(model, call_with(document(TextPart("[page 1]"), ImagePart("data:image/jpeg;base64,AA==", "page 1"))))
    assert kinds(model.bodies[1]) == ["text", "text", "text", "image_url"]
    assert texts(model.bodies[1]).startswith("What is this?\n[page 1]\npage 1:")


def test_of_several_kinds_only_the_refused_one_is_left_out() -> None:
    refusal = stub.fails(400, "Invalid value: 'file'. Supported values are: 'text' and 'input_audio'.")
    with StubModel(without({"file"}, refusal)) as model:
        ask(model, call_with(document(), tone()))
    assert kinds(model.bodies[1]) == ["text", "text", "text", "input_audio"]


def test_a_server_that_takes_neither_finds_both_said_otherwise() -> None:
    with StubModel(without({"file", "input_audio"}, stub.fails(400, "Unknown part type"))) as model:
        ask(model, call_with(document(), tone()))
    assert kinds(model.bodies[-1]) == ["string"]


@pytest.mark.parametrize(
    "message",
    [
        "Failed to parse the PDF file",
        "The file is too large",
        "The document is encrypted",
        "Invalid base64 in file_data",
    ],
)
def test_a_document_that_is_refused_for_itself_teaches_nothing(message: str) -> None:
    with StubModel(script(stub.fails(400, message))) as model:
        ask_each(model, call_with(document()), call_with(document()))
    assert [kinds(body) for body in model.bodies] == [["text", "file"], ["string"], ["text", "file"]]


def test_a_refusal_of_something_else_keeps_the_document() -> None:
    def respond(request: JSON, n_th: int) -> Reply:
        return stub.no_response_format() if "response_format" in request else answers(request, n_th)

    with StubModel(respond) as model:
        ask(model, call_with(document(), schema=SCHEMA, schema_text=TOLD))
    assert all("file" in kinds(body) for body in model.bodies)
    assert len(model.bodies) == 3


def test_a_refusal_that_lasts_in_any_form_ends_the_call_and_teaches_nothing() -> None:
    replies = [stub.fails(400, "x")] * 2
    with StubModel(script(*replies)) as model:

        async def work(provider: Provider) -> None:
            with pytest.raises(ProviderRefused):
                await provider.complete(call_with(document()))
            await provider.complete(call_with(document()))

        using(model, work)
    assert [kinds(body) for body in model.bodies] == [["text", "file"], ["string"], ["text", "file"]]


def test_a_sound_that_nobody_can_say_otherwise_is_told_in_its_own_sentence() -> None:
    async def mute() -> tuple[Part, ...]:
        raise MediaError("It cannot be heard by this model.")

    part = AudioPart("wav", "UklGRg==", "", mute)
    with (
        StubModel(without({"input_audio"}, stub.fails(400, "no audio"))) as model,
        pytest.raises(MediaError, match="cannot be heard"),
    ):
        ask(model, call_with(part))


def test_another_form_is_made_once_for_all_tries() -> None:
    part = document()
    refusal = stub.fails(400, "Unknown part type: file")
    with StubModel(script(refusal, stub.server_error(), stub.server_error())) as model:
        ask(model, call_with(part), time=FakeTime())
    assert isinstance(part.instead, Spoken)
    assert (part.instead.times, len(model.bodies)) == (1, 4)


def test_what_a_model_takes_is_known_after_its_refusal() -> None:
    with StubModel(without({"file"}, stub.fails(400, "Unknown part type: file"))) as model:

        async def work(provider: Provider) -> None:
            assert provider.takes == {"file", "audio"}
            await provider.complete(call_with(document()))
            assert provider.takes == {"audio"}

        using(model, work)


def test_ollama_is_sent_no_files() -> None:
    with StubModel() as model:
        endpoint = Endpoint("ollama", "m", model.base_url)

        async def work(provider: Provider) -> None:
            assert provider.takes == {"audio"}
            await provider.complete(call_with(document(), tone()))

        using(model, work, endpoint=endpoint)
    assert kinds(model.bodies[0]) == ["text", "text", "text", "input_audio"]
