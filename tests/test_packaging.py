"""What is shipped is whole: the prompts come along however it is installed; locks and container files agree."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from llm_backend.adapters.runs.rq import Pace
from llm_backend.cli import main
from llm_backend.settings import Settings
from tests.support.dockerfile import stages

ROOT = Path(__file__).parents[1]
DOCKERFILE = stages(ROOT / "Dockerfile")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
PROMPT = "form.txt"
OFFLINE = ("--quiet", "--no-index", "--no-deps", "--disable-pip-version-check")
READ_PROMPT = (
    "from importlib.resources import files; import llm_backend\n"
    f"print(llm_backend.__file__); print(files('llm_backend.prompts').joinpath('{PROMPT}').read_text('utf-8'))"
)


def run(*command: object, **changed: str) -> str:
    """What a command prints; a command that fails fails the test with what it said."""
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=changed.pop("cwd", None),
        env={**os.environ, "PYTHONWARNINGS": "ignore", **changed},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*words: object, **changed: str) -> str:
    return run(sys.executable, "-m", "pip", *words, **changed)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built from; a build leaves things behind where it runs."""
    place = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "setup.py", "LICENSE"):
        shutil.copy(ROOT / name, place)
    for folder in ("llm_backend", "prompts"):
        shutil.copytree(ROOT / folder, place / folder)
    return place


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", target, checkout)
    (made,) = target.glob("*.whl")
    return made


def contents(wheel: Path) -> set[str]:
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path, checkout: Path) -> None:
    files = [file for folder in ("llm_backend", "prompts") for file in (checkout / folder).rglob("*") if file.is_file()]
    names = {file.relative_to(checkout).as_posix() for file in files if "__pycache__" not in file.parts}
    assert contents(wheel) == {f"llm_backend/{name}" if name.startswith("prompts/") else name for name in names}


def test_the_prompts_are_read_from_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip("install", *OFFLINE, "--target", target, wheel)
    said = run(sys.executable, "-c", READ_PROMPT, PYTHONPATH=str(target), cwd=str(tmp_path))
    assert said == f"{target}/llm_backend/__init__.py\n{(ROOT / 'prompts' / PROMPT).read_text('utf-8')}\n"


def test_the_prompts_are_read_from_an_editable_install(checkout: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    tools = sysconfig.get_path("purelib")
    pip("--python", python, "install", *OFFLINE, "--no-build-isolation", "--editable", checkout, PYTHONPATH=tools)
    said = run(python, "-c", READ_PROMPT, cwd=str(tmp_path))
    assert said == f"{checkout}/llm_backend/__init__.py\n{(ROOT / 'prompts' / PROMPT).read_text('utf-8')}\n"


def test_the_sdist_builds_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    build = f"import setuptools.build_meta as build; build.build_sdist({str(tmp_path)!r})"
    run(sys.executable, "-c", build, cwd=str(checkout))
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path / "src", filter="data")
    (source,) = (tmp_path / "src").iterdir()
    pip("wheel", *OFFLINE, "--no-build-isolation", "--wheel-dir", tmp_path, source)
    (again,) = tmp_path.glob("*.whl")
    assert contents(again) == contents(wheel)


def locked(name: str) -> dict[str, str]:
    """Package → version of a lock file, whatever platform it is for."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^ ;\\]+)", text))


LOCKS = [f"requirements{kind}.lock" for kind in ("", "-ocr", "-media", "-dev", "-build")]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_by_hash_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=[a-z])", re.sub(r"(?m)^\s*#.*\n?", "", text))[1:]
    assert entries
    assert [entry for entry in entries if "--hash=sha256:" not in entry or "==" not in entry.split("\n")[0]] == []
    assert "://" not in text
    assert "index-url" not in text


def test_the_locks_agree() -> None:
    run_time, ocr, media, dev = (locked(name) for name in LOCKS[:4])
    assert run_time.items() <= ocr.items() <= media.items() <= dev.items()
    assert locked("requirements-build.lock").items() <= dev.items()


def test_every_dependency_is_locked() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    names = {re.match(r"[\w.-]+", line)[0] for line in told["project"]["dependencies"]}  # type: ignore[index]
    assert names <= set(locked("requirements.lock"))


def commands_of(words: list[str]) -> None:
    """A command line of ours is understood: the command is there, and takes these flags."""
    program, command, *flags = words
    assert program == "llm-backend"
    main.commands[command].make_context(command, flags).close()


def test_the_image_runs_commands_that_exist() -> None:
    last = DOCKERFILE[-1]
    for word in ("CMD", "HEALTHCHECK"):
        (found,) = [item for item in last if item.word == word]
        commands_of(found.exec_form)


def test_the_image_runs_as_nobody_special_and_keeps_its_data() -> None:
    told = {item.word: item.rest for item in DOCKERFILE[-1]}
    assert told["USER"] not in ("root", "0")
    assert told["STOPSIGNAL"] == "SIGTERM"
    assert told["VOLUME"] == told["WORKDIR"] == "/data"
    assert "DATA_DIR=/data" in told["ENV"]


def test_the_image_is_built_from_files_that_docker_is_given() -> None:
    given = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = [item.rest.split()[:-1] for stage in DOCKERFILE for item in stage if item.word == "COPY"]
    sources = {name for words in copies for name in words if not words[0].startswith("--from")}
    assert sources == given
    assert [name for name in sources if not list(ROOT.glob(name))] == []


def test_compose_runs_the_backend_alone_and_the_rest_by_profile() -> None:
    profiles = {name: service.get("profiles") for name, service in COMPOSE["services"].items()}
    assert profiles == {
        "backend": None,
        "worker": ["redis"],
        "redis": ["redis"],
        "label-studio": ["label-studio"],
        "ollama": ["ollama"],
    }


def test_compose_leaves_workers_the_time_to_drain() -> None:
    told = COMPOSE["services"]["worker"]["stop_grace_period"]
    assert int(told.removesuffix("s")) > Pace().drain


def test_compose_hands_every_setting_on() -> None:
    handed = set(COMPOSE["services"]["backend"]["environment"])
    assert handed == set(COMPOSE["services"]["worker"]["environment"])
    ours = {item.metadata["name"] for item in fields(Settings)} - {"DATA_DIR"}  # the image's own
    assert handed == ours | {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}


def test_compose_declares_the_volumes_it_uses() -> None:
    mounts = [mount for service in COMPOSE["services"].values() for mount in service.get("volumes", ())]
    used = {mount.partition(":")[0] for mount in mounts}
    assert used == set(COMPOSE["volumes"])


def test_compose_lets_label_studio_reach_a_private_address() -> None:
    told = COMPOSE["services"]["label-studio"]["environment"]
    assert (told["ML_BLOCK_LOCAL_IP"], told["SSRF_PROTECTION_ENABLED"]) == ("false", "false")


@pytest.mark.e2e
def test_the_steps_of_the_image_make_a_server_that_starts_and_stops(checkout: Path, tmp_path: Path) -> None:
    """Replay the build stage's RUN lines in clean environments (they install from the package index)."""
    for file in ROOT.glob("requirements*.lock"):
        shutil.copy(file, checkout)
    for item in DOCKERFILE[0]:
        if item.word == "RUN":
            steps = item.rest.replace("/opt/", f"{tmp_path}/")
            run("sh", "-euc", steps, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}", cwd=str(checkout))
    program = f"{tmp_path}/llm-backend/bin/llm-backend"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    told = {**os.environ, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "DATA_DIR": str(tmp_path / "data")}
    with subprocess.Popen([program, "serve", "--port", str(port)], env=told, cwd=tmp_path) as server:
        try:
            asked = [program, "health", "--port", str(port)]
            while subprocess.run(asked, env=told, cwd=tmp_path, capture_output=True).returncode:
                assert server.poll() is None, "the server ended"
            server.send_signal(signal.SIGTERM)
            assert server.wait(timeout=20) == 0
        finally:
            server.kill()
