"""The README says what the code says."""

import re
from pathlib import Path

import pytest

from tests.support import readme

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["tags", "settings"])
def test_its_tables_are_in_step_with_the_code(name: str) -> None:
    assert readme.held(name) == readme.tables()[name], "run: python -m tests.support.readme"


def test_its_first_two_commands_are_the_demo_and_the_tests() -> None:
    commands = re.findall(r"```sh\n(.+?)\n", readme.README.read_text(encoding="utf-8"))
    assert commands[:2] == ["make demo", "make test"]


def test_the_files_that_it_names_are_there() -> None:
    text = readme.README.read_text(encoding="utf-8")
    named = [path for path in re.findall(r"\]\(([\w./-]+)\)", text) if "://" not in path]
    assert named
    assert all((ROOT / path).exists() for path in named)


def test_every_room_that_the_floor_plan_names_is_there() -> None:
    plan = readme.README.read_text(encoding="utf-8").split("## The floor plan")[1]
    rooms = re.findall(r"`([\w/]+(?:\.py|/))`", plan)
    missing = [room for room in rooms if not any((place / room).exists() for place in (ROOT, ROOT / "llm_backend"))]
    assert not missing
