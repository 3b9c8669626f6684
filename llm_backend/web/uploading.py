"""How do datasets enter and leave over HTTP, and how is one of them labelled? `/datasets`."""

from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request

from llm_backend.backend.uploads import Uploaded, Uploads, Wanted
from llm_backend.core.judge import LABEL_COLUMN
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import list_parts, object_lines, table_lines
from llm_backend.services import Services, criteria
from llm_backend.web.bodies import read_body
from llm_backend.web.steering import iso, run_json

_CHUNK = 1 << 16
_FORMATS = {"csv": "text/csv", "jsonl": "application/x-ndjson", "json": "application/json"}
_KNOWN = frozenset(("prompt_template", "metric", "few_shot_dataset_id", "labels", "label_column"))


def uploading(services: Services) -> Blueprint:
    """The doors for datasets."""
    doors = Blueprint("uploading", __name__)
    backend, loop = services.backend, services.loop
    uploads = Uploads(
        services.settings.data_path / "datasets",
        services.store,
        backend.judging,
        backend.datasets,
        backend.jobs,
        backend.known,
        criteria(),
    )

    @doors.get("/datasets")
    def list_datasets() -> Response:
        return jsonify(datasets=[_told(uploads, uploaded) for uploaded in uploads.every()])

    @doors.post("/datasets")
    def add_dataset() -> tuple[Response, int]:
        name, description = request.args.get("name", ""), request.args.get("description", "")
        if not name:
            raise RequestError("Send the file itself, and its name: POST /datasets?name=answers.csv")
        return jsonify(_told(uploads, uploads.add(name, _parts(), description))), 201

    @doors.get("/datasets/<ident>")
    def show_dataset(ident: str) -> Response:
        wanted = request.args.get("format", "")
        if not wanted:
            return jsonify(_told(uploads, uploads.show(ident)))
        if wanted not in _FORMATS:
            raise RequestError(f'"format" is one of {", ".join(_FORMATS)}; found "{wanted[:40]}".')
        columns, rows = uploads.labelled(ident)
        written = {"csv": lambda: table_lines(rows, columns), "jsonl": lambda: object_lines(rows)}
        lines = written.get(wanted, lambda: list_parts(rows))()
        disposition = {"Content-Disposition": f'attachment; filename="{ident}.{wanted}"'}
        encoded = (line.encode("utf-8", "backslashreplace") for line in lines)
        return Response(encoded, content_type=f"{_FORMATS[wanted]}; charset=utf-8", headers=disposition)

    @doors.post("/datasets/<ident>/label")
    def label_dataset(ident: str) -> tuple[Response, int]:
        run = loop.run(uploads.label(ident, _wanted(read_body())))
        return jsonify(**run_json(run), job_id=run.id, dataset_id=ident), 202

    @doors.delete("/datasets/<ident>")
    def remove_dataset(ident: str) -> Response:
        uploads.remove(ident)
        return jsonify(removed=ident)

    return doors


def _parts() -> Iterator[bytes]:
    while part := request.stream.read(_CHUNK):
        yield part


def _wanted(body: Any) -> Wanted:
    """How a dataset is to be labelled.

    Raises:
        RequestError: The body does not say, or says it twice.
    """
    if not isinstance(body, Mapping) or ("prompt_template" in body) == ("metric" in body):
        raise RequestError(
            'Send {"prompt_template": "Is {output} polite?"} or {"metric": "faithfulness"}, and perhaps '
            '"few_shot_dataset_id", "labels" and "label_column".'
        )
    if unknown := sorted(set(body) - _KNOWN):
        raise RequestError(f'"{unknown[0][:60]}" is not known here; there are {", ".join(sorted(_KNOWN))}.')
    labels = body.get("labels") or []
    if not isinstance(labels, list) or not all(isinstance(label, str | int) for label in labels):
        raise RequestError('"labels" is a list of labels, such as ["good", "fair", "poor"].')
    return Wanted(
        criterion=_text(body, "metric") or _text(body, "prompt_template"),
        named="metric" in body,
        labels=tuple(map(str, labels)),
        label_column=_text(body, "label_column") or LABEL_COLUMN,
        few_shot=_text(body, "few_shot_dataset_id"),
    )


def _text(body: Mapping[str, Any], name: str) -> str:
    told = body.get(name)
    if told is not None and not isinstance(told, str):
        raise RequestError(f'"{name}" is a text.')
    return told or ""


def _told(uploads: Uploads, uploaded: Uploaded) -> dict[str, Any]:
    """A dataset as /datasets tells of it; `job` is null before it was to be labelled, and when the run is forgotten."""
    labelling, run = uploaded.labelling, uploads.run(uploaded)
    return {
        "id": uploaded.id,
        "name": uploaded.name,
        "description": uploaded.description,
        "columns": uploaded.columns,
        "rows": uploaded.rows,
        "skipped": uploaded.skipped,
        "created": iso(uploaded.created),
        "project": uploaded.project,
        "prompt_template": labelling.criterion.text if labelling else None,
        "metric": (labelling.criterion.name or None) if labelling else None,
        "labels": labelling.labels if labelling else None,
        "pass_when": (labelling.criterion.pass_when or None) if labelling else None,
        "job": run_json(run) if run else None,
    }
