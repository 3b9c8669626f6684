"""What were we told at start-up? Good settings, bad ones, and what a person reads then."""

import io
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values

from llm_backend.errors import SettingsError
from llm_backend.settings import Settings, read
from tests.support import env_example

ROOT = Path(__file__).parents[1]
KEY = {"OPENAI_API_KEY": "key-of-a-test"}


def fault(**told: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(KEY | told)
    return caught.value.sentence


@pytest.mark.parametrize(
    ("name", "told", "field", "held"),
    [
        ("OPENAI_PROVIDER", "Ollama", "provider", "ollama"),
        ("OPENAI_BASE_URL", "http://localhost:8000/v1/", "base_url", "http://localhost:8000/v1"),
        ("OPENAI_MODEL", " qwen3:8b ", "model", "qwen3:8b"),
        ("OPENAI_API_KEY", "pasted\r\n", "api_key", "pasted"),
        ("AZURE_API_VERSION", "v1", "azure_version", "v1"),
        ("AZURE_API_VERSION", "2025-04-01-preview", "azure_version", "2025-04-01-preview"),
        ("PROMPT_TEMPLATE", "{text}\n{prompt} ", "prompt_template", "{text}\n{prompt} "),
        ("USE_INTERNAL_PROMPT_TEMPLATE", "0", "use_internal_prompt_template", False),
        ("USE_INTERNAL_PROMPT_TEMPLATE", "TRUE", "use_internal_prompt_template", True),
        ("TEMPERATURE", "0", "temperature", 0.0),
        ("NUM_RESPONSES", "3", "num_responses", 3),
        ("LLM_TIMEOUT", "0.5", "llm_timeout", 0.5),
        ("KEEP_RESULTS", "7 days", "keep_results_days", 7.0),
        ("KEEP_RESULTS", "12d", "keep_results_days", 12.0),
        ("MEDIA_HOSTS", "Files.Local, minio ,", "media_hosts", ("files.local", "minio")),
        ("IMAGE_MODE", "OCR", "image_mode", "ocr"),
        ("FILL_GEOMETRY", "1", "fill_geometry", True),
        ("URL_SECRET", "a-long_1", "url_secret", "a-long_1"),
        ("SAVE_PROMPT_ON_USE", "on", "save_prompt_on_use", True),
        ("MAX_BODY_MB", "0.5", "max_body_mb", 0.5),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
    ],
)
def test_a_setting_is_read(name: str, told: str, field: str, held: Any) -> None:
    assert getattr(read(KEY | {name: told}), field) == held


@pytest.mark.parametrize(
    ("name", "told", "wanted"),
    [
        ("OPENAI_PROVIDER", "openia", "one of openai, azure, ollama"),
        ("OPENAI_BASE_URL", "localhost:8000", "a URL"),
        ("OPENAI_BASE_URL", "http://", "a URL"),
        ("OPENAI_BASE_URL", "http://[::1", "a URL"),
        ("OPENAI_BASE_URL", "http://host:99999", "a URL"),
        ("AZURE_API_VERSION", "latest", "2024-10-21, or v1"),
        ("USE_INTERNAL_PROMPT_TEMPLATE", "maybe", "1 or 0"),
        ("TEMPERATURE", "warm", "a number from 0 to 2"),
        ("TEMPERATURE", "2.1", "a number from 0 to 2"),
        ("TEMPERATURE", "nan", "a number from 0 to 2"),
        ("NUM_RESPONSES", "0", "a whole number from 1 to 20"),
        ("NUM_RESPONSES", "1.5", "a whole number from 1 to 20"),
        ("LLM_CONCURRENCY", "-1", "a whole number from 1"),
        ("LLM_TIMEOUT", "1m", "seconds, such as 60"),
        ("LLM_TIMEOUT", "0", "seconds, such as 60"),
        ("LLM_TIMEOUT", "inf", "seconds, such as 60"),
        ("KEEP_RESULTS", "a week", "days, such as 7"),
        ("MEDIA_HOSTS", "http://minio/", "host names"),
        ("IMAGE_MODE", "eyes", "one of vision, ocr"),
        ("MAX_BODY_MB", "0", "a number from 0.001 up"),
        ("LOG_LEVEL", "loud", "one of DEBUG"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_takes(name: str, told: str, wanted: str) -> None:
    sentence = fault(**{name: told})
    assert sentence.startswith(f'{name}="{told}": give ')
    assert wanted in sentence


def test_all_faults_are_told_together() -> None:
    sentence = fault(TEMPERATURE="hot", LLM_TIMEOUT="1m", BASIC_AUTH_USER="ann", OPENAI_API_KEY="")
    assert [line.split("=")[0].split(" ")[0] for line in sentence.splitlines()] == [
        "TEMPERATURE",
        "LLM_TIMEOUT",
        "BASIC_AUTH_USER",
        "OPENAI_API_KEY",
    ]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({}, "OPENAI_API_KEY is not set"),
        ({"OPENAI_PROVIDER": "azure"}, "needs AZURE_RESOURCE_ENDPOINT"),
        ({"OPENAI_PROVIDER": "azure"}, "needs AZURE_DEPLOYMENT_NAME"),
        ({"OPENAI_PROVIDER": "azure"}, "needs OPENAI_API_KEY"),
        ({"OPENAI_PROVIDER": "azure", "OPENAI_BASE_URL": "http://localhost/v1"}, "needs OPENAI_API_KEY"),
    ],
)
def test_a_model_that_cannot_be_reached_stops_the_start(told: dict[str, str], wanted: str) -> None:
    with pytest.raises(SettingsError, match=wanted):
        read(told)
    assert read(told, asks_model=False).provider == told.get("OPENAI_PROVIDER", "openai")


@pytest.mark.parametrize("told", [{"OPENAI_PROVIDER": "ollama"}, {"OPENAI_BASE_URL": "http://localhost:8000/v1"}])
def test_servers_that_need_no_key_need_none(told: dict[str, str]) -> None:
    assert read(told).api_key == ""


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"BASIC_AUTH_USER": "ann"}, "go together"),
        ({"BASIC_AUTH_PASS": "word"}, "go together"),
        ({"LABEL_STUDIO_API_KEY": "token"}, "needs LABEL_STUDIO_URL"),
    ],
)
def test_settings_that_disagree_are_refused(told: dict[str, str], wanted: str) -> None:
    assert wanted in fault(**told)


def test_basic_auth_is_on_with_both_halves() -> None:
    assert not read(KEY).guarded
    assert read(KEY | {"BASIC_AUTH_USER": "ann", "BASIC_AUTH_PASS": "word"}).guarded


def test_the_environment_wins_over_the_dotenv_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("OPENAI_API_KEY=of-the-file\nOPENAI_MODEL=of-the-file\nTEMPERATURE=0.1\n")
    settings = read({"OPENAI_MODEL": "of-the-environment", "TEMPERATURE": ""}, file)
    assert (settings.api_key, settings.model, settings.temperature) == ("of-the-file", "of-the-environment", 0.1)


@pytest.mark.parametrize("blank", ["", "  "])
def test_an_empty_variable_counts_as_not_set(blank: str) -> None:
    assert read(KEY | {item.metadata["name"]: blank for item in fields(Settings)} | KEY) == read(KEY)


def test_a_dotenv_file_that_is_not_there_is_no_fault(tmp_path: Path) -> None:
    assert read(KEY, tmp_path / ".env") == read(KEY)


def test_a_dotenv_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"OPENAI_MODEL=\xff\xfe\n")
    with pytest.raises(SettingsError, match=re.escape(str(file))):
        read(KEY, file)


SECRETS = [item.metadata["name"] for item in fields(Settings) if not item.repr]


def test_keys_and_passwords_are_secrets() -> None:
    assert set(SECRETS) == {"OPENAI_API_KEY", "LABEL_STUDIO_API_KEY", "BASIC_AUTH_PASS", "URL_SECRET", "REDIS_URL"}


def test_secrets_are_shown_neither_in_errors_nor_in_repr() -> None:
    told = dict.fromkeys(SECRETS, "Hidden-1") | {"LABEL_STUDIO_URL": "http://ls", "BASIC_AUTH_USER": "ann"}
    told["REDIS_URL"] = "redis://:Hidden-1@redis/0"
    assert "Hidden-1" not in repr(read(told))
    wrong = dict.fromkeys(SECRETS, "a/b?") | {"TEMPERATURE": "hot"}
    sentence = fault(**wrong)
    assert "a/b?" not in sentence
    assert "URL_SECRET=(hidden): give at least 8 letters" in sentence


def test_a_password_in_a_url_is_refused_and_not_shown() -> None:
    sentence = fault(OPENAI_BASE_URL="https://ann:Hidden-1@models.example/v1")
    assert "without user and password" in sentence
    assert "Hidden-1" not in sentence


def test_default_prompt_is_a_text() -> None:
    assert read(KEY | {"DEFAULT_PROMPT": "Sum {text} up."}).default_prompt == "Sum {text} up."


@pytest.mark.parametrize("told", ["word " * 180, "~nobody, rate this", "a/b or c?", "Read notes.txt", "one\ntwo.txt"])
def test_default_prompt_that_names_no_file_is_a_text(told: str) -> None:
    assert read(KEY | {"DEFAULT_PROMPT": told}).default_prompt == told


def test_default_prompt_is_a_path(tmp_path: Path) -> None:
    file = tmp_path / "my prompt.txt"
    file.write_text("Beurteile die Güte: {text}\n", encoding="utf-8")
    assert read(KEY | {"DEFAULT_PROMPT": str(file)}).default_prompt == "Beurteile die Güte: {text}"


def test_default_prompt_whose_file_is_missing_is_refused(tmp_path: Path) -> None:
    assert "there is no such file" in fault(DEFAULT_PROMPT=str(tmp_path / "prompt.md"))


@pytest.mark.parametrize(("held", "wanted"), [(b"\xff\xfe\x00", "UTF-8"), (b" \n", "is empty")])
def test_default_prompt_whose_file_holds_no_prompt_is_refused(tmp_path: Path, held: bytes, wanted: str) -> None:
    file = tmp_path / "prompt.txt"
    file.write_bytes(held)
    assert wanted in fault(DEFAULT_PROMPT=str(file))


def test_env_example_is_in_step_with_the_settings() -> None:
    told = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert told == env_example.text(), "run: python -m tests.support.env_example > .env.example"


def test_env_example_spells_the_defaults() -> None:
    lines = re.sub(r"(?m)^#(?=[A-Z_]+=)", "", env_example.text())
    told = {name: value or "" for name, value in dotenv_values(stream=io.StringIO(lines)).items()}
    assert set(told) == {item.metadata["name"] for item in fields(Settings)}
    assert read(told, asks_model=False) == Settings()


def test_env_example_holds_no_key() -> None:
    assert not re.search(r"(?m)^[^#]", env_example.text().replace("\n\n", "\n"))


@pytest.mark.parametrize(("name", "told"), [("FEW_SHOT", "51"), ("LEARN_EVERY", "-1"), ("BLIND_SHARE", "10%")])
def test_what_is_learned_is_told_in_numbers(name: str, told: str) -> None:
    with pytest.raises(SettingsError, match=f'{name}="{told}": give a'):
        read({"OPENAI_API_KEY": "k", name: told})
    read({"OPENAI_API_KEY": "k", name: "0"})
