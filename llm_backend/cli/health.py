"""Does a running server answer? For a container's health check, and for people."""

import base64
import http.client
import json
import urllib.error
import urllib.request

import click

from llm_backend.cli.options import takes_settings
from llm_backend.errors import Unreachable
from llm_backend.settings import Settings


def _http(ctx: click.Context, param: click.Parameter, url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise click.BadParameter(f"{url!r} is no address of a server; write http://{url}.")
    return url


@click.command(short_help="Whether a running server is well.")
@click.option("--url", metavar="URL", callback=_http, help="Address of the server, where it is not here.")
@click.option("--port", default=9090, show_default=True, type=click.IntRange(1, 65535), help="Its port here.")
@click.option("--timeout", default=3.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to wait.")
@takes_settings(asks_model=False)
def health(settings: Settings, url: str | None, port: int, timeout: float) -> None:
    """Ask a running server whether it is well; exits with 0 if so, else with 1.

    BASIC_AUTH_USER, BASIC_AUTH_PASS and URL_SECRET are those of the server.

    \b
    Examples:
      llm-backend health
      llm-backend health --url http://models.internal:9090
    """
    address = url or f"http://127.0.0.1:{port}/{settings.url_secret}"
    click.echo(_status(f"{address.rstrip('/')}/health", settings, timeout))


def _status(address: str, settings: Settings, timeout: float) -> str:
    """The status that the server gives itself.

    Raises:
        Unreachable: There is no server, it does not answer in time, or it does not say that it is well.
    """
    shown = _without_secret(address, settings)
    try:
        request = urllib.request.Request(address, headers=_credentials(settings))
        # A proxy is for the way to the model, not for the way to ourselves.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=timeout) as answer:
            return str(json.load(answer)["status"])
    except urllib.error.HTTPError as exc:
        exc.close()  # it is the answer, too
        raise Unreachable(f"{shown} answers {exc.code} {exc.reason}.") from exc
    except (OSError, http.client.HTTPException) as exc:
        raise Unreachable(f"No answer from {shown}: {getattr(exc, 'reason', exc)}.") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise Unreachable(f"{shown} is not a server of llm-backend: its answer gives no status.") from exc


def _credentials(settings: Settings) -> dict[str, str]:
    if not settings.guarded:
        return {}
    told = f"{settings.basic_auth_user}:{settings.basic_auth_pass}"
    return {"Authorization": "Basic " + base64.b64encode(told.encode()).decode()}


def _without_secret(address: str, settings: Settings) -> str:
    return address.replace(settings.url_secret, "…") if settings.url_secret else address
