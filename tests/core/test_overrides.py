"""What a manager sets for a project is taken or refused by a sentence, and no key shows."""

import json
from typing import Any

import pytest

from llm_backend.core.overrides import Overrides, ProviderOverride
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError

KEY = "sk-of-the-project"
AZURE = {
    "provider": "azure",
    "base_url": "https://name.openai.azure.com",
    "azure_deployment": "small",
    "api_key": KEY,
}


@pytest.mark.parametrize(
    ("raw", "overrides"),
    [
        pytest.param({}, Overrides(), id="nothing"),
        pytest.param({"prompt": None, "model": None, "provider": None}, Overrides(), id="nulls"),
        pytest.param({"prompt": "Judge {text}"}, Overrides(prompt="Judge {text}"), id="prompt"),
        pytest.param({"prompt": ""}, Overrides(prompt=""), id="empty prompt"),
        pytest.param({"model": " small-model\n"}, Overrides(model="small-model"), id="model"),
        pytest.param({"temperature": 0}, Overrides(temperature=0.0), id="temperature zero"),
        pytest.param({"temperature": 2}, Overrides(temperature=2.0), id="highest temperature"),
        pytest.param({"num_responses": 1}, Overrides(num_responses=1), id="one response"),
        pytest.param({"num_responses": 20}, Overrides(num_responses=20), id="most responses"),
        pytest.param({"fill_geometry": True}, Overrides(fill_geometry=True), id="geometry"),
        pytest.param({"fill_geometry": False}, Overrides(fill_geometry=False), id="no geometry"),
    ],
)
def test_what_is_set_is_taken(raw: dict[str, JSON], overrides: Overrides) -> None:
    assert Overrides.from_json(raw) == overrides


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("prompt", 5, "a text"),
        ("prompt", ["Judge"], "a text"),
        ("model", "", "a model's name"),
        ("model", " ", "a model's name"),
        ("model", {"name": "m"}, "a model's name"),
        ("temperature", "0.5", "a number from 0 to 2"),
        ("temperature", True, "a number from 0 to 2"),
        ("temperature", -0.1, "a number from 0 to 2"),
        ("temperature", 2.1, "a number from 0 to 2"),
        ("temperature", float("nan"), "a number from 0 to 2"),
        ("num_responses", 0, "a whole number from 1 to 20"),
        ("num_responses", 21, "a whole number from 1 to 20"),
        ("num_responses", 2.0, "a whole number from 1 to 20"),
        ("num_responses", True, "a whole number from 1 to 20"),
        ("num_responses", "2", "a whole number from 1 to 20"),
        ("fill_geometry", 1, "true or false"),
        ("fill_geometry", "true", "true or false"),
    ],
    ids=json.dumps,
)
def test_what_cannot_be_used_is_refused_with_what_is_wanted(name: str, value: JSON, wanted: str) -> None:
    with pytest.raises(RequestError) as raised:
        Overrides.from_json({name: value})
    assert raised.value.sentence == f'The extra parameter "{name}" must be {wanted}.'
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("Model", "model"),
        ("modle", "model"),
        ("promt", "prompt"),
        ("num_response", "num_responses"),
        ("temprature", "temperature"),
        ("fill_geometrie", "fill_geometry"),
    ],
)
def test_a_slip_of_the_pen_is_refused_with_what_was_meant(told: str, meant: str) -> None:
    with pytest.raises(RequestError) as raised:
        Overrides.from_json({told: "x"})
    assert raised.value.sentence == f'The extra parameters have "{told}"; did you mean "{meant}"?'


def test_names_that_mean_nothing_here_are_kept_for_the_log() -> None:
    overrides = Overrides.from_json({"team": "north", "cost_centre": 7, "unknown": 1, "model": "m"})
    assert overrides == Overrides(model="m", unknown=("cost_centre", "team", "unknown"))


@pytest.mark.parametrize(
    ("provider", "held"),
    [
        pytest.param({"api_key": KEY}, ProviderOverride(api_key=KEY), id="OpenAI with a key"),
        pytest.param({"api_key": f" {KEY}\n"}, ProviderOverride(api_key=KEY), id="key pasted with its line's end"),
        pytest.param(
            {"base_url": "http://models.example:8000/v1"},
            ProviderOverride(base_url="http://models.example:8000/v1"),
            id="compatible server that needs none",
        ),
        pytest.param(
            {"provider": "ollama", "base_url": "http://models.example:11434/v1"},
            ProviderOverride("ollama", "http://models.example:11434/v1"),
            id="Ollama",
        ),
        pytest.param(
            AZURE,
            ProviderOverride("azure", "https://name.openai.azure.com", KEY, "small", "v1"),
            id="Azure",
        ),
        pytest.param(
            AZURE | {"azure_version": "2024-10-21"},
            ProviderOverride("azure", "https://name.openai.azure.com", KEY, "small", "2024-10-21"),
            id="Azure, dated",
        ),
    ],
)
def test_a_provider_of_the_projects_own_is_taken(provider: dict[str, str], held: ProviderOverride) -> None:
    assert Overrides.from_json({"provider": provider}).provider == held


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in AZURE.items() if name not in names}


@pytest.mark.parametrize(
    "provider",
    [
        pytest.param({}, id="nothing: the server's key is not lent"),
        pytest.param({"provider": "openai"}, id="OpenAI without a key"),
        pytest.param({"provider": "openai", "api_key": " "}, id="OpenAI with a blank key"),
        pytest.param({"provider": "ollama"}, id="Ollama without an address"),
        pytest.param(without("api_key"), id="Azure without a key"),
        pytest.param(without("base_url"), id="Azure without an address"),
        pytest.param(without("azure_deployment"), id="Azure without a deployment"),
        pytest.param(AZURE | {"azure_version": "latest?x=1"}, id="Azure of no version"),
        pytest.param({"provider": "elsewhere", "api_key": KEY}, id="unknown provider"),
        pytest.param({"provider": "OpenAI", "api_key": KEY, "token": "x"}, id="unknown part"),
        pytest.param({"api_key": 5}, id="key of a number"),
        pytest.param({"api_key": KEY, "base_url": None}, id="null part"),
        pytest.param({"api_key": KEY, "base_url": "models.example/v1"}, id="address without a scheme"),
        pytest.param({"api_key": KEY, "base_url": "file:///etc/passwd"}, id="address of a file"),
        pytest.param({"api_key": KEY, "base_url": "https://"}, id="address without a host"),
        pytest.param({"api_key": KEY, "base_url": "https://me:pw@models.example/v1"}, id="password in the address"),
        pytest.param({"api_key": KEY, "base_url": "https://models.example:99999/v1"}, id="impossible port"),
        pytest.param({"api_key": KEY, "base_url": "https://[models"}, id="broken address"),
        pytest.param("openai", id="a word"),
        pytest.param([{"api_key": KEY}], id="a list"),
    ],
)
def test_a_provider_that_cannot_work_is_refused_and_its_key_is_not_repeated(provider: JSON) -> None:
    with pytest.raises(RequestError) as raised:
        Overrides.from_json({"provider": provider})
    told = raised.value.sentence
    assert told.startswith('The extra parameter "provider" must be an object such as {"provider": "openai"')
    assert told.endswith(".")
    assert KEY not in told
    assert KEY not in repr(raised.value.__cause__)


def test_no_key_shows_when_overrides_are_printed() -> None:
    overrides = Overrides.from_json({"provider": AZURE})
    assert overrides.provider is not None
    assert overrides.provider.api_key == KEY
    assert KEY not in repr(overrides)
    assert KEY not in str(overrides.provider)
