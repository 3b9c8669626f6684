"""How does a real Label Studio come up on this machine, by itself and for ourselves?

It lives in a virtual environment of its own, for it pins old versions of much that we use too. The demo and the
end-to-end tests start it with this same code.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from importlib import resources
from pathlib import Path

from llm_backend.demo.api import Api
from llm_backend.demo.processes import HOST, Child, ChildFailed, Started, free_port

Say = Callable[[str], None]
LOCK = "label-studio.lock"
USERNAME = "demo@example.com"
PASSWORD = "llm-backend-demo"
FIRST_START = 300.0
"""Seconds that a first start may take: it migrates the database, about half a minute on a fast machine."""


def requirements() -> str:
    """The lock file of Label Studio's virtual environment."""
    return resources.files("llm_backend.demo").joinpath(LOCK).read_text(encoding="utf-8")


def version() -> str:
    """The version of Label Studio that the lock file holds."""
    lines = (line.split(" ")[0] for line in requirements().splitlines())
    return next(line.partition("==")[2] for line in lines if line.startswith("label-studio=="))


def install(home: Path, say: Say = print) -> Path:
    """Make the virtual environment if it is missing or was left half-made, and return its `label-studio`.

    Args:
        home: Folder for the environment and for what speeds up later starts.
        say: Takes one line per step.
    Raises:
        ChildFailed: The packages could not be installed.
    """
    place = home.absolute() / f"venv-{version()}"
    executable = place / "bin" / "label-studio"
    made = place / "complete"
    digest = sha256(requirements().encode()).hexdigest()
    if made.is_file() and made.read_text(encoding="utf-8") == digest and executable.is_file():
        return executable
    shutil.rmtree(place, ignore_errors=True)
    say(f"Installing Label Studio {version()} into {place} (once; about 1 GB, some minutes) ...")
    home.mkdir(parents=True, exist_ok=True)
    log = home.absolute() / "install.log"
    with resources.as_file(resources.files("llm_backend.demo").joinpath(LOCK)) as lock:
        _run([sys.executable, "-m", "venv", str(place)], log)
        pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, "--require-hashes", "-r", str(lock)], log)
    made.write_text(digest, encoding="utf-8")
    return executable


def _run(command: list[str], log: Path) -> None:
    with log.open("ab") as output:
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False)
    if ended.returncode != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:])
        raise ChildFailed(f"Label Studio could not be installed. The end of {log}:\n{tail}")


class LabelStudio(Started):
    """A Label Studio on loopback with one user; a context manager that starts it and stops it.

    Args:
        executable: Its `label-studio`, as `install` returns it.
        data: Folder of its database and files; kept between starts.
        port: Port to listen on; 0 for any free one.
        cache: Folder that keeps a copy of the freshly migrated database: a first start takes about 30 s, one from
            the copy 12 s. None keeps no copy.
        predict_timeout: Seconds that it waits for a backend's /predict; None for its own 100.
        legacy_tokens: Whether its old-style tokens work.
        keeps: Open files that it holds as long as it runs.
        say: Takes one line per step.
    """

    def __init__(
        self,
        executable: Path,
        data: Path,
        port: int = 0,
        *,
        username: str = USERNAME,
        password: str = PASSWORD,
        cache: Path | None = None,
        predict_timeout: float | None = None,
        legacy_tokens: bool = False,
        keeps: Sequence[int] = (),
        say: Say = print,
    ) -> None:
        self.username, self.password = username, password
        self.port = port or free_port()
        self.data = data.absolute()
        self._cache = cache.absolute() if cache else None
        self._legacy_tokens = legacy_tokens
        self._say = say
        self._predict_timeout = predict_timeout
        log = self.data / "label-studio.log"
        self.child = Child("Label Studio", self._command(executable), self._environ(), log, keeps)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            ChildFailed: It did not come up; with the end of its log.
        """
        self.data.mkdir(parents=True, exist_ok=True)
        fresh = not self._database.is_file()
        kept = self._kept_database
        if fresh and kept and kept.is_file():
            shutil.copyfile(kept, self._database)
        first = " (the first time it takes about half a minute)" if fresh and not self._database.is_file() else ""
        self._say(f"Starting Label Studio {version()} at {self.url}{first} ...")
        self.child.start()
        try:
            self.child.wait_until_healthy(f"{self.url}/health", FIRST_START)
        except BaseException:  # Ctrl-C, too: the process would go on without us
            self.stop()
            raise
        if fresh and kept and not kept.is_file():
            _copy_database(self._database, kept)

    def stop(self) -> None:
        """Stop it and wait until it is gone."""
        self.child.stop()

    def login(self) -> Api:
        """A client of its API, logged in as its user."""
        api = Api(self.url)
        api.login(self.username, self.password)
        return api

    @property
    def _database(self) -> Path:
        return self.data / "label_studio.sqlite3"

    @property
    def _kept_database(self) -> Path | None:
        """One copy for each way to start, since the user is in it already."""
        if self._cache is None:
            return None
        told = f"{version()}\n{self.username}\n{self.password}\n{self._legacy_tokens}"
        return self._cache / f"empty-{sha256(told.encode()).hexdigest()[:12]}.sqlite3"

    def _command(self, executable: Path) -> list[str]:
        command = [str(executable), "start", "--no-browser", "--internal-host", HOST, "--port", str(self.port)]
        command += ["--data-dir", str(self.data), "--username", self.username, "--password", self.password]
        return [*command, "--log-level", "INFO", *(["--enable-legacy-api-token"] if self._legacy_tokens else [])]

    def _environ(self) -> dict[str, str]:
        told = {
            "LABEL_STUDIO_BASE_DATA_DIR": str(self.data),
            "HOME": str(self.data),
            "DJANGO_DB": "sqlite",
            "LABEL_STUDIO_HOST": self.url,
            # Nothing of this machine is reported anywhere.
            "COLLECT_ANALYTICS": "0",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
            "LATEST_VERSION_CHECK": "0",
            # Its address filter refuses backends on loopback. Both are needed: with the first alone the backend is
            # connected, but no webhook is registered, so that it never hears of annotations.
            "ML_BLOCK_LOCAL_IP": "false",
            "SSRF_PROTECTION_ENABLED": "false",
        }
        if self._predict_timeout is not None:
            told["ML_TIMEOUT_PREDICT"] = f"{self._predict_timeout:g}"
        return _neutral(os.environ) | told


def _neutral(environ: Mapping[str, str]) -> dict[str, str]:
    """What a program needs of our environment: no settings of ours, no keys, and no proxy in the way of loopback."""
    kept = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
    return {name: environ[name] for name in kept if name in environ}


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database that is in use, all at once, so that nobody ever meets half a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}.partial")
    with closing(sqlite3.connect(source)) as held, closing(sqlite3.connect(partial)) as copy:
        held.backup(copy)
    partial.replace(target)


if __name__ == "__main__":  # python -m llm_backend.demo.label_studio FOLDER: install it beforehand
    try:
        print(install(Path(sys.argv[1])))
    except ChildFailed as exc:
        sys.exit(exc.sentence)
