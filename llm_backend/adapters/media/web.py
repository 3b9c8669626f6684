"""How is a picture fetched whose address nobody vouches for? Hop by hop, each looked at anew, within bounds."""

from dataclasses import dataclass

import aiohttp
from yarl import URL

from llm_backend import __version__
from llm_backend.adapters.addresses import AddressRefused, Lookup, guarded_connector, refuse_address
from llm_backend.adapters.host import MOST_BYTES, REDIRECTS, TooLarge, joined, megabytes, read_bounded
from llm_backend.errors import MediaError


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of the world a picture may cost. Bytes are of the picture, before it is written as base64.

    Attributes:
        seconds: For one picture, redirects included.
        at_once: Pictures fetched at the same time.
        drawn_at_once: Pictures decoded, scaled or read by Tesseract at the same time.
        kept_bytes: Size of the parts kept for questions asked again.
        kept_seconds: Their age; signed addresses and pictures change.
    """

    bytes: int = MOST_BYTES
    seconds: float = 20.0
    redirects: int = 3
    at_once: int = 16
    drawn_at_once: int = 2
    kept_bytes: int = 32 * 1024 * 1024
    kept_seconds: float = 300.0


class Web:
    """Fetches from the web. It opens its connections when they are first needed, and keeps them until `close`."""

    def __init__(self, allowed: frozenset[str], lookup: Lookup, bounds: Bounds) -> None:
        """
        Args:
            allowed: Hosts, alone or as host:port, that may be private.
        """
        self._allowed = allowed
        self._lookup = lookup
        self._bounds = bounds
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, url: URL, name: str) -> bytes:
        """What lies at a URL, or where it redirects to.

        Raises:
            MediaError: It may not be fetched, or could not be.
            TimeoutError: It did not arrive in time.
        """
        for _ in range(self._bounds.redirects + 1):
            self._refuse(url, name)
            found = await self._hop(url, name)
            if isinstance(found, bytes):
                return found
            url = found
        raise MediaError(f"{name} is redirected more than {self._bounds.redirects} times.")

    def _refuse(self, url: URL, name: str) -> None:
        if url.scheme not in ("http", "https") or not url.raw_host:
            raise MediaError(f"{name} leads to an address that is neither http nor https.")
        if url.raw_user is not None or url.raw_password is not None:
            raise MediaError(f"{name} has a URL with a user name in it, which is not used; give one without.")
        try:
            refuse_address(url.raw_host, self._allowed, url.port)
        except AddressRefused as exc:
            raise MediaError(_refused(name, exc)) from exc

    async def _hop(self, url: URL, name: str) -> bytes | URL:
        """The picture, or where a redirect leads."""
        try:
            async with self._opened().get(url, allow_redirects=False) as response:
                if response.status in REDIRECTS:
                    return _target(url, response, name)
                _check_status(response.status, name)
                return await read_bounded(response, self._bounds.bytes)
        except AddressRefused as exc:
            raise MediaError(_refused(name, exc)) from exc
        except TooLarge as exc:
            raise MediaError(f"{name} is over {megabytes(self._bounds.bytes)}.") from exc
        except aiohttp.ClientConnectorCertificateError as exc:
            raise MediaError(
                f"{name} comes from a host whose certificate is not trusted (SSL_CERT_FILE names more)."
            ) from exc
        except aiohttp.InvalidURL:
            # Its text holds the whole URL, which has no place in a log.
            raise MediaError(f"{name} has a URL that cannot be read.") from None
        except aiohttp.ClientConnectorDNSError as exc:
            raise MediaError(f"{name} cannot be fetched: its host's name is not known.", lasting=False) from exc
        except (aiohttp.ClientError, OSError) as exc:
            if isinstance(exc, TimeoutError):
                raise
            raise MediaError(f"{name} cannot be fetched: the connection failed.", lasting=False) from exc

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # No proxy of the environment: behind one, nobody could tell which address is connected to.
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._allowed, self._lookup, limit=self._bounds.at_once),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # nothing grows after it was measured
                timeout=aiohttp.ClientTimeout(total=self._bounds.seconds),
                headers={
                    "User-Agent": f"llm-backend/{__version__}",
                    "Accept": "image/*",
                    "Accept-Encoding": "identity",
                },
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _target(url: URL, response: aiohttp.ClientResponse, name: str) -> URL:
    target = joined(url, response.headers.get("Location", ""))
    if target is None:
        raise MediaError(f"{name} is redirected to nowhere.")
    return target


def _check_status(status: int, name: str) -> None:
    if status < 300:
        return
    if status in (401, 403):
        raise MediaError(f"{name} may not be read: its host answers {status}.")
    if status in (404, 410):
        raise MediaError(f"{name} is not there: its host answers {status}.")
    raise MediaError(
        f"{name} could not be fetched: its host answers {status}.",
        lasting=status < 500 and status not in (408, 425, 429),
    )


def _refused(name: str, refusal: AddressRefused) -> str:
    return f"{name} is not fetched: {refusal.sentence.rstrip('.')}. If it is meant, add its host to MEDIA_HOSTS."
