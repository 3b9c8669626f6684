"""How does a command speak with a running server? Over HTTP, with the credentials that the server itself is told."""

import functools
import shlex
from collections.abc import Callable, Mapping
from typing import Any

import click

from llm_backend import client
from llm_backend.cli.options import takes_settings
from llm_backend.core.controls.base import listed
from llm_backend.errors import RequestError
from llm_backend.settings import Settings

PORT = 9090


class Server(client.Server):
    """A running server, as it is told by settings and flags."""

    def __init__(self, settings: Settings, url: str | None, port: int, timeout: float) -> None:
        """
        Args:
            url: The server's address as it is connected; None for the one on this machine.
            timeout: Seconds to wait for an answer.
        """
        shown = f"{settings.basic_auth_user}:{settings.basic_auth_pass}" if settings.guarded else ""
        address = url or f"http://127.0.0.1:{port}/{settings.url_secret}"
        super().__init__(address, shown, secret=settings.url_secret, timeout=timeout)
        self._flags = ["--url", url] if url else [] if port == PORT else ["--port", str(port)]

    def command(self, *words: str) -> str:
        """A command to be typed that asks this server."""
        return shlex.join(("llm-backend", *words, *self._flags))

    def project(self, wanted: str = "") -> str:
        """The whole key of a project that the server knows.

        Args:
            wanted: Its number or its key; "" for the only one there is.
        Raises:
            RequestError: It cannot be told which one is meant.
        """
        told = self.ask("projects", holds="projects")["projects"]
        known: list[str] = [project["key"] for project in told if not project["key"].startswith("dataset.")]
        found = [key for key in known if not wanted or wanted in (key, key.partition(".")[0])]
        if len(found) == 1:
            return found[0]
        if not known:
            raise RequestError("The server knows no project yet: connect it in Label Studio's settings of the project.")
        meant = f"{len(found)} projects could be meant" if found else f"the server knows no project {wanted}"
        raise RequestError(f"{meant[:1].upper()}{meant[1:]}; name one with --project: {listed(found or known)}.")


def takes_server(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the flags that say where the server is; it is called with a `Server`."""

    @takes_settings(asks_model=False)
    @functools.wraps(command)
    def told(*, settings: Settings, url: str | None, port: int, timeout: float, **others: Any) -> Any:
        return command(server=Server(settings, url, port, timeout), **others)

    return _located(told)


def takes_settings_and_server(
    asks_model: Callable[[Mapping[str, Any]], bool] = lambda told: True,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The same for a command that asks a model by itself, too: it is called with `settings` as well.

    Args:
        asks_model: Tells by the command's arguments whether it does this time: else it needs no key.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @takes_settings(asks_model)
        @functools.wraps(command)
        def told(*, settings: Settings, url: str | None, port: int, timeout: float, **others: Any) -> Any:
            return command(settings=settings, server=Server(settings, url, port, timeout), **others)

        return _located(told)

    return decorate


def _located(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_WHERE):
        command = option(command)
    return command


def web_address(ctx: click.Context, param: click.Parameter, url: str | None) -> str | None:
    """The address that an option gives, with its scheme."""
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url!r} is no address of a server; write http://{url}.")
    return url


_WHERE = (
    click.option("--url", metavar="URL", callback=web_address, help="Address of the server, where it is not here."),
    click.option(
        "--port", default=PORT, show_default=True, type=click.IntRange(1, 65535), help="Its port on this machine."
    ),
    click.option("--timeout", default=3.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to wait."),
)
