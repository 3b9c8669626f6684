"""What were we told at start-up?

Every setting is an environment variable, or a line in `.env`; the environment wins. `read` checks them all and
reports every fault in one message.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values

from llm_backend.errors import SettingsError

T = TypeVar("T")

PROVIDERS = ("openai", "azure", "ollama")
IMAGE_MODES = ("vision", "ocr")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
OPENAI_BASE_URL = "https://api.openai.com/v1"


def _setting(
    name: str, default: T, read: Callable[[str], T], meaning: str, *, secret: bool = False, shown: str | None = None
) -> T:
    """A dataclass field that knows its variable, its reader, and its line in the README's table."""
    metadata = {"name": name, "read": read, "meaning": meaning, "shown": shown}
    held: T = field(default=default, metadata=metadata, repr=not secret)
    return held


def _text(raw: str) -> str:
    return raw


def _word(raw: str) -> str:
    """a text without spaces around it, such as a key that was pasted with its line's end"""
    return raw.strip()


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    def read(raw: str) -> int:
        number = int(raw)
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    read.__doc__ = f"a whole number from {least}" + (f" to {most}" if most is not None else " up")
    return read


def _number(least: float, most: float | None = None) -> Callable[[str], float]:
    def read(raw: str) -> float:
        number = float(raw)
        if not least <= number <= (most if most is not None else float("1e15")):
            raise ValueError
        return number

    read.__doc__ = f"a number from {least:g}" + (f" to {most:g}" if most is not None else " up")
    return read


def _seconds(raw: str) -> float:
    """seconds, such as 60"""
    number = float(raw)
    if not 0 < number < 1e9:
        raise ValueError
    return number


def _switch(raw: str) -> bool:
    """1 or 0"""
    word = raw.strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off"):
        return False
    raise ValueError


def _score(raw: str) -> str:
    """none, logprobs, or how many samples to compare, from 2 to 20"""
    word = raw.strip().lower()
    if word in ("none", "logprobs"):
        return word
    if not 2 <= int(word) <= 20:
        raise ValueError
    return str(int(word))


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
    def read(raw: str) -> str:
        for name in names:
            if raw.strip().lower() == name.lower():
                return name
        raise ValueError

    read.__doc__ = "one of " + ", ".join(names)
    return read


def _url(raw: str) -> str:
    """a URL without user and password in it, such as http://localhost:11434/v1"""
    parts = urlsplit(raw.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError
    return raw.strip().rstrip("/")


def _redis_url(raw: str) -> str:
    """a Redis URL, such as redis://localhost:6379/0"""
    parts = urlsplit(raw.strip())
    if parts.scheme not in ("redis", "rediss", "unix") or not (parts.hostname or parts.path):
        raise ValueError
    return raw.strip()


def _hosts(raw: str) -> tuple[str, ...]:
    """host names, separated by commas"""
    hosts = tuple(host.strip().lower() for host in raw.split(",") if host.strip())
    if any("/" in host for host in hosts):
        raise ValueError
    return hosts


def _azure_version(raw: str) -> str:
    """a dated version such as 2024-10-21, or v1"""
    if not re.fullmatch(r"v1|\d{4}-\d{2}-\d{2}(-preview)?", raw.strip()):
        raise ValueError
    return raw.strip()


def _secret_segment(raw: str) -> str:
    """at least 8 letters, digits, - or _ (it stands in the URL)"""
    if len(raw) < 8 or not all((sign.isalnum() and sign.isascii()) or sign in "-_" for sign in raw):
        raise ValueError
    return raw


def _days(raw: str) -> float:
    """days, such as 7"""
    number = float(raw.strip().removesuffix("days").removesuffix("d").strip())
    if not 0 < number < 36500:
        raise ValueError
    return number


@dataclass(frozen=True)
class Settings:
    """All that the server was told. Times are in seconds unless the name says otherwise."""

    provider: str = _setting("OPENAI_PROVIDER", "openai", _one_of(PROVIDERS), "`openai`, `azure` or `ollama`")
    base_url: str = _setting(
        "OPENAI_BASE_URL", "", _url, "Any server that speaks OpenAI's chat completions", shown="OpenAI's own"
    )
    api_key: str = _setting("OPENAI_API_KEY", "", _word, "Key of OpenAI, Azure or the compatible server", secret=True)
    model: str = _setting("OPENAI_MODEL", "gpt-5.4-mini", _word, "Model to ask (Azure: the deployment decides)")
    azure_endpoint: str = _setting("AZURE_RESOURCE_ENDPOINT", "", _url, "Endpoint of the Azure resource")
    azure_deployment: str = _setting("AZURE_DEPLOYMENT_NAME", "", _word, "Name of the Azure deployment")
    azure_version: str = _setting("AZURE_API_VERSION", "2024-10-21", _azure_version, "A dated version, or `v1`")
    ollama_endpoint: str = _setting(
        "OLLAMA_ENDPOINT", "http://localhost:11434/v1", _url, "Address of the Ollama server, with `/v1`"
    )
    default_prompt: str = _setting(
        "DEFAULT_PROMPT", "", _text, "Prompt where nobody gave one: a text, or a file's path"
    )
    prompt_prefix: str = _setting(
        "PROMPT_PREFIX", "prompt", _word, "Name (or its beginning) of the `<TextArea>` that holds the prompt"
    )
    use_internal_prompt_template: bool = _setting(
        "USE_INTERNAL_PROMPT_TEMPLATE",
        True,
        _switch,
        "1: prompts that name no field go through PROMPT_TEMPLATE; 0: the sources are appended to them",
    )
    prompt_template: str = _setting(
        "PROMPT_TEMPLATE",
        "Source Text: {text}\n\nTask Directive: {prompt}",
        _text,
        "The template of USE_INTERNAL_PROMPT_TEMPLATE=1; `{text}`: all sources, `{prompt}`: the prompt",
    )
    temperature: float = _setting("TEMPERATURE", 0.7, _number(0, 2), "Sampling temperature, where the model takes one")
    num_responses: int = _setting(
        "NUM_RESPONSES", 1, _whole(1, 20), "Answers per text field (at most its maxSubmissions)"
    )
    image_mode: str = _setting(
        "IMAGE_MODE",
        "vision",
        _one_of(IMAGE_MODES),
        "`vision`: pictures go to the model; `ocr`: their text does (extra `ocr`, Tesseract)",
    )
    fill_geometry: bool = _setting(
        "FILL_GEOMETRY",
        False,
        _switch,
        "1: boxes, polygons, key points and time ranges are filled too; most models misplace them",
    )
    llm_concurrency: int = _setting("LLM_CONCURRENCY", 64, _whole(1, 4096), "Model calls in flight, of all processes")
    rpm: int = _setting("RPM", 0, _whole(0), "Requests per minute that the provider allows; 0: it will be found out")
    tpm: int = _setting("TPM", 0, _whole(0), "Tokens per minute that the provider allows; 0: it will be found out")
    llm_timeout: float = _setting("LLM_TIMEOUT", 60.0, _seconds, "Time-out of one model call")
    task_deadline: float = _setting("TASK_DEADLINE", 900.0, _seconds, "Retries of one batch task, waits included")
    batch_deadline: float = _setting(
        "BATCH_DEADLINE", 50.0, _seconds, "How long a batch request waits (the host hangs up after 100 s)"
    )
    open_task_deadline: float = _setting(
        "OPEN_TASK_DEADLINE",
        10.0,
        _seconds,
        "The same for a request with one task: a person may be waiting for its page",
    )
    interactive_timeout: float = _setting("INTERACTIVE_TIMEOUT", 50.0, _seconds, "Shift+Enter, retries included")
    redis_url: str = _setting(
        "REDIS_URL",
        "",
        _redis_url,
        "A Redis, such as `redis://localhost:6379/0`: state is there, and `llm-backend worker` processes do the work",
        secret=True,
    )
    data_dir: str = _setting("DATA_DIR", "./data", _text, "Folder of the SQLite file")
    keep_results_days: float = _setting(
        "KEEP_RESULTS", 7.0, _days, "Age in days of kept results; they are also bounded in number"
    )
    label_studio_url: str = _setting(
        "LABEL_STUDIO_URL", "", _url, "Label Studio as this server reaches it: fetches uploaded media"
    )
    label_studio_api_key: str = _setting(
        "LABEL_STUDIO_API_KEY", "", _word, "Personal access token, or legacy token", secret=True
    )
    media_hosts: tuple[str, ...] = _setting(
        "MEDIA_HOSTS", (), _hosts, "Private hosts from which media may be fetched, separated by commas"
    )
    basic_auth_user: str = _setting(
        "BASIC_AUTH_USER", "", _text, "With BASIC_AUTH_PASS: credentials that every caller must show"
    )
    basic_auth_pass: str = _setting("BASIC_AUTH_PASS", "", _text, "See BASIC_AUTH_USER", secret=True)
    url_secret: str = _setting(
        "URL_SECRET",
        "",
        _secret_segment,
        "Part of the connected URL (`http://host:9090/<secret>`) that every caller must show, webhooks included",
        secret=True,
    )
    save_prompt_on_use: bool = _setting(
        "SAVE_PROMPT_ON_USE", False, _switch, "1: a prompt becomes the project's when used, not only when submitted"
    )
    few_shot: int = _setting(
        "FEW_SHOT", 0, _whole(0, 50), "How many of people's own answers to similar tasks go along with a question"
    )
    learn_every: int = _setting(
        "LEARN_EVERY",
        0,
        _whole(0),
        "Batches go by what was learned after every so many corrections; 0: only after *Start Training*",
    )
    score: str = _setting(
        "SCORE",
        "none",
        _score,
        "How sure the model is of its labels, for the predictions' score: `logprobs` (the probabilities of their "
        "tokens), or how many samples to compare, such as `5`; `none`: no score",
    )
    blind_share: float = _setting(
        "BLIND_SHARE",
        0.0,
        _number(0, 1),
        "Share of tasks (0 to 1) whose answers are kept but not shown, so that agreement is measured without them",
    )
    max_body_mb: float = _setting(
        "MAX_BODY_MB", 256.0, _number(0.001), "A larger request gets a 413 that names the limit"
    )
    log_level: str = _setting("LOG_LEVEL", "INFO", _one_of(LOG_LEVELS), "DEBUG, INFO, WARNING or ERROR")

    @property
    def guarded(self) -> bool:
        """Whether Basic Auth is on."""
        return bool(self.basic_auth_user and self.basic_auth_pass)

    @property
    def data_path(self) -> Path:
        return Path(self.data_dir).expanduser()


def read(environ: Mapping[str, str] | None = None, dotenv: Path | None = None, *, asks_model: bool = True) -> Settings:
    """Read the settings from the environment and a dotenv file; the environment wins.

    An empty variable counts as not set, as in a compose file's `KEY=${KEY:-}`.

    Args:
        dotenv: Read if it exists.
        asks_model: False where no model will be asked, so that none needs to be reachable: no key is missed.
    Raises:
        SettingsError: Names every setting that cannot be used, one line each.
    """
    told = _told(os.environ if environ is None else environ, dotenv)
    held: dict[str, Any] = {}
    faults: list[str] = []
    for item in fields(Settings):
        name, reader = item.metadata["name"], item.metadata["read"]
        if name not in told:
            continue
        try:
            held[item.name] = reader(told[name])
        except ValueError:
            found = f'"{_without_password(told[name])}"' if item.repr else "(hidden)"
            faults.append(f"{name}={found}: give {reader.__doc__}.")
    if "default_prompt" in held:
        held["default_prompt"] = _prompt_or_file(held["default_prompt"], faults)
    settings = Settings(**held)
    faults += _disagreements(settings)
    if asks_model:
        faults += _missing_connection(settings)
    if faults:
        raise SettingsError("\n".join(faults))
    return settings


def _told(environ: Mapping[str, str], dotenv: Path | None) -> dict[str, str]:
    told: dict[str, str] = {}
    try:
        if dotenv is not None and dotenv.is_file():
            told.update({key: value for key, value in dotenv_values(dotenv).items() if value and value.strip()})
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{dotenv}: cannot be read as UTF-8 text ({exc}).") from exc
    told.update({key: value for key, value in environ.items() if value.strip()})
    return told


def _without_password(told: str) -> str:
    """What was told, less all that stands before an @: it may be somebody's password."""
    return "…@" + told.rpartition("@")[2] if "@" in told else told


def _prompt_or_file(told: str, faults: list[str]) -> str:
    """DEFAULT_PROMPT is a path if such a file exists, or if it can be nothing else: one word ending in .txt or .md."""
    try:
        path = Path(told).expanduser()
        found = path.is_file()
    except (OSError, RuntimeError):  # too long for a file's name, or a ~name that is nobody's: a prompt, then
        found = False
    if not found:
        if told.endswith((".txt", ".md")) and not any(sign.isspace() for sign in told):
            faults.append(f'DEFAULT_PROMPT="{told}": there is no such file; give a path that exists, or a prompt.')
        return told
    try:
        prompt = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        faults.append(f'DEFAULT_PROMPT="{told}": the file cannot be read as UTF-8 text ({exc}).')
        return ""
    if not prompt:
        faults.append(f'DEFAULT_PROMPT="{told}": the file is empty.')
    return prompt


def _disagreements(settings: Settings) -> list[str]:
    """Settings that are fine alone, but not together."""
    faults = []
    if bool(settings.basic_auth_user) != bool(settings.basic_auth_pass):
        faults.append("BASIC_AUTH_USER and BASIC_AUTH_PASS go together: set both, or neither.")
    if settings.label_studio_api_key and not settings.label_studio_url:
        faults.append("LABEL_STUDIO_API_KEY needs LABEL_STUDIO_URL: the key goes to no other address.")
    return faults


def _missing_connection(settings: Settings) -> list[str]:
    """What is still needed to ask the model."""
    faults = []
    azure = settings.provider == "azure"
    if azure and not settings.azure_endpoint:
        faults.append("OPENAI_PROVIDER=azure needs AZURE_RESOURCE_ENDPOINT, such as https://name.openai.azure.com.")
    if azure and not settings.azure_deployment:
        faults.append("OPENAI_PROVIDER=azure needs AZURE_DEPLOYMENT_NAME, the name of your deployment.")
    if azure and not settings.api_key:
        faults.append("OPENAI_PROVIDER=azure needs OPENAI_API_KEY, a key of the Azure resource.")
    if settings.provider == "openai" and not settings.base_url and not settings.api_key:
        faults.append("OPENAI_API_KEY is not set: set it, or point OPENAI_BASE_URL at a server that needs none.")
    return faults
