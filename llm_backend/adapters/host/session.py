"""How does one Label Studio answer us, and whose credentials does it see?

The operator's key goes to the origin of LABEL_STUDIO_URL and nowhere else: redirects are followed by hand, and one that
leads to another origin ends here. A personal access token (a JWT that only refreshes) is exchanged for an access token
of a few minutes, which is kept and renewed; a legacy token is sent as it is.

A host that only /setup told of is a guest: it is met at public addresses alone, with the token of that same /setup.
"""

import asyncio
import base64
import binascii
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from llm_backend.adapters.addresses import (
    AddressRefused,
    Lookup,
    guarded_connector,
    refuse_address,
    system_lookup,
)
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError

MOST_BYTES = 20 * 1024 * 1024
REDIRECTS = frozenset((301, 302, 303, 307, 308))
_HOPS = 3
_TOKEN_BYTES = 64 * 1024
_USUAL_LIFE = 300.0
_MARGIN = 30.0
_REST_AFTER_REFUSAL = 30.0
_CHUNK = 64 * 1024


class HostError(BackendError):
    """Label Studio's API did not give what was asked of it.

    Attributes:
        answered: The HTTP status of its answer; 0 where none came.
        unsure: Whether it may have done what was asked all the same: no answer came, or a gateway's in its place.
    """

    status = 502

    def __init__(self, sentence: str, lasting: bool = False, answered: int = 0, unsure: bool = False) -> None:
        super().__init__(sentence)
        self.lasting = lasting
        self.answered = answered
        self.unsure = unsure


class TooLarge(Exception):
    """A body went over its limit; whoever reads it says the sentence."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: status, where it sends us (a redirect), and a bounded body."""

    status: int
    body: bytes = field(default=b"", repr=False)
    location: str = field(default="", repr=False)


class Host:
    """Label Studio at the address the operator gave, with the operator's key.

    It opens its connections when they are first needed, inside the running loop, and keeps them until `close`.
    """

    _url_name = "LABEL_STUDIO_URL"
    _key_name = "LABEL_STUDIO_API_KEY"

    def __init__(
        self, url: str, api_key: str = "", *, seconds: float = 20.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Remember where Label Studio is.

        Args:
            url: LABEL_STUDIO_URL, with its path if Label Studio lives under one.
            api_key: Personal access token or legacy token; "" asks without credentials.
            seconds: How long one request may take.
        """
        self.url = URL(url.rstrip("/"))
        self._key = api_key
        self._personal = api_key.count(".") == 2
        self._seconds = seconds
        self._clock = clock
        self._session: aiohttp.ClientSession | None = None
        self._access = ""
        self._access_ends = 0.0
        self._refusal: HostError | None = None
        self._refusal_ends = 0.0
        self._refreshing = asyncio.Lock()

    @property
    def has_key(self) -> bool:
        return bool(self._key)

    def owns(self, url: URL) -> bool:
        """Whether an absolute URL lies on Label Studio's own origin: scheme, host and port."""
        return url.absolute and url.scheme in ("http", "https") and url.origin() == self.url.origin()

    def at(self, path: str) -> URL:
        """Where a path of Label Studio lies, whether or not it already holds the folder Label Studio lives under.

        Args:
            path: Begins with one slash; may have a query.
        """
        if not path.startswith("/") or path.startswith("//"):
            raise HostError("A path of Label Studio begins with one slash.", lasting=True)
        folder = self.url.raw_path.rstrip("/")
        inside = folder and (path == folder or path.startswith(folder + "/"))
        return URL(str(self.url.origin()) + ("" if inside else folder) + path)

    async def get(self, path: str, limit: int = MOST_BYTES) -> bytes:
        """Read what lies at a path.

        Raises:
            HostError: It could not be had, is over `limit` bytes, or lies at another origin.
        """
        found = await self.get_or_location(path, limit)
        if isinstance(found, URL):
            raise HostError(f"Label Studio sends us from {_spoken(self.at(path))} to {found.host}.", lasting=True)
        return found

    async def get_or_location(self, path: str, limit: int = MOST_BYTES) -> bytes | URL:
        """Read what lies at a path, or learn the URL at another origin to which Label Studio sends us (a signed one).

        The key does not go there.

        Raises:
            HostError: It could not be had, or is over `limit` bytes.
        """
        url = self.at(path)
        for _ in range(_HOPS + 1):
            answer = await self._ask("GET", url, limit)
            if answer.status not in REDIRECTS:
                self._check(answer, url)
                return answer.body
            target = joined(url, answer.location)
            if target is None:
                raise HostError(f"Label Studio answers {_spoken(url)} with a redirect to nowhere.", lasting=True)
            if not self.owns(target):
                self._check_moved(url, target)
                return target
            url = target
        raise HostError(f"Label Studio redirects {_spoken(url)} without end.", lasting=True)

    async def post(self, path: str, body: JSON, seconds: float | None = None) -> bytes:
        """Send JSON to a path; returns what was answered.

        Redirects are not followed: what lies behind one would be asked with a GET.

        Args:
            seconds: How long it may take, where that is longer than usual.

        Raises:
            HostError: It was not accepted. What Label Studio said stays unsaid, for it quotes what it was sent.
        """
        url = self.at(path)
        answer = await self._ask("POST", url, MOST_BYTES, body, seconds)
        if answer.status in REDIRECTS:
            target = joined(url, answer.location)
            to = target.origin() if target else "nowhere"
            raise HostError(f"{self._url_name} is sent on to {to}: set it right.", lasting=True)
        self._check(answer, url)
        return answer.body

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _check_moved(self, url: URL, target: URL) -> None:
        """The same path at another origin is Label Studio itself at its proper address (https, say), no storage."""
        if target.path == url.path and target.scheme in ("http", "https"):
            raise HostError(f"{self._url_name} is sent on to {target.origin()}: set it to that address.", lasting=True)

    def _check(self, answer: Answer, url: URL) -> None:
        status = answer.status
        if status < 300:
            return
        where = _spoken(url)
        if status == 401:
            raise HostError(self._unwelcome(where), answered=status)
        if status == 403:
            sentence = f"Label Studio does not let {self._key_name}'s user use {where}."
            raise HostError(sentence, lasting=True, answered=status)
        if status in (404, 410):
            raise HostError(f"Label Studio has nothing at {where}.", lasting=True, answered=status)
        transient = status >= 500 or status in (408, 425, 429)
        sentence = f"Label Studio answered {status} for {where}."
        raise HostError(sentence, lasting=not transient, answered=status, unsure=status in (502, 504))

    def _unwelcome(self, where: str) -> str:
        if not self._key:
            return f"Label Studio wants credentials for {where}: set LABEL_STUDIO_API_KEY."
        if self._personal:
            return f"Label Studio does not accept {self._key_name} for {where}."
        return (
            f"Label Studio does not accept {self._key_name} for {where}: the token is wrong, or legacy tokens are "
            "switched off in its organization settings; a personal access token works either way."
        )

    async def _ask(self, method: str, url: URL, limit: int, body: JSON = None, seconds: float | None = None) -> Answer:
        """One request with credentials, and once more with new ones if the access token had ended early."""
        shown = await self._authorization()
        answer = await self._send(method, url, limit, shown, body, seconds)
        if answer.status == 401 and self._personal:
            if shown == f"Bearer {self._access}":
                self._access = ""
            answer = await self._send(method, url, limit, await self._authorization(), body, seconds)
        return answer

    async def _authorization(self) -> str:
        if not self._key:
            return ""
        if self._personal:
            async with self._refreshing:
                if not self._access or self._clock() >= self._access_ends:
                    await self._refresh()
        # A refresh may have found that this server knows no personal tokens.
        return f"Bearer {self._access}" if self._personal else f"Token {self._key}"

    async def _refresh(self) -> None:
        """Exchange the personal token for an access token; a refusal is remembered a while, for whole batches ask."""
        if self._refusal is not None and self._clock() < self._refusal_ends:
            raise HostError(self._refusal.sentence, answered=401)
        url = self.at("/api/token/refresh/")
        answer = await self._send("POST", url, _TOKEN_BYTES, "", {"refresh": self._key})
        if answer.status == 404:
            self._personal = False
        elif answer.status in REDIRECTS:
            target = joined(url, answer.location)
            raise HostError(f"{self._url_name} is sent on to {target.origin() if target else 'nowhere'}: set it right.")
        elif answer.status >= 500 or answer.status == 429:
            raise HostError(f"Label Studio answered {answer.status} when asked for an access token.")
        else:
            self._keep_access(_access_in(answer))

    def _keep_access(self, access: str) -> None:
        if access:
            self._access, self._refusal = access, None
            life = _life_of(access)
            self._access_ends = self._clock() + life - min(_MARGIN, life / 5)
            return
        self._refusal = HostError(
            f"Label Studio does not accept {self._key_name}: the personal access token is wrong, expired or "
            'revoked; make a new one under "Account & Settings".',
            answered=401,
        )
        self._refusal_ends = self._clock() + _REST_AFTER_REFUSAL
        raise self._refusal

    async def _send(
        self,
        method: str,
        url: URL,
        limit: int,
        authorization: str,
        body: JSON = None,
        seconds: float | None = None,
    ) -> Answer:
        if not self.owns(url):
            raise HostError(f"Label Studio's key goes to {self._url_name} alone.", lasting=True)
        seconds = seconds or self._seconds
        headers = {"Authorization": authorization} if authorization else {}
        patience = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._opened().request(
                method, url, json=body, headers=headers, allow_redirects=False, timeout=patience
            ) as response:
                if response.status in REDIRECTS:
                    return Answer(response.status, location=response.headers.get("Location", ""))
                return Answer(response.status, await read_bounded(response, limit))
        except TooLarge as exc:
            raise HostError(f"{_spoken(url)} of Label Studio is over {megabytes(limit)}.", lasting=True) from exc
        except TimeoutError as exc:
            sentence = f"Label Studio did not answer within {seconds:g} s for {_spoken(url)}."
            raise HostError(sentence, unsure=True) from exc
        except (aiohttp.ClientError, OSError) as exc:
            sentence = f"Label Studio cannot be reached at {self.url.origin()}: check {self._url_name}."
            raise HostError(sentence, unsure=not isinstance(exc, aiohttp.ClientConnectorError)) from exc

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
            )
        return self._session

    def _connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=16)


class Guest(Host):
    """A Label Studio that only /setup told of: its hostname is a claim, and gets no token but /setup's own."""

    _url_name = "the hostname that /setup gave"
    _key_name = "/setup's access token"

    def __init__(
        self,
        url: str,
        access_token: str,
        allowed: Collection[str] = (),
        lookup: Lookup = system_lookup,
        *,
        seconds: float = 20.0,
    ) -> None:
        """
        Args:
            url, access_token: As /setup gave them.
            allowed: Hosts, alone or as host:port, that may be private.

        Raises:
            HostError: The hostname is no address of a web server, or not one that outsiders may send us to.
        """
        found = exact(url)
        if found is None or found.scheme not in ("http", "https") or not found.raw_host:
            raise HostError("/setup gave no hostname at which Label Studio could be asked.", lasting=True)
        super().__init__(str(found.with_user(None).with_query(None).with_fragment(None)), access_token, seconds=seconds)
        self._allowed = frozenset(allowed)
        self._lookup = lookup
        try:
            refuse_address(found.raw_host, self._allowed, found.port)
        except AddressRefused as exc:
            raise _closed_to_outsiders(exc) from exc

    async def _send(
        self,
        method: str,
        url: URL,
        limit: int,
        authorization: str,
        body: JSON = None,
        seconds: float | None = None,
    ) -> Answer:
        try:
            return await super()._send(method, url, limit, authorization, body, seconds)
        except AddressRefused as exc:
            raise _closed_to_outsiders(exc) from exc

    def _connector(self) -> aiohttp.TCPConnector:
        return guarded_connector(self._allowed, self._lookup, limit=16)


def _closed_to_outsiders(exc: AddressRefused) -> HostError:
    return HostError(
        f"Label Studio is not asked at the hostname that /setup gave: {exc.sentence} "
        "Set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.",
        lasting=True,
    )


async def read_bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of an answer, as long as it stays within `limit` bytes.

    Raises:
        TooLarge: It is longer, or says that it will be.
    """
    if response.content_length is not None and response.content_length > limit:
        raise TooLarge
    whole = bytearray()
    async for chunk in response.content.iter_chunked(_CHUNK):
        whole += chunk
        if len(whole) > limit:
            raise TooLarge
    return bytes(whole)


def joined(base: URL, location: str) -> URL | None:
    """Where a redirect leads; None if it does not say so in a way that can be read."""
    target = exact(location)
    if target is None or not location.strip():
        return None
    try:
        return base.join(target)
    except ValueError:
        return None


def exact(text: str) -> URL | None:
    """A URL as it was written, for signatures are made over the spelling; None if it cannot be read."""
    text = text.strip()
    plain = text.isascii() and text.isprintable() and not set(text) & set(' \\"<>^`{}|')
    try:
        url = URL(text)
        return URL(text, encoded=True) if plain and URL(text, encoded=True).raw_host == url.raw_host else url
    except ValueError:
        return None


def megabytes(count: int) -> str:
    return f"{count / 1024 / 1024:.3g} MB"


def _spoken(url: URL) -> str:
    """A path without its query, which may hold a signature."""
    return url.path if len(url.path) <= 120 else url.path[:117] + "..."


def _access_in(answer: Answer) -> str:
    try:
        found = json.loads(answer.body)["access"] if answer.status < 300 else ""
    except (ValueError, KeyError, TypeError):
        return ""
    return found if isinstance(found, str) else ""


def _life_of(access: str) -> float:
    """How many seconds an access token lives, by its own words; the two clocks need not agree."""
    try:
        middle = access.split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
        life = float(told["exp"]) - float(told["iat"])
    except (IndexError, ValueError, KeyError, TypeError, binascii.Error):
        return _USUAL_LIFE
    return life if life > 0 else _USUAL_LIFE
