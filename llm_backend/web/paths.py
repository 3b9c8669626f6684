"""Where does a request's path lead? Any prefix may stand before a door; with URL_SECRET it must hold the secret."""

import hmac
from collections.abc import Callable, Iterable
from typing import Any

DOORS = frozenset(
    ("health", "setup", "predict", "webhook", "versions", "jobs", "projects", "metrics", "status", "page", "datasets")
)

Environ = dict[str, Any]
WSGI = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Prefixed:
    """WSGI middleware that moves what stands before a door from the path into SCRIPT_NAME.

    Label Studio calls `<the connected URL>/<door>`, so the connected URL may have a path, and with `URL_SECRET` has
    one that no stranger knows. A path without the secret leads nowhere, whatever door it names.
    """

    def __init__(self, app: WSGI, secret: str = "") -> None:
        self._app = app
        self._secret = secret.encode()

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO", "")
        before, path = self._split([step for step in asked.split("/") if step], asked.endswith("/"))
        if self._secret and not self._shown(before):
            before, path = [], ["no-such-door"]
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + "".join(f"/{step}" for step in before)
        environ["PATH_INFO"] = "/" + "/".join(path)
        environ["llm_backend.secret_shown"] = bool(self._secret)
        environ["llm_backend.no_slash"] = bool(before) and not asked.endswith("/")
        return self._app(environ, start_response)

    def _split(self, steps: list[str], folder: bool) -> tuple[list[str], list[str]]:
        """What stands before the last door named, and the door.

        With no door named it is the front door, behind the bare secret, or behind a prefix that ends in a slash.
        """
        for at in range(len(steps) - 1, -1, -1):
            if steps[at] in DOORS:
                return steps[:at], steps[at:]
        front = self._shown(steps[-1:]) if self._secret else folder
        return (steps, []) if front else ([], steps)

    def _shown(self, steps: list[str]) -> bool:
        # Every step is compared, and in full, so that the time taken tells nothing of the secret.
        matches = [hmac.compare_digest(step.encode("latin-1", "replace"), self._secret) for step in steps]
        return any(matches)
