"""How are files brought in that a list names by URL? Only from hosts that the caller names, and under our rules."""

import asyncio
from collections.abc import Collection, Sequence

from yarl import URL

from llm_backend.adapters.addresses import Lookup, is_allowed, system_lookup
from llm_backend.adapters.media.web import Bounds, Web
from llm_backend.errors import BackendError, MediaError


class Texts:
    """Fetches files from named hosts, many at the same time; a redirect leads nowhere. A context manager."""

    def __init__(self, hosts: Collection[str], *, lookup: Lookup = system_lookup, bounds: Bounds | None = None) -> None:
        """
        Args:
            hosts: Alone or as host:port. To name one is to trust it, so that it may also be a private one.
        """
        self._hosts = frozenset(hosts)
        self._bounds = bounds or Bounds(redirects=0)
        self._web = Web(self._hosts, lookup, self._bounds)
        self._runner = asyncio.Runner()

    def __enter__(self) -> "Texts":
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._web.close())
        self._runner.close()

    def fetch(self, urls: Sequence[str]) -> list[bytes | BackendError]:
        """What lies at each of these URLs, in order, or why it was not brought."""
        return self._runner.run(self._all(urls))

    async def _all(self, urls: Sequence[str]) -> list[bytes | BackendError]:
        return list(await asyncio.gather(*map(self._one, urls)))

    async def _one(self, address: str) -> bytes | BackendError:
        try:
            url = URL(address)
        except ValueError:
            return MediaError("its URL cannot be read.")
        name = f'"{url.scheme}://{url.host or ""}{url.path}"'
        if not url.raw_host or not is_allowed(url.raw_host, self._hosts, url.port):
            return MediaError(f"{name} is not fetched: its host was not allowed (--allow-url).")
        try:
            async with asyncio.timeout(self._bounds.seconds):
                return (await self._web.fetch(url, name, self._bounds.bytes)).content
        except TimeoutError:
            return MediaError(f"{name} did not arrive within {self._bounds.seconds:g} s.", lasting=False)
        except MediaError as exc:
            return exc
