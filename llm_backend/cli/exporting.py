"""How does an export of Label Studio become files to train from?"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from llm_backend.cli.options import takes_settings
from llm_backend.cli.projects import Project
from llm_backend.cli.wording import counted, faults_told
from llm_backend.core.controls.base import listed
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.prompts import Template
from llm_backend.errors import RequestError
from llm_backend.interchange import openai_files
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.preferences import ROLES, Policy, Roles, Taking, Ways, Wishes
from llm_backend.interchange.raw import Raw
from llm_backend.interchange.replacing import require_folder
from llm_backend.interchange.table import Table
from llm_backend.interchange.tasks import Fault, opened
from llm_backend.interchange.training import FORMATS, Exported, Lines, Rows, Split, export
from llm_backend.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_TABLE, _RAW = "csv", "json"
_ENDINGS = {**dict.fromkeys(FORMATS, (".jsonl", ".ndjson")), _TABLE: (".csv",), _RAW: (".json",)}


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be exported.

    Attributes:
        format: One of `FORMATS`, or `csv`, or `json`.
        share: Of the tasks, for the first of two files; None for one file.
        conversational: Messages also where the prompt is a plain text.
        repeats: Keep records that say the same as an earlier one.
        meta: Say in each row where it comes from.
        predictions: Models' predictions in the place of annotations.
        scores: Say in each row how its answers were rated.
    """

    format: str
    output: Path | None
    share: float | None
    policy: Policy
    conversational: bool
    repeats: bool
    meta: bool
    predictions: bool
    scores: bool

    @property
    def files(self) -> list[Path]:
        """The files to write: for a split `name.train.jsonl` and `name.test.jsonl`."""
        if self.output is None:
            return []
        if self.share is None:
            return [self.output]
        stem, ending = self.output.stem, self.output.suffix
        return [self.output.with_name(f"{stem}.{part}{ending}") for part in ("train", "test")]

    @property
    def split(self) -> Split:
        return Split() if self.share is None else Split(self.share)


def _assigned(ctx: click.Context, param: click.Parameter, told: tuple[str, ...]) -> Roles:
    named = {}
    for one in told:
        name, equals, role = (part.strip().lower() for part in one.partition("="))
        if not equals or role not in ROLES:
            raise click.BadParameter(f"{one!r}: write NAME=ROLE, with a role of {', '.join(ROLES)}.")
        named[name] = role
    return Roles(named)


def _policy(ctx: click.Context, param: click.Parameter, told: str) -> Policy:
    try:
        return Policy.read(told)
    except RequestError as exc:
        raise click.BadParameter(exc.sentence) from exc


def _parted(ctx: click.Context, param: click.Parameter, told: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (told or "").split(",") if name.strip())


@click.command("export", short_help="Annotations as data to train from: TRL, OpenAI, reward models, CSV, JSON.")
@click.argument("source", metavar="[EXPORT]", type=_FILE, required=False)
@click.option("--config", metavar="CONFIG.xml", type=_FILE, help="The labeling config; not needed with --project.")
@click.option("--format", "format_", type=click.Choice([*_ENDINGS]), required=True, help="What is written.")
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="A .jsonl (csv, json) to write.")
@click.option("--dry-run", is_flag=True, help="Write nothing: say what would be.")
@click.option("--project", metavar="N", type=int, help="Export this project of Label Studio, through its API.")
@click.option("--url", "LABEL_STUDIO_URL", metavar="URL", help="Where Label Studio is (LABEL_STUDIO_URL).")
@click.option("--split", metavar="SHARE", type=click.FloatRange(0, 1, min_open=True, max_open=True),
              help="Two files: this share of the tasks for training, the others for testing.")  # fmt: skip
@click.option("--annotators", metavar="POLICY", default="all", show_default=True, callback=_policy,
              help="Whose word counts: all, latest, majority, ground_truth, or 'agreement>=0.8' (in quotes). Where a "
                   "task has a ground truth, it alone does.")  # fmt: skip
@click.option("--control", default="", metavar="NAME", help="The control to go by, if the config has several.")
@click.option("--prompt", "prompt", multiple=True, metavar="NAME", help="Object or field that is the prompt; several.")
@click.option("--response", default="", metavar="NAME", help="The TextArea or object that holds the answer.")
@click.option("--pairs", type=click.Choice(("all", "adjacent", "best-worst")), default="all", show_default=True,
              help="Which items of a ranking are paired.")  # fmt: skip
@click.option("--buckets", callback=_parted, metavar="A,B", help="A Ranker's Buckets, from the better to the worse.")
@click.option("--margin", default="", metavar="NAME", help="Rating or Number: by how much a side is better (reward).")
@click.option("--good", multiple=True, metavar="VALUE", help="A choice, or Bucket, of good answers (trl-kto).")
@click.option("--bad", multiple=True, metavar="VALUE", help="A choice, or Bucket, of bad answers.")
@click.option("--good-from", "least", type=float, metavar="N", help="Stars of good answers  [over the middle]")
@click.option("--bad-to", "most", type=float, metavar="N", help="Stars of bad answers  [under the middle]")
@click.option("--role", "roles", callback=_assigned, multiple=True, metavar="NAME=ROLE",
              help="Who a speaker of a dialogue is: system, user, assistant or tool.")  # fmt: skip
@click.option("--conversational", is_flag=True, help="Messages also where the prompt is a plain text (trl, reward).")
@click.option("--repeats", is_flag=True, help="Keep records that say the same as an earlier one.")
@click.option("--meta", is_flag=True, help="Say in each row which task and annotation it is of.")
@click.option("--scores", is_flag=True,
              help="Say how answers were rated: score_chosen, score_rejected; score (trl, reward).")  # fmt: skip
@click.option("--from", "origin", type=click.Choice(("annotations", "predictions")), default="annotations",
              show_default=True, help="What people said, or what models did.")  # fmt: skip
@takes_settings(asks_model=False)
def export_(
    settings: Settings,
    source: Path | None,
    config: Path | None,
    format_: str,
    output: Path | None,
    dry_run: bool,
    project: int | None,
    split: float | None,
    annotators: Policy,
    conversational: bool,
    repeats: bool,
    meta: bool,
    scores: bool,
    origin: str,
    **wished: Any,
) -> None:
    """Write what annotations teach, in the format of a trainer.

    EXPORT is Label Studio's raw "JSON" (also a task on each line), or best as can be its "JSON_MIN" or "CSV", which
    leave out skipped annotations and ground truths. How records are made follows from the labeling config: pairs from a
    Pairwise, a Ranker, a Rating for each answer, or from a model's response that a person changed; prompts with their
    answers from a TextArea or a dialogue; good and bad answers from a Rating or Choices.

    Exits with 0 when all tasks could be read, 1 when some could not (they are named by line), 2 for wrong usage.

    \b
    Examples:
      llm-backend export export.json --config config.xml --format trl-preference --output pairs.jsonl
      llm-backend export export.json --config config.xml --format trl-kto --good Yes --bad No --output kto.jsonl
      llm-backend export --project 7 --url http://localhost:8080 --format openai-sft --output sft.jsonl --split 0.9
    """
    job = Job(format_, None if dry_run else output, split, annotators, conversational, repeats, meta,
              origin == "predictions", scores)  # fmt: skip
    _require_usable(job, source, config, output, dry_run, project)
    template = Template(settings.use_internal_prompt_template, settings.prompt_template)
    with Project(settings, project) as host, ExitStack() as stack:
        xml = stack.enter_context(opened(config)).read() if config else host.label_config()
        parsed = parse(xml, settings.prompt_prefix)

        def tasks() -> Iterator[ExportedTask | Fault]:
            return read_export(source, lambda: parsed) if source else host.tasks()

        lines, told = _lines(job, parsed, Wishes(template=template, **wished), tasks())
        done = export(tasks(), lines, job.files, job.split, predictions=job.predictions)
    _tell_faults(done, f"{source} line" if source else f"Project {project} entry")
    click.echo("\n".join(_summed_up(job, lines, done, told, str(source or f"Project {project}"))))
    raise SystemExit(1 if done.unusable else 0)


def _require_usable(
    job: Job, source: Path | None, config: Path | None, output: Path | None, dry_run: bool, project: int | None
) -> None:
    """
    Raises:
        UsageError: What was told does not go together.
    """
    if (source is None) == (project is None):
        raise click.UsageError("Give either an EXPORT or a --project.")
    if config is None and project is None:
        raise click.UsageError("An EXPORT does not hold its labeling config: give it with --config.")
    if config is not None and project is not None:
        raise click.UsageError("A --project has its own labeling config: leave --config out.")
    if output is None and not dry_run:
        raise click.UsageError("Give an --output, or --dry-run.")
    if job.meta and (job.format == _RAW or (job.format in FORMATS and FORMATS[job.format].closed)):
        raise click.UsageError(f"{job.format} takes no other fields: leave --meta out.")
    if job.scores and not (job.format in FORMATS and FORMATS[job.format].rated):
        rated = [name for name, form in FORMATS.items() if form.rated]
        raise click.UsageError(f"--scores goes with {listed(rated)}; csv and json hold every Rating anyhow.")
    endings = _ENDINGS[job.format]
    if output is not None and output.suffix.lower() not in endings:
        raise click.UsageError(f"{output}: a file of {job.format} ends in {' or '.join(endings)}.")
    for file in job.files:
        require_folder(file)
        if source is not None and file.resolve() == source.resolve():
            raise click.UsageError(f"{file} is what is to be read; give the output another name.")


def _lines(
    job: Job, config: LabelingConfig, wishes: Wishes, tasks: Iterable[ExportedTask | Fault]
) -> tuple[Lines, str]:
    """What makes the lines, and by what it goes, as a person is told."""
    if job.format == _TABLE:
        return Table(config, job.policy, meta=job.meta, tasks=tasks), "every control"
    if job.format == _RAW:
        return Raw(job.policy), "every control"
    form = FORMATS[job.format]
    ways = Ways(config, form.kind, wishes)
    taking = Taking(ways, form.kind, job.policy)
    conversation = form.conversations or job.conversational or ways.dialogue
    rows = Rows(taking, form, conversation, meta=job.meta, scores=job.scores, repeats=job.repeats)
    return rows, ways.told


def _tell_faults(done: Exported, named: str) -> None:
    """
    Args:
        named: What the number of a task that cannot be used counts.
    """
    for line in faults_told(done.faults, done.unusable, named, "is left out"):
        click.echo(line, err=True)


def _summed_up(job: Job, lines: Lines, done: Exported, told: str, source: str) -> Iterator[str]:
    what = "prediction" if job.predictions else "annotation"
    unusable = f", {done.unusable:,} not usable" if done.unusable else ""
    yield f"{source}: {counted(done.tasks, 'task')}{unusable}, {counted(done.annotations, what)}."
    yield f"{counted(sum(done.rows), 'row')} of {job.format}, by {told}."
    for reason, times in lines.left.most_common():
        if times:
            yield f"  {times:,} left out: {reason}"
    for file, rows in zip(job.files, done.rows, strict=False):
        yield f"Written to {file}" + (f" ({counted(rows, 'row')})." if job.share is not None else ".")
    if not job.files:
        yield "Nothing was written (--dry-run)."
    if job.format.startswith("openai") and 0 < min(done.rows) < openai_files.FEWEST:
        yield f"OpenAI takes files of at least {openai_files.FEWEST} lines."
