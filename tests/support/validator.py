"""The host's own validator, asked in the environment where Label Studio is installed.

Its SDK pins much that must not stand beside the backend, so it runs in an interpreter of its own: the one of the
Label Studio that E2E_LABEL_STUDIO names, else that of the one which the demo and `make e2e` install.
"""

import base64
import functools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from llm_backend.demo.label_studio import install
from tests.support.lab import HOME

_VALIDATE = """
import functools, json, sys
from label_studio_sdk.label_interface import LabelInterface
interface = functools.cache(LabelInterface)
said = []
for config, prediction in json.load(sys.stdin):
    try:
        said.append(interface(config).validate_prediction(prediction, return_errors=True))
    except Exception as exc:
        said.append([f"{type(exc).__name__}: {exc}"])
json.dump(said, sys.stdout)
"""
_TEMPLATES = """
import json, sys, yaml
from pathlib import Path
import label_studio
files = sorted(Path(label_studio.__file__).parent.glob("annotation_templates/*/*/config.y*ml"))
json.dump({file.parent.name: yaml.safe_load(file.read_text(encoding="utf-8"))["config"] for file in files}, sys.stdout)
"""


_SAMPLE = """
import base64, sys
from pathlib import Path
import label_studio
file = Path(label_studio.__file__).parent / "core" / sys.stdin.read().lstrip("/")
sys.stdout.write('"' + base64.b64encode(file.read_bytes()).decode() + '"')
"""


def interpreter() -> str:
    """A Python that has Label Studio's SDK; it is installed if it is not there yet."""
    named = os.environ.get("E2E_LABEL_STUDIO")
    label_studio = Path(named) if named else install(HOME)
    return str(label_studio.with_name("python"))


def complaints(cases: list[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """What the validator says of each (labeling config, prediction)."""
    said: list[list[str]] = _run(_VALIDATE, json.dumps(cases))
    return said


def templates() -> dict[str, str]:
    """The labeling configs that the host ships, by name."""
    shipped: dict[str, str] = _run(_TEMPLATES, "")
    return shipped


@functools.cache
def served(path: str) -> bytes:
    """A file that the host serves, such as "/static/samples/sample.pdf"."""
    return base64.b64decode(_run(_SAMPLE, path))


def _run(code: str, given: str) -> Any:
    done = subprocess.run([interpreter(), "-c", code], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
