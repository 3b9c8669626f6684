"""What would the model be asked about this labeling config, and what would be filled? Asks no model."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from llm_backend.cli.options import takes_settings
from llm_backend.core.inputs import Inputs, MediaRef, Seen, read
from llm_backend.core.labeling import Condition, LabelingConfig, parse
from llm_backend.core.predictor import Parameters, Plan, Question, ask, make_plan
from llm_backend.core.prompts import Prompt, Template, choose
from llm_backend.core.wire import JSON, Task
from llm_backend.errors import InputError, RequestError
from llm_backend.settings import Settings

_ORIGINS = {"annotator": "--prompt", "default": "DEFAULT_PROMPT", "config": "the labeling config's own words"}
_SHOWN = {
    "image": "as a picture",
    "pdf": "as a file where the model takes files, else as its text, with pictures of pages that have none",
    "video": "as frames, evenly spread, with their times",
}
_SHOWN_BY_OCR = {
    "image": "as its text, by OCR",
    "pdf": "as its text, by OCR where a page has none",
    "video": "as the texts of frames, by OCR, with their times",
}
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(short_help="What a labeling config would have the model asked.")
@click.argument("config", metavar="CONFIG.xml", type=_FILE)
@click.option("--task", "task_file", metavar="TASK.json", type=_FILE, help="A task, its data, or a list of tasks.")
@click.option("--prompt", metavar="TEXT", help="What the annotator would type.")
@takes_settings(asks_model=False)
def check(settings: Settings, config: Path, task_file: Path | None, prompt: str | None) -> None:
    """Say what a labeling config shows and asks, what the model would be sent, and what it cannot fill.

    Asks no model and needs no key. With --task, the messages are those for that task (the first of a list).

    \b
    Examples:
      llm-backend check config.xml
      llm-backend check config.xml --task task.json --prompt "Rate the tone of {text}"
    """
    from llm_backend.services import texts  # brings the SDK of the providers with it: only now

    parsed = parse(_text_of(config), settings.prompt_prefix)
    template = Template(settings.use_internal_prompt_template, settings.prompt_template)
    parameters = Parameters(
        temperature=settings.temperature,
        num_responses=settings.num_responses,
        fill_geometry=settings.fill_geometry,
    )
    plan = make_plan(parsed, texts(), template, parameters)
    _say(_found(plan))
    if not plan.controls:
        return
    chosen = choose(((prompt, "annotator"), (settings.default_prompt, "default")), plan.instruction)
    _say(_chosen(chosen))
    if task_file is None:
        _say(_schema(plan))
        return
    task = _task(task_file)
    plan = plan.of_task(task.data)
    inputs = read(plan.config, task.data)
    _say(_asked(ask(plan, inputs, chosen), inputs, settings))


def _say(lines: Iterable[str]) -> None:
    click.echo("\n".join(lines))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise RequestError(f"{file} is not UTF-8 text ({exc}).") from exc


def _task(file: Path) -> Task:
    """The file's task, as Label Studio's import takes it: whole, its data alone, or the first of a list."""
    try:
        raw = json.loads(_text_of(file))
    except ValueError as exc:
        raise RequestError(f"{file} is not JSON ({exc}).") from exc
    if isinstance(raw, list) and raw:
        raw = raw[0]
    if isinstance(raw, dict) and not isinstance(raw.get("data"), dict):
        raw = {"data": raw}
    return Task.from_json(raw)


def _found(plan: Plan) -> Iterator[str]:
    config = plan.config
    yield from _headed("The model sees", [_source(config, index) for index in range(len(config.sources))])
    if config.prompt:
        yield f'The prompt is typed in:\n  TextArea "{config.prompt}"\n'
    yield from _headed("It fills", [_output(plan, index) for index in range(len(plan.controls))])
    yield from _headed("It cannot fill", [item.reason for item in plan.unfillable])
    if config.empty:
        yield "The labeling config is empty: nothing is asked."


def _headed(heading: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield "\n".join([f"{heading}:", *(f"  {line}".rstrip() for line in lines), ""])


def _source(config: LabelingConfig, index: int) -> str:
    source = config.sources[index]
    named = f' "{source.name}"' if source.name else ""
    value = " ".join(source.value.split())
    return f"{source.tag}{named}: {value if len(value) <= 80 else value[:79] + '…'}"


def _output(plan: Plan, index: int) -> str:
    control = plan.controls[index]
    required = ", required" if control.output.required else ""
    shown = "".join(f", shown {_condition(condition)}" for condition in control.output.conditions)
    twice = ", asked in both orders" if any(control.name in names for _, names in plan.in_other_orders) else ""
    return f'{control.output.tag} "{control.name}"{required}{shown}{twice}'


def _condition(condition: Condition) -> str:
    where = f' in "{condition.tag_name}"' if condition.tag_name else ""
    values = f" ({', '.join(condition.choice_values)})" if condition.choice_values else ""
    return f"when {condition.when}{where}{values}"


def _chosen(prompt: Prompt) -> Iterator[str]:
    yield from _headed(f"The prompt, from {_ORIGINS[prompt.origin]}", prompt.text.splitlines())


def _schema(plan: Plan) -> Iterator[str]:
    """What can be said without a task: the schema, unless choices come from a task's data."""
    keyed = {plan.keys[control.name]: control for control in plan.controls}
    try:
        yield from _json("The answer's JSON Schema", plan.form(keyed, Inputs((), {})).schema)
    except InputError as exc:
        yield f"The answer's JSON Schema depends on the task. {exc.sentence}\n"
    yield "Give a task with --task to see what the model would be sent."


def _asked(question: Question, inputs: Inputs, settings: Settings) -> Iterator[str]:
    for message in question.messages:
        yield from _headed(f"Message of the {message.role}", message.text.splitlines())
    media = [_attached(seen, ref, settings.image_mode) for seen in inputs.seen for ref in seen.media]
    yield from _headed("Sent along, once fetched", media)
    if question.literal:
        names = ", ".join(f"{{{name}}}" for name in question.literal)
        yield f"Taken as they stand, since they name no field of the task: {names}\n"
    if question.form is None:
        yield "Asked in plain words: the only field is a text, so there is no JSON Schema."
    else:
        yield from _json("The answer's JSON Schema", question.form.schema)


def _attached(seen: Seen, ref: MediaRef, image_mode: str) -> str:
    """What would be sent of a medium. The address of one that stands in the task itself is left out."""
    where = f"{ref.url.partition(',')[0]},..." if ref.url[:5].lower() == "data:" else ref.url[:100]
    part = f", {ref.caption}" if ref.caption else ""
    return f'{seen.tag} "{seen.name}"{part}: {where}\n    {_how_shown(seen, ref, image_mode)}'


def _how_shown(seen: Seen, ref: MediaRef, image_mode: str) -> str:
    if ref.kind == "audio":
        said = "its transcript" if ref.transcript else 'nothing: the task has no "transcript"'
        return f"as a sound where the model hears, else {said}"
    if ref.kind == "text":
        return f"as text, read as the {seen.tag} that it is"
    return _SHOWN_BY_OCR[ref.kind] if image_mode == "ocr" else _SHOWN[ref.kind]


def _json(heading: str, told: JSON) -> Iterator[str]:
    yield from _headed(heading, json.dumps(told, indent=2, ensure_ascii=False).splitlines())
