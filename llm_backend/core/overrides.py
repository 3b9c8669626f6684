"""What did the manager set for this project? (`extra_params`)"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TypeVar
from urllib.parse import urlsplit

from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError

T = TypeVar("T")

_AZURE_VERSION = re.compile(r"v1|\d{4}-\d{2}-\d{2}(-preview)?")


@dataclass(frozen=True, slots=True)
class ProviderOverride:
    """A project's own provider. It never gets the server's key: it brings its own, or needs none."""

    provider: str = "openai"
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    azure_deployment: str = ""
    azure_version: str = "v1"


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a project's `extra_params` set; None where they do not.

    Attributes:
        unknown: Names that mean nothing here, for the log.
    """

    prompt: str | None = None
    model: str | None = None
    temperature: float | None = None
    num_responses: int | None = None
    fill_geometry: bool | None = None
    few_shot: int | None = None
    score: str | None = None
    provider: ProviderOverride | None = None
    unknown: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Overrides":
        """Read them.

        Raises:
            RequestError: A known name has an unusable value, or a name is a slip of the pen for a known one.
        """
        known = {part.name for part in fields(cls)} - {"unknown"}
        unknown = tuple(sorted(name for name in raw if name not in known))
        for name in unknown:
            if close := difflib.get_close_matches(name, known, n=1, cutoff=0.8):
                raise RequestError(f'The extra parameters have "{name}"; did you mean "{close[0]}"?')
        return cls(
            prompt=_read(raw, "prompt", _text, "a text"),
            model=_read(raw, "model", _name, "a model's name"),
            temperature=_read(raw, "temperature", _temperature, "a number from 0 to 2"),
            num_responses=_read(raw, "num_responses", _count, "a whole number from 1 to 20"),
            fill_geometry=_read(raw, "fill_geometry", _switch, "true or false"),
            few_shot=_read(raw, "few_shot", _examples, "a whole number from 0 to 50"),
            score=_read(raw, "score", _score, '"none", "logprobs" or a number of samples from 2 to 20'),
            provider=_read(raw, "provider", _provider, _PROVIDER_SHAPE),
            unknown=unknown,
        )


_PROVIDER_SHAPE = (
    'an object such as {"provider": "openai", "base_url": "https://host/v1", "api_key": "..."}; '
    "OpenAI and Azure need their api_key here, Azure its base_url and azure_deployment, Ollama its base_url"
)


def _read(raw: Mapping[str, JSON], name: str, read: Callable[[JSON], T], wanted: str) -> T | None:
    if raw.get(name) is None:
        return None
    try:
        return read(raw[name])
    except (ValueError, TypeError) as exc:
        raise RequestError(f'The extra parameter "{name}" must be {wanted}.') from exc


def _text(value: JSON) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _name(value: JSON) -> str:
    name = _text(value).strip()
    if not name:
        raise ValueError
    return name


def _temperature(value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:
        raise ValueError
    return float(value)


def _count(value: JSON) -> int:
    if type(value) is not int or not 1 <= value <= 20:
        raise ValueError
    return value


def _examples(value: JSON) -> int:
    if type(value) is not int or not 0 <= value <= 50:
        raise ValueError
    return value


def _switch(value: JSON) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _score(value: JSON) -> str:
    """As SCORE is read: `none`, `logprobs`, or how many samples to compare."""
    if value in ("none", "logprobs"):
        return str(value)
    samples = int(value) if isinstance(value, str) else value
    if type(samples) is not int or not 2 <= samples <= 20:
        raise ValueError
    return str(samples)


def _provider(value: JSON) -> ProviderOverride:
    if not isinstance(value, Mapping) or set(value) - {part.name for part in fields(ProviderOverride)}:
        raise TypeError
    made = ProviderOverride(**{name: _text(part).strip() for name, part in value.items()})
    lacking = {
        "openai": not (made.api_key or made.base_url),
        "azure": not (made.api_key and made.base_url and made.azure_deployment),
        "ollama": not made.base_url,
    }
    if lacking.get(made.provider, True) or not _AZURE_VERSION.fullmatch(made.azure_version):
        raise ValueError
    if made.base_url and not _is_plain_url(made.base_url):
        raise ValueError
    return made


def _is_plain_url(url: str) -> bool:
    """Whether it is an http(s) URL without user and password in it."""
    parts = urlsplit(url)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
