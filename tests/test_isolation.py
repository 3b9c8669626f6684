"""The tests' own fence holds: without it, all that they show of networks would mean little."""

import asyncio
import socket
import urllib.request

import pytest


@pytest.mark.parametrize("host", ["192.0.2.1", "example.com", "2001:db8::1", "10.0.0.1"])
def test_no_test_reaches_another_machine(host: str) -> None:
    with pytest.raises(RuntimeError, match="tried to reach"):
        socket.create_connection((host, 9), timeout=1)


def test_no_coroutine_reaches_another_machine() -> None:
    with pytest.raises(RuntimeError, match="tried to reach"):
        asyncio.run(asyncio.open_connection("192.0.2.1", 9))


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()


def test_no_proxy_of_the_developer_is_used() -> None:
    assert urllib.request.getproxies() == {}
