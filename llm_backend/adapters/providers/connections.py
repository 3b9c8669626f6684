"""Over which connections do requests reach a model?"""

import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import httpx2
from openai import DefaultAioHttpClient
from openai._vendor.httpx_aiohttp.transport import AiohttpTransport  # no public name leads to its `client=`

from llm_backend.adapters.addresses import guarded_connector
from llm_backend.adapters.providers.endpoint import TIMEOUT, Endpoint
from llm_backend.errors import SettingsError

_TIMEOUT = aiohttp.ClientTimeout(sock_connect=TIMEOUT.connect)
_CONNECTIONS = 1000
# Longer than the pauses of a person at work, so that Shift+Enter rarely pays for a new connection.
_IDLE_SECONDS = 55.0


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, whatever its status.

    Attributes:
        headers: Their names may be asked for in any case.
        content: Its body, uncompressed.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes


class Connections:
    """The connections to an endpoint, by which the library sends, and we ourselves: one session for both.

    A project's own provider is reached at public addresses alone, and through no proxy of the operator's. Redirects are
    not followed: they would turn our POST into a GET, or lead away from the address that was checked.

    Attributes:
        http: What the library's client sends with.
    """

    def __init__(self, endpoint: Endpoint, allowed: Collection[str] = ()) -> None:
        """
        Args:
            allowed: Hosts that may be private although the endpoint is guarded.
        Raises:
            SettingsError: The environment's certificates are none.
        """
        try:
            self._certificates = httpx2.create_ssl_context()  # those of SSL_CERT_FILE and SSL_CERT_DIR, where set
        except OSError as exc:
            raise SettingsError(
                f"SSL_CERT_FILE or SSL_CERT_DIR cannot be used as certificates ({exc.strerror})."
            ) from exc
        self._endpoint = endpoint
        self._allowed = allowed
        self._session: aiohttp.ClientSession | None = None
        transport = AiohttpTransport(verify=self._certificates, client=self._opened)
        self.http: httpx2.AsyncClient = DefaultAioHttpClient(
            timeout=TIMEOUT, follow_redirects=False, trust_env=False, transport=transport
        )

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Reply:
        """Send without the library.

        Raises:
            ClientError, OSError: There is no reply.
        """
        sending = self._opened().post(url, data=content, headers=headers, allow_redirects=False, timeout=_TIMEOUT)
        async with sending as reply:
            return Reply(reply.status, reply.headers, await reply.read())

    def _opened(self) -> aiohttp.ClientSession:
        """The session, opened on the loop that first sends. The library's client closes it."""
        if self._session is None:
            options: dict[str, Any] = {
                "ssl": self._certificates,
                "limit": _CONNECTIONS,
                "keepalive_timeout": _IDLE_SECONDS,
            }
            # Servers that are named by a number may set cookies, too: a balancer in one's own network does.
            jar = aiohttp.CookieJar(unsafe=True)
            if self._endpoint.guarded:
                connector = guarded_connector(self._allowed, **options)
                self._session = aiohttp.ClientSession(connector=connector, cookie_jar=jar)
            else:
                connector, proxy = aiohttp.TCPConnector(**options), _proxy_to(self._endpoint.address)
                self._session = aiohttp.ClientSession(connector=connector, cookie_jar=jar, proxy=proxy)
        return self._session


def _proxy_to(address: str) -> str | None:
    """The environment's proxy for an address (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY; not for those of NO_PROXY)."""
    url, proxies = urlsplit(address), urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
