"""How is the application served? One gunicorn process with many threads, and one event loop beside them."""

import ctypes
import gc
import logging
import os
import signal
import sys
from typing import Any

from gunicorn.app.base import BaseApplication

from llm_backend.core.chat import LLM
from llm_backend.metrics import Metrics, forget_process, share
from llm_backend.services import Services, open_services
from llm_backend.settings import Settings
from llm_backend.web.app import create_app

log = logging.getLogger(__name__)

# One process whose threads only wait: no /health was late behind 120 waiting requests (measured), and the state of the
# embedded form has one owner.
_THREADS = 128
_PR_SET_PDEATHSIG = 1
_M_MMAP_THRESHOLD, _LARGE = -3, 128 * 1024  # glibc's name for it, and where it begins before it moves


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn without a command line of its own."""

    def __init__(self, settings: Settings, host: str, port: int, llm: LLM | None) -> None:
        self._settings = settings
        self._llm = llm
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._services: Services | None = None
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options().items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Called in the worker, after the fork: files, locks and threads belong to it."""
        metrics = Metrics()
        self._services = open_services(self._settings, self._llm, metrics)
        app = create_app(self._services, metrics)
        _keep_out_of_collections()
        return app

    def _options(self) -> dict[str, Any]:
        return {
            "bind": [self._address],
            "workers": 1,
            "threads": _THREADS,
            "worker_class": "gthread",
            "timeout": 120,
            "graceful_timeout": 10,
            "keepalive": 75,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "llm-backend",
            "control_socket_disable": True,
            "post_fork": self._forked,
            "worker_exit": self._closed,
            "child_exit": self._ended,
        }

    def _forked(self, arbiter: Any, worker: Any) -> None:
        _die_with(worker.ppid)

    def _closed(self, arbiter: Any, worker: Any) -> None:
        if self._services is not None:
            self._services.close()

    def _ended(self, arbiter: Any, worker: Any) -> None:
        forget_process(worker.pid)


def serve(settings: Settings, host: str = "0.0.0.0", port: int = 9090, llm: LLM | None = None) -> None:
    """Serve until a signal ends it.

    Args:
        llm: Carries the chat in the place of the configured provider (the demo's stand-in).
    Raises:
        SettingsError: Something that the settings name cannot be used.
    """
    _log_to_stderr(settings.log_level)
    # What cannot work is told here, once, and not by a worker that dies again and again.
    open_services(settings, llm).close()
    _say_what_does_not_work(settings)
    log.info("serving on http://%s:%s with %s", host, port, llm.model if llm else settings.model)
    _keep_out_of_collections()
    _give_large_blocks_back()
    stop_sharing = share()
    try:
        _Server(settings, host, port, llm).run()
    finally:
        stop_sharing()


def _give_large_blocks_back() -> None:
    """Have the C library return large blocks to the system as soon as they are freed, where it is glibc.

    It keeps more of them with every one that is freed, and in each of many threads: a request of fifty thousand tasks
    left 10 MiB more behind (measured).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)


def _die_with(parent: int) -> None:
    """Let this process be killed with its parent, however that ends, where the system can (Linux).

    A parent that was killed leaves nobody to end this process. It would go on holding port and data folder until its
    requests are answered, and a server that is started in its place would be refused both.
    """
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was quicker
            os._exit(1)


def _log_to_stderr(level: str) -> None:
    """Write our own log at this level, and of the libraries only warnings.

    The HTTP client tells of every request with its whole URL; gateways let the path hold the key.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("llm_backend").setLevel(level)


def _keep_out_of_collections() -> None:
    """Leave what stands now out of every garbage collection to come: it stands to the end.

    A full collection holds up all threads. With all modules to look through it took a tenth of a second and more, and
    it touched the pages that our processes share, which made copies of them (20 MiB, measured).
    """
    gc.collect()
    gc.freeze()


def _say_what_does_not_work(settings: Settings) -> None:
    if settings.use_internal_prompt_template and "{prompt}" not in settings.prompt_template:
        log.warning("PROMPT_TEMPLATE has no {prompt}: what annotators type does not reach the model.")
    if settings.guarded and not settings.url_secret:
        log.warning(
            "Label Studio's webhooks carry no credentials, so the prompts that they bring are not believed. "
            "Set URL_SECRET and connect http://host:port/<secret> to believe them."
        )
