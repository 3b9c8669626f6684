"""The picture of the house, kept true: who may import whom, which library lives where, and that the core is pure."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "llm_backend"

# From the foundations to the doors. A room imports only rooms above it (and its own modules).
ROOMS = (
    *("errors", "settings", "loop"),
    *(
        "core.wire",
        "core.chat",
        "core.markup",
        "core.labeling",
        "core.inputs",
        "core.repeats",
        "core.controls",
        "core.prompts",
        "core.notices",
        "core.examples",
        "core.scores",
    ),
    *("core.overrides", "core.forms", "core.answers", "core.checks", "core.predictor", "core.corrections", "core.run"),
    *("core.conversation", "core.generate", "core.judge", "core.review", "core.refine"),
    *("interchange", "agreement"),
    *("adapters.addresses", "adapters.limits", "adapters.providers", "adapters.host", "adapters.pictures"),
    *("adapters.documents", "adapters.films", "adapters.showing", "adapters.data_urls", "adapters.media"),
    *("adapters.store", "adapters.runs"),
    *("backend", "services", "metrics"),
    *("web", "client", "demo", "cli", "__main__"),
)
# Empty folders' own files: they hold a docstring.
HALLS = frozenset(("llm_backend", "llm_backend.core", "llm_backend.adapters"))

# One library, one room. Libraries that are not named here may be used by nobody.
LIBRARIES = {
    "av": ("adapters.films",),
    "aiohttp": ("adapters.addresses", "adapters.host", "adapters.media", "adapters.providers"),
    "click": ("cli",),
    "dotenv": ("settings",),
    "flask": ("web",),
    "gunicorn": ("web",),
    "httpx2": ("adapters.providers",),
    "jinja2": ("web",),
    "krippendorff": ("agreement",),
    "lxml": ("core.markup",),
    "numpy": ("agreement",),
    "openai": ("adapters.providers",),
    "PIL": ("adapters.pictures",),
    "prometheus_client": ("metrics",),
    "pypdfium2": ("adapters.documents",),
    "pytesseract": ("adapters.pictures",),
    "redis": ("adapters.runs", "adapters.store"),
    "rq": ("adapters.runs",),
    "rich": ("cli",),
    "scipy": ("agreement",),
    "shapely": ("agreement",),
    "sklearn": ("agreement",),
    "sqlite3": ("adapters.store", "demo"),  # the demo reads Label Studio's own database, which is not our store
    "werkzeug": ("web",),
    "yarl": ("adapters.host", "adapters.media"),  # aiohttp's URLs
}

# What the core may use of the standard library: nothing of it reaches network, clock, files or environment.
PURE = frozenset(
    (
        *(
            "abc",
            "base64",
            "binascii",
            "bisect",
            "collections",
            "contextlib",
            "copy",
            "csv",
            "dataclasses",
            "datetime",
            "decimal",
            "difflib",
            "enum",
        ),
        *("fractions", "functools", "hashlib", "heapq", "html", "itertools", "json", "math", "operator", "re"),
        *("string", "types", "typing", "unicodedata", "urllib.parse"),
    )
)
EXCEPTED = {
    "llm_backend.core.controls": frozenset(("importlib", "pkgutil")),  # a new tag is a new file
    "llm_backend.core.predictor.orders": frozenset(("asyncio",)),  # waits for several answers, and opens nothing
}
IMPURE_CALLS = frozenset(("open", "print", "input", "breakpoint", "exec", "eval", "now", "today", "utcnow"))


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in sorted(PACKAGE.rglob("*.py"))}
CORE = [name for name in MODULES if name.startswith("llm_backend.core.")]


def room_of(module: str) -> str:
    """The room of a module, or "" if it stands in none."""
    inside = module.removeprefix("llm_backend.")
    return next((room for room in ROOMS if inside == room or inside.startswith(f"{room}.")), "")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every module that is imported, also inside functions; `from a import b` where a.b is a module means a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            module = node.module or ""
            inner = [f"{module}.{alias.name}" for alias in node.names if f"{module}.{alias.name}" in MODULES]
            yield from inner or [module]


def imports_of(module: str) -> set[str]:
    return set(imports(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


def upward(module: str, imported: set[str]) -> list[str]:
    """Which of the imported modules stand below `module`'s own room in the list."""
    ours = [name for name in imported if name.startswith("llm_backend.") and name not in HALLS]
    return [name for name in ours if ROOMS.index(room_of(name)) > ROOMS.index(room_of(module))]


def strangers(module: str, imported: set[str]) -> list[str]:
    """Which of the imported libraries do not live in `module`'s room."""
    foreign = {name.partition(".")[0] for name in imported} - {"llm_backend"}
    known = {name for name in foreign if name in LIBRARIES or name not in sys.stdlib_module_names}
    return sorted(name for name in known if room_of(module) not in LIBRARIES.get(name, ()))


def impure(module: str, tree: ast.AST) -> list[str]:
    allowed = PURE | {"lxml"} | EXCEPTED.get(module, frozenset())
    own = {name for name in imports(tree) if not name.startswith("llm_backend.core")} - {"llm_backend.errors"}
    found = {name for name in own if name not in allowed and name.partition(".")[0] not in allowed}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            found |= {f"{called}()"} & {f"{name}()" for name in IMPURE_CALLS}
    return sorted(found)


def test_every_module_stands_in_a_room_of_the_picture() -> None:
    assert [name for name in MODULES if name not in HALLS and not room_of(name)] == []


def test_every_room_of_the_picture_is_there() -> None:
    assert [room for room in ROOMS if not any(room_of(name) == room for name in MODULES)] == []


@pytest.mark.parametrize("module", [name for name in MODULES if name not in HALLS])
def test_a_room_imports_only_rooms_above_it(module: str) -> None:
    assert upward(module, imports_of(module)) == []


@pytest.mark.parametrize("module", MODULES)
def test_one_library_lives_in_one_room(module: str) -> None:
    assert strangers(module, imports_of(module)) == []


@pytest.mark.parametrize("module", CORE)
def test_the_core_is_pure(module: str) -> None:
    assert impure(module, ast.parse(MODULES[module].read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("module", "code", "judge", "found"),
    [
        ("llm_backend.core.inputs", "import llm_backend.core.prompts", upward, ["llm_backend.core.prompts"]),
        ("llm_backend.backend", "def late():\n  from llm_backend import services", upward, ["llm_backend.services"]),
        ("llm_backend.services", "import llm_backend.web.app", upward, ["llm_backend.web.app"]),
        ("llm_backend.web.app", "from llm_backend.cli import main", upward, ["llm_backend.cli"]),
        ("llm_backend.backend", "import openai", strangers, ["openai"]),
        ("llm_backend.web", "import sqlite3", strangers, ["sqlite3"]),
        ("llm_backend.web", "import requests", strangers, ["requests"]),
        ("llm_backend.web", "from flask import Flask", strangers, []),
    ],
)
def test_a_breach_is_seen(module: str, code: str, judge: object, found: list[str]) -> None:
    assert callable(judge)
    assert judge(module, set(imports(ast.parse(code)))) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import socket", ["socket"]),
        ("import urllib.request", ["urllib.request"]),
        ("import os", ["os"]),
        ("from llm_backend.settings import read", ["llm_backend.settings"]),
        ("def f(): return open('x')", ["open()"]),
        ("def f(): return datetime.now()", ["now()"]),
        ("import pkgutil", ["pkgutil"]),
        ("from urllib.parse import urlsplit\nfrom collections.abc import Mapping", []),
    ],
)
def test_an_impurity_is_seen(code: str, found: list[str]) -> None:
    assert impure("llm_backend.core.wire", ast.parse(code)) == found


def test_importing_the_core_loads_no_library_of_the_world_and_starts_nothing() -> None:
    look = (
        f"import sys, threading, {', '.join(CORE)}\n"
        f"print(sorted({set(LIBRARIES) - {'lxml'}} & set(sys.modules)), threading.active_count())"
    )
    seen = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True)
    assert seen.stdout.strip() == "[] 1"
