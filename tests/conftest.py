"""What holds for every test: no way off this machine, nothing of the developer's own environment, the same seeds."""

import ipaddress
import os
import signal
import sys
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from llm_backend.settings import Settings

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


class LeftLoopback(RuntimeError):
    """A test tried to reach another machine. Not an OSError: the code under test must not take it for a bad network."""


def _stay_here(event: str, details: tuple[Any, ...]) -> None:
    """Refuse to connect to another machine, or to look one up."""
    if event in ("socket.connect", "socket.sendto"):
        address = details[1]
        host = address[0] if isinstance(address, tuple) else "localhost"  # a path is a Unix socket
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = details[0]
    else:
        return
    if not _is_here(host):
        raise LeftLoopback(f"{event}: this test tried to reach {host}.")


def _is_here(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name in ("localhost", "0.0.0.0", "::"):  # where a server listens, not whom it asks
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def pytest_configure(config: pytest.Config) -> None:
    sys.addaudithook(_stay_here)
    # A shell lets what it runs in the background ignore Ctrl-C, and our programs would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ours = {item.metadata["name"] for item in fields(Settings)}
    for name in [*ours, *PROXIES, *map(str.lower, PROXIES)]:
        os.environ.pop(name, None)
    hypothesis_settings.register_profile("repeatable", derandomize=True, deadline=None)
    hypothesis_settings.load_profile("repeatable")
