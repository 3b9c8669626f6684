"""What can be done from a shell? One command each; what they do lies further in."""

from typing import Any

import click

from llm_backend import __version__
from llm_backend.cli.check import check
from llm_backend.cli.convert import convert
from llm_backend.cli.demo import demo
from llm_backend.cli.evaluate import evaluate
from llm_backend.cli.exporting import export_
from llm_backend.cli.gather import gather
from llm_backend.cli.generate import generate
from llm_backend.cli.health import health
from llm_backend.cli.importing import import_
from llm_backend.cli.jobs import jobs
from llm_backend.cli.judge import judge
from llm_backend.cli.label import label
from llm_backend.cli.refine import refine
from llm_backend.cli.serve import serve
from llm_backend.cli.worker import worker
from llm_backend.errors import BackendError, SettingsError


class _Sentence(click.ClickException):
    """A fault as the shell shows it: its sentence on stderr, and exit code 1."""


class _WrongSettings(_Sentence):
    """Wrong settings are wrong usage: exit code 2, so that a script can tell the two apart."""

    exit_code = 2


class _Commands(click.Group):
    """The one place where faults become sentences; a bug of ours stays a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as exc:
            raise _WrongSettings(exc.sentence) from exc
        except BackendError as exc:
            raise _Sentence(exc.sentence) from exc


@click.group(
    cls=_Commands,
    epilog="Settings are environment variables, or lines of a .env file in the current folder.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="llm-backend")
def main() -> None:
    """An LLM behind Label Studio: a prompt in, every control of the labeling config filled.

    \b
    Begin with:
      llm-backend demo
      llm-backend check config.xml
      OPENAI_API_KEY=... llm-backend serve
    """


_SERVING = (serve, worker, demo, health)
_ASKING = (check, label, judge, gather, generate, jobs)
_LEARNING = (import_, evaluate, refine, export_, convert)
for _command in (*_SERVING, *_ASKING, *_LEARNING):
    main.add_command(_command)

__all__ = ["main"]
