"""What does it take to turn a large export into a file to train from, and how much memory?"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measures import Row, part
from benchmarks.processes import ROOT, environment
from benchmarks.traffic import WrongAnswer

_CONFIG = """<View><Text name="prompt" value="$prompt"/><Pairwise name="comparison" toName="answer1,answer2"/>
<Text name="answer1" value="$answer1"/><Text name="answer2" value="$answer2"/></View>"""
_WORDS = "words that say little " * 10
_TASKS = 100_000
# In a process of its own, whose memory is that of the export alone; at the end it tells CPU seconds and its peak in kB.
# The kernel's other word on the peak, `ru_maxrss`, would begin with what the process weighed that started it.
_MEASURED = """
import re, sys, time
from llm_backend.cli import main
try:
    main(sys.argv[1:])
finally:
    print(time.process_time(), re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


def exporting(share: float) -> list[Row]:
    """Human preferences of a large project, as pairs for DPO."""
    tasks = part(_TASKS, share)
    with TemporaryDirectory() as folder:
        _, less = _export(Path(folder), max(1, tasks // 10))
        seconds, peak = _export(Path(folder), tasks)
    what = f"Export of {tasks:,} tasks as pairs"
    return [
        Row(f"{what}: CPU", seconds, "s", 20),
        Row(f"{what}: memory at its peak", peak, "MiB", digits=0),
        Row(f"{what}: memory / that of a tenth of them", peak / less, "x", 1.5, 2),
    ]


MEASURES: Mapping[str, Callable[[float], list[Row]]] = {"exporting": exporting}


def _export(folder: Path, tasks: int) -> tuple[float, float]:
    """CPU seconds, and MiB at the peak."""
    config, source, output = folder / "config.xml", folder / "export.json", folder / "pairs.jsonl"
    config.write_text(_CONFIG)
    with open(source, "w", encoding="utf-8") as stream:
        stream.write("[")
        for number in range(1, tasks + 1):
            stream.write(("," if number > 1 else "") + json.dumps(_task(number)) + "\n")
        stream.write("]")
    told = ["export", str(source), "--config", str(config), "--format", "trl-preference", "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *told],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
    with open(output, encoding="utf-8") as lines:
        written = sum(1 for _ in lines)
    if written != tasks:
        raise WrongAnswer(f"{written} of {tasks} pairs were written.")
    seconds, peak = done.stdout.splitlines()[-1].split()
    return float(seconds), float(peak) / 1024


def _task(number: int) -> dict[str, object]:
    """A task as Label Studio exports it, with one annotation."""
    selected = "left" if number % 3 else "right"
    made = "2026-11-20T10:00:00.000000Z"
    region = {"from_name": "comparison", "to_name": "comparison", "type": "pairwise", "value": {"selected": selected}}
    annotation = {
        "id": number,
        "completed_by": 1,
        "result": [{"id": "r", "origin": "manual", **region}],
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": made,
        "updated_at": made,
        "lead_time": 7.5,
        "task": number,
        "project": 1,
    }
    data = {"prompt": f"{number} {_WORDS}", "answer1": f"{number} is {_WORDS}", "answer2": f"{number} is not {_WORDS}"}
    return {"id": number, "data": data, "annotations": [annotation], "drafts": [], "predictions": [], "project": 1}
