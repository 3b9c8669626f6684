"""`python -m benchmarks`: measure, and print the table. A missed target is told, and is no failure."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.core import MEASURES as OF_CORE
from benchmarks.files import MEASURES as OF_FILES
from benchmarks.measures import MEASURES as OF_CALLS
from benchmarks.measures import Row
from benchmarks.processes import Neighbours, machine
from benchmarks.runs import MEASURES as OF_RUNS

MEASURES = {**OF_CORE, **OF_CALLS, **OF_RUNS, **OF_FILES}
_MARKS = {True: "yes", False: "**no**", None: ""}


def main() -> None:
    options = _options()
    names = options.only or list(MEASURES)
    rows, neighbours = [], Neighbours()
    for name in names:
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows += MEASURES[name](0.1 if options.quick else 1.0)
    others = neighbours.cores()
    print(f"{machine()}. Other programs kept {others:.1f} cores busy meanwhile.\n\n{table(rows)}")
    if options.json:
        told = {
            "machine": machine(),
            "others": others,
            "quick": options.quick,
            "rows": [{**asdict(row), "ok": row.ok} for row in rows],
        }
        options.json.write_text(json.dumps(told, indent=2) + "\n")


def table(rows: list[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| measure | target | measured | ok |", "| --- | --- | --- | --- |"]
    for row in rows:
        target = "" if row.target is None else f"≤ {row.target:g} {row.unit}"
        lines.append(f"| {row.measure} | {target} | {row.value:.{row.digits}f} {row.unit} | {_MARKS[row.ok]} |")
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="How fast is the server here?")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, for a first look")
    parser.add_argument("--only", action="append", choices=tuple(MEASURES), metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    return parser.parse_args()


if __name__ == "__main__":
    main()
