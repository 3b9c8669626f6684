"""What does it take to turn a large file into another, and how much memory?"""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measures import Row, part
from benchmarks.processes import ROOT, environment
from benchmarks.traffic import WrongAnswer
from llm_backend.core.wire import JSON

_CONFIG = """<View><Text name="prompt" value="$prompt"/><Pairwise name="comparison" toName="answer1,answer2"/>
<Text name="answer1" value="$answer1"/><Text name="answer2" value="$answer2"/></View>"""
_WORDS = "words that say little " * 10
_TASKS = 100_000
_LABELBOX = ROOT / "tests" / "data" / "labelbox"
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


def labelbox(share: float) -> list[Row]:
    """Rows of Labelbox with a pre-label each: into tasks, and back into lines."""
    count = part(_TASKS, share)
    with TemporaryDirectory() as folder:
        less = _there_and_back(Path(folder), max(1, count // 10))
        taken = _there_and_back(Path(folder), count)
    rows = []
    for what, (_, before), (seconds, peak) in zip(("rows into tasks", "tasks into lines"), less, taken, strict=True):
        rows.append(Row(f"Labelbox, {count:,} {what}: CPU", seconds, "s", 20))
        rows.append(Row(f"Labelbox, {count:,} {what}: memory at its peak", peak, "MiB", digits=0))
        rows.append(Row(f"Labelbox, {count:,} {what}: memory / that of a tenth of them", peak / before, "x", 1.5, 2))
    return rows


MEASURES: Mapping[str, Callable[[float], list[Row]]] = {"exporting": exporting, "labelbox": labelbox}


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
    taken = _measured(*told)
    with open(output, encoding="utf-8") as lines:
        written = sum(1 for _ in lines)
    if written != tasks:
        raise WrongAnswer(f"{written} of {tasks} pairs were written.")
    return taken


def _measured(*told: str) -> tuple[float, float]:
    """CPU seconds of a command of ours, and MiB at its peak."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *told],
        cwd=ROOT,
        env=environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )
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


def _there_and_back(folder: Path, count: int) -> list[tuple[float, float]]:
    rows, lines, tasks, config = (folder / name for name in ("rows.ndjson", "lines.ndjson", "tasks.json", "c.xml"))
    for file, values in ((rows, _rows(count)), (lines, _lines(count))):
        with open(file, "w", encoding="utf-8") as stream:
            stream.writelines(f"{json.dumps(value)}\n" for value in values)
    asked = ("--ontology", _LABELBOX / "ontology.json", "--prelabels", lines)
    into = (*asked, "--output", tasks, "--config-output", config)
    there = _measured("convert", "labelbox-to-ls", str(rows), *map(str, into))
    _number(tasks)
    back = _measured(
        "convert", "ls-to-labelbox", str(tasks), "--from", "predictions", "--output", str(folder / "back.ndjson")
    )
    return [there, back]


def _rows(count: int) -> Iterator[JSON]:
    shopping = json.loads((_LABELBOX / "shopping.json").read_text(encoding="utf-8"))
    return ({"row_data": shopping, "global_key": f"row-{number}"} for number in range(count))


def _lines(count: int) -> Iterator[JSON]:
    samples = (_LABELBOX / "prelabels.ndjson").read_text(encoding="utf-8").splitlines()
    for number, sample in zip(range(count), itertools.cycle(samples[:4]), strict=False):
        yield {**json.loads(sample), "dataRow": {"globalKey": f"row-{number}"}}


def _number(tasks: Path) -> None:
    """Give the tasks ids, as an export has them; one stands on each line."""
    numbered = tasks.with_name("numbered.json")
    with open(tasks, encoding="utf-8") as before, open(numbered, "w", encoding="utf-8") as after:
        after.writelines(line.replace("{", f'{{"id": {at}, ', 1) if at else line for at, line in enumerate(before))
    numbered.replace(tasks)
