"""How is agreement measured beside a server? In a process of its own, which takes what is compared and tells how it is.

The libraries for it, their memory and their work stay out of the process that answers requests.

    python -m llm_backend.web.report.measure SOURCE PROMPT_PREFIX < remembered.jsonl
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable

from llm_backend.backend.agreeing import Remembered
from llm_backend.core.wire import JSON
from llm_backend.errors import BackendError, RequestError

_SECONDS = 300.0
_NICE = 10


def measured(remembered: Remembered, source: str, prompt_prefix: str) -> dict[str, JSON]:
    """How well people and models agree, as `agreement.report.Report.to_json` tells it.

    Args:
        source: What was read, as the reader is told.
    Raises:
        RequestError: It cannot be measured; the sentence says why.
    """
    # The same modules as here, and -P: not those that happen to lie in the folder where the server was started.
    command = [sys.executable, "-P", "-m", __name__, source, prompt_prefix]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = b"".join(remembered.lines())
    try:
        done = subprocess.run(command, env=environ, input=told, capture_output=True, timeout=_SECONDS, check=True)
    except subprocess.TimeoutExpired as exc:
        raise RequestError(
            f"Measuring took more than {_SECONDS:g} s and was given up: llm-backend evaluate does it without a server."
        ) from exc
    except subprocess.CalledProcessError as exc:
        # Only the fault's name: its words may repeat a task's.
        name = exc.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2].partition(":")[0]
        raise BackendError(f"Measuring failed on a fault of ours ({name[:60] or exc.returncode}).") from exc
    found = json.loads(done.stdout)
    if "error" in found:
        raise RequestError(found["error"])
    report: dict[str, JSON] = found["report"]
    return report


def _told(lines: Iterable[bytes], source: str, prompt_prefix: str) -> dict[str, JSON]:
    try:
        from llm_backend.agreement.pairs import gather  # an extra, which may not be installed
        from llm_backend.agreement.report import make_report
        from llm_backend.services import plan_to_read

        remembered = Remembered.from_lines(lines)
        plan = plan_to_read(remembered.label_config, prompt_prefix)
        found = gather(plan, remembered.exported(plan), remembered.blind())
        return {"report": make_report(found, source, remembered.host).to_json()}
    except BackendError as exc:
        return {"error": exc.sentence}


if __name__ == "__main__":
    os.nice(_NICE)
    json.dump(_told(sys.stdin.buffer, *sys.argv[1:]), sys.stdout)
