"""How is a better prompt found from a shell? Proposed from an export, tried on what was held out, saved when asked."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from llm_backend.cli.asking import INTERRUPTED, Unusable, opened, refusals, remove, state_of
from llm_backend.cli.calling import Server, takes_settings_and_server
from llm_backend.cli.importing import key_of
from llm_backend.cli.label import text_of
from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.wording import counted, plain
from llm_backend.core.chat import LLM
from llm_backend.core.labeling import parse
from llm_backend.errors import BackendError
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.agreement.resampling import Estimate
    from llm_backend.agreement.trial import Trial
    from llm_backend.backend.datasets import Progress
    from llm_backend.backend.refining import Parts, Proposal, Refining, Stage
    from llm_backend.core.chat import Usage
    from llm_backend.services import Services

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be refined.

    Attributes:
        prompt: The current one; None for the one of the settings, or the instruction of the config.
        holdout: The share of tasks that prompts are tried out on.
        rounds: How often a prompt is proposed.
        output: Takes the proposal, whatever it is worth; None for none.
    """

    export: Path
    config: Path
    prompt: str | None = None
    holdout: float = 0.3
    rounds: int = 1
    output: Path | None = None


@dataclass(frozen=True, slots=True)
class Refined:
    """What came of it.

    Attributes:
        trial: None where nothing was proposed.
    """

    proposal: "Proposal | None" = None
    trial: "Trial | None" = None

    @property
    def recommended(self) -> bool:
        return self.trial is not None and self.trial.verdict == "better"


@click.command(short_help="A better prompt, proposed from where the model and people differ.")
@click.argument("export", metavar="EXPORT", type=_FILE)
@click.option("--config", metavar="CONFIG.xml", type=_FILE, required=True, help="The project's labeling config.")
@click.option("--prompt", metavar="TEXT|FILE", help="The current prompt.")
@click.option(
    "--holdout",
    metavar="SHARE",
    default=0.3,
    show_default=True,
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Share of the tasks that both prompts are tried out on, and that nothing is learned from.",
)
@click.option(
    "--rounds", metavar="N", default=1, show_default=True, type=click.IntRange(1, 20), help="How often to propose one."
)
@click.option("--output", metavar="PROMPT.txt", type=click.Path(dir_okay=False, path_type=Path), help="Write it there.")
@click.option("--save", is_flag=True, help="Make it the project's prompt on a running server, if it is better.")
@click.option("--project", metavar="KEY", help="The project on that server, by its number or its whole key.")
@takes_settings_and_server()
def refine(
    settings: Settings,
    server: Server,
    export: Path,
    config: Path,
    prompt: str | None,
    holdout: float,
    rounds: int,
    output: Path | None,
    save: bool,
    project: str | None,
) -> None:
    """Propose a better prompt from the annotations of EXPORT, and try it out.

    The model is asked for the annotated tasks with the current prompt, is shown where it differs from people, and is
    asked for a better prompt. Old and new are then held against people on tasks that were held out. Without --prompt it
    is the prompt of the --project on the server, else DEFAULT_PROMPT, else the config's own words. Answers that a raw
    JSON export holds of this very prompt and model are not asked for again.

    Nothing is changed unless asked for: --output writes the proposal to a file whatever it is worth, --save pins it on
    the server if it is better by more than chance.

    Exits with 0 when all was tried (and saved, if asked), 1 when not, 2 when something given cannot be used.

    \b
    Examples:
      llm-backend refine project-1.json --config config.xml --prompt "Which tone has {text}?"
      llm-backend refine project-1.json --config config.xml --prompt prompt.txt --rounds 3 --output better.txt
      llm-backend refine project-1.json --config config.xml --project 1 --save
    """
    key = ""
    with refusals():
        if output is not None and output.resolve() in (export.resolve(), config.resolve()):
            raise Unusable(f"{output} is what is to be read; give the output another name.")
        if save or project is not None:
            key = key_of(server, export, project)
        if prompt is None and key:
            prompt = server.ask(_path(key), holds="prompt")["prompt"] or None
        elif prompt is not None:
            prompt = _prompt(prompt)
    refined = refine_prompt(settings, Job(export, config, prompt, holdout, rounds, output))
    if save and refined.proposal is not None:
        if not refined.recommended:
            click.echo("Not saved: it is not better by more than chance.", err=True)
            raise SystemExit(1)
        server.ask(f"{_path(key)}/pin", "prompt", "POST", {"prompt": refined.proposal.prompt})
        click.echo(f"Saved: it is the prompt of project {key} now, and no submission replaces it.")


def refine_prompt(settings: Settings, job: Job, llm: LLM | None = None) -> Refined:
    """Propose a prompt and try it out, telling how it goes.

    Args:
        llm: Carries the chat in the place of the configured provider.
    Raises:
        BackendError: It cannot be done now.
    """
    with refusals():
        from llm_backend.agreement.trial import trial
    from llm_backend.agreement.pairs import gather
    from llm_backend.backend.refining import parts

    logging.getLogger("llm_backend").addHandler(logging.NullHandler())  # what fails is told in the end
    kept = job.export.with_name(f"{job.export.name}.refine")
    obstacle = Obstacle()
    try:
        with opened(settings, kept, llm, obstacle, apart=True) as services:
            with refusals():
                config = text_of(job.config)
                plan = services.backend.datasets.open(config).plan
                divided = parts(plan, _tasks(job, settings), job.holdout)
            refining = _refining(services, config, divided, obstacle)
            run = services.loop.run
            now = run(refining.current(job.prompt))
            click.echo(_of_parts(divided))
            proposal = run(refining.proposed(now, job.rounds))
            if proposal is None:
                click.echo("There is nothing to learn: no prompt was proposed that is not the current one.")
                refined = Refined()
            else:
                click.echo(_of_proposal(now.prompt, proposal, len(divided.training)))
                if job.output is not None:
                    _write(job.output, proposal.prompt)
                old, new = run(refining.trial(now.prompt, proposal.prompt))
                both = (
                    replace(one, id=number, predictions=(*one.predictions, *other.predictions))
                    for number, (one, other) in enumerate(zip(old.tasks, new.tasks, strict=True))
                )
                refined = Refined(proposal, trial(gather(plan, both), old.version, new.version))
                click.echo("\n".join(_of_trial(refined)))
            click.echo(_of_usage(refining.usage))
    except KeyboardInterrupt:
        click.echo(f"Stopped. Answers are kept in {state_of(kept)}; run the same command again to go on.", err=True)
        raise SystemExit(INTERRUPTED) from None
    remove(state_of(kept))
    return refined


def _refining(services: "Services", config: str, divided: "Parts", obstacle: Obstacle) -> "Refining":
    from llm_backend.backend.refining import Refining
    from llm_backend.services import refining

    return Refining(services.backend.datasets, services.store, config, refining(), _stage(obstacle), divided)


def _tasks(job: Job, settings: Settings) -> list[ExportedTask]:
    """The tasks of the export; what cannot be used is named."""
    tasks = []
    for entry in read_export(job.export, lambda: parse(text_of(job.config), settings.prompt_prefix)):
        if isinstance(entry, ExportedTask):
            tasks.append(entry)
        else:
            click.echo(f"{job.export} line {entry.line} is skipped: {plain(entry.sentence)}", err=True)
    return tasks


def _prompt(told: str) -> str:
    """A text, or what the file of that name holds."""
    short = len(told.encode("utf-8", "replace")) <= _LONGEST_NAME and "\n" not in told
    text = text_of(Path(told)) if short and Path(told).is_file() else told
    if not text.strip():
        raise Unusable("The prompt holds no words.")
    return text


def _path(key: str) -> str:
    return f"projects/{quote(key, safe='')}"


def _write(file: Path, prompt: str) -> None:
    try:
        file.write_text(f"{prompt}\n", encoding="utf-8")
    except OSError as exc:
        raise BackendError(f"{file} cannot be written ({exc.strerror}).") from exc


# Telling


def _stage(obstacle: Obstacle) -> "Stage":
    @contextmanager
    def stage(what: str, total: int) -> Iterator[Callable[["Progress"], None]]:
        if total:
            click.echo(f"Asking for {total:,} {what}.", err=True)
        with Shown(total, obstacle).drawn() as tell:
            yield tell

    return stage


def _of_parts(divided: "Parts") -> str:
    return f"{len(divided.training):,} annotated tasks to learn from, {len(divided.held_out):,} held out."


def _of_proposal(current: str, proposal: "Proposal", tasks: int) -> str:
    seen = f"Of {tasks:,} tasks, {proposal.differing:,} were answered otherwise than people did; the model was shown "
    return (
        f"{seen}{proposal.shown:,} of these.\n\nIts analysis:\n{proposal.analysis}\n\n"
        f"Current prompt:\n-----\n{current}\n-----\nProposed prompt:\n-----\n{proposal.prompt}\n-----\n"
    )


def _of_trial(refined: Refined) -> Iterator[str]:
    if (found := refined.trial) is None:
        return
    yield f"Agreement with people on {counted(found.tasks, 'task')} held out (95 % intervals):"
    yield f"  current     {_percent(found.old)}"
    yield f"  proposed    {_percent(found.new)}"
    yield f"  difference  {_percent(found.difference, signed=True)}"
    fared = f"better on {counted(found.better, 'task')} and worse on {found.worse:,}"
    yield f"The proposed prompt is {fared} (p = {found.p:.2g})."
    yield {
        "better": "It is better.",
        "worse": "It is worse: not recommended.",
        "unclear": "That may be chance: not recommended. More annotated tasks would tell.",
    }[found.verdict]


def _percent(found: "Estimate", signed: bool = False) -> str:
    if found.value is None:
        return "unknown"
    sign = "+" if signed else ""
    value = f"{100 * found.value:{sign}.0f} %"
    if found.low is None or found.high is None:
        return value
    return f"{value} ({100 * found.low:{sign}.0f} to {100 * found.high:{sign}.0f})"


def _of_usage(usage: "Usage") -> str:
    return f"{usage.calls:,} calls, {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens."
