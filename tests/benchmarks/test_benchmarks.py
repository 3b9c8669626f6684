"""Does the table of speeds come about? What it says is no concern of a test: machines differ, and are busy."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import MEASURES, table
from benchmarks.measures import Row
from benchmarks.processes import ROOT


def test_a_missed_target_is_told_and_figures_without_one_are_only_told() -> None:
    rows = [Row("overhead", 3.04, "ms", 4), Row("time / ideal", 1.318, "x", 1.15, 2), Row("yardstick", 1.5, "ms")]
    assert table(rows).splitlines() == [
        "| measure | target | measured | ok |",
        "| --- | --- | --- | --- |",
        "| overhead | ≤ 4 ms | 3.0 ms | yes |",
        "| time / ideal | ≤ 1.15 x | 1.32 x | **no** |",
        "| yardstick |  | 1.5 ms |  |",
    ]


@pytest.mark.parametrize(
    "name",
    ["configs", "quotes", "exporting", "labelbox", "one", "batch", "uneven", "fairness", "growth", "redis-growth"],
)
def test_a_measurement_makes_its_rows(name: str) -> None:
    rows = MEASURES[name](0.01)
    assert rows
    assert all(row.value > 0 for row in rows if row.unit != "ms")


def test_the_figures_can_be_had_as_json(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    program = [sys.executable, "-m", "benchmarks", "--quick", "--only", "reference", "--json", str(file)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text())
    assert told["machine"] in done.stdout
    assert [row["unit"] for row in told["rows"]] == ["ms", "ms"]
