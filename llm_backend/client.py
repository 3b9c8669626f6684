"""How does a program in Python have a dataset labelled by a running server?

    from llm_backend.client import AutoEval, BuiltinMetrics

    client = AutoEval()
    dataset_id = client.upload_dataset("answers.csv", name="answers")
    job_id = client.label_dataset(dataset_id, prompt_template=BuiltinMetrics.FAITHFULNESS)
    client.wait_for_label_dataset_job(job_id)
    labelled = client.download_dataset(dataset_id)

Nothing is needed but the standard library. With pandas installed, datasets are data frames, else lists of dicts.
"""

import base64
import contextlib
import csv
import http.client
import importlib.util
import io
import json
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from llm_backend.errors import BackendError, Unreachable

HERE = "http://127.0.0.1:9090"
_LONGEST_PAUSE = 300.0
_COLUMN = re.compile(r"(?<!\{)\{([^\W\d]\w*)\}(?!\})")
_LABELS = "labels"
_PART = 1 << 16


class Refused(BackendError):
    """The server is there, and says no."""


class Server:
    """A running server."""

    def __init__(self, url: str, credentials: str = "", *, secret: str = "", timeout: float = 3.0) -> None:
        """
        Args:
            url: Its address as it is connected, with URL_SECRET if it has one.
            credentials: `user:password` of its Basic Auth; "" for none.
            secret: Is not repeated in sentences.
            timeout: Seconds to wait for an answer.
        """
        self._base = url.rstrip("/")
        self._credentials = credentials
        self._secret = secret
        self._timeout = timeout
        # A proxy is for the way to the model, not for the way to ourselves.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Listening)

    def ask(
        self, path: str, holds: str, method: str = "GET", body: Any = None, patience: float = 0.0
    ) -> dict[str, Any]:
        """What the server answers, an object that has a field `holds`.

        Args:
            body: Sent along as JSON, where there is one; a file as it is, piece by piece.
            patience: Seconds to wait for an answer, where that is longer than usual.
        Raises:
            Refused: It answers with an error; the sentence is its own.
            Unreachable: There is no server, it does not answer in time, or it is another one.
        """
        try:
            told = json.loads(self.read(path, method, body, patience))
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict) or holds not in told:
            raise Unreachable(f"{self._shown(path)} is not a server of llm-backend: its answer gives no {holds}.")
        return told

    def read(self, path: str, method: str = "GET", body: Any = None, patience: float = 0.0) -> bytes:
        """What the server answers, as it is; see `ask`."""
        return b"".join(self.parts(path, method, body, patience))

    def parts(self, path: str, method: str = "GET", body: Any = None, patience: float = 0.0) -> Iterator[bytes]:
        """The same, piece by piece."""
        shown = self._shown(path)
        sent, headers = _sent(body)
        if self._credentials:
            headers["Authorization"] = "Basic " + base64.b64encode(self._credentials.encode()).decode()
        try:
            request = urllib.request.Request(f"{self._base}/{path}", sent, headers, method=method)
            with self._opener.open(request, timeout=max(patience, self._timeout)) as answer:
                while part := answer.read(_PART):
                    yield part
                if answer.length:  # it ended too early
                    raise http.client.IncompleteRead(b"", answer.length)
        except urllib.error.HTTPError as exc:
            with exc:  # it is the answer, too
                raise Refused(_sentence(exc) or f"{shown} answers {exc.code} {exc.reason}.") from exc
        except (OSError, http.client.HTTPException) as exc:
            raise Unreachable(f"No answer from {shown}: {_reason(exc)}.") from exc

    def _shown(self, path: str) -> str:
        address = f"{self._base}/{path}"
        return address.replace(self._secret, "…") if self._secret else address


class _Connection(http.client.HTTPConnection):
    """Hears why a body is refused, too, when the server closes before it has taken all of it."""

    def request(self, *args: Any, **more: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            super().request(*args, **more)


class _Listening(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Connection, req)


@dataclass(frozen=True, slots=True)
class Metric:
    """A criterion that the server has."""

    name: str


class BuiltinMetrics:
    """The criteria that every server has; the README says which columns each needs and which label is the good one."""

    FAITHFULNESS = Metric("faithfulness")
    RELEVANCE = Metric("relevance")
    ANSWER_CORRECTNESS = Metric("answer_correctness")
    SUMMARIZATION = Metric("summarization")
    TOXICITY = Metric("toxicity")
    COHERENCE = Metric("coherence")
    HALLUCINATION = Metric("hallucination")
    INSTRUCTION_FOLLOWING = Metric("instruction_following")


class AutoEval:
    """Has datasets labelled."""

    def __init__(
        self,
        api_token: str | None = None,
        base_url: str | None = None,
        project_id: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """
        Args:
            api_token: `user:password` of the server's Basic Auth; if None, BASIC_AUTH_USER and BASIC_AUTH_PASS of the
                environment, if they are set.
            base_url: The server's address as it is connected; if None, LLM_BACKEND_URL, or this machine.
            project_id: Is taken for the sake of programs that give it: a server of ours keeps no datasets apart.
            timeout: Seconds to wait for one answer; uploads and downloads wait for longer.
        """
        told = os.environ
        user, password = told.get("BASIC_AUTH_USER", ""), told.get("BASIC_AUTH_PASS", "")
        credentials = api_token if api_token is not None else f"{user}:{password}" if user else ""
        secret = told.get("URL_SECRET", "")
        url = base_url or told.get("LLM_BACKEND_URL") or f"{HERE}/{secret}"
        self._timeout = 60.0 if timeout is None else timeout
        self._server = Server(url, credentials, secret=secret, timeout=self._timeout)

    def upload_dataset(self, file_path: str | Path, name: str | None = None, description: str | None = None) -> str:
        """Upload a .csv, .tsv, .jsonl or .json file; returns the dataset's id.

        Args:
            name: What to call it; the file's own name, if None.
        Raises:
            ValueError: There is no such file.
            Refused: The server cannot use it; the sentence says why.
            Unreachable: There is no server, or it does not answer.
        """
        file = Path(file_path)
        called = name or file.name
        called = called if called.endswith(file.suffix) else called + file.suffix
        try:
            with open(file, "rb") as held:
                return self._upload(held, called, description or "")
        except OSError as exc:
            raise ValueError(f"{file} cannot be read ({exc.strerror}).") from exc

    def label_dataset(
        self,
        dataset_id: str,
        prompt_template: str | Metric,
        few_shot_examples: Any = None,
        wait_for_completion: bool = False,
        labels: Iterable[str | int] | None = None,
        label_column: str | None = None,
    ) -> str:
        """Begin to label a dataset; returns the id of the job that does it.

        Args:
            prompt_template: One of `BuiltinMetrics`, or a text that names columns in braces.
            few_shot_examples: Rows with labels to learn from: a data frame, or dicts.
            wait_for_completion: Whether to return only when it is done.
            labels: To choose from; 0 and 1, if None.
            label_column: The column of people's labels; `label`, if None.
        Raises:
            ValueError: A column is missing.
            Refused: The server cannot label it so; the sentence says why.
            RuntimeError, TimeoutError: As `wait_for_label_dataset_job`.
        """
        info = self._server.ask(f"datasets/{dataset_id}", "columns")
        body: dict[str, Any] = {}
        if isinstance(prompt_template, Metric):
            body["metric"] = prompt_template.name
        else:
            _require(info["columns"], _COLUMN.findall(prompt_template))
            body["prompt_template"] = prompt_template
        if few_shot_examples is not None:
            lines = io.BytesIO(_lines_of(few_shot_examples))
            body["few_shot_dataset_id"] = self._upload(lines, "few-shot.jsonl", "examples")
        if labels is not None:
            body["labels"] = list(labels)
        if label_column is not None:
            body["label_column"] = label_column
        told = self._server.ask(f"datasets/{dataset_id}/label", "job_id", "POST", body, self._patience)
        if wait_for_completion:
            self.wait_for_label_dataset_job(told["job_id"])
        return str(told["job_id"])

    def wait_for_label_dataset_job(
        self,
        job_id: str,
        timeout: float = 3600,
        interval: float = 30,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wait until a job is completed.

        Args:
            timeout: Seconds to wait at most.
            interval: Seconds between two looks at first; they become more, up to five minutes.
        Raises:
            RuntimeError: It was cancelled, has failed, or is paused until somebody sees to it; the sentence says why.
            TimeoutError: It is not done yet; it goes on.
        """
        end = clock() + timeout
        while True:
            job = self._server.ask(f"jobs/{job_id}", "state")
            if job["state"] == "completed":
                return
            if job["state"] in ("cancelled", "failed", "paused"):
                raise RuntimeError(f"Job {job_id} is {job['state']}: {job.get('reason') or 'no reason is told'}.")
            left = end - clock()
            if left <= 0:
                done = f"{job.get('done', 0):,} of {job.get('total', 0):,} rows are done"
                raise TimeoutError(f"Job {job_id} is not completed after {timeout:g} s: {done}. It goes on.")
            sleep(min(interval, left))
            interval = min(2 * interval, _LONGEST_PAUSE)

    def download_dataset(self, dataset_id: str, output_file_path: str | Path | None = None) -> Any:
        """A dataset with the labels that it has by now: a data frame where pandas is installed, else a list of dicts.

        Args:
            output_file_path: Where to write it, too, as CSV.
        """
        held = self._server.read(f"datasets/{dataset_id}?format=csv", patience=self._patience)
        if output_file_path is not None:
            Path(output_file_path).write_bytes(held)
        if importlib.util.find_spec("pandas") is not None:
            return importlib.import_module("pandas").read_csv(io.BytesIO(held))
        return list(csv.DictReader(io.StringIO(held.decode("utf-8"), newline="")))

    @property
    def _patience(self) -> float:
        """Seconds for what takes the longer the larger a dataset is."""
        return 10 * self._timeout

    def _upload(self, held: IO[bytes], name: str, description: str) -> str:
        return upload(self._server, held, name, description, self._patience)


def upload(server: Server, file: IO[bytes], name: str, description: str, patience: float) -> str:
    """Upload a dataset; returns its id.

    Raises:
        Refused, Unreachable: As `Server.ask`.
    """
    query = urlencode({"name": name, "description": description})
    return str(server.ask(f"datasets?{query}", "id", "POST", file, patience)["id"])


def _sent(body: Any) -> tuple[Any, dict[str, str]]:
    """A body as it is sent, with what is told of it."""
    if body is None:
        return None, {}
    kind = {"Content-Type": "application/json"}
    if not hasattr(body, "read"):
        return json.dumps(body).encode(), kind
    size = body.seek(0, io.SEEK_END)
    body.seek(0)
    return body, {**kind, "Content-Length": str(size)}


def _require(columns: Iterable[str], named: Iterable[str]) -> None:
    known = [*columns, _LABELS]
    if missing := [name for name in named if name not in known]:
        lacking, has = ", ".join(f"{{{name}}}" for name in missing), ", ".join(columns)
        raise ValueError(f"The prompt uses {lacking}, which no column of the dataset fills; its columns are {has}.")


def _lines_of(examples: Any) -> bytes:
    """Rows as lines of JSON."""
    records = getattr(examples, "to_json", None)
    if records is not None:  # a data frame
        return str(records(orient="records", lines=True)).encode()
    if isinstance(examples, Mapping | str | bytes):
        raise ValueError("few_shot_examples are rows: a data frame, or a list of dicts.")
    return b"".join(json.dumps(dict(row)).encode() + b"\n" for row in examples)


def _reason(exc: Exception) -> str:
    reason = getattr(exc, "reason", exc)
    if isinstance(reason, ConnectionRefusedError):
        return "nothing listens there. Start the server with `llm-backend serve`, or give the address that it has"
    return str(reason)


def _sentence(answer: urllib.error.HTTPError) -> str:
    """The server's own sentence, if it has one."""
    try:
        return str(json.load(answer)["error"])
    except (OSError, http.client.HTTPException, ValueError, RecursionError, KeyError, TypeError):
        return ""
