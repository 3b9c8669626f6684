"""What must `.env.example` say? `python -m tests.support.env_example > .env.example` writes it."""

import textwrap
from dataclasses import Field, fields
from typing import Any

from llm_backend.settings import Settings

HEAD = """\
# Settings of llm-backend. Copy this file to .env and take the # off the lines that you change.
# The environment wins over this file; an empty value counts as not set. What stands here is the default.
"""


def text() -> str:
    return "\n".join([HEAD, *map(_entry, fields(Settings))])


def _entry(item: Field[Any]) -> str:
    meaning = item.metadata["meaning"].replace("`", "")
    comment = "\n".join(textwrap.wrap(meaning, 110, initial_indent="# ", subsequent_indent="# "))
    return f"{comment}\n#{item.metadata['name']}={_spelt(item.default)}\n"


def _spelt(default: Any) -> str:
    if isinstance(default, bool):
        return str(int(default))
    if isinstance(default, float):
        return f"{default:g}"
    if isinstance(default, tuple):
        return ",".join(default)
    told = str(default)
    return '"' + told.replace("\n", "\\n") + '"' if "\n" in told or " " in told else told


if __name__ == "__main__":
    print(text(), end="")
