"""How does the backend come up in the demo, with a stand-in where no model is named?

`python -m llm_backend.demo.server PORT` is what the demo runs beside Label Studio.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from llm_backend import settings as told
from llm_backend.core.chat import LLM
from llm_backend.demo.processes import HOST
from llm_backend.demo.stand_in import StandIn
from llm_backend.errors import SettingsError
from llm_backend.settings import Settings


def choose(environ: Mapping[str, str], dotenv: Path = Path(".env")) -> tuple[Settings, LLM | None]:
    """The demo's settings, and the stand-in if they name no model: neither a key, nor a server, nor another provider.

    Raises:
        SettingsError: Settings that cannot be used.
    """
    settings = told.read(environ, dotenv, asks_model=False)
    if settings.provider == "openai" and not settings.api_key and not settings.base_url:
        llm: LLM | None = StandIn()
    else:
        settings, llm = told.read(environ, dotenv), None
    # The demo's own Label Studio connects without credentials, on loopback.
    return replace(settings, basic_auth_user="", basic_auth_pass="", url_secret=""), llm


def main(port: int) -> None:
    """Serve on loopback until a signal ends it."""
    from llm_backend.web.server import serve  # brings Flask and gunicorn: only where it serves

    settings, llm = choose(os.environ)
    serve(settings, HOST, port, llm)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except SettingsError as exc:
        sys.exit(exc.sentence)
