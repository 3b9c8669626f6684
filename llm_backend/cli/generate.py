"""Which answers are to be generated from a shell, for people to compare? The flags of `llm-backend generate`."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from llm_backend.cli.asking import refusals, refuse_overwriting
from llm_backend.cli.comparisons import PURPOSES, Form, Purpose
from llm_backend.cli.generating import Job, generate_tasks, tell_plan
from llm_backend.cli.options import takes_settings
from llm_backend.cli.prompts import Prompts, of_project
from llm_backend.cli.target import Target, require_tasks_file, takes_target, target_of
from llm_backend.core.generate import MOST, PAIRINGS, Pairing, Wanted
from llm_backend.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="Models' answers to prompts, as tasks in which people compare them.")
@click.argument("data", metavar="[PROMPTS]", type=_FILE, required=False)
@click.option("--for", "purpose", type=click.Choice(PURPOSES), required=True, help="What is made of the answers.")
@click.option("--output", metavar="TASKS.json", type=click.Path(path_type=Path), required=True,
              help="A .json or .jsonl to write.")  # fmt: skip
@click.option("--temperature", "temperatures", metavar="T", multiple=True, type=click.FloatRange(0, 2),
              help="Temperature to ask at (TEMPERATURE); several.")  # fmt: skip
@click.option("-n", "answers", metavar="N", type=click.IntRange(1, MOST),
              help="Answers of each model at each temperature.  [default: 2 of one, 1 of each of several]")  # fmt: skip
@click.option("--tries", metavar="N", type=click.IntRange(1, 10), default=2, show_default=True,
              help="How often to ask where all answers to a prompt are the same.")  # fmt: skip
@click.option("--pairs", "pairing", type=click.Choice(PAIRINGS), default="all", show_default=True,
              help="Of more than two answers (pairwise): each with each; each with the next, in an order of chance; "
              "or each with those of other models or temperatures.")  # fmt: skip
@click.option("--seed", metavar="N", type=int, default=0, show_default=True, help="Decides order and sides.")
@click.option("--field", metavar="NAME", default="", help='What holds the prompt.  [default: "messages" or "prompt"]')
@click.option("--system", metavar="TEXT", default="", help="What the models are told before each conversation.")
@click.option("--task", "instruction", metavar="TEXT", default="", help="What a ranker's annotators are told to do.")
@click.option("--from-project", "source", metavar="N", type=click.IntRange(1),
              help="The prompts are this project's tasks (--import-to says where), not a file's rows.")  # fmt: skip
@takes_target
@click.option("--dry-run", is_flag=True, help="Ask and write nothing: say what would be asked.")
@click.option("--retry", is_flag=True, help="Ask anew for rows that failed for good, such as refused ones.")
@click.option("--overwrite", is_flag=True, help="Replace an output that is there already.")
@takes_settings(lambda told: not told["dry_run"], several=True)
def generate(
    settings: Settings,
    data: Path | None,
    purpose: Purpose,
    output: Path,
    models: tuple[str, ...],
    temperatures: tuple[float, ...],
    answers: int | None,
    tries: int,
    pairing: Pairing,
    seed: int,
    field: str,
    system: str,
    instruction: str,
    source: int | None,
    project: int | None,
    title: str | None,
    config: Path | None,
    dry_run: bool,
    retry: bool,
    overwrite: bool,
) -> None:
    """Ask one or several models every prompt of PROMPTS, and write tasks in which people compare the answers.

    A row has a "prompt", or "messages" (turns with a role and a content; the last one is the user's). PROMPTS is a
    .jsonl, a .json list, or a .csv or .tsv with a header. Models are asked as they would be anywhere else, with no
    words of ours.

    \b
    --for pairwise   tasks with prompt, answer1 and answer2, for "Human Preference collection for RLHF"
    --for ranker     tasks with task, prompt and items, for "LLM Ranker"
    --for labelbox   rows with modelOutputs, to be imported into Labelbox

    Who gave which answer stands in each task's "meta", which annotators are not shown. What else a row holds stays in
    the task's data. Of answers that differ by nothing but white space one is kept; where fewer than two are left, the
    models are asked again, and then no task is made, and you are told. A model that cannot be asked costs the others
    nothing. The same command goes on after an interruption, and asks only for what is missing.

    Exits with 0 when every prompt has all its answers and a task, 1 when not, 2 when something given cannot be used.

    \b
    Examples:
      llm-backend generate prompts.jsonl --for pairwise --output tasks.json
      llm-backend generate prompts.csv --for pairwise --output tasks.json --model gpt-5.4 --model gpt-5.4-mini
      llm-backend generate prompts.jsonl --for ranker --output tasks.json --temperature 0.2 --temperature 1 -n 2
      llm-backend generate --from-project 7 --for pairwise --output tasks.json --import-to http://localhost:8080 \\
        --title "Preferences"
    """
    wanted = _wanted(models, temperatures, answers, tries, system.strip())
    form = Form(purpose, pairing, seed, instruction.strip())
    if pairing == "across" and wanted.samplers == 1:
        raise click.UsageError("--pairs across compares models or temperatures: give several.")
    if (data is None) == (source is None):
        raise click.UsageError("give either PROMPTS or --from-project.")
    target = _target(settings, form, source, project, title, config)
    require_tasks_file(output)
    if not dry_run:
        refuse_overwriting(output, overwrite)
    with ExitStack() as stack:
        if source is not None:
            with refusals():
                data = stack.enter_context(of_project(settings, source))
        named, place = (f"Project {source}", "task") if source is not None else ("", "line")
        prompts = Prompts(data or Path(), field, named, place, form.most_turns)
        job = Job(prompts, output, wanted, form, retry, target)
        raise SystemExit(tell_plan(settings, job) if dry_run else generate_tasks(settings, job))


def _wanted(
    models: Sequence[str], temperatures: Sequence[float], answers: int | None, tries: int, system: str
) -> Wanted:
    if not all(model.strip() for model in models):
        raise click.UsageError("--model gives the name of a model.")
    if len(set(models)) < len(models) or len(set(temperatures)) < len(temperatures):
        raise click.UsageError("a --model or --temperature is given twice; -n says how many answers each gives.")
    several = len(models) > 1 or len(temperatures) > 1
    wanted = Wanted(system, tuple(models) or (None,), tuple(temperatures) or (None,), answers or 2 - several, tries)
    if wanted.most < 2:
        raise click.UsageError("there is nothing to compare in one answer: give -n 2, or several models.")
    if wanted.most > MOST:
        raise click.UsageError(f"that makes {wanted.most} answers to a prompt; at most {MOST} can be compared.")
    return wanted


def _target(
    settings: Settings, form: Form, source: int | None, project: int | None, title: str | None, config: Path | None
) -> Target | None:
    nowhere = project is None and not title and config is None
    if source is not None and nowhere:
        return None  # --import-to says only where the prompts are
    if form.purpose == "labelbox" and not nowhere:
        raise click.UsageError("rows for Labelbox are no tasks: `llm-backend convert labelbox-to-ls` makes some.")
    if source is not None and source == project:
        raise click.UsageError("the tasks would become prompts of --from-project themselves: give another --project.")
    return target_of(settings, project, title, config, form.label_config)
