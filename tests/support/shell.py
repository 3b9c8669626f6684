"""The command line, in this process and in one of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from click.testing import CliRunner, Result

from llm_backend.cli import main
from tests.support.stub_model import StubModel


def invoke(*words: str, env: Mapping[str, str] | None = None, typed: str | None = None) -> Result:
    """Run a command as a shell would, in a thread of its own: a test's browser keeps a loop in the test's thread.

    Args:
        typed: What a person types.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(CliRunner().invoke, main, words, env=env, input=typed).result()


def environ(stub: StubModel, **more: str) -> dict[str, str]:
    """The environment of a process that asks the stub, four calls at a time."""
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "OPENAI_BASE_URL": stub.base_url, "LLM_CONCURRENCY": "4"}
    return {**os.environ, **own, **more}


def ended(command: Sequence[str], stub: StubModel, how: int, after: int) -> subprocess.CompletedProcess[str]:
    """Start a command in a process of its own, and end it by a signal once the stub was asked so often."""
    with subprocess.Popen(
        command, env=environ(stub), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        waiting = threading.Event()
        while len(stub.asked) < after and process.poll() is None:
            waiting.wait(0.01)
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
