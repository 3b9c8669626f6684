"""How do the processes of one machine count together? Through files in one folder, as prometheus-client does it.

Counters and histograms are summed, of gauges only those of living processes.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from llm_backend.errors import SettingsError

log = logging.getLogger(__name__)

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_TEMPORARY = "llm-backend-metrics-"


def share() -> Callable[[], None]:
    """Let this process and those that it forks count together; before the first `Metrics`.

    They do so in a fresh temporary folder, or in PROMETHEUS_MULTIPROC_DIR, which other processes may share. What dead
    processes left there is removed, and so are the temporary folders of servers that were killed.

    Returns:
        What removes a temporary folder again; it does nothing in a forked process.
    Raises:
        SettingsError: PROMETHEUS_MULTIPROC_DIR cannot be used.
    """
    if told := os.environ.get(FOLDER):
        _sweep(Path(told))
        return lambda: None
    try:
        _remove_leftovers(Path(tempfile.gettempdir()))
        folder = tempfile.mkdtemp(prefix=f"{_TEMPORARY}{os.getpid()}-")
    except OSError as exc:  # a container without a place for temporary files
        log.warning("no temporary folder (%s): each process counts for itself in /metrics", exc)
        return lambda: None
    os.environ[FOLDER] = folder
    owner = os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            os.environ.pop(FOLDER, None)
            shutil.rmtree(folder, ignore_errors=True)

    return remove


def count_alone() -> None:
    """Leave the folder to others, though the environment names one; before the first `Metrics`."""
    os.environ.pop(FOLDER, None)


def forget_process(pid: int) -> None:
    """A process has ended: nothing of it is in flight any more. What it counted stays."""
    if told := os.environ.get(FOLDER):
        for file in Path(told).glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)


def _remove_leftovers(place: Path) -> None:
    for folder in place.glob(f"{_TEMPORARY}*"):
        owner = folder.name.removeprefix(_TEMPORARY).partition("-")[0]
        # One that bears our own number is an earlier process's: a container's first one is always 1.
        if owner == str(os.getpid()) or not _alive(owner):
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.glob("*.db"):
            if not _alive(file.stem.rpartition("_")[2]):
                file.unlink(missing_ok=True)
    except OSError as exc:
        raise SettingsError(f'{FOLDER}="{folder}" cannot be used ({exc.strerror}): give a folder of ours.') from exc


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
