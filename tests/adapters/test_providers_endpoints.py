"""Is every provider asked at its own address, with its own key and nothing else?"""

from dataclasses import replace
from pathlib import Path

import pytest

from llm_backend.adapters.limits import Limits
from llm_backend.adapters.providers import Endpoint, connect
from llm_backend.core.overrides import ProviderOverride
from llm_backend.errors import KeyRefused, SettingsError
from llm_backend.settings import Settings
from tests.support import stub_model as stub
from tests.support.asking import KEY, FakeTime, ask, ask_each, call_of
from tests.support.stub_model import StubModel, always

DATED = "2024-10-21"


def azure(model: StubModel, version: str, path: str = "", **fields: object) -> Endpoint:
    settings = replace(
        Settings(),
        provider="azure",
        api_key=KEY,
        azure_endpoint=model.origin + path,
        azure_deployment="my-deployment",
        azure_version=version,
    )
    return replace(Endpoint.from_settings(settings), **fields)


@pytest.mark.parametrize("path", ["", "/", "/openai"])
def test_azures_dated_api_is_asked_by_deployment_and_version(path: str) -> None:
    with StubModel() as model:
        ask_each(model, call_of(), call_of(), endpoint=azure(model, DATED, path))
    for asked in model.asked:
        assert asked.path == "/openai/deployments/my-deployment/chat/completions"
        assert asked.query == {"api-version": DATED}
        assert asked.headers["api-key"] == KEY
        assert "authorization" not in asked.headers
    assert len({asked.connection for asked in model.asked}) == 1


@pytest.mark.parametrize(
    ("version", "path"),
    [("v1", ""), ("v1", "/openai/v1"), ("latest", "/"), (DATED, "/openai/v1"), (DATED, "/openai/v1/")],
)
def test_azures_v1_api_is_asked_as_openai_with_the_deployment_as_model(version: str, path: str) -> None:
    with StubModel() as model:
        ask(model, call_of(), endpoint=azure(model, version, path))
    (asked,) = model.asked
    assert asked.path == "/openai/v1/chat/completions"
    assert asked.query == {}
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.json["model"] == "my-deployment"


@pytest.mark.parametrize(
    ("named", "deployment"),
    [(None, "my-deployment"), ("gpt-5.4-mini", "my-deployment"), ("other", "other")],
    ids=["nobody", "the setting", "the project"],
)
def test_at_azure_the_deployment_decides_unless_a_project_names_another(named: str | None, deployment: str) -> None:
    with StubModel() as model:
        ask(model, call_of(model=named), endpoint=azure(model, DATED))
    assert model.asked[0].path == f"/openai/deployments/{deployment}/chat/completions"


def test_a_missing_deployment_names_its_setting() -> None:
    told = r"my-deployment at .*no such model.*AZURE_DEPLOYMENT_NAME"
    missing = stub.no_such_model("DeploymentNotFound")
    with StubModel(always(missing)) as model, pytest.raises(KeyRefused, match=told):
        ask(model, call_of(), endpoint=azure(model, DATED))


def test_ollama_needs_no_key_and_gets_none_of_ours() -> None:
    settings = replace(Settings(), provider="ollama", api_key=KEY, model="llama3.2")
    assert Endpoint.from_settings(settings).api_key == ""
    with StubModel() as model:
        endpoint = Endpoint.from_settings(replace(settings, ollama_endpoint=model.base_url))
        ask(model, call_of(), endpoint=endpoint)
    assert model.asked[0].path == "/v1/chat/completions"
    assert model.asked[0].json["model"] == "llama3.2"
    assert KEY not in str(model.asked[0].headers)


def test_a_model_that_ollama_lacks_is_told_with_the_cure() -> None:
    missing = stub.fails(404, "model 'llama3.2' not found", None, "not_found_error")
    told = r'no such model.*"ollama pull llama3\.2"'
    with StubModel(always(missing)) as model, pytest.raises(KeyRefused, match=told):
        ask(model, call_of(), endpoint=Endpoint("ollama", "llama3.2", model.base_url))


def test_a_compatible_server_needs_no_key() -> None:
    with StubModel() as model:
        assert ask(model, call_of(), api_key="").texts


@pytest.mark.parametrize(
    ("endpoint", "reads"),
    [
        pytest.param(Endpoint.from_settings(Settings()), True, id="OpenAI"),
        pytest.param(Endpoint("openai", "m", "https://api.openai.com/v1/"), True, id="OpenAI with a slash"),
        pytest.param(Endpoint("azure", "m", azure_endpoint="https://r.openai.azure.com"), True, id="Azure"),
        pytest.param(Endpoint("openai", "m", "http://vllm:8000/v1"), False, id="compatible"),
        pytest.param(Endpoint("ollama", "m", "http://localhost:11434/v1"), False, id="Ollama"),
    ],
)
def test_only_openai_and_azure_fetch_pictures_themselves(endpoint: Endpoint, reads: bool) -> None:
    assert endpoint.takes == {"file", "audio"} | ({"url"} if reads else set())


@pytest.mark.parametrize(
    ("endpoint", "name", "host"),
    [
        pytest.param(Endpoint("openai", "m", "https://api.openai.com/v1"), "m", "api.openai.com", id="OpenAI"),
        pytest.param(Endpoint("openai", "m", "http://u:p@h:8000/v1"), "m", "h:8000", id="credentials in the URL"),
        pytest.param(
            Endpoint("azure", "m", azure_endpoint="https://r.openai.azure.com", azure_deployment="d"),
            "d",
            "r.openai.azure.com",
            id="Azure",
        ),
    ],
)
def test_errors_name_model_and_host(endpoint: Endpoint, name: str, host: str) -> None:
    assert (endpoint.name, endpoint.host) == (name, host)
    assert connect(endpoint, Settings(), Limits(1)).model == name


# A project's own provider


def test_a_projects_provider_never_gets_the_servers_key() -> None:
    endpoint = Endpoint.from_override(ProviderOverride(base_url="https://models.example/v1"), "m")
    assert endpoint == Endpoint("openai", "m", "https://models.example/v1", azure_version="v1", guarded=True)


def test_a_projects_azure_is_its_own_resource() -> None:
    override = ProviderOverride("azure", "https://r.openai.azure.com", "k", "d", DATED)
    endpoint = Endpoint.from_override(override, "m")
    assert (endpoint.address, endpoint.name, endpoint.dated) == ("https://r.openai.azure.com", "d", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "0.0.0.0"])
def test_a_projects_provider_must_have_a_public_address(host: str) -> None:
    with StubModel() as model:
        endpoint = Endpoint("openai", "m", f"http://{host}:{model.port}/v1", guarded=True)
        with pytest.raises(KeyRefused, match="must have a public address"):
            ask(model, call_of(patience=5.0), endpoint=endpoint, time=FakeTime())
        assert not model.asked


def test_a_project_may_use_a_private_host_that_the_operator_named() -> None:
    with StubModel() as model:
        endpoint = Endpoint("openai", "m", model.base_url, "k", guarded=True)
        ask_each(model, call_of(), call_of(), endpoint=endpoint, media_hosts=(f"127.0.0.1:{model.port}",))
    assert [asked.headers["authorization"] for asked in model.asked] == ["Bearer k"] * 2
    assert len({asked.connection for asked in model.asked}) == 1


def test_a_project_learns_where_to_mend_its_own_key() -> None:
    with StubModel(always(stub.wrong_key())) as model:
        endpoint = Endpoint("openai", "m", model.base_url, "k", guarded=True)
        with pytest.raises(KeyRefused, match="Check the api_key in the project's extra parameters"):
            ask(model, call_of(), endpoint=endpoint, media_hosts=("127.0.0.1",))


@pytest.mark.parametrize("version", ["v1", DATED])
def test_a_projects_provider_gets_nothing_of_the_operators_environment(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-ours")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Gateway: {KEY}\nAuthorization: Bearer {KEY}\napi-key: {KEY}")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with StubModel() as model:
        theirs = azure(model, version, guarded=True, api_key="theirs")
        ask_each(model, call_of(), call_of(), endpoint=theirs, media_hosts=("127.0.0.1",))
    for headers in (asked.headers for asked in model.asked):
        assert "ours" not in str(headers)
        assert KEY not in str(headers)
        assert "theirs" in (headers.get("api-key", ""), headers.get("authorization", "").removeprefix("Bearer "))


# What the library takes from the environment


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_proxy_of_the_environment_is_used(name: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with StubModel() as proxy:
        monkeypatch.setenv(name, f"{scheme}user:word@127.0.0.1:{proxy.port}")
        endpoint = Endpoint("openai", "m", "http://models.example/v1")
        completions = ask_each(proxy, call_of(), call_of(), endpoint=endpoint)
    assert all(completion.texts for completion in completions)
    assert [asked.headers["host"] for asked in proxy.asked] == ["models.example"] * 2
    assert [asked.headers["proxy-authorization"] for asked in proxy.asked] == ["Basic dXNlcjp3b3Jk"] * 2


@pytest.mark.parametrize("spared", ["127.0.0.1", "*", "models.example, 127.0.0.1"])
def test_no_proxy_is_used_for_hosts_that_the_environment_spares(spared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with StubModel() as proxy, StubModel() as model:
        monkeypatch.setenv("HTTP_PROXY", proxy.origin)
        monkeypatch.setenv("NO_PROXY", spared)
        ask_each(model, call_of(), call_of())
        assert len(model.asked) == 2
        assert not proxy.asked


def test_certificates_of_the_environment_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(SettingsError, match="SSL_CERT_FILE"):
        connect(Endpoint.from_settings(Settings()), Settings(), Limits(1))


# What no call could use


@pytest.mark.parametrize(
    "address",
    ["http://h:99999/v1", "http://h:abc/v1", "http://[::1/v1", "http:///v1", "http://a b/v1", f"http://{'a' * 64}/v1"],
)
@pytest.mark.parametrize("guarded", [False, True])
def test_an_address_that_is_none_is_refused_before_the_first_call(address: str, guarded: bool) -> None:
    where = "project's extra parameters" if guarded else "OPENAI_BASE_URL"
    with pytest.raises(SettingsError, match=f"{where} is no address"):
        connect(Endpoint("openai", "m", address, guarded=guarded), Settings(), Limits(1))


@pytest.mark.parametrize("key", ["sk-\u201cx\u201d", "sk-a\nb", "sk-\x00", "ключ"], ids=ascii)
def test_a_key_that_is_none_is_refused_before_the_first_call_and_not_shown(key: str) -> None:
    with pytest.raises(SettingsError, match="OPENAI_API_KEY holds signs that no key has") as told:
        connect(Endpoint("openai", "m", "http://h/v1", key), Settings(), Limits(1))
    assert key not in str(told.value)
