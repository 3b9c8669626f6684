"""Does a running server answer? For a container's health check, and for people."""

import click

from llm_backend.cli.calling import Server, takes_server


@click.command(short_help="Whether a running server is well.")
@takes_server
def health(server: Server) -> None:
    """Ask a running server whether it is well; exits with 0 if so, else with 1.

    BASIC_AUTH_USER, BASIC_AUTH_PASS and URL_SECRET are those of the server.

    \b
    Examples:
      llm-backend health
      llm-backend health --url http://models.internal:9090
    """
    click.echo(server.ask("health", holds="status")["status"])
