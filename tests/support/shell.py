"""The command line, in this process."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from click.testing import CliRunner, Result

from llm_backend.cli import main


def invoke(*words: str, env: Mapping[str, str] | None = None, typed: str | None = None) -> Result:
    """Run a command as a shell would, in a thread of its own: a test's browser keeps a loop in the test's thread.

    Args:
        typed: What a person types.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(CliRunner().invoke, main, words, env=env, input=typed).result()
