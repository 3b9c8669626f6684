"""What may be fetched, and how is it shown to a model?

A task names its pictures: inside itself (`data:`), on the public internet, in Label Studio (`/data/upload/...`), or in
a storage that only Label Studio can open (`s3://...`). Task data is untrusted, so every address passes `addresses`,
every redirect is looked at anew, and size and time are bounded. The operator's key goes to Label Studio's own media
paths and nowhere else. Sentences name host and path, never a query: signatures stand there.
"""

import asyncio
import base64
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from urllib.parse import unquote

import aiohttp
from yarl import URL

from llm_backend import __version__
from llm_backend.adapters import pictures
from llm_backend.adapters.addresses import (
    AddressRefused,
    Lookup,
    guarded_connector,
    is_allowed,
    refuse_address,
    system_lookup,
)
from llm_backend.adapters.host import (
    MOST_BYTES,
    REDIRECTS,
    Host,
    HostError,
    TooLarge,
    exact,
    joined,
    megabytes,
    read_bounded,
)
from llm_backend.core.chat import ImagePart, Part, TextPart
from llm_backend.core.inputs import MediaRef
from llm_backend.errors import MediaError
from llm_backend.settings import Settings

STORAGES = frozenset(("s3", "gs", "azure-blob"))
# Label Studio's own routes to media: the key goes to these alone, for a task may name any path.
_MEDIA_ROUTES = ("/data/upload/", "/data/local-files/", "/storage-data/uploaded/")
_RESOLVERS = ("resolve", "presign")
# Names that no public name server knows.
_INNER_NAMES = frozenset(
    (
        "local",
        "localhost",
        "localdomain",
        "internal",
        "intranet",
        "lan",
        "home",
        "corp",
        "private",
        "test",
        "invalid",
        "arpa",
    )
)
_ITSELF = frozenset(("localhost", "127.0.0.1"))
_LONGEST_PASSED_URL = 8000


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


class Media:
    """Brings in the media that tasks show; `fetch` is the core's `Fetch`."""

    def __init__(
        self,
        settings: Settings,
        host: Host | None = None,
        *,
        lookup: Lookup = system_lookup,
        bounds: Bounds | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is opened before the first fetch.

        Args:
            host: Label Studio, where LABEL_STUDIO_URL is set. Whoever made it closes it.
        """
        self._ocr = settings.image_mode == "ocr"
        self._host = host
        self._bounds = bounds or Bounds()
        own = {f"{host.url.raw_host}:{host.url.port}"} if host else set()
        self._allowed = frozenset(settings.media_hosts) | own
        self._lookup = lookup
        self._session: aiohttp.ClientSession | None = None
        self._fetching = asyncio.Semaphore(self._bounds.at_once)
        self._drawing = asyncio.Semaphore(self._bounds.drawn_at_once)
        self._shelf = _Shelf(self._bounds.kept_bytes, self._bounds.kept_seconds, clock)
        self._under_way: dict[Hashable, asyncio.Task[Part]] = {}

    async def fetch(self, ref: MediaRef, reads_urls: bool) -> Part:
        """A medium as a part of a message.

        Args:
            reads_urls: Whether the model's provider fetches public https URLs itself; those then pass as they are.

        Raises:
            MediaError: It may not be fetched, could not be, or cannot be shown.
        """
        name = f'The picture "{ref.source}"' if ref.source else "The picture"
        if ref.url[:5].lower() == "data:":
            return await self._in_thread(
                lambda: self._part(pictures.from_data_url(ref.url, name, self._bounds.bytes), name)
            )
        place = self._place(ref, name)
        if reads_urls and not self._ocr and isinstance(place, _Public) and self._passes(place.url):
            return ImagePart(str(place.url))
        return await self._once(place, f"{name} ({place.spoken})")

    async def close(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Where does it lie?

    def _place(self, ref: MediaRef, name: str) -> "_Place":
        text = ref.url.strip()
        scheme = text.partition(":")[0].lower() if "://" in text else ""
        if scheme in STORAGES:
            return self._in_storage(ref, text, name)
        if text.startswith("/") and not text.startswith(("//", "/\\")):
            _refuse_climbing(text, name)
            return self._in_label_studio(text, name)
        if scheme not in ("http", "https"):
            raise MediaError(
                f"{name} has an address that is not read{f' ({scheme}:)' if scheme.isalnum() else ''}; "
                "give an http or https URL, a data URL, or a file of Label Studio."
            )
        return self._on_the_web(text, name)

    def _on_the_web(self, text: str, name: str) -> "_Place":
        url = exact(text)
        if url is None or not url.raw_host:
            raise MediaError(f"{name} has a URL that cannot be read.")
        _refuse_climbing(text.partition("://")[2], name)
        host = self._host
        # On its own machine Label Studio calls itself localhost; from here that would be somebody else.
        itself = host is not None and (host.owns(url) or url.host in _ITSELF)
        if host is not None and itself and _is_media_route(_under(host, url.path)):
            return self._in_label_studio(url.raw_path_qs, name)
        return _Public(url)

    def _in_label_studio(self, path: str, name: str) -> "_Place":
        host = self._host
        if host is None:
            raise MediaError(
                f"{name} lies in Label Studio: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.", lasting=False
            )
        if not _is_media_route(_under(host, path.partition("?")[0])):
            return _Public(host.at(path))
        if not host.has_key:
            raise MediaError(
                f"{name} lies in Label Studio, which shows it to users only: set LABEL_STUDIO_API_KEY.", lasting=False
            )
        return _Own(host, path)

    def _in_storage(self, ref: MediaRef, text: str, name: str) -> "_Place":
        spoken = text.partition("?")[0]
        if self._host is None or not self._host.has_key:
            where = "a cloud storage, which Label Studio opens"
            raise MediaError(f"{name} lies in {where}: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.", lasting=False)
        if not str(ref.task).isdecimal():
            raise MediaError(f"{name} lies in a cloud storage, which can be read only for a task of Label Studio.")
        coded = base64.urlsafe_b64encode(text.encode()).decode("ascii")
        return _Own(self._host, f"/tasks/{ref.task}/resolve/?fileuri={coded}", spoken[:120])

    def _passes(self, url: URL) -> bool:
        """Whether a URL may go to the provider as it is: plainly public, and no business of our own network."""
        name = (url.raw_host or "").lower().rstrip(".")
        inner = "." not in name or name.rpartition(".")[2] in _INNER_NAMES or name.rpartition(".")[2].isdigit()
        ours = any(name == entry.partition(":")[0] for entry in self._allowed) or is_allowed(
            name, self._allowed, url.port
        )
        plain = url.scheme == "https" and url.port == 443 and ":" not in name and url.raw_user is None
        # Label Studio's own routes want credentials, at whatever address it stands.
        plain = plain and not _is_media_route(url.path)
        return plain and not inner and not ours and len(str(url)) <= _LONGEST_PASSED_URL

    # Bringing it in

    async def _once(self, place: "_Place", name: str) -> Part:
        """One fetch for all who ask for the same thing at the same time; it outlives whoever asked first."""
        kept = self._shelf.get(place)
        if kept is not None:
            return kept
        task = self._under_way.get(place)
        if task is None:
            task = asyncio.create_task(self._bring(place, name))
            self._under_way[place] = task
            task.add_done_callback(lambda done: self._finish(place, done))
        return await asyncio.shield(task)

    def _finish(self, place: "_Place", done: "asyncio.Task[Part]") -> None:
        self._under_way.pop(place, None)
        if not done.cancelled() and done.exception() is None:
            self._shelf.put(place, done.result())

    async def _bring(self, place: "_Place", name: str) -> Part:
        async with self._fetching:
            content = await self._content(place, name)
            return await self._in_thread(lambda: self._part(pictures.recognise(content, name), name))

    async def _content(self, place: "_Place", name: str) -> bytes:
        try:
            async with asyncio.timeout(self._bounds.seconds):
                if isinstance(place, _Public):
                    return await self._from_web(place.url, name)
                return await self._from_label_studio(place, name)
        except TimeoutError as exc:
            raise MediaError(f"{name} did not arrive within {self._bounds.seconds:g} s.", lasting=False) from exc

    async def _from_label_studio(self, place: "_Own", name: str) -> bytes:
        try:
            found = await place.host.get_or_location(place.path, self._bounds.bytes)
        except HostError as exc:
            raise MediaError(f"{name} could not be fetched: {exc.sentence}", exc.lasting) from exc
        # A signed URL of a storage: it is short-lived, so we fetch it rather than hand it on.
        return await self._from_web(found, name) if isinstance(found, URL) else found

    async def _from_web(self, url: URL, name: str) -> bytes:
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

    # Showing it

    def _part(self, picture: pictures.Picture, name: str) -> Part:
        if self._ocr:
            return TextPart(pictures.read_text(picture, name))
        return ImagePart(pictures.showable(picture, name).data_url)

    async def _in_thread(self, work: Callable[[], Part]) -> Part:
        async with self._drawing:
            return await asyncio.to_thread(work)


@dataclass(frozen=True, slots=True)
class _Public:
    """A URL that needs no credentials; whether it is as public as it looks is for `addresses` to say."""

    url: URL

    @property
    def spoken(self) -> str:
        host = self.url.host or ""
        return (host + self.url.path)[:120]


@dataclass(frozen=True, slots=True)
class _Own:
    """A path of Label Studio that is read with the operator's key."""

    host: Host = field(compare=False, repr=False)
    path: str
    shown: str = field(default="", compare=False)

    @property
    def spoken(self) -> str:
        return self.shown or self.path.partition("?")[0][:120]


_Place = _Public | _Own


class _Shelf:
    """Parts of the last few minutes, oldest out first; bounded in bytes."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most, self._seconds, self._clock = most, seconds, clock
        self._held: OrderedDict[Hashable, tuple[float, Part]] = OrderedDict()
        self._size = 0

    def get(self, key: Hashable) -> Part | None:
        while self._held and next(iter(self._held.values()))[0] <= self._clock():
            self._drop()
        held = self._held.get(key)
        return held[1] if held else None

    def put(self, key: Hashable, part: Part) -> None:
        if key in self._held or _size(part) > self._most:
            return
        self._held[key] = (self._clock() + self._seconds, part)
        self._size += _size(part)
        while self._size > self._most:
            self._drop()

    def _drop(self) -> None:
        _, (_, part) = self._held.popitem(last=False)
        self._size -= _size(part)


def _size(part: Part) -> int:
    return len(part.text if isinstance(part, TextPart) else part.url)


def _refuse_climbing(text: str, name: str) -> None:
    """`..` in a path or in a parameter, also written with percent signs, asks for what nobody meant to show."""
    plain = unquote(unquote(text)).replace("\\", "/")
    if any(step == ".." for part in plain.replace("?", "=").replace("&", "=").split("=") for step in part.split("/")):
        raise MediaError(f'{name} has a path with ".." in it; give the path itself.')


def _under(host: Host, path: str) -> str:
    """A path as seen from the folder that Label Studio lives under."""
    folder = host.url.path.rstrip("/")
    return path[len(folder) :] if folder and path.startswith(folder + "/") else path


def _is_media_route(path: str) -> bool:
    if path.startswith(_MEDIA_ROUTES) or path == "/data/local-files":
        return True
    steps = path.strip("/").split("/")
    return len(steps) == 3 and steps[0] in ("tasks", "projects") and steps[1].isdecimal() and steps[2] in _RESOLVERS


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
