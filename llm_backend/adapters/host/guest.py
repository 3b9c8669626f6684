"""How is a Label Studio asked that only /setup told of? At public addresses, with that same /setup's token."""

from collections.abc import Collection

import aiohttp

from llm_backend.adapters.addresses import AddressRefused, Lookup, guarded_connector, refuse_address, system_lookup
from llm_backend.adapters.host.session import Answer, Host, HostError, Request
from llm_backend.adapters.host.web import exact


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

    async def _send(self, request: Request, authorization: str) -> Answer:
        try:
            return await super()._send(request, authorization)
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
