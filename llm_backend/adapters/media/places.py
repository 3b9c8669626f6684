"""Where does a medium lie that a task names: on the web, in Label Studio, in a storage that Label Studio opens?"""

import base64
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import unquote

from yarl import URL

from llm_backend.adapters.addresses import is_allowed
from llm_backend.adapters.host import Host, exact
from llm_backend.core.inputs import MediaRef
from llm_backend.errors import MediaError

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
class Public:
    """A URL that needs no credentials; whether it is as public as it looks is for `addresses` to say."""

    url: URL

    @property
    def spoken(self) -> str:
        host = self.url.host or ""
        return (host + self.url.path)[:120]


@dataclass(frozen=True, slots=True)
class Own:
    """A path of Label Studio that is read with the operator's key."""

    host: Host = field(compare=False, repr=False)
    path: str
    shown: str = field(default="", compare=False)

    @property
    def spoken(self) -> str:
        return self.shown or self.path.partition("?")[0][:120]


Place = Public | Own


class Places:
    """Says where media lie, and which pictures the provider may fetch itself."""

    def __init__(self, host: Host | None, allowed: Collection[str]) -> None:
        """
        Args:
            host: Label Studio, where LABEL_STUDIO_URL is set.
            allowed: Hosts, alone or as host:port, that may be private.
        """
        self._host = host
        self._allowed = allowed

    def of(self, ref: MediaRef, name: str) -> Place:
        """Where a medium lies.

        Raises:
            MediaError: At no place from which it may be fetched.
        """
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

    def _on_the_web(self, text: str, name: str) -> Place:
        url = exact(text)
        if url is None or not url.raw_host:
            raise MediaError(f"{name} has a URL that cannot be read.")
        _refuse_climbing(text.partition("://")[2], name)
        host = self._host
        # On its own machine Label Studio calls itself localhost; from here that would be somebody else.
        itself = host is not None and (host.owns(url) or url.host in _ITSELF)
        if host is not None and itself and _is_media_route(_under(host, url.path)):
            return self._in_label_studio(url.raw_path_qs, name)
        return Public(url)

    def _in_label_studio(self, path: str, name: str) -> Place:
        host = self._host
        if host is None:
            raise MediaError(
                f"{name} lies in Label Studio: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.", lasting=False
            )
        if not _is_media_route(_under(host, path.partition("?")[0])):
            return Public(host.at(path))
        if not host.has_key:
            raise MediaError(
                f"{name} lies in Label Studio, which shows it to users only: set LABEL_STUDIO_API_KEY.", lasting=False
            )
        return Own(host, path)

    def _in_storage(self, ref: MediaRef, text: str, name: str) -> Place:
        spoken = text.partition("?")[0]
        if self._host is None or not self._host.has_key:
            where = "a cloud storage, which Label Studio opens"
            raise MediaError(f"{name} lies in {where}: set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY.", lasting=False)
        if not str(ref.task).isdecimal():
            raise MediaError(f"{name} lies in a cloud storage, which can be read only for a task of Label Studio.")
        coded = base64.urlsafe_b64encode(text.encode()).decode("ascii")
        return Own(self._host, f"/tasks/{ref.task}/resolve/?fileuri={coded}", spoken[:120])

    def passes(self, url: URL) -> bool:
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
