"""Whose folder is this? One process at a time; tokens and keys lie in it, so others may not look in.

The claim is a lock that the kernel releases when its process ends, however it ends.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from llm_backend.errors import SettingsError

LOCK_NAME = "llm_backend.lock"


class FolderInUse(SettingsError):
    """Another process holds the folder.

    Attributes:
        holder: The number of that process, as it told; "unknown" where it did not.
    """

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f'"{folder}" is in use by another llm-backend (process {holder}): '
            "stop that one, or give this one a folder of its own."
        )
        self.folder = folder
        self.holder = holder


@dataclass(frozen=True, slots=True)
class Claim:
    """This process's hold on a folder, until `release`."""

    folder: Path
    descriptor: int

    def release(self) -> None:
        # The lock file stays: were it removed, a process about to lock it would hold a file that nobody else finds.
        os.close(self.descriptor)


def claim(told: Path) -> Claim:
    """Make the folder, readable by nobody else, if it is not there, and hold it for this process alone.

    A folder that was there keeps its mode, for it may serve others, too; our files in it are private all the same.

    Raises:
        SettingsError: It is no folder, or cannot be written to.
        FolderInUse: Another process holds it.
    """
    folder = told.expanduser().absolute()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as exc:
        raise unusable(folder, exc) from exc
    try:
        _lock(folder, descriptor)
    except BaseException:  # Ctrl-C, too: an open file keeps its lock for as long as the process lives
        os.close(descriptor)
        raise
    return Claim(folder, descriptor)


def private_file(path: Path) -> None:
    """Make sure that the file exists and that only its owner may read it.

    Raises:
        SettingsError: It is no file, or not ours to write.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)
    except OSError as exc:
        raise unusable(path, exc) from exc


def unusable(path: Path, exc: OSError) -> SettingsError:
    return SettingsError(f'"{path}" cannot be used ({exc.strerror}): give a folder that this user may write to.')


def _lock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        raise FolderInUse(folder, holder or "unknown") from exc
    except OSError as exc:
        raise unusable(folder, exc) from exc
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    except OSError as exc:
        raise unusable(folder, exc) from exc
