"""How does a newcomer get, with one command, a Label Studio in which this backend can be seen at work?"""

import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from llm_backend.core.chat import LLM
from llm_backend.demo.api import Api, ApiRefused
from llm_backend.demo.label_studio import PASSWORD, USERNAME, LabelStudio, Say, install
from llm_backend.demo.processes import HOST, Child, free_port
from llm_backend.demo.projects import SAMPLES, Sample
from llm_backend.demo.server import choose
from llm_backend.errors import BackendError
from llm_backend.settings import Settings

CONNECTION = "LLM"
"""What the connected backend is called in the projects' settings."""
_LOOKS = 0.5
"""Seconds between two looks at whether both programs still run."""


def _say(line: str) -> None:
    print(line, flush=True)


def run(
    *,
    label_studio_port: int = 8080,
    port: int = 9090,
    folder: Path = Path(".demo"),
    environ: Mapping[str, str] | None = None,
    say: Say = _say,
) -> None:
    """Start a Label Studio with sample projects and this backend connected to each; return when told to stop.

    Starting again on the same folder finds everything as it was left.

    Args:
        label_studio_port: The next free one is taken if it is in use; so is `port`, the backend's.
        folder: Takes the environment of Label Studio, the data and the logs.
        environ: In the place of the process's environment.
        say: Takes what the person reads, line by line.
    Raises:
        BackendError: What could not be started, or fell, and the end of its log.
    """
    environ = os.environ if environ is None else environ
    settings, llm = choose(environ)
    with _stoppable(say), _alone(folder) as lock:
        executable = install(folder / "label-studio", say)
        host_port = _port(label_studio_port, "Label Studio", say)
        label_studio = LabelStudio(executable, folder / "data", host_port, keeps=[lock], say=say)
        with label_studio:
            api = label_studio.login()
            own = _port(port, "the backend", say)
            backend = _backend(own, folder, environ, label_studio.url, _token(api, folder / "data"), lock)
            address = f"http://{HOST}:{own}"
            say(f"Starting the backend at {address} ...")
            with backend:
                backend.wait_until_healthy(f"{address}/health", 60.0)
                try:
                    for sample in reversed(SAMPLES):  # Label Studio lists the newest first
                        furnish(api, sample, address)
                except BackendError:
                    _check(label_studio.child, backend)  # one that fell says why
                    raise
                for line in _ready(label_studio.url, folder, settings, llm):
                    say(line)
                _watch(label_studio.child, backend)


def furnish(api: Api, sample: Sample, backend: str) -> int:
    """Make a sample project as far as it is missing: the project, its tasks, its connection. Returns its id.

    Args:
        backend: The backend's address; a connection to another one, from an earlier start, is replaced.
    """
    held = {project["title"]: project for project in api.projects()}
    if sample.title in held:
        project = int(held[sample.title]["id"])
    else:
        # Where a prompt is typed, the form opens empty; elsewhere opening a task asks the model and shows what it says.
        more = {
            "description": sample.description,
            "expert_instruction": sample.description,
            "show_collab_predictions": not sample.prompted,
        }
        project = api.create_project(sample.title, sample.label_config, **more)
    if not api.tasks(project):
        api.import_tasks(project, sample.tasks or _uploaded(api, sample, project))
    if [connection["url"] for connection in api.connections(project)] != [backend]:
        api.disconnect(project)
        api.connect(project, backend, title=CONNECTION)
    return project


def _uploaded(api: Api, sample: Sample, project: int) -> list[Mapping[str, str]]:
    with sample.files() as files:
        return [{"image": address} for address in api.upload(project, files)]


def _token(api: Api, data: Path) -> str:
    """The user's access token, with which the backend fetches uploaded pictures. Label Studio shows it only once."""
    kept = data / "token"
    if kept.is_file():
        return kept.read_text(encoding="utf-8").strip()
    try:
        token = api.create_token()
    except ApiRefused as exc:
        if exc.answered != 409:
            raise
        raise BackendError(
            f"The demo's access token is no longer in {kept}, and Label Studio shows it only once. Revoke it there "
            f"(Account & Settings > Personal Access Token), or delete the folder {data}, then start again."
        ) from exc
    with open(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(token)
    return token


def _backend(port: int, folder: Path, environ: Mapping[str, str], label_studio: str, token: str, lock: int) -> Child:
    told = {
        "DATA_DIR": str(folder.absolute() / "backend"),
        "LABEL_STUDIO_URL": label_studio,
        "LABEL_STUDIO_API_KEY": token,
    }
    command = [sys.executable, "-m", "llm_backend.demo.server", str(port)]
    return Child("The backend", command, {**environ, **told}, folder.absolute() / "backend.log", [lock])


def _port(wanted: int, whose: str, say: Say) -> int:
    port = free_port(wanted)
    if wanted not in (0, port):
        say(f"Port {wanted} is in use; {whose} takes {port}.")
    return port


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Hold the folder, so that no second demo writes to the same databases.

    The programs that we start hold it with us: were we killed, what is left of them would still be noticed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise BackendError(
                f"Another demo, or what is left of one, still runs on {folder}. Stop it, or give another folder."
            ) from exc
        yield lock.fileno()


@contextmanager
def _stoppable(say: Say) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal end what is inside in order, and nothing cut the ending short."""
    wishes = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {wish: signal.signal(wish, _stop) for wish in wishes}
    try:
        yield
    except KeyboardInterrupt:
        say("Stopped.")
    finally:
        for wish, handler in before.items():
            signal.signal(wish, handler)


def _stop(number: int, frame: object) -> NoReturn:
    for wish in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(wish, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(*children: Child) -> NoReturn:
    """Look after the programs until one falls or somebody stops us."""
    while True:
        _check(*children)
        time.sleep(_LOOKS)


def _check(*children: Child) -> None:
    for child in children:
        child.check()


def _ready(url: str, folder: Path, settings: Settings, llm: LLM | None) -> Sequence[str]:
    model = _NO_MODEL if llm else (f"The model is {settings.model}.",)
    return (
        "",
        f"Ready. Open  {url}",
        f"       Log in as  {USERNAME}  with the password  {PASSWORD}",
        "",
        f'1. Open the project "{SAMPLES[1].title}" and a task in it.',
        "2. Switch on Auto-Annotation at the bottom of the page, type a prompt, press Shift+Enter.",
        "3. The answer and the labels are filled in: correct what is wrong and press Submit.",
        "",
        *model,
        "",
        f"Ctrl-C stops everything. Data and logs are in {folder}; the next start finds them again.",
    )


_NO_MODEL = (
    "No model is connected: a stand-in answers by plain rules, and says so in every text. For a real model, stop, set",
    "  OPENAI_API_KEY=...                           OpenAI's own; OPENAI_MODEL names another than the default",
    "  OPENAI_BASE_URL=http://localhost:8000/v1     any server that speaks OpenAI's chat completions",
    "  OPENAI_PROVIDER=ollama OPENAI_MODEL=llama3   Ollama on this machine",
    "in the environment or in .env, and start the demo again.",
)
