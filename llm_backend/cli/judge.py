"""How is a dataset judged from a shell? By a criterion, after a person has looked at some of its labels."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from llm_backend.cli.asking import (
    INTERRUPTED,
    Stopped,
    Summary,
    ask_for,
    closing,
    kept,
    look_through,
    opened,
    refusals,
    refuse_overwriting,
    remove,
    state_of,
    stoppable,
)
from llm_backend.cli.calling import Server, takes_settings_and_server
from llm_backend.cli.jobs import an_id
from llm_backend.cli.judge_there import Wanted, fetch, judge_there
from llm_backend.cli.label import text_of
from llm_backend.cli.label_progress import Obstacle, Shown
from llm_backend.cli.review import Review
from llm_backend.cli.review_there import ReviewThere
from llm_backend.cli.sample import Sample
from llm_backend.cli.wording import counted, plain
from llm_backend.core.chat import LLM
from llm_backend.core.judge import LABEL_COLUMN, Rubric, criterion_text, find_criterion, make_rubric, reworded
from llm_backend.errors import RequestError
from llm_backend.interchange.tasks import Survey, rows, survey, write_rows
from llm_backend.settings import Settings

if TYPE_CHECKING:
    from llm_backend.backend.datasets import Dataset, Progress
    from llm_backend.backend.judging import Agreement, Judged, Layout, People
    from llm_backend.services import Services

PROJECT = "dataset"
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_PAIRS_TOLD = 10
_REVIEW = 16


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to be judged.

    Attributes:
        criterion: One of ours by name, a file's name, or a text with {column} placeholders.
        labels: To choose from; 0 and 1 if none are told.
        label_column: Where people's labels stand; None for the usual one, which need not be there.
        few_shot: A dataset with labels to learn from.
        review: How many rows a person looks at first.
        retry: Ask anew for what failed in a way that asking again would not change.
        there: Whether to have them reviewed in the Label Studio of the settings.
    """

    data: Path
    criterion: str
    output: Path
    labels: tuple[str, ...] = ()
    label_column: str | None = None
    few_shot: Path | None = None
    review: int = _REVIEW
    retry: bool = False
    there: bool = False

    @property
    def read(self) -> Collection[Path]:
        others = (Path(self.criterion), self.few_shot)
        return self.data, *(file for file in others if file is not None and _is_file(file))

    def survey(self) -> Survey:
        return survey(self.data)


@click.command(short_help="Label a dataset by a criterion, with a person's help.")
@click.argument("data", metavar="[DATA]", type=_FILE, required=False)
@click.option(
    "--criterion",
    metavar="NAME|FILE|TEXT",
    help="What decides: faithfulness, relevance, answer_correctness, summarization, toxicity, coherence, "
    "hallucination, instruction_following; or a file, or a text, that names columns as {column}.",
)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="A .csv, .jsonl or .json to write.")
@click.option("--labels", metavar="A,B,...", default="0,1", show_default=True, help="The labels to choose from.")
@click.option(
    "--label-column", metavar="NAME", help=f"The column of people's labels, if there is one.  [default: {LABEL_COLUMN}]"
)
@click.option("--few-shot", metavar="FILE", type=_FILE, help="A dataset with labels, to be shown as examples.")
@click.option(
    "--review",
    metavar="N",
    type=click.IntRange(0, 1000),
    help=f"Show so many labels to you first, and learn from your word; 0: none.  [default: {_REVIEW}]",
)
@click.option(
    "--label-studio", "LABEL_STUDIO_URL", metavar="URL", help="Review there, in a new project (LABEL_STUDIO_URL)."
)
@click.option("--retry", is_flag=True, help="Ask anew for rows that failed for good, such as refused ones.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there already.")
@click.option(
    "--wait/--no-wait",
    default=True,
    help="--no-wait: a running server judges, without a review; this prints the job's id and ends.",
)
@click.option("--job", metavar="ID", callback=an_id, help="Write the labels of a job that --no-wait began.")
@takes_settings_and_server(lambda told: not _elsewhere(told))
@click.pass_context
def judge(
    ctx: click.Context,
    settings: Settings,
    server: Server,
    data: Path | None,
    criterion: str | None,
    output: Path | None,
    labels: str,
    label_column: str | None,
    few_shot: Path | None,
    review: int | None,
    retry: bool,
    overwrite: bool,
    wait: bool,
    job: str | None,
) -> None:
    """Give every row of DATA a label: a .csv or .tsv with a header, a .jsonl, a .json list, an export of Label Studio.

    The output has the same rows and "label", "label_source" (llm or human), "explanation", "score" (how sure the model
    is, where it tells) and, where rows have no label, "error". Labels that DATA has already are a person's, unless
    "label_source" says llm: they stay, the judge learns from them, and you are told how often it agrees.

    First the judge labels N rows that differ much, and you say what is right; then it labels all the others by your
    example. With --label-studio these rows become a project there, with the judge's labels as predictions: submit what
    is right, and run the same command again. Until all is done, everything is kept in FILE.state: the same command goes
    on after an interruption, also in the midst of the review.

    With --no-wait (or --url) a running server judges instead, without a review: --no-wait prints the id of the job, and
    --job writes its labels when it has ended, or with --no-wait those that there are by now.

    Exits with 0 when every row has a label, 1 when some have none, 2 when something given cannot be used.

    \b
    Examples:
      llm-backend judge answers.csv --criterion faithfulness --output judged.csv
      llm-backend judge chats.jsonl --criterion "Is {reply} polite?" --output judged.jsonl --review 0
      llm-backend judge answers.csv --criterion relevance --output judged.csv --label-studio http://localhost:8080
      llm-backend judge answers.csv --criterion tone.txt --labels good,poor --few-shot known.csv --output out.csv
      llm-backend judge answers.csv --criterion faithfulness --no-wait
      llm-backend judge --job 5f0c9a7b1d2e --output judged.csv
    """
    if output is not None:
        refuse_overwriting(output, overwrite)
    if job is not None:
        if data is not None or criterion is not None or output is None:
            raise click.UsageError("--job goes with --output FILE, and with neither DATA nor --criterion.")
        raise SystemExit(fetch(server, job, output, wait=wait))
    if data is None or criterion is None:
        raise click.UsageError("Say what to judge, and by what: DATA and --criterion NAME|FILE|TEXT.")
    told = tuple(labels.split(","))
    studio = bool(ctx.params.get("LABEL_STUDIO_URL"))
    if _elsewhere(ctx.params):
        if review or studio or retry:
            raise click.UsageError("A running server judges without --review, --label-studio and --retry.")
        with refusals():
            wanted = Wanted(data, criterion_text(criterion, _ours(), _held), told, label_column, few_shot)
        raise SystemExit(judge_there(server, wanted, output, wait=wait))
    if output is None:
        raise click.UsageError("Say where to: --output FILE.")
    if studio and not settings.label_studio_api_key:
        raise click.UsageError("--label-studio needs LABEL_STUDIO_API_KEY, an access token of a user of it.")
    seen = _REVIEW if review is None else review
    here = Judgement(data, criterion, output, told, label_column, few_shot, seen, retry, studio)
    raise SystemExit(judge_dataset(settings, here))


def _elsewhere(told: Mapping[str, Any]) -> bool:
    """Whether a running server judges, or has."""
    return not told["wait"] or told["job"] is not None or told["url"] is not None


def judge_dataset(settings: Settings, job: Judgement, llm: LLM | None = None) -> int:
    """Judge a dataset, telling how it goes.

    Args:
        llm: Carries the chat in the place of the configured provider.
    Returns:
        The exit code.
    """
    from llm_backend.backend.judging import (
        Layout,
        read_examples,
        read_people,
        tasks_of,
    )  # brings much with it: only now

    found = look_through(job)
    with refusals():
        rubric = _rubric(job, found)
        people = read_people(str(job.data), rows(job.data), rubric)
        examples = read_examples(str(job.few_shot), rows(job.few_shot), rubric) if job.few_shot else ()
    for line in _told_before(rubric, people):
        click.echo(line, err=True)
    obstacle = Obstacle()
    with opened(settings, job.output, llm, obstacle) as services:
        judging = services.backend.judging
        judging.teach(PROJECT, (*examples, *people.examples))
        reviewed = _reviewed(services, settings, job, rubric, obstacle)
        if reviewed is None:
            click.echo(f"The review has not ended. {kept(job)} --review 0 labels without one.", err=True)
            return INTERRUPTED
        rubric, dataset = reviewed, judging.open(PROJECT, reviewed)
        shown = Shown(found.rows - people.labelled + len(people.compared), obstacle)
        try:
            with stoppable(job, shown):
                tasks = tasks_of(rows(job.data), rubric, people.compared)
                progress = ask_for(services, job, dataset, tasks, shown)
                layout = Layout(found.columns, rubric.label_column, found.ids, progress.failed > 0)
                outcome = _write(services, job, rubric, dataset, layout)
        except Stopped as stopped:
            return stopped.code
    if not outcome.summary.failed:
        remove(state_of(job.output))
    click.echo("\n".join(_summed_up(job, rubric, found, dataset.spec.version, progress, outcome)))
    return 1 if outcome.summary.failed or found.skipped else 0


def _reviewed(
    services: "Services", settings: Settings, job: Judgement, rubric: Rubric, obstacle: Obstacle
) -> Rubric | None:
    """The rubric that a person was content with, after a review where one is wanted; None where that did not end."""
    from llm_backend.backend.judging import various

    changed = services.store.project(PROJECT)
    origin = f"review of {hashlib.sha256(job.criterion.encode()).hexdigest()[:12]}"
    if changed.prompt and changed.prompt_origin == origin:
        rubric = reworded(rubric, changed.prompt)
        click.echo("The criterion is the one that you changed in the review.", err=True)
    if not job.review:
        return rubric
    tasks = various(rows(job.data), rubric, 2 * job.review)
    sample = Sample(services, PROJECT, tasks, job.review, obstacle)
    if job.there:
        note = state_of(job.output) / "llm_backend.review.json"
        return ReviewThere(sample, settings, note).ended(rubric)
    return Review(sample, lambda text: _keep_criterion(services, text, origin)).ended(rubric)


def _keep_criterion(services: "Services", text: str, origin: str) -> None:
    services.store.save_prompt(PROJECT, text, origin)


def _is_file(name: Path) -> bool:
    try:
        return name.is_file()
    except (OSError, ValueError):  # a text may be no name at all
        return False


def _ours() -> Mapping[str, str]:
    from llm_backend.services import criteria  # brings much with it: only now

    return criteria()


def _held(name: str) -> str | None:
    """What the file of that name holds; None if there is none."""
    return text_of(Path(name)) if _is_file(Path(name)) else None


def _rubric(job: Judgement, found: Survey) -> Rubric:
    if job.label_column is not None and job.label_column not in found.columns:
        has = ", ".join(f'"{name}"' for name in found.columns)
        raise RequestError(f'{job.data} has no column "{job.label_column}" of labels; it has {has}.')
    criterion = find_criterion(job.criterion, _ours(), _held)
    try:
        return make_rubric(criterion, found.columns, job.labels, job.label_column or LABEL_COLUMN)
    except RequestError as exc:
        raise RequestError(f"{job.data}: {exc.sentence}") from exc


@dataclass(slots=True)
class _Outcome:
    """What came of the rows, counted while they are written."""

    summary: Summary
    agreement: "Agreement"
    labels: Counter[str]

    def counted(self, every: Iterable["Judged"]) -> Iterator["Judged"]:
        for one in every:
            self.summary.count(one.row.line, one.error, answered=one.label is not None, lasting=one.lasting)
            self.agreement.count(one)
            if stands := one.person or one.judge:
                self.labels[stands.label] += 1
            yield one


def _write(services: "Services", job: Judgement, rubric: Rubric, dataset: "Dataset", layout: "Layout") -> _Outcome:
    from llm_backend.backend.judging import Agreement, judge_rows

    outcome = _Outcome(Summary(), Agreement(), Counter())
    reviewed = services.backend.judging.reviewed(PROJECT, rubric)
    judged = outcome.counted(judge_rows(rows(job.data), rubric, dataset.answers, reviewed))
    try:
        write_rows(job.output, map(layout.plain, judged), layout.names)
    except RequestError as exc:
        raise RequestError(f"{exc.sentence} {kept(job)}") from exc
    return outcome


# Telling


def _told_before(rubric: Rubric, people: "People") -> Iterator[str]:
    for name, column in rubric.columns.items():
        if name != column:
            yield f'{{{name}}} is read from the column "{column}".'
    if people.twice:
        ids = "1 id comes" if people.twice == 1 else f"{people.twice:,} ids come"
        yield f"{ids} more than once: rows are told apart by what they hold."
    if people.labelled:
        yield f"{counted(people.labelled, 'row')} {'has' if people.labelled == 1 else 'have'} a person's label already."


def _summed_up(
    job: Judgement, rubric: Rubric, found: Survey, version: str, progress: "Progress", outcome: _Outcome
) -> Iterator[str]:
    summary = outcome.summary
    skipped = f", {found.skipped:,} skipped" if found.skipped else ""
    told = f"{summary.answered:,} labelled, {summary.failed:,} without a label{skipped}."
    yield f"{counted(found.rows + found.skipped, 'row')} of {job.data}: {told}"
    yield from summary.told()
    yield from _labels(rubric, outcome.labels)
    yield from _agreement(outcome.agreement)
    yield from closing(job, version, progress, summary)


def _labels(rubric: Rubric, labels: Mapping[str, int]) -> Iterator[str]:
    passing, total = rubric.criterion.pass_when, sum(labels.values())
    if passing and total:
        share = f"{labels.get(passing, 0):,} of {total:,} ({labels.get(passing, 0) / total:.0%})"
        yield f"{rubric.criterion.name}: {share} pass, with the label {passing}."
    else:
        yield "Labels: " + ", ".join(f"{label}: {labels.get(label, 0):,}" for label in rubric.labels) + "."


def _agreement(agreement: "Agreement") -> Iterator[str]:
    if not agreement.rows:
        return
    yield (
        f"Judge and people agree on {agreement.agreeing:,} of {counted(agreement.rows, 'row')} "
        f"({agreement.agreeing / agreement.rows:.0%}) that both labelled."
    )
    differing = Counter({pair: count for pair, count in agreement.pairs.items() if pair[0] != pair[1]})
    for (person, judge), count in differing.most_common(_PAIRS_TOLD):
        yield f"  {counted(count, 'row')}: people say {plain(person)}, the judge {plain(judge)}"
