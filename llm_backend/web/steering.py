"""How are runs and projects seen and steered over HTTP? `/jobs` and `/projects`, in JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, cast, get_args

from flask import Blueprint, Response, jsonify, request

from llm_backend.backend.blind import KeptAnswer
from llm_backend.backend.known import KnownProject
from llm_backend.core.run import TASK_STATES, Run, RunState, TaskState, TaskStatus
from llm_backend.core.wire import Annotation, Task, annotations_of
from llm_backend.errors import RequestError
from llm_backend.services import Services
from llm_backend.web.bodies import read_body

_RUN_STATES: tuple[RunState, ...] = get_args(RunState)
_MOST = 1000


def steering(services: Services) -> Blueprint:
    """The doors for people and scripts."""
    doors = Blueprint("steering", __name__)
    jobs, projects, loop = services.backend.jobs, services.backend.known, services.loop

    @doors.get("/jobs")
    def list_jobs() -> Response:
        states = cast("list[RunState]", _named("state", _RUN_STATES))
        return jsonify(jobs=[run_json(run) for run in jobs.list(states, _number("most", 100, 1, _MOST))])

    @doors.get("/jobs/<run_id>")
    def show_job(run_id: str) -> Response:
        states = cast("list[TaskState]", _named("state", TASK_STATES) or ["failed"])
        most = _number("most", _MOST, 1, _MOST)
        tasks = jobs.tasks(run_id, states, most, _number("after", -1, -1))
        following = tasks[-1].place if len(tasks) == most else None
        return jsonify(**run_json(jobs.show(run_id)), tasks=list(map(task_json, tasks)), next=following)

    @doors.post("/jobs/<run_id>/cancel")
    def cancel_job(run_id: str) -> Response:
        return jsonify(run_json(loop.run(jobs.cancel(run_id))))

    @doors.post("/jobs/<run_id>/retry")
    def retry_job(run_id: str) -> Response:
        return jsonify(run_json(loop.run(jobs.retry(run_id))))

    @doors.get("/projects")
    def list_projects() -> Response:
        return jsonify(projects=[project_json(project) for project in projects.list()])

    @doors.get("/projects/<key>")
    def show_project(key: str) -> Response:
        known = projects.show(key)
        return jsonify(
            **project_json(known), label_config=known.label_config, prompt_prefix=services.settings.prompt_prefix
        )

    @doors.post("/projects/<key>/pin")
    def pin_prompt(key: str) -> Response:
        body = read_body()
        prompt = body.get("prompt") if isinstance(body, Mapping) else None
        return jsonify(project_json(projects.pin(key, prompt if isinstance(prompt, str) else "")))

    @doors.post("/projects/<key>/reset")
    def reset_prompt(key: str) -> Response:
        return jsonify(project_json(projects.reset(key)))

    @doors.post("/projects/<key>/publish")
    def publish_learned(key: str) -> Response:
        return jsonify(project_json(projects.publish(key)))

    @doors.post("/projects/<key>/calibration")
    def calibrate(key: str) -> Response:
        body = read_body()
        if body is not None and not isinstance(body, Mapping):
            raise RequestError('A calibration is an object such as {"knots": [[0, 0.1], [1, 0.9]]}; null forgets it.')
        return jsonify(project_json(projects.calibrate(key, body)))

    @doors.post("/projects/<key>/corrections")
    def import_corrections(key: str) -> Response:
        projects.show(key)
        taken = services.backend.learning.import_tasks(key, annotated_tasks(read_body()))
        faults = [{"task": place, "reason": sentence} for place, sentence in taken.faults]
        return jsonify(learned=taken.learned, accepted=taken.accepted, left=taken.left, faults=faults)

    @doors.post("/projects/<key>/kept")
    def kept_answers(key: str) -> Response:
        known, body = projects.show(key), read_body()
        told = body.get("version") if isinstance(body, Mapping) else None
        version = told if isinstance(told, str) and told else known.version
        answers = services.backend.kept.look(key, version, [task for task, _ in annotated_tasks(body)])
        return jsonify(version=version, answers=[answer_json(answer) for answer in answers])

    @doors.delete("/projects/<key>")
    def forget_project(key: str) -> Response:
        projects.forget(key)
        return jsonify(forgotten=key)

    return doors


def run_json(run: Run, now: float | None = None) -> dict[str, Any]:
    """A run as /jobs tells of it; times in ISO 8601, `eta` in seconds or null."""
    return {
        "id": run.id,
        "project": run.spec.project,
        "version": run.spec.version,
        "source": run.spec.source,
        "state": run.state,
        "reason": run.reason,
        "total": run.total,
        **{state: run.counts.get(state, 0) for state in TASK_STATES},
        "created": iso(run.created),
        "started": iso(run.started),
        "finished": iso(run.finished),
        "eta": eta(run, datetime.now(UTC).timestamp() if now is None else now),
        "calls": run.usage.calls,
        "prompt_tokens": run.usage.prompt_tokens,
        "completion_tokens": run.usage.completion_tokens,
    }


def task_json(task: TaskStatus) -> dict[str, Any]:
    """What became of a task, as /jobs tells of it."""
    return {"task": task.task_id, "state": task.state, "reason": task.reason}


def eta(run: Run, now: float) -> float | None:
    """Seconds until a running run ends, if it goes on as it went so far."""
    settled = run.counts.get("done", 0) + run.counts.get("failed", 0)
    if run.state != "running" or not settled or not run.started:
        return None
    return round(run.waiting * (now - run.started) / settled, 1)


def project_json(project: KnownProject) -> dict[str, Any]:
    """A project as /projects tells of it."""
    return {
        "key": project.key,
        "prompt": project.prompt,
        "origin": project.origin,
        "version": project.version,
        "hostname": project.hostname,
        "updated": iso(project.updated),
        "learned": asdict(project.lore),
        "calibration": project.calibration.to_json() if project.calibration else None,
    }


def answer_json(answer: KeptAnswer) -> dict[str, Any]:
    """What is kept of a task, as evaluating reads it."""
    prediction = answer.prediction.to_json() if answer.prediction else None
    return {"prediction": prediction, "blind": answer.blind}


def annotated_tasks(body: Any) -> list[tuple[Task, tuple[Annotation, ...]]]:
    """The tasks of a body, each with its annotations, as Label Studio exports them.

    Raises:
        RequestError: One of them is no task, or there is no list of them.
    """
    raw = body.get("tasks") if isinstance(body, Mapping) else None
    if not isinstance(raw, list):
        raise RequestError('Send {"tasks": [...]}, tasks as Label Studio exports them.')
    return [(Task.from_json(task), annotations_of(task)) for task in raw]


def iso(seconds: float) -> str | None:
    """A moment in ISO 8601; None for one that has not come."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _named(name: str, known: tuple[str, ...]) -> list[str]:
    """The values of a repeatable query parameter.

    Raises:
        RequestError: One of them means nothing.
    """
    told = [value for value in request.args.getlist(name) if value]
    for value in told:
        if value not in known:
            raise RequestError(f'"{name}" is one of {", ".join(known)}; found "{value[:40]}".')
    return told


def _number(name: str, default: int, least: int, most: int = 10**9) -> int:
    """A query parameter that is a number.

    Raises:
        RequestError: It is none, or out of bounds.
    """
    told = request.args.get(name, str(default))
    number = int(told) if told.removeprefix("-").isdecimal() and len(told) < 12 else least - 1
    if not least <= number <= most:
        raise RequestError(f'"{name}" is a whole number from {least} to {most}; found "{told[:40]}".')
    return number
