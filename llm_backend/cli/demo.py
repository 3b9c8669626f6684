"""How is the demo started?"""

from pathlib import Path

import click

_PORT = click.IntRange(0, 65535)


@click.command(short_help="A real Label Studio with sample projects, connected.")
@click.option("--label-studio-port", default=8080, show_default=True, type=_PORT, help="Or the next free one.")
@click.option("--port", default=9090, show_default=True, type=_PORT, help="The backend's, or the next free one.")
@click.option(
    "--folder",
    default=Path(".demo"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Takes Label Studio's environment, the data and the logs.",
)
def demo(label_studio_port: int, port: int, folder: Path) -> None:
    """Start a real Label Studio with sample projects, and this backend connected to each.

    The first start installs Label Studio into an environment of its own, which takes a few minutes. Without a key
    (in the environment, or in .env) the answers are those of a stand-in, and say so. Ctrl-C stops everything.

    \b
    Examples:
      llm-backend demo
      OPENAI_API_KEY=... llm-backend demo --folder /tmp/demo
    """
    from llm_backend.demo.main import run  # the demo's own libraries: only now

    run(label_studio_port=label_studio_port, port=port, folder=folder)
