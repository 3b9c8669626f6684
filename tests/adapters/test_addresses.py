"""Which addresses may we connect to?"""

import asyncio
import socket
from collections.abc import Sequence

import aiohttp
import pytest

from llm_backend.adapters.addresses import (
    AddressRefused,
    GuardedResolver,
    guarded_connector,
    is_allowed,
    is_public,
    refuse_address,
)
from tests.support.sites import Names, site

NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.3.4",
    "class A": "10.1.2.3",
    "class B": "172.16.0.1",
    "class B's end": "172.31.255.255",
    "class C": "192.168.0.1",
    "link-local: metadata of clouds": "169.254.169.254",
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "carrier-grade NAT": "100.64.0.1",
    "metadata in that NAT": "100.100.100.200",
    "Azure's platform": "168.63.129.16",
    "Oracle's metadata": "192.0.0.192",
    "benchmarks": "198.18.0.1",
    "documentation": "203.0.113.7",
    "6to4 relay": "192.88.99.1",
    "multicast": "224.0.0.1",
    "multicast, administrative": "239.255.255.250",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "v6 loopback": "::1",
    "v6 unspecified": "::",
    "v6 link-local": "fe80::1",
    "v6 link-local with zone": "fe80::1%eth0",
    "v6 site-local": "fec0::1",
    "v6 unique local": "fd00:ec2::254",
    "v6 multicast": "ff02::1",
    "v6 documentation": "2001:db8::1",
    "v6 documentation, new": "3fff::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped private": "::ffff:10.0.0.1",
    "compatible loopback": "::127.0.0.1",
    "NAT64 of a private address": "64:ff9b::10.0.0.1",
    "NAT64, local prefix": "64:ff9b:1::8.8.8.8",
    "6to4 of a private address": "2002:0a00:0001::",
    "6to4 of a public address": "2002:0808:0808::",
    "Teredo": "2001:0:5ef5:79fd::1",
    "segment routing": "5f00::1",
    "not an address": "example.org",
    "nothing": "",
}
PUBLIC = ("8.8.8.8", "1.1.1.1", "172.32.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8")


@pytest.mark.parametrize("address", NOT_PUBLIC.values(), ids=NOT_PUBLIC.keys())
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


ODD = {
    "short": "127.1",
    "one number": "2130706433",
    "hexadecimal": "0x7f000001",
    "hexadecimal in parts": "0x7f.0.0.1",
    "octal": "0177.0.0.1",
    "leading zeros": "127.000.000.001",
    "five parts": "1.127.0.0.1",
    "over 255": "256.0.0.1",
    "name that ends in a number": "evil.example.7",
    "percent signs": "%31%32%37.0.0.1",
    "userinfo left in": "good@127.0.0.1",
    "circled digits": "①②⑦.0.0.1",
    "spaces": "127.0.0.1 x",
    "nothing": "",
    "only dots": "..",
}


@pytest.mark.parametrize("host", ODD.values(), ids=ODD.keys())
def test_odd_spellings_of_a_host_are_refused_even_where_the_address_is_allowed(host: str) -> None:
    with pytest.raises(AddressRefused, match="not how a host is written"):
        refuse_address(host, {"127.0.0.1"})


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.1.", "10.0.0.1", "::1", "[::1]", "::FFFF:127.0.0.1", "::ffff:7f00:1", "fe80::1%25eth0"],
)
def test_a_literal_private_address_is_refused(host: str) -> None:
    with pytest.raises(AddressRefused, match="address"):
        refuse_address(host)


@pytest.mark.parametrize(
    "host", ["example.org", "EXAMPLE.org.", "xn--mnchen-3ya.de", "my_host", "8.8.8.8", "2606:4700::1111"]
)
def test_names_and_public_literals_pass(host: str) -> None:
    refuse_address(host)


@pytest.mark.parametrize(
    ("host", "port", "allowed", "answer"),
    [
        ("minio", 9000, {"minio"}, True),
        ("MINIO.", 9000, {"minio"}, True),
        ("minio", 9000, {"Minio:9000"}, True),
        ("minio", 9001, {"minio:9000"}, False),
        ("minio", None, {"minio:9000"}, False),
        ("minio.evil.example", 9000, {"minio"}, False),
        ("127.0.0.1", 80, {"127.0.0.1"}, True),
        ("::1", 80, {"::1"}, True),
        ("::1", 80, {"[::1]"}, True),
        ("::1", 80, {"[::1]:80"}, True),
        ("::1", 81, {"[::1]:80"}, False),
        ("minio", 80, set(), False),
    ],
)
def test_a_host_is_allowed_by_name_or_by_name_and_port(host: str, port: int, allowed: set[str], answer: bool) -> None:
    assert is_allowed(host, allowed, port) is answer


def resolved(names: Names, host: str = "photos.example", allowed: Sequence[str] = (), port: int = 443) -> list[str]:
    found = asyncio.run(GuardedResolver(allowed, names).resolve(host, port, socket.AF_UNSPEC))
    return [entry["host"] for entry in found]


def test_public_names_resolve() -> None:
    assert resolved(Names(["8.8.8.8", "2606:4700:4700::1111"])) == ["8.8.8.8", "2606:4700:4700::1111"]


@pytest.mark.parametrize(
    "answers", [["10.0.0.5"], ["8.8.8.8", "10.0.0.5"], ["::1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"]]
)
def test_a_name_with_any_private_address_is_refused(answers: list[str]) -> None:
    with pytest.raises(AddressRefused, match=r'"photos.example" leads to a'):
        resolved(Names(answers))


def test_the_sentence_does_not_tell_the_inner_address() -> None:
    with pytest.raises(AddressRefused) as caught:
        resolved(Names(["10.20.30.40"]))
    assert "10.20.30.40" not in caught.value.sentence


def test_an_allowed_name_may_be_private() -> None:
    assert resolved(Names(["10.0.0.5"]), "minio", ["minio:443"]) == ["10.0.0.5"]
    with pytest.raises(AddressRefused):
        resolved(Names(["10.0.0.5"]), "minio", ["minio:9000"])


def test_a_name_that_cannot_be_spelled_for_a_name_server_is_a_network_error() -> None:
    with pytest.raises(OSError, match="cannot be looked up"):
        asyncio.run(GuardedResolver().resolve("a" * 64 + ".example", 443))


def test_a_name_without_addresses_is_a_network_error() -> None:
    with pytest.raises(OSError, match="No address"):
        resolved(Names([]))


async def ask(url: str, names: Names, allowed: Sequence[str]) -> str:
    """Start a server on loopback and ask for `url` with {port} filled in, through a guarded connector."""
    async with site({"/": b"inner secret"}) as here:
        connector = guarded_connector([entry.format(port=here.port) for entry in allowed], names)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(url.format(port=here.port)) as got,
        ):
            return await got.text()


def test_a_connection_to_an_allowed_name_reaches_it() -> None:
    names = Names(["127.0.0.1"])
    assert asyncio.run(ask("http://minio:{port}/", names, ["minio:{port}"])) == "inner secret"
    assert names.asked == ["minio"]


def test_a_connection_to_a_name_on_loopback_is_refused() -> None:
    with pytest.raises(AddressRefused, match="loopback"):
        asyncio.run(ask("http://photos.example:{port}/", Names(["127.0.0.1"]), []))


def test_the_socket_refuses_literal_addresses_that_no_resolver_saw() -> None:
    with pytest.raises(aiohttp.ClientConnectorError, match="not public"):
        asyncio.run(ask("http://127.0.0.1:{port}/", Names([]), []))
    assert asyncio.run(ask("http://127.0.0.1:{port}/", Names([]), ["127.0.0.1"])) == "inner secret"


def test_the_address_checked_is_the_address_connected_to() -> None:
    """A name that would answer otherwise the second time is not asked a second time."""
    names = Names(["127.0.0.1"], ["10.0.0.5"])
    assert asyncio.run(ask("http://rebind.example:{port}/", names, ["rebind.example"])) == "inner secret"
    assert names.asked == ["rebind.example"]
