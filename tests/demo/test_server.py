"""The stand-in answers only where the settings name no model."""

from pathlib import Path

import pytest

from llm_backend.demo.server import choose
from llm_backend.demo.stand_in import StandIn
from llm_backend.errors import SettingsError


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"OPENAI_API_KEY": "key"}, id="key"),
        pytest.param({"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}, id="server"),
        pytest.param({"OPENAI_PROVIDER": "ollama", "OPENAI_MODEL": "llama3"}, id="ollama"),
    ],
)
def test_a_named_model_is_asked(environ: dict[str, str], tmp_path: Path) -> None:
    _, llm = choose(environ, tmp_path / ".env")
    assert llm is None


@pytest.mark.parametrize("environ", [{}, {"OPENAI_API_KEY": "", "OPENAI_MODEL": "some-model"}], ids=["none", "empty"])
def test_with_no_key_the_stand_in_answers(environ: dict[str, str], tmp_path: Path) -> None:
    _, llm = choose(environ, tmp_path / ".env")
    assert isinstance(llm, StandIn)


def test_a_key_in_the_dotenv_file_counts(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=key\n", encoding="utf-8")
    _, llm = choose({}, tmp_path / ".env")
    assert llm is None


def test_the_demos_own_label_studio_connects_without_credentials(tmp_path: Path) -> None:
    told = {"BASIC_AUTH_USER": "u", "BASIC_AUTH_PASS": "p", "URL_SECRET": "0123456789"}
    settings, _ = choose(told, tmp_path / ".env")
    assert not settings.guarded
    assert settings.url_secret == ""


@pytest.mark.parametrize(
    "environ", [{"LLM_TIMEOUT": "1m"}, {"OPENAI_PROVIDER": "azure"}], ids=["unreadable", "azure-without-endpoint"]
)
def test_wrong_settings_are_told(environ: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        choose(environ, tmp_path / ".env")
