"""Where is the model, and which client talks to it?"""

import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httpx2
from openai import AsyncAzureOpenAI, AsyncOpenAI, Omit, Timeout

from llm_backend.adapters.addresses import refuse_address
from llm_backend.core.chat import Takes
from llm_backend.core.overrides import ProviderOverride
from llm_backend.errors import SettingsError
from llm_backend.settings import OPENAI_BASE_URL, Settings

NO_KEY = "none"
"""Sent where no key is needed: the client insists on one."""

_V1 = ("v1", "latest", "preview")
TIMEOUT = Timeout(None, connect=10.0)
"""Reading has none, since every call has one around it."""


@dataclass(frozen=True)
class Endpoint:
    """A model at an address.

    Attributes:
        model: What was asked for by name; at Azure the deployment decides.
        guarded: The address came from a project's `extra_params`: it must be public, and nothing that the operator set
            for other servers (proxies, headers of the environment) goes there.
    """

    provider: str
    model: str
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    azure_endpoint: str = ""
    azure_deployment: str = ""
    azure_version: str = ""
    guarded: bool = False

    @classmethod
    def from_settings(cls, settings: Settings) -> "Endpoint":
        """The server's own model."""
        addresses = {"openai": settings.base_url or OPENAI_BASE_URL, "ollama": settings.ollama_endpoint, "azure": ""}
        return cls(
            provider=settings.provider,
            model=settings.model,
            base_url=addresses[settings.provider],
            api_key="" if settings.provider == "ollama" else settings.api_key,
            azure_endpoint=settings.azure_endpoint,
            azure_deployment=settings.azure_deployment,
            azure_version=settings.azure_version,
        )

    @classmethod
    def from_override(cls, override: ProviderOverride, model: str) -> "Endpoint":
        """A project's own provider, with its own key only."""
        azure = override.provider == "azure"
        return cls(
            provider=override.provider,
            model=model,
            base_url="" if azure else override.base_url or OPENAI_BASE_URL,
            api_key=override.api_key,
            azure_endpoint=override.base_url if azure else "",
            azure_deployment=override.azure_deployment,
            azure_version=override.azure_version,
            guarded=True,
        )

    @property
    def dated(self) -> bool:
        """Whether this is Azure's dated API, which wants a client of its own; its v1 speaks as OpenAI does."""
        endpoint = self.azure_endpoint.rstrip("/")
        return self.provider == "azure" and self.azure_version not in _V1 and not endpoint.endswith("/openai/v1")

    @property
    def address(self) -> str:
        """The base URL; for Azure's dated API the resource's."""
        if self.provider != "azure":
            return self.base_url
        resource = self.azure_endpoint.rstrip("/").removesuffix("/v1").removesuffix("/openai")
        return resource if self.dated else f"{resource}/openai/v1/"

    @property
    def host(self) -> str:
        """Host and port, as errors name them."""
        return urlsplit(self.address).netloc.rpartition("@")[2]

    @property
    def name(self) -> str:
        """What the model is called there: at Azure, the deployment's name."""
        return self.azure_deployment if self.provider == "azure" else self.model

    @property
    def key_setting(self) -> str:
        """Where its key is set, for errors."""
        return "the api_key in the project's extra parameters" if self.guarded else "OPENAI_API_KEY"

    @property
    def address_setting(self) -> str:
        """Where its address is set, for errors."""
        if self.guarded:
            return "the base_url in the project's extra parameters"
        return {"azure": "AZURE_RESOURCE_ENDPOINT", "ollama": "OLLAMA_ENDPOINT"}.get(self.provider, "OPENAI_BASE_URL")

    @property
    def takes(self) -> Takes:
        """What is offered to the model; what it refuses, its dialect learns.

        Public URLs are for OpenAI and Azure alone: compatible servers often cannot fetch, or must not.
        """
        reads_urls = self.provider == "azure" or self.base_url.rstrip("/") == OPENAI_BASE_URL
        return frozenset(("url", "file", "audio")) if reads_urls else frozenset(("file", "audio"))


def refuse_private(endpoint: Endpoint, allowed: Collection[str] = ()) -> None:
    """Refuse a guarded endpoint whose host is a private address itself; names are checked as they are looked up.

    Raises:
        AddressRefused: It is private, or written in an odd way.
    """
    if endpoint.guarded:
        url = urlsplit(endpoint.address)
        refuse_address(url.hostname or "", allowed, url.port)


def open_client(endpoint: Endpoint, http: httpx2.AsyncClient) -> AsyncOpenAI:
    """The one client for an endpoint, with retries off, over the connections that were opened for it.

    Raises:
        SettingsError: Address or key are none.
    """
    _refuse_nonsense(endpoint)
    key = endpoint.api_key or NO_KEY
    headers = _own_headers_only(endpoint, key) if endpoint.guarded else None
    if endpoint.dated:
        return AsyncAzureOpenAI(
            azure_endpoint=endpoint.address,
            api_version=endpoint.azure_version,
            api_key=key,
            default_headers=headers,
            http_client=http,
            timeout=TIMEOUT,
            max_retries=0,
        )
    return AsyncOpenAI(
        base_url=endpoint.address,
        api_key=key,
        default_headers=headers,
        http_client=http,
        timeout=TIMEOUT,
        max_retries=0,
    )


def _refuse_nonsense(endpoint: Endpoint) -> None:
    """Refuse what would only fail at the first call, and then in words that nobody understands."""
    if not (endpoint.api_key.isascii() and endpoint.api_key.isprintable()):
        raise SettingsError(f"{endpoint.key_setting} holds signs that no key has. Copy it again, without line breaks.")
    try:
        url = urlsplit(endpoint.address)
        usable = bool(url.hostname and url.hostname.encode("idna") and url.port != 0 and httpx2.URL(endpoint.address))
    except (ValueError, httpx2.InvalidURL):
        usable = False
    if not usable or re.search(r"\s", endpoint.address):
        raise SettingsError(f"{endpoint.address_setting} is no address; give a URL such as https://host/v1.")


def _own_headers_only(endpoint: Endpoint, key: str) -> dict[str, str]:
    """Take away what the library adds from the environment, which is meant for the operator's own provider."""
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines()
    ambient = [line.partition(":")[0].strip() for line in lines if ":" in line]
    name, value = ("api-key", key) if endpoint.dated else ("Authorization", f"Bearer {key}")
    taken = ("OpenAI-Organization", "OpenAI-Project", *(other for other in ambient if other.lower() != name.lower()))
    # `Omit` is how the library itself says "not this header".
    return cast("dict[str, str]", {**{other: Omit() for other in taken}, name: value})
