"""Where do the contents of rows lie that do not stand in the list itself? Beside it, or at URLs."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_backend.core.controls.base import shown
from llm_backend.errors import BackendError, RequestError

Fetch = Callable[[Sequence[str]], Sequence[bytes | BackendError]]
"""Brings what lies at these addresses, in order; in the place of what could not be brought is the reason."""

_WEB = re.compile("https?:/", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
_MOST_BYTES = 64 * 1024 * 1024


class Places:
    """Brings contents: files from the list's own folder, and what lies at URLs if somebody fetches those."""

    def __init__(self, folder: Path, urls: Fetch | None = None) -> None:
        """
        Args:
            folder: Nothing outside of it is read, for a list may come from anywhere.
            urls: Fetches what lies at http and https URLs; None where no host is allowed.
        """
        self._folder = folder.resolve()
        self._urls = urls

    def __call__(self, addresses: Sequence[str]) -> list[bytes | BackendError]:
        """As `Fetch` says."""
        urls = [address for address in addresses if _WEB.match(address)]
        brought = iter(self._fetched(urls))
        return [next(brought) if _WEB.match(address) else self._read(address) for address in addresses]

    def _fetched(self, urls: Sequence[str]) -> Sequence[bytes | BackendError]:
        if self._urls is not None and urls:
            return self._urls(urls)
        return [
            RequestError(f"{shown(url.partition('?')[0])} is not fetched: its host was not allowed (--allow-url).")
            for url in urls
        ]

    def _read(self, path: str) -> bytes | BackendError:
        if _URL.match(path):
            return RequestError(f"{shown(path.partition('?')[0])} is not fetched: http and https URLs are, no others.")
        try:
            file = (self._folder / path).resolve()
            if not file.is_relative_to(self._folder):
                return RequestError(f"{shown(path)} lies outside of {self._folder}, which alone is read.")
            if file.stat().st_size > _MOST_BYTES:
                return RequestError(f"{shown(path)} is over {_MOST_BYTES >> 20} MB.")
            return file.read_bytes()
        except (OSError, ValueError) as exc:
            return RequestError(f"{shown(path)} cannot be read ({getattr(exc, 'strerror', None) or exc}).")
