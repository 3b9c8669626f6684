"""Which prompt applies, and how is it filled for this task?"""

import difflib
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Literal

from llm_backend.core.inputs import Inputs, Seen, as_text
from llm_backend.core.wire import Region
from llm_backend.errors import PromptError

Origin = Literal["annotator", "draft", "manager", "saved", "default", "config"]

# Only `{identifier}` can be a field; every other brace is literal text.
_FIELD = re.compile(r"\{([^\W\d]\w*)\}")
# How alike a misspelt name must be to a real one (difflib's ratio) to count as a slip of the pen.
_CLOSE = 0.75


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked of the model, and where it came from."""

    text: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Texts:
    """The words of the files under `prompts/`, handed in by whoever may read files."""

    form: str
    answer: str
    instruction: str
    schema: str
    repair: str

    @property
    def digest(self) -> str:
        return hashlib.sha256("\0".join(getattr(self, part.name) for part in fields(self)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Template:
    """How a prompt that names no field meets the data: through `text` if `internal`, else the data is appended."""

    internal: bool = True
    text: str = "Source Text: {text}\n\nTask Directive: {prompt}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt filled for a task; `literal` are the names in braces that stayed as they were."""

    text: str
    literal: tuple[str, ...] = ()


def prompt_in(regions: Iterable[Region], box: str | None) -> str:
    """What stands in the prompt box; several entries are joined by newlines."""
    return "\n".join(entry for region in regions if region.from_name == box for entry in entries_of(region)).strip()


def entries_of(region: Region) -> list[str]:
    """The entries of a TextArea region."""
    held = region.value.get("text")
    if isinstance(held, str):
        return [held]
    return [entry for entry in held if isinstance(entry, str)] if isinstance(held, list) else []


def choose(candidates: Iterable[tuple[str | None, Origin]], instruction: str) -> Prompt:
    """The first candidate that holds words; else the config's own instruction."""
    for text, origin in candidates:
        if text and text.strip():
            return Prompt(text.strip(), origin)
    return Prompt(instruction.strip(), "config")


def render(prompt: Prompt, inputs: Inputs, labels: str, template: Template) -> Rendered:
    """Fill a prompt for a task, so that the model sees the data exactly once.

    A field of the task's data wins over our own `{text}` (all sources) and `{labels}`. A prompt that names none of
    the fields on show goes through the template, or gets the sources appended. Values are never read again.

    Raises:
        PromptError: A field is misspelt; the sentence lists what the task has.
    """
    known = _Known(inputs, labels)
    text, named, literal = _fill(prompt.text, known.value, known.names)
    if known.cover(named) or not inputs.text:
        return Rendered(text, literal)
    if not template.internal:
        return Rendered(f"{text}\n\n{inputs.text}", literal)
    own = {"prompt": text, "text": inputs.text}
    whole, used, _ = _fill(template.text, lambda name: own.get(name) or known.value(name), {*known.names, *own})
    if "text" not in used and not known.cover(used):
        whole = f"{whole}\n\n{inputs.text}"
    return Rendered(whole, literal)


class _Known:
    """What a field name stands for in this task."""

    def __init__(self, inputs: Inputs, labels: str) -> None:
        self._inputs = inputs
        self._own = {"text": inputs.text, "labels": labels}
        self._shown = {next(iter(seen.fields)): seen for seen in inputs.seen if len(seen.fields) == 1}

    @property
    def names(self) -> set[str]:
        return {*self._inputs.data, *self._own}

    def value(self, name: str) -> str | None:
        if name in self._inputs.data:
            seen = self._shown.get(name)
            return _as_shown(seen) if seen else as_text(self._inputs.data[name])
        return self._own.get(name)

    def cover(self, named: set[str]) -> bool:
        """Whether the names bring in any of the data on show."""
        if "text" in named and "text" not in self._inputs.data:
            return True
        return any(seen.fields & named and seen.text for seen in self._inputs.seen)


def _as_shown(seen: Seen) -> str:
    if seen.text:
        return seen.text
    return f"(the attached {seen.tag.lower()})" if seen.media or seen.parts else ""


def _fill(
    text: str, value: Callable[[str], str | None], names: set[str]
) -> tuple[str, set[str], tuple[str, ...]]:
    named: set[str] = set()
    literal: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match.group(1)
        found = value(name)
        if found is not None:
            named.add(name)
            return found
        _refuse_a_slip(name, names)
        literal.append(name)
        return match.group()

    return _FIELD.sub(replace, text), named, tuple(dict.fromkeys(literal))


def _refuse_a_slip(name: str, names: set[str]) -> None:
    by_lower = {known.lower(): known for known in names}
    if len(name) < 3 or not difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=_CLOSE):
        return
    fields = " and ".join(f"{{{known}}}" for known in sorted(names - {"text", "labels"})) or "no fields"
    raise PromptError(f"The prompt uses {{{name}}}; the task has {fields}. {{text}} and {{labels}} always work.")


def labels_in_words(by_control: Mapping[str, tuple[str, ...]]) -> str:
    """What `{labels}` stands for: the labels, by control if several have some; taxonomies as full paths."""
    told = {name: labels for name, labels in by_control.items() if labels}
    if len(told) == 1:
        return _joined(next(iter(told.values())))
    return "\n".join(f"{name}: {_joined(labels)}" for name, labels in told.items())


def _joined(labels: tuple[str, ...]) -> str:
    quoted = any("," in label for label in labels)
    return ", ".join(f'"{label}"' if quoted else label for label in labels)
