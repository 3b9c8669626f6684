"""Processes of their own that use a store, and can be killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[3]


@contextmanager
def process(code: str, *told: object) -> Iterator["subprocess.Popen[str]"]:
    """One that runs this code with these arguments, spoken to through pipes; killed in the end."""
    command = [sys.executable, "-c", code, *map(str, told)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT) as running:
        try:
            yield running
        finally:
            running.kill()


@contextmanager
def ready_process(code: str, *told: object) -> Iterator["subprocess.Popen[str]"]:
    """One that has said that it is ready."""
    with process(code, *told) as running:
        until_ready(running)
        yield running


def until_ready(running: "subprocess.Popen[str]") -> None:
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
