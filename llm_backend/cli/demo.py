"""How is the demo started?"""

import click


@click.command(short_help="A real Label Studio with sample projects, connected.")
def demo() -> None:
    """Start a real Label Studio with sample projects, and this backend connected to each.

    The first start installs Label Studio into an environment of its own, which takes a few minutes. Without a key the
    answers are those of a stand-in, and say so. Ctrl-C stops everything.

    \b
    Examples:
      llm-backend demo
      OPENAI_API_KEY=... llm-backend demo
    """
    from llm_backend.demo.main import run  # brings the server with it: only now

    run()
