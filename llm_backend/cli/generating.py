"""How are models asked for the answers that people compare, and how is it told? Interrupted, it goes on."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_backend.cli.asking import Stopped, kept, look_through, opened, refusals, remove, state_of, stoppable
from llm_backend.cli.comparisons import Form, Outcome, comparisons
from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.projects import Project
from llm_backend.cli.prompts import Prompts
from llm_backend.cli.target import Target, imported
from llm_backend.cli.wording import counted, plain
from llm_backend.core.chat import LLM, Usage
from llm_backend.core.generate import Wanted
from llm_backend.core.inputs import fields_of
from llm_backend.core.labeling import parse
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.generating import LONGEST
from llm_backend.interchange.tasks import Survey, write_tasks
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.generating import Panel
    from llm_backend.services import Services


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be generated.

    Attributes:
        wanted: Who is asked.
        form: What is made of the answers.
        retry: Ask anew for what failed in a way that asking again would not change.
        target: Where the tasks are imported, if anywhere.
    """

    prompts: Prompts
    output: Path
    wanted: Wanted
    form: Form
    retry: bool = False
    target: Target | None = None

    @property
    def data(self) -> Path:
        return self.prompts.file

    @property
    def read(self) -> Collection[Path]:
        return (self.data,)

    def survey(self) -> Survey:
        return self.prompts.survey()


def tell_plan(settings: Settings, job: Job) -> int:
    """Say what would be asked.

    Returns:
        The exit code.
    """
    found = look_through(job, job.prompts.named, job.prompts.place)
    with refusals():
        _refuse_unshown(settings, job, found)
    wanted = job.wanted
    models = ", ".join(model or settings.model for model in wanted.models)
    temperatures = ", ".join(f"{settings.temperature if one is None else one:g}" for one in wanted.temperatures)
    click.echo(
        f"{counted(found.rows, 'prompt')} would be asked of {models} (temperature {temperatures}), "
        f"{counted(wanted.answers, 'answer')} each: {counted(found.rows * wanted.most, 'answer')}, "
        f"and of them at most {counted(found.rows * job.form.most(wanted), job.form.what)}.\n"
        "Nothing was asked (--dry-run)."
    )
    return 1 if found.skipped > job.prompts.repeated else 0


def generate_tasks(settings: Settings, job: Job, llm: LLM | None = None) -> int:
    """Have models asked, and write what is made of their answers, telling how it goes.

    Args:
        llm: Carries the chat in the place of the configured provider.
    Returns:
        The exit code.
    """
    from llm_backend.backend.generating import Panel  # brings much with it: only now

    found = look_through(job, job.prompts.named, job.prompts.place)
    with refusals():
        _refuse_unshown(settings, job, found)
    obstacle = Obstacle()
    with opened(settings, job.output, llm, obstacle) as services:
        panel = Panel(services.backend.datasets, job.wanted)
        outcome = Outcome(panel.samplers, job.prompts.place)
        try:
            _ask(services, job, panel, found.rows, obstacle)
            _write(job, panel, outcome)
        except Stopped as stopped:
            return stopped.code
    click.echo("\n".join(_summed_up(job, found, panel, outcome)))
    if job.target is not None and outcome.answers.passing:
        click.echo("Nothing was imported yet: answers that are still to come change the tasks.")
    elif job.target is not None:
        click.echo(imported(job.target, job.output))
    if panel.complete:
        remove(state_of(job.output))
    unusable = found.skipped - job.prompts.repeated
    return 1 if outcome.answers.failed or outcome.prompts.failed or unusable else 0


def _ask(services: "Services", job: Job, panel: "Panel", total: int, obstacle: Obstacle) -> None:
    """Have asked what is not known, and again where that may help.

    Raises:
        Stopped: It was interrupted, or nobody can be asked.
    """
    shown = Shown(total * len(panel.samplers), obstacle)
    with stoppable(job, shown), shown.drawn() as tell:
        services.loop.run(panel.ask(job.prompts.tasks, tell, again=job.retry))
    if len(panel.halted) == len(panel.samplers):
        why = "".join(f"\nError: {reason}" for reason in dict.fromkeys(panel.halted.values()))
        click.echo(f"Stopped at {shown.line}. {kept(job)}{why}", err=True)
        raise Stopped(1)
    while alike := panel.alike(job.prompts.tasks()):
        click.echo(f"All answers to {counted(len(alike), 'prompt')} are the same. Asking again.", err=True)
        shown = Shown(len(alike) * len(panel.askable), obstacle)
        with stoppable(job, shown), shown.drawn() as tell:
            services.loop.run(panel.ask_again(job.prompts.tasks, alike, tell))


def _write(job: Job, panel: "Panel", outcome: Outcome) -> None:
    try:
        write_tasks(job.output, comparisons(job.prompts, panel, job.form, outcome))
    except RequestError as exc:
        raise RequestError(f"{exc.sentence} {kept(job)}") from exc


def _refuse_unshown(settings: Settings, job: Job, found: Survey) -> None:
    """Before it costs anything: what the project's labeling config shows must be there, or nothing can be imported.

    Raises:
        RequestError: It is not.
        HostError: The project cannot be looked at.
    """
    if (target := job.target) is None:
        return
    if target.project is None:
        label_config = target.label_config
    else:
        there = replace(settings, label_studio_url=target.url, label_studio_api_key=target.api_key)
        with Project(there, target.project) as project:
            label_config = project.label_config()
    shown = {name for source in parse(label_config).sources for name in fields_of(source.value)}
    fields = dict.fromkeys((*job.form.fields, *found.columns))
    if lacking := sorted(shown.difference(fields)):
        told, has = (", ".join(f'"{name}"' for name in names) for names in (lacking, fields))
        raise RequestError(f"The project's labeling config shows {told}, which the tasks do not have; they have {has}.")


# Telling


def _summed_up(job: Job, found: Survey, panel: "Panel", outcome: Outcome) -> Iterator[str]:
    prompts = outcome.prompts
    skipped = f", {found.skipped:,} skipped" if found.skipped else ""
    rows = f"{counted(found.rows + found.skipped, 'row')} of {job.prompts.named}"
    yield f"{rows}: {prompts.answered:,} with answers to compare, {prompts.failed:,} without{skipped}."
    yield from prompts.told(written=False)
    for sampler, summary in outcome.samplers.items():
        spent = _spent(panel.progress[sampler].usage)
        yield f"{sampler.name}: {summary.answered:,} answered, {summary.failed:,} failed; {spent}."
        yield from summary.told(written=False)
        if not summary.failed and (why := panel.halted.get(sampler)):
            yield f"  Not asked again: {plain(why)}"
    if outcome.fewer:
        came = "it" if outcome.fewer == 1 else "they"
        yield f"{counted(outcome.fewer, 'answer')} less than asked for: others say the same, or {came} did not come."
    if outcome.long:
        hold = "row holds" if outcome.long == 1 else "rows hold"
        yield f"{outcome.long:,} {hold} a text of over {LONGEST:,} characters, which Labelbox does not take."
    yield f"{counted(outcome.made, job.form.what)} written to {job.output}."
    if not panel.complete:
        more = outcome.answers.how_to_go_on if outcome.answers.failed else "The same command goes on."
        yield f"What was answered is kept in {state_of(job.output)}. {more}"


def _spent(usage: Usage) -> str:
    return f"{counted(usage.calls, 'call')}, {usage.prompt_tokens:,} + {usage.completion_tokens:,} tokens"
