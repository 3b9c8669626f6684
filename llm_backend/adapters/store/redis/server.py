"""How is one Redis reached, found again when it was away, and brought to the current schema?

What belongs together is changed by one script (`scripts/`), which Redis runs as one step; each takes a slice of a large
batch, so that nobody else waits long. All keys begin with the schema version's own prefix. Names that may be secret or
long, such as a project's key, stand in no key: a short digest does. Redis Cluster is not served.
"""

import base64
import functools
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)
from redis.retry import Retry

from llm_backend.errors import SettingsError, StoreError

log = logging.getLogger(__name__)
T = TypeVar("T")

NAME = "llm_backend"
MIGRATIONS: tuple[Callable[[redis.Redis], None], ...] = (
    lambda client: None,  # version 1 is the first: nothing stands before it
)
"""Entry n brings what is stored from schema version n to n + 1, under the prefix of n + 1. Entries are only added."""
PREFIX = f"{NAME}:{len(MIGRATIONS)}:"

AT_ONCE = 500
"""Tasks per command or script: some milliseconds of Redis's time, in which nobody else is served."""

_CONNECTIONS = 64
_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 5.0
_PAUSES = (0.05, 0.15, 0.4)
_PATIENCE = 2.0
"""No further try is begun after this many seconds: a person, or the event loop, waits for us."""
_MIGRATING_SECONDS = 60
_TROUBLES: tuple[tuple[type[Exception] | None, str, str], ...] = (
    (
        AuthenticationError,
        "WRONGPASS",
        "refuses us: give its user and password, as in redis://user:password@host:6379/0 (without a user: redis://:...).",
    ),
    (
        OutOfMemoryError,
        "OOM",
        "is out of memory: give it more (maxmemory), and leave its maxmemory-policy at noeviction.",
    ),
    (ReadOnlyError, "READONLY", "is a replica that takes no changes: give the address of its primary."),
    (
        NoPermissionError,
        "NOPERM",
        "forbids its user what is needed: let it use scripts, and all keys and channels that begin with "
        "llm_backend: or rq:.",
    ),
    (AskError, "ASK", "is part of a cluster, which is not served: give the address of a Redis of its own."),
    (None, "MISCONF", "cannot write to its disk, and takes no changes until it can: look at its log, and make room."),
)
"""By the error's class or, where it has none, Redis's own code: what an operator reads."""
_STOPPED_SCRIPT = re.compile(r"@user_script: ?\d+: -([A-Z]+) ")


class RedisServer:
    """One Redis, for all threads of a process. Open it after any fork."""

    def __init__(self, url: str, *, clock: Callable[[], float] = time.time) -> None:
        """Connect, and bring what is stored to the current schema.

        Raises:
            SettingsError: Redis cannot be reached or used, or a later release stored something there.
        """
        self._clock = clock
        self.address = _address(url)
        self._client = _client(url, self.address)
        self._run: Callable[..., Any] = self._client.execute_command
        self._open = True
        try:
            self._attempt(lambda: migrate(self._client, self.address))
            self._warn_of_eviction()
        except StoreError as exc:
            self.close()
            raise SettingsError(f"REDIS_URL: {exc.sentence}") from exc
        except BaseException:  # Ctrl-C, too: nobody has this store yet who would close it
            self.close()
            raise

    def close(self) -> None:
        """Let go of all connections. Closing twice does no harm."""
        if self._open:
            self._open = False
            self._client.connection_pool.disconnect()

    def _do(self, *command: Any) -> Any:
        """Run one command."""
        return self._attempt(lambda: self._run(*command))

    def _do_all(self, commands: Iterable[Sequence[Any]], *, as_one: bool = False) -> list[Any]:
        """Run commands in one round trip.

        Args:
            as_one: Whether nobody else's command may come in between.
        """

        def all_of_them() -> list[Any]:
            with self._client.pipeline(transaction=as_one) as pipeline:
                queue: Callable[..., Any] = pipeline.execute_command
                for command in listed:
                    queue(*command)
                return pipeline.execute()

        listed = list(commands)
        return self._attempt(all_of_them) if listed else []

    def _script(self, name: str, *arguments: Any) -> Any:
        """Run one of our scripts. Redis keeps them until it restarts; then it is told once more."""
        text, sha = script(name)

        def run() -> Any:
            try:
                return self._run("EVALSHA", sha, 1, PREFIX, *arguments)
            except NoScriptError:
                return self._run("EVAL", text, 1, PREFIX, *arguments)

        return self._attempt(run)

    def _attempt(self, do: Callable[[], T]) -> T:
        """Do it, some more times for a while if Redis cannot be reached. Its faults come out as sentences.

        What was done may be done again, if only its reply was lost: it must not matter.
        """
        began = time.monotonic()
        for pause in (*_PAUSES, None):
            if not self._open:
                raise StoreError("The store has been closed, for the server is stopping: ask again when it is back.")
            try:
                return do()
            except (redis.ConnectionError, redis.TimeoutError) as exc:
                in_vain = isinstance(exc, AuthenticationError)
                if pause is None or in_vain or time.monotonic() - began > _PATIENCE:
                    raise self._lost(exc) from exc
                time.sleep(pause)
            except ResponseError as exc:
                if (trouble := self._trouble(exc)) is None:
                    raise  # a fault of ours
                raise trouble from exc
        raise AssertionError("the last try returns or raises")

    def _lost(self, exc: Exception) -> StoreError:
        if isinstance(exc, BusyLoadingError):
            return StoreError(f"Redis at {self.address} is still reading its data: try again in a moment.")
        found = str(exc).rstrip(".") or "no answer"
        return self._trouble(exc) or StoreError(
            f"Redis at {self.address} cannot be reached ({found}): see that it runs, and that the address is right."
        )

    def _trouble(self, exc: Exception) -> StoreError | None:
        """The sentence for a fault that only an operator can mend; None for any other."""
        code = _code(exc)
        for kind, known, sentence in _TROUBLES:
            if code == known or (kind is not None and isinstance(exc, kind)):
                return StoreError(f"Redis at {self.address} {sentence}")
        return None

    def _warn_of_eviction(self) -> None:
        policy = self._do("INFO", "memory").get("maxmemory_policy", "")
        if str(policy).startswith("allkeys"):
            log.warning(
                "Redis at %s loses work when its memory is full (maxmemory-policy %s): set noeviction.",
                self.address,
                policy,
            )


def migrate(
    client: redis.Redis, address: str, migrations: tuple[Callable[[redis.Redis], None], ...] = MIGRATIONS
) -> None:
    """Bring what is stored to the last schema version, one process at a time.

    Raises:
        SettingsError: It comes from a later release.
    """
    key = f"{NAME}:schema"
    client.set(key, len(migrations), nx=True)  # where nothing is stored, nothing is to be done
    if _version(client, key, address, len(migrations)) == len(migrations):
        return
    with client.lock(f"{NAME}:migrating", timeout=_MIGRATING_SECONDS, blocking_timeout=_MIGRATING_SECONDS):
        version = _version(client, key, address, len(migrations))
        for reached, step in enumerate(migrations[version:], start=version + 1):
            step(client)
            client.set(key, reached)


def _version(client: redis.Redis, key: str, address: str, known: int) -> int:
    run: Callable[..., Any] = client.execute_command
    version = int(run("GET", key))
    if version > known:
        raise SettingsError(
            f"REDIS_URL: what Redis at {address} holds was written by a newer llm-backend (schema version {version}; "
            f"this one knows {known}): install that release again, or give another database, such as {address}/1."
        )
    return version


@functools.cache
def script(name: str) -> tuple[str, str]:
    """A script's text, and the name by which Redis remembers it."""
    folder = resources.files("llm_backend.adapters.store.redis") / "scripts"
    text = "\n".join((folder / f"{one}.lua").read_text(encoding="utf-8") for one in ("common", name))
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def at(*names: str) -> str:
    """A key of ours."""
    return PREFIX + ":".join(names)


def short(*names: str) -> str:
    """Twenty characters that stand for names, of any length and content."""
    told = json.dumps(names).encode()
    return base64.urlsafe_b64encode(hashlib.blake2b(told, digest_size=15).digest()).decode()


def slices(
    values: Iterable[T], most: int, size: Callable[[T], int] = lambda value: 0, largest: int = 0
) -> Iterator[list[T]]:
    """The values in slices of at most so many and, where `largest` is given, no larger together (one may be)."""
    held: list[T] = []
    together = 0
    for value in values:
        weight = size(value)
        if held and (len(held) == most or 0 < largest < together + weight):
            yield held
            held, together = [], 0
        held.append(value)
        together += weight
    if held:
        yield held


def once(names: Iterable[str]) -> list[str]:
    """The names in their order, each once."""
    return list(dict.fromkeys(names))


def _client(url: str, address: str) -> redis.Redis:
    try:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=_ANSWER_SECONDS,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),  # there is one owner of retries: `_attempt`
            decode_responses=True,
            encoding_errors="surrogatepass",  # half characters, which a browser can send
        )
    except ValueError as exc:
        raise SettingsError(f"REDIS_URL: {address} cannot be used ({exc}): give redis://host:6379/0.") from exc
    return redis.Redis(connection_pool=pool)


def _code(exc: Exception) -> str:
    """Redis's own word for a fault. It stands first, but before Redis 7 within what is said of a script it stopped."""
    found = _STOPPED_SCRIPT.search(str(exc))
    return found[1] if found else str(exc).partition(" ")[0]


def _address(url: str) -> str:
    """The URL without user, password and options."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "that address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"
