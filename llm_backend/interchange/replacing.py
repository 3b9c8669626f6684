"""How is a file written so that it is there when it is whole, and an older one stays until then?"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from llm_backend.errors import RequestError


@contextmanager
def replacing(file: Path) -> Iterator[IO[bytes]]:
    """Open a file to be written, and read again, under another name; it gets its own when all has gone well.

    Raises:
        RequestError: It cannot be written.
    """
    begun = file.with_name(f"{file.name}.part")
    try:
        try:
            with open(begun, "w+b") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(begun, file)
        except BaseException:  # whatever ends the writing: half a file must not stay
            with contextlib.suppress(OSError):
                begun.unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise RequestError(f"{file} cannot be written ({exc.strerror}).") from exc


def require_folder(file: Path) -> None:
    """
    Raises:
        RequestError: The file's folder is not there, or it is one itself.
    """
    if not file.absolute().parent.is_dir():
        raise RequestError(f"{file}: there is no folder {file.parent}; make it first.")
    if file.is_dir():
        raise RequestError(f"{file} is a folder; give a file's name.")
