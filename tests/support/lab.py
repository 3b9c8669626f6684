"""A Label Studio, a backend and a stub model, all real processes but the model: what the end-to-end tests work at."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_backend.core.wire import JSON
from llm_backend.demo.api import Api
from llm_backend.demo.processes import HOST, Child, free_port
from tests.support.stub_model import Reply, Responder, StubModel, answers, says

MODEL = "stub-model"
PAIR = """
<View>
  <Text name="prompt" value="$prompt"/>
  <Pairwise name="comparison" toName="answer1,answer2" selectionStyle="outline: 3px solid rgb(178, 58, 111);"/>
  <Text name="answer1" value="$answer1"/>
  <Text name="answer2" value="$answer2"/>
</View>"""
ROOT = Path(__file__).parents[2]
HOME = ROOT / ".demo" / "label-studio"
"""Where Label Studio is installed, for the demo and for these tests alike."""


@dataclass(frozen=True)
class Lab:
    """One Label Studio and one backend.

    Attributes:
        backend: The backend's address.
        process: The backend's process, for its log.
    """

    api: Api
    stub: StubModel
    backend: str
    process: Child

    def project(
        self, title: str, config: str, data: Sequence[Mapping[str, JSON]], *, opens: bool = False, **more: JSON
    ) -> tuple[int, list[int]]:
        """Make a project, import its tasks and connect the backend; returns its id and those of the tasks.

        Args:
            opens: Whether opening a task asks the backend, as it does unless the project says otherwise.
        """
        project = self.api.create_project(title, config, show_collab_predictions=opens)
        tasks = self.api.import_tasks(project, data) if data else []
        self.api.connect(project, self.backend, **more)
        return project, tasks

    def asked_since(self, before: int) -> list[str]:
        """What the model was told, all messages of each call, since it had been asked `before` times."""
        return ["\n".join(_words(message) for message in body["messages"]) for body in self.stub.bodies[before:]]

    @property
    def calls(self) -> int:
        return len(self.stub.asked)


@contextmanager
def backend(folder: Path, stub_url: str, **more: str) -> Iterator[tuple[str, Child]]:
    """The backend as an operator starts it, asking the model at `stub_url`; `more` are further variables."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR") if name in os.environ}
    told = {
        "OPENAI_BASE_URL": stub_url,
        "OPENAI_API_KEY": "key-of-the-tests",
        "OPENAI_MODEL": MODEL,
        "DATA_DIR": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", "llm_backend", "serve", "--host", HOST, "--port", str(port)]
    with Child("The backend", command, {**kept, **told, **more}, folder / "backend.log") as process:
        address = f"http://{HOST}:{port}"
        process.wait_until_healthy(f"{address}/health", 60.0)
        yield address, process


def fills(**fields: JSON) -> Responder:
    """A model that gives these fields whatever is asked; a plain text where only a text is asked for."""

    def respond(request: JSON, n_th: int) -> Reply:
        schema = (request.get("response_format") or {}).get("json_schema", {}).get("schema")
        if schema is None:
            return answers(request, n_th)
        known = {key: fields[key] for key in schema["properties"] if key in fields}
        made = answers(request, n_th).body["choices"][0]["message"]["content"]
        return says(_merged(made, known))

    return respond


def _merged(made: str, known: Mapping[str, JSON]) -> str:
    return json.dumps({**json.loads(made), **known}, ensure_ascii=False)


def _words(message: Mapping[str, JSON]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content or () if part.get("type") == "text")
