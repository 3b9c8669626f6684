"""How are runs seen and steered from a shell? As on the status page: listed, shown, watched, cancelled, retried."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_args

import click

from llm_backend.cli.calling import Server, takes_server
from llm_backend.cli.wording import plain, time_left
from llm_backend.core.run import RunState
from llm_backend.errors import Unreachable

Job = Mapping[str, Any]
"""A run, as /jobs tells of it."""

_ACTIVE = ("queued", "running")
_FAILURES_SHOWN = 50
_PATIENCE = 60.0
_COLUMNS = ("RUN", "PROJECT", "STATE", "DONE", "FAILED", "LEFT", "STARTED", "VERSION")


def an_id(ctx: click.Context, param: click.Parameter, told: str | None) -> str | None:
    if told is not None and not (told.isascii() and told.replace("-", "").isalnum()):
        raise click.BadParameter(f"{told!r} is no run's id; llm-backend jobs lists them.")
    return told


_run_id = click.argument("run_id", metavar="ID", callback=an_id)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


class _ListsByDefault(click.Group):
    """`jobs` alone, or with flags only, is `jobs list`. Flags may also stand before the command's word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or args[0] not in ctx.help_option_names:
            flags = self._flags_in_front(ctx, args)
            word = args[flags : flags + 1]
            args = [*word, *args[:flags], *args[flags + 1 :]] if word else ["list", *args]
        return super().parse_args(ctx, args)

    def _flags_in_front(self, ctx: click.Context, args: Sequence[str]) -> int:
        """How many words come before the command's, flags and their values; all, behind a flag that nobody knows."""
        options = [param for each in self.commands.values() for param in each.params if isinstance(param, click.Option)]
        known = dict.fromkeys(ctx.help_option_names, False)
        known |= {name: not option.is_flag for option in options for name in option.opts}
        place = 0
        while place < len(args) and args[place].startswith("-"):
            flag = args[place]
            if flag.partition("=")[0] not in known:
                return len(args)
            place += 2 if known.get(flag) else 1
        return min(place, len(args))


@click.group(cls=_ListsByDefault, short_help="Runs of a running server: list, show, watch, cancel, retry.")
def jobs() -> None:
    """See and steer the runs of a running server; without a further word, list them.

    BASIC_AUTH_USER, BASIC_AUTH_PASS and URL_SECRET are those of the server.

    \b
    Examples:
      llm-backend jobs
      llm-backend jobs watch
      llm-backend jobs show 3f0c5a9b1d2e
      llm-backend jobs retry 3f0c5a9b1d2e --url http://models.internal:9090
    """


@jobs.command("list", short_help="The latest runs.")
@click.option("--state", multiple=True, type=click.Choice(get_args(RunState)), help="Only these; may be repeated.")
@click.option("--most", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@_as_json
@takes_server
def list_jobs(server: Server, state: tuple[str, ...], most: int, as_json: bool) -> None:
    """List the latest runs, the newest first.

    \b
    Examples:
      llm-backend jobs list --state running --state paused
      llm-backend jobs list --json
    """
    found = _jobs(server, state, most)
    if as_json:
        return _print_json(found)
    return click.echo("\n".join(_table(found)) if found else "There is no run.")


@jobs.command(short_help="One run, with the reasons of its failed tasks.")
@_run_id
@click.option("--all", "every", is_flag=True, help=f"All failed tasks, not only the first {_FAILURES_SHOWN}.")
@_as_json
@takes_server
def show(server: Server, run_id: str, every: bool, as_json: bool) -> None:
    """Show one run, and why its failed tasks failed.

    \b
    Examples:
      llm-backend jobs show 3f0c5a9b1d2e
      llm-backend jobs show 3f0c5a9b1d2e --all --json
    """
    job, tasks = _with_failures(server, run_id, every)
    if as_json:
        return _print_json({**job, "tasks": tasks})
    return click.echo("\n".join((*_told(job), *_failures(job, tasks))))


@jobs.command(short_help="Begin no further calls for a run.")
@_run_id
@_as_json
@takes_server
def cancel(server: Server, run_id: str, as_json: bool) -> None:
    """Begin no further calls for a run; what is answered stays.

    \b
    Example:
      llm-backend jobs cancel 3f0c5a9b1d2e
    """
    _steer(server, run_id, "cancel", as_json)


@jobs.command(short_help="Ask once more for the failed tasks of a run.")
@_run_id
@_as_json
@takes_server
def retry(server: Server, run_id: str, as_json: bool) -> None:
    """Ask once more for the failed tasks of a run, or go on with one that was paused or cancelled.

    \b
    Example:
      llm-backend jobs retry 3f0c5a9b1d2e
    """
    _steer(server, run_id, "retry", as_json)


@jobs.command(short_help="Follow runs until they end.")
@click.argument("run_id", metavar="[ID]", required=False, callback=an_id)
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.05), help="Seconds between looks.")
@_as_json
@takes_server
def watch(server: Server, run_id: str | None, every: float, as_json: bool) -> None:
    """Follow a run, or all that are under way, until they end; exits with 1 if one ended other than completed.

    With --json, or where no terminal shows it, a line is printed whenever something has changed.

    \b
    Examples:
      llm-backend jobs watch
      llm-backend jobs watch 3f0c5a9b1d2e
    """
    if as_json:
        looks = _looks(server, run_id, every)
        last = _follow_in_lines(looks, lambda job: json.dumps(job, ensure_ascii=False))
    else:
        last = follow(server, run_id, every)
    if not last and not as_json:
        click.echo("No run is under way.")
    if any(job["state"] != "completed" for job in last.values()):
        raise SystemExit(1)


def follow(server: Server, run_id: str | None, every: float = 1.0) -> dict[str, Job]:
    """Follow a run, or all that are under way, until they end or are paused; returns them by their ids.

    Args:
        every: Seconds between looks.
    """
    looks = _looks(server, run_id, every)
    return _follow_in_bars(looks) if sys.stdout.isatty() else _follow_in_lines(looks, _line)


# Asking the server


def _jobs(server: Server, states: Iterable[str], most: int) -> list[Job]:
    query = "".join(f"&state={state}" for state in states)
    found: list[Job] = server.ask(f"jobs?most={most}{query}", holds="jobs")["jobs"]
    return found


def ask_job(server: Server, run_id: str, query: str = "most=1") -> dict[str, Any]:
    """A run, as /jobs tells of it."""
    return server.ask(f"jobs/{run_id}?{query}", holds="state")


def _with_failures(server: Server, run_id: str, every: bool) -> tuple[Job, list[Job]]:
    """A run and its failed tasks, page by page."""
    most = 1000 if every else _FAILURES_SHOWN
    job = ask_job(server, run_id, f"state=failed&most={most}")
    tasks: list[Job] = job.pop("tasks")
    following = job.pop("next", None)
    while every and following is not None:
        page = ask_job(server, run_id, f"state=failed&most={most}&after={following}")
        tasks += page["tasks"]
        following = page["next"]
    return job, tasks


def _steer(server: Server, run_id: str, what: str, as_json: bool) -> None:
    job = server.ask(f"jobs/{run_id}/{what}", holds="state", method="POST")
    _print_json(job) if as_json else click.echo(_line(job))


def _looks(server: Server, run_id: str | None, every: float) -> Iterator[Sequence[Job]]:
    """The runs that are followed, again and again, until all have ended. A server that restarts is waited for."""
    followed = [run_id] if run_id else [job["id"] for job in reversed(_jobs(server, _ACTIVE, 100))]
    heard: float | None = None
    while followed:
        try:
            found = [ask_job(server, ident) for ident in followed]
            heard = time.monotonic()
            yield found
            if not any(job["state"] in _ACTIVE for job in found):
                return
        except Unreachable:
            if heard is None or time.monotonic() - heard > _PATIENCE:
                raise
        time.sleep(every)


# Telling


def _follow_in_lines(looks: Iterator[Sequence[Job]], words: Callable[[Job], str]) -> dict[str, Job]:
    last: dict[str, Job] = {}
    lines: dict[str, str] = {}
    for found in looks:
        for job in found:
            line = words(_steady(job))
            if lines.get(job["id"]) != line:
                click.echo(line)
            lines[job["id"]], last[job["id"]] = line, job
    return last


def _steady(job: Job) -> Job:
    """A run without what changes at every look."""
    return {name: value for name, value in job.items() if name not in ("tasks", "next", "eta")}


def _follow_in_bars(looks: Iterator[Sequence[Job]]) -> dict[str, Job]:
    from rich.progress import BarColumn, Progress, TextColumn  # only a terminal needs it

    columns = [TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("who", "counts", "left")]
    last: dict[str, Job] = {}
    with Progress(columns[0], BarColumn(), *columns[1:]) as progress:
        bars: dict[str, Any] = {}
        for found in looks:
            for job in found:
                last[job["id"]] = job
                shown: dict[str, Any] = {"who": _who(job), "counts": _counts(job), "left": _left(job)}
                if job["id"] not in bars:
                    bars[job["id"]] = progress.add_task("", total=max(1, job["total"]), **shown)
                progress.update(
                    bars[job["id"]], completed=job["done"] + job["failed"], total=max(1, job["total"]), **shown
                )
    for job in last.values():
        if job["reason"] or job["failed"]:
            click.echo(_line(job) + (f" (llm-backend jobs show {job['id']})" if job["failed"] else ""))
    return last


def _who(job: Job) -> str:
    name = "dataset" if job["source"] == "label" else f"project {job['project'].partition('.')[0]}"
    return plain(f"{job['id']} {name}")


def _counts(job: Job) -> str:
    failed = f", {job['failed']:,} failed" if job["failed"] else ""
    return f"{job['state']}: {job['done']:,} of {job['total']:,} done{failed}"


def _line(job: Job) -> str:
    reason = f". {plain(job['reason'])}" if job["reason"] else ""
    return f"{_who(job)} {_counts(job)}{reason}"


def _left(job: Job) -> str:
    """The time that is left, where it is known."""
    return "" if job["eta"] is None else time_left(job["eta"])


def _table(found: Sequence[Job]) -> list[str]:
    rows = [_COLUMNS, *(_row(job) for job in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(job: Job) -> tuple[str, ...]:
    done = f"{job['done']}/{job['total']}"
    started = _moment(job["started"])
    told = (job["id"], job["project"], job["state"], done, str(job["failed"]), _left(job), started, job["version"])
    return tuple(map(plain, told))


def _told(job: Job) -> Iterator[str]:
    """A run in lines of a name and a value."""
    lines = {
        "Run": job["id"],
        "State": job["state"] + (f": {job['reason']}" if job["reason"] else ""),
        "Project": job["project"],
        "Version": job["version"],
        "Tasks": ", ".join(f"{job[state]:,} {state}" for state in ("done", "failed", "waiting", "cancelled")),
        "Created": _moment(job["created"]),
        "Started": _moment(job["started"]),
        "Finished": _moment(job["finished"]),
        "Left": _left(job),
        "Spent": f"{job['calls']:,} calls, {job['prompt_tokens']:,} + {job['completion_tokens']:,} tokens",
    }
    return (f"{name + ':':<10}{plain(value)}" for name, value in lines.items() if value)


def _failures(job: Job, tasks: Sequence[Job]) -> Iterator[str]:
    if tasks:
        yield ""
    yield from (f"Task {plain(str(task['task']))}: {plain(task['reason'])}" for task in tasks)
    if (more := job["failed"] - len(tasks)) > 0:
        yield f"... and {more:,} more; --all shows them."


def _moment(iso: str | None) -> str:
    """A point in time as a clock here shows it."""
    return datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S") if iso else ""


def _print_json(told: Any) -> None:
    click.echo(json.dumps(told, ensure_ascii=False, indent=2))
