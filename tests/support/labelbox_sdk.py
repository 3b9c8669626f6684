"""Labelbox's own SDK, asked in an environment of its own: it needs much that has no business beside the backend.

E2E_LABELBOX names a Python that has it; else it is installed, once.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from llm_backend.core.wire import JSON
from tests.support.lab import ROOT

_LOCK = Path(__file__).with_name("labelbox.lock")
_HOME = ROOT / ".demo" / "labelbox"
_READ = """
import json, sys
from labelbox.data.serialization.ndjson.label import NDLabel
told = []
for line in json.load(sys.stdin):
    found = NDLabel(annotations=line).annotations
    told.append([type(found).__name__, json.loads(found.model_dump_json(by_alias=True, exclude_none=True))])
json.dump(told, sys.stdout)
"""
_ONTOLOGY = """
import json, sys
from labelbox import Classification, OntologyBuilder, Option
ask = Classification
kinds = ask.Type
below = ask(kinds.TEXT, "Why?")
builder = OntologyBuilder(classifications=[
    ask(kinds.RADIO, "Best", options=[Option("A"), Option("B", label="The second", options=[below])], required=True),
    ask(kinds.CHECKLIST, "Faults", options=[Option("rude"), Option("wrong")], scope=ask.Scope.INDEX),
    ask(kinds.TEXT, "Reason"),
])
json.dump(builder.asdict(), sys.stdout)
"""


def read(lines: Sequence[JSON]) -> list[tuple[str, JSON]]:
    """What the SDK takes each line for, and the line as it writes it itself."""
    return [(kind, line) for kind, line in _run(_READ, json.dumps(lines))]


def ontology() -> JSON:
    """An ontology as the SDK writes it: a radio with a nested text, a checklist asked of messages, and a text."""
    return _run(_ONTOLOGY, "")


def _run(code: str, given: str) -> JSON:
    done = subprocess.run([_interpreter(), "-c", code], input=given, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _interpreter() -> str:
    if named := os.environ.get("E2E_LABELBOX"):
        return named
    made, digest = _HOME / "complete", sha256(_LOCK.read_bytes()).hexdigest()
    python = str(_HOME / "bin" / "python")
    if not (made.is_file() and made.read_text(encoding="utf-8") == digest):
        shutil.rmtree(_HOME, ignore_errors=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([sys.executable, "-m", "venv", str(_HOME)], check=True)
        subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True)
        made.write_text(digest, encoding="utf-8")
    return python
