"""Which settings did this command line change? Flags win over the environment, which wins over the .env file."""

import difflib
import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from llm_backend.settings import PROVIDERS, Settings, read

NAMES = tuple(item.metadata["name"] for item in fields(Settings))


def takes_settings(
    asks_model: bool | Callable[[Mapping[str, Any]], bool] = True, *, several: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the flags for settings, and hand it `settings`, checked.

    Args:
        asks_model: False for a command that asks no model: it needs no key, and has no flags about the model. Or what
            tells by the command's arguments whether it asks one this time.
        several: For a command that asks several models: --model may be repeated, and it gets `models`, none if there is
            no flag.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def told(env_file: Path | None, changed: tuple[str, ...], **others: Any) -> Any:
            flags = {name: value for name in NAMES if (value := others.pop(name, None)) is not None}
            environ = {**os.environ, **dict(map(_assignment, changed)), **flags}
            asks = asks_model if isinstance(asks_model, bool) else asks_model(others)
            settings = read(environ, env_file or Path(".env"), asks_model=asks)
            return command(settings=settings, **others)

        model = _MODELS if several else _MODEL
        for option in reversed((model, *_SERVED, *_ANY) if asks_model else _ANY):
            told = option(told)
        return told

    return decorate


def _assignment(told: str) -> tuple[str, str]:
    name, equals, value = told.partition("=")
    name = name.strip().upper()
    if not equals:
        raise click.BadParameter(f"{told!r}: write NAME=VALUE, such as TEMPERATURE=0.", param_hint="--set")
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, 1)
        hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(NAMES)}."
        raise click.BadParameter(f"there is no setting {name}. {hint}", param_hint="--set")
    return name, value


_MODEL = click.option("--model", "OPENAI_MODEL", metavar="NAME", help="Model to ask (OPENAI_MODEL).")
_MODELS = click.option(
    "--model",
    "models",
    metavar="NAME",
    multiple=True,
    help="Model (at Azure: deployment) to ask; several.",
)
_SERVED = (
    click.option(
        "--provider",
        "OPENAI_PROVIDER",
        type=click.Choice(PROVIDERS, case_sensitive=False),
        help="Who serves it (OPENAI_PROVIDER).",
    ),
    click.option("--base-url", "OPENAI_BASE_URL", metavar="URL", help="Any compatible server (OPENAI_BASE_URL)."),
)
_ANY = (
    click.option(
        "--set",
        "changed",
        metavar="NAME=VALUE",
        multiple=True,
        help="Any setting; may be repeated. Keys belong in the environment: a command line is seen by others.",
    ),
    click.option(
        "--env-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Read settings from this file instead of ./.env.",
    ),
)
