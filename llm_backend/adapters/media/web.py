"""How is a medium fetched whose address nobody vouches for? Hop by hop, each looked at anew, within bounds."""

from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from llm_backend import __version__
from llm_backend.adapters.addresses import AddressRefused, Lookup, guarded_connector, refuse_address
from llm_backend.adapters.data_urls import charset_of
from llm_backend.adapters.host import MOST_BYTES, REDIRECTS, TooLarge, joined, megabytes, read_bounded
from llm_backend.errors import MediaError


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of the world a task's media may cost. Bytes are of a file, before it is written as base64.

    Attributes:
        film_bytes: For a sound or a video, of which less goes to the model.
        seconds: For one medium, redirects included.
        film_seconds: The same for a sound or a video.
        at_once: Media fetched at the same time; of sounds and videos a quarter of that.
        drawn_at_once: Media decoded, scaled or read by Tesseract at the same time.
        task_media: How many a task may show.
        task_bytes: All media of one task, as they are sent.
        kept_bytes: Size of the parts kept for questions asked again.
        kept_seconds: Their age; signed addresses and pictures change.
    """

    bytes: int = MOST_BYTES
    film_bytes: int = 5 * MOST_BYTES
    seconds: float = 20.0
    film_seconds: float = 30.0
    redirects: int = 3
    at_once: int = 16
    drawn_at_once: int = 2
    task_media: int = 250
    task_bytes: int = 48 * 1024 * 1024
    kept_bytes: int = 32 * 1024 * 1024
    kept_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Body:
    """What arrived, and the charset that its host names, or ""."""

    content: bytes = field(repr=False)
    charset: str = ""


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

    async def fetch(self, url: URL, name: str, limit: int) -> Body:
        """What lies at a URL, or where it redirects to.

        Raises:
            MediaError: It may not be fetched, could not be, or is over `limit` bytes.
            TimeoutError: It did not arrive in time.
        """
        for _ in range(self._bounds.redirects + 1):
            self._refuse(url, name)
            found = await self._hop(url, name, limit)
            if isinstance(found, Body):
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

    async def _hop(self, url: URL, name: str, limit: int) -> Body | URL:
        """The file, or where a redirect leads."""
        try:
            async with self._opened().get(url, allow_redirects=False) as response:
                if response.status in REDIRECTS:
                    return _target(url, response, name)
                _check_status(response.status, name)
                body = await read_bounded(response, limit)
                return Body(body, charset_of(response.headers.get("Content-Type", "")))
        except AddressRefused as exc:
            raise MediaError(_refused(name, exc)) from exc
        except TooLarge as exc:
            raise MediaError(f"{name} is over {megabytes(limit)}.") from exc
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
                timeout=aiohttp.ClientTimeout(total=None),  # `fetch` is given its time
                headers={
                    "User-Agent": f"llm-backend/{__version__}",
                    "Accept": "*/*",
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
