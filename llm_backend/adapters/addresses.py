"""Which addresses may we connect to?

Addresses that come from outside (task data, a project's `extra_params`, /setup's hostname) may only lead to the public
internet, unless the operator named their host. `GuardedResolver` looks a name up once, refuses what is not public and
hands on the very addresses it checked, so that there is no second look-up to give another answer. aiohttp does not ask
a resolver about literal addresses: `refuse_address` checks those before a request, and the sockets of
`guarded_connector` check once more what is about to be connected to, wherever a redirect led.

A name that leads to a public *and* to a private address is refused whole: nobody publishes such a name by accident.
"""

import asyncio
import errno
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from llm_backend.errors import BackendError

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks a host name up for a port; answers with addresses as text, or raises OSError."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NUMERIC = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
# Parts of the public-looking space that are not: listed here because Python's own list differs between patch releases.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # carrier-grade NAT; some clouds answer for their metadata here
        "168.63.129.16/32",  # Azure's platform address, reachable from every virtual machine there
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata
        "192.88.99.0/24",  # relays of 6to4
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: any IPv4 address can hide in it
        "3fff::/20",  # documentation
    )
)
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# A last label that is a number makes the whole host an IPv4 address to many a parser: 127.1, 0x7f000001, 2130706433.
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


class AddressRefused(BackendError):
    """An address that outsiders may not send us to."""

    status = 400
    lasting = True


def is_public(address: str) -> bool:
    """Whether an address, written as text, belongs to the public internet.

    IPv4 inside IPv6 counts as what it is inside: mapped addresses and the well-known prefix of NAT64, which networks
    without IPv4 use for everything. 6to4, Teredo and all other tunnels are not public.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _is_public(_inner(found))


def refuse_address(host: str, allowed: Collection[str] = (), port: int | None = None) -> None:
    """Refuse a host that is itself an address, unless it is public or allowed; names are left to the resolver.

    Args:
        host: As the HTTP client will use it: without userinfo, port and brackets (yarl's `raw_host`).
        allowed: Hosts, alone or as host:port, that may be private.
        port: The port of the request, for entries of `allowed` that name one.

    Raises:
        AddressRefused: A private address, or a spelling that some parsers take for an address.
    """
    name = _plain(host)
    address = _parsed(name)
    if address is None:
        _refuse_odd_name(host, name)
    elif not (is_allowed(name, allowed, port) or _is_public(_inner(address))):
        raise AddressRefused(f'"{name}" is {_kind(_inner(address))}.')


def is_allowed(host: str, allowed: Collection[str], port: int | None = None) -> bool:
    """Whether the operator named this host, alone or with this port. Upper case and a trailing dot do not matter."""
    name = _plain(host)
    spellings = {name, f"[{name}]"}
    if port is not None:
        spellings |= {f"{spelling}:{port}" for spelling in (name, f"[{name}]")}
    return any(_plain(entry) in spellings or entry.lower() in spellings for entry in allowed)


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """What the operating system knows under this name."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError as exc:  # such as a label of more than 63 letters
        raise OSError(None, "the name cannot be looked up") from exc
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedResolver(AbstractResolver):
    """A resolver for aiohttp that knows only public addresses, and those of hosts that the operator named.

    Attributes:
        permitted: The (address, port) pairs that were looked up for allowed hosts; private ones may be among them.
    """

    def __init__(self, allowed: Collection[str] = (), lookup: Lookup = system_lookup) -> None:
        self.permitted: set[tuple[str, int]] = set()
        self._allowed = frozenset(allowed)
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Look a name up, once.

        Raises:
            AddressRefused: One of its addresses is not public.
            OSError: There is no such name.
        """
        refuse_address(host, self._allowed, port)
        addresses = await self._lookup(host, port)
        if is_allowed(host, self._allowed, port):
            self.permitted |= {(address, port) for address in addresses}
        else:
            for address in addresses:
                _refuse_private(_plain(host), address)
        results = [_result(host, address, port) for address in addresses]
        wanted = [result for result in results if family in (socket.AF_UNSPEC, result["family"])]
        if not wanted:
            raise OSError(None, f'No address is known for "{_plain(host)}".')
        return wanted

    async def close(self) -> None:
        """Nothing is held open."""


def guarded_connector(
    allowed: Collection[str] = (), lookup: Lookup = system_lookup, **options: Any
) -> aiohttp.TCPConnector:
    """A connector whose every socket goes to a checked address; make it inside the running loop.

    Args:
        allowed: Hosts, alone or as host:port, that may be private.
        options: Passed on to `aiohttp.TCPConnector`.
    """
    resolver = GuardedResolver(allowed, lookup)

    def open_socket(addr_info: Any) -> socket.socket:
        family, kind, protocol, _, target = addr_info
        address, port = str(target[0]), int(target[1])
        if not (is_public(address) or (address, port) in resolver.permitted or is_allowed(address, allowed, port)):
            # An OSError is what aiohttp expects here and turns into its own connection error.
            raise OSError(errno.EACCES, "the address is not public")
        return socket.socket(family, kind, protocol)

    return aiohttp.TCPConnector(resolver=resolver, socket_factory=open_socket, **options)


def _plain(host: str) -> str:
    """One spelling per host: lower case, no brackets, no trailing dots."""
    name = host.strip().lower().rstrip(".")
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name


def _parsed(name: str) -> Address | None:
    try:
        return ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None


def _refuse_odd_name(host: str, name: str) -> None:
    last = name.rpartition(".")[2]
    if _NUMBER.fullmatch(last) or not _HOST.fullmatch(name):
        raise AddressRefused(f'"{host}" is not how a host is written; give a name, or an address such as 203.0.113.7.')


def _refuse_private(name: str, address: str) -> None:
    if not is_public(address):
        # The number stays unsaid: whoever wrote the name must not learn the addresses of an inner network.
        found = _parsed(address)
        raise AddressRefused(f'"{name}" leads to {_kind(_inner(found)) if found else "something that is no address"}.')


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 form stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if any(address in network for network in _NOT_PUBLIC if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address not in _GLOBAL_UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _kind(address: Address) -> str:
    if address.is_loopback:
        return "a loopback address"
    if address.is_unspecified:
        return "the unspecified address"
    if address.is_link_local:
        return "a link-local address"
    if address.is_multicast:
        return "a multicast address"
    return "a private or reserved address"


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=_NUMERIC)
