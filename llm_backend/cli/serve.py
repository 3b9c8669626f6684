"""How is the server started?"""

import click

from llm_backend.cli.options import takes_settings
from llm_backend.settings import Settings


@click.command(short_help="The server that a Label Studio project connects to.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=9090, show_default=True, type=click.IntRange(0, 65535), help="0 picks a free one.")
@takes_settings()
def serve(settings: Settings, host: str, port: int) -> None:
    """Run the server that a Label Studio project connects to.

    A Label Studio on another machine or in a container reaches it only with --host 0.0.0.0.

    \b
    Examples:
      OPENAI_API_KEY=... llm-backend serve
      llm-backend serve --provider ollama --model qwen3:8b
      llm-backend serve --host 0.0.0.0 --port 9090 --set TEMPERATURE=0 --set LOG_LEVEL=debug

    Then, in the project's Settings > Model, connect http://localhost:9090.
    """
    from llm_backend.web.server import serve as run  # with the server come Flask and gunicorn: only now

    run(settings, host, port)
