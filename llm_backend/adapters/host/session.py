"""How does one Label Studio answer us, and whose credentials does it see?

The operator's key goes to the origin of LABEL_STUDIO_URL and nowhere else: redirects are followed by hand, and one that
leads to another origin ends here. A personal access token (a JWT that only refreshes) is exchanged for an access token
of a few minutes, which is kept and renewed; a legacy token is sent as it is.
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from llm_backend.adapters.host.tokens import access_in, life_of
from llm_backend.adapters.host.web import REDIRECTS, TooLarge, joined, megabytes, read_bounded
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError

MOST_BYTES = 20 * 1024 * 1024
_HOPS = 3
_TOKEN_BYTES = 64 * 1024
_MARGIN = 30.0
_REST_AFTER_REFUSAL = 30.0


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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said: status, where it sends us (a redirect), and a bounded body."""

    status: int
    body: bytes = field(default=b"", repr=False)
    location: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of Label Studio.

    Attributes:
        limit: Bytes that its answer may have.
        body: Sent as JSON.
        seconds: How long it may take, where that is longer than usual.
    """

    method: str
    url: URL
    limit: int
    body: JSON = field(default=None, repr=False)
    seconds: float | None = None


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
            answer = await self._ask(Request("GET", url, limit))
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
        answer = await self._ask(Request("POST", url, MOST_BYTES, body, seconds))
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

    async def _ask(self, request: Request) -> Answer:
        """One request with credentials, and once more with new ones if the access token had ended early."""
        shown = await self._authorization()
        answer = await self._send(request, shown)
        if answer.status == 401 and self._personal:
            if shown == f"Bearer {self._access}":
                self._access = ""
            answer = await self._send(request, await self._authorization())
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
        answer = await self._send(Request("POST", url, _TOKEN_BYTES, {"refresh": self._key}), "")
        if answer.status == 404:
            self._personal = False
        elif answer.status in REDIRECTS:
            target = joined(url, answer.location)
            raise HostError(f"{self._url_name} is sent on to {target.origin() if target else 'nowhere'}: set it right.")
        elif answer.status >= 500 or answer.status == 429:
            raise HostError(f"Label Studio answered {answer.status} when asked for an access token.")
        else:
            self._keep_access(access_in(answer.status, answer.body))

    def _keep_access(self, access: str) -> None:
        if access:
            self._access, self._refusal = access, None
            life = life_of(access)
            self._access_ends = self._clock() + life - min(_MARGIN, life / 5)
            return
        self._refusal = HostError(
            f"Label Studio does not accept {self._key_name}: the personal access token is wrong, expired or "
            'revoked; make a new one under "Account & Settings".',
            answered=401,
        )
        self._refusal_ends = self._clock() + _REST_AFTER_REFUSAL
        raise self._refusal

    async def _send(self, request: Request, authorization: str) -> Answer:
        url = request.url
        if not self.owns(url):
            raise HostError(f"Label Studio's key goes to {self._url_name} alone.", lasting=True)
        seconds = request.seconds or self._seconds
        headers = {"Authorization": authorization} if authorization else {}
        patience = aiohttp.ClientTimeout(total=seconds)
        try:
            async with self._opened().request(
                request.method, url, json=request.body, headers=headers, allow_redirects=False, timeout=patience
            ) as response:
                if response.status in REDIRECTS:
                    return Answer(response.status, location=response.headers.get("Location", ""))
                return Answer(response.status, await read_bounded(response, request.limit))
        except TooLarge as exc:
            raise HostError(
                f"{_spoken(url)} of Label Studio is over {megabytes(request.limit)}.", lasting=True
            ) from exc
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


def api_object(body: bytes, what: str) -> Mapping[str, JSON]:
    """The object that Label Studio's API answers with.

    Raises:
        HostError: It is none: something else answers there.
    """
    try:
        found = json.loads(body)
    except ValueError as exc:
        raise HostError(f"What answers for {what} is not Label Studio's API: it is no JSON.", lasting=True) from exc
    if not isinstance(found, Mapping):
        raise HostError(f"What answers for {what} is not Label Studio's API: it is no object.", lasting=True)
    return found


def _spoken(url: URL) -> str:
    """A path without its query, which may hold a signature."""
    return url.path if len(url.path) <= 120 else url.path[:117] + "..."
