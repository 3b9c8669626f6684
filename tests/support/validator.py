"""The host's own validator, asked in the environment where Label Studio is installed.

Its SDK pins much that must not stand beside the backend, so it runs in an interpreter of its own: the one that
LABEL_STUDIO_PYTHON names, else that of the demo's Label Studio (`make demo` installs it).
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_VALIDATE = """
import json, sys
from label_studio_sdk.label_interface import LabelInterface
said = []
for config, prediction in json.load(sys.stdin):
    try:
        said.append(LabelInterface(config).validate_prediction(prediction, return_errors=True))
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


def interpreter() -> str | None:
    """A Python that has Label Studio's SDK, or None."""
    named = os.environ.get("LABEL_STUDIO_PYTHON")
    found = sorted(str(path) for path in ROOT.glob(".demo/venv-*/bin/python"))
    return next((path for path in ([named] if named else []) + found if Path(path).exists()), None)


def complaints(cases: list[tuple[str, dict[str, Any]]]) -> list[list[str]]:
    """What the validator says of each (labeling config, prediction)."""
    said: list[list[str]] = _run(_VALIDATE, json.dumps(cases))
    return said


def templates() -> dict[str, str]:
    """The labeling configs that the host ships, by name."""
    shipped: dict[str, str] = _run(_TEMPLATES, "")
    return shipped


def _run(code: str, given: str) -> Any:
    python = interpreter()
    assert python is not None
    done = subprocess.run([python, "-c", code], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
