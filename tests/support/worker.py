"""`llm-backend worker` as a process of its own, on what might be another machine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.serve import ROOT


@contextmanager
def worker(folder: Path, **settings: str) -> "Iterator[subprocess.Popen[str]]":
    """The command in an empty folder, with these settings alone."""
    process = subprocess.Popen(
        [sys.executable, "-m", "llm_backend", "worker"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()
