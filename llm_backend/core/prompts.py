"""Which prompt applies, and how is it filled for this task?"""

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal

from llm_backend.core.inputs import Inputs, Seen, as_text
from llm_backend.core.wire import Region
from llm_backend.errors import PromptError

Origin = Literal["annotator", "draft", "manager", "saved", "default", "config"]

# Only `{identifier}` can be a field. Every other brace is literal text, and so is `{{identifier}}`; of these, the
# second group catches what somebody may have meant as a field.
_FIELD = re.compile(r"""\{([^\W\d]\w*)\}|\{(\{[^\W\d]\w*\}|[^{}\n"']{0,64})\}""")
# How alike a misspelt name must be to a real one (difflib's ratio) to count as a slip of the pen; shorter names are
# too often LaTeX, and names by the hundred are not slips.
_CLOSE = 0.75
_LEAST_SLIP, _MOST_SLIP, _MOST_SLIPS = 3, 64, 100
# In characters: far more than any model reads, and still little for a server's memory.
_LONGEST = 10_000_000
# How many of a task's fields an error names.
_MOST_LISTED = 30


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
    """A prompt filled for a task; `literal` is what stood in braces and stayed as it was, JSON left aside."""

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
        PromptError: A field is misspelt (the sentence lists what the task has), or the filled prompt is endless.
    """
    task = _Fields(inputs, {}, {"text": inputs.text, "labels": labels})
    filled = _fill("prompt", prompt.text, task)
    if not inputs.text or task.shown_by(filled.named):
        return Rendered(filled.text, filled.literal)
    if not template.internal:
        return Rendered(f"{filled.text}\n\n{inputs.text}", filled.literal)
    task = _Fields(inputs, {"prompt": filled.text, "text": inputs.text}, {"labels": labels})
    whole = _fill("prompt template", template.text, task)
    if task.shown_by(whole.named):
        return Rendered(whole.text, filled.literal)
    return Rendered(f"{whole.text}\n\n{inputs.text}", filled.literal)


def named(text: str) -> frozenset[str]:
    """The names in braces that a prompt uses, whether or not a task has such fields."""
    return frozenset(found[1] for found in _FIELD.finditer(text) if found[1] is not None)


@dataclass(frozen=True)
class _Fields:
    """What a field's name stands for in this task.

    Attributes:
        ours: Words of ours that count before the task's data.
        fallback: Words of ours that count where the task has no such field.
    """

    inputs: Inputs
    ours: Mapping[str, str]
    fallback: Mapping[str, str]

    @property
    def names(self) -> Set[str]:
        return {*self.ours, *self.inputs.data, *self.fallback}

    @property
    def listed(self) -> str:
        """What the task has, as an error lists it."""
        names = [f"{{{name}}}" for name in sorted(self.inputs.data) if name.isidentifier()]
        if len(names) > _MOST_LISTED:
            return f"{', '.join(names[:_MOST_LISTED])} and {len(names) - _MOST_LISTED} more"
        return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part) or "no fields"

    @cached_property
    def _whole(self) -> Mapping[str, Seen]:
        return {seen.whole: seen for seen in self.inputs.seen if seen.whole}

    def value(self, name: str) -> str | None:
        """The words for a name, as the task shows them; None for a name that is not known."""
        if name in self.ours:
            return self.ours[name]
        if name not in self.inputs.data:
            return self.fallback.get(name)
        seen = self._whole.get(name)
        return _as_shown(seen) if seen else as_text(self.inputs.data[name])

    def shown_by(self, named: Set[str]) -> bool:
        """Whether these names bring in any of the data on show."""
        if "text" in named and ("text" in self.ours or "text" not in self.inputs.data):
            return True
        return any(seen.fields & named and seen.text for seen in self.inputs.seen)


def _as_shown(seen: Seen) -> str:
    if seen.text:
        return seen.text
    return f"(the attached {seen.tag.lower()})" if seen.media or seen.parts else ""


@dataclass(frozen=True, slots=True)
class _Filled:
    text: str
    named: Set[str]
    literal: tuple[str, ...]


def _fill(called: str, text: str, task: _Fields) -> _Filled:
    """Put the fields' words in the place of their names, in one pass.

    Args:
        called: What the text is, as an error calls it.
    """
    words: dict[str, str | None] = {}
    literal: dict[str, None] = {}
    room = _LONGEST

    def word(found: re.Match[str]) -> str:
        nonlocal room
        name, other = found.groups()
        if name is not None and name not in words:
            words[name] = task.value(name)
        told = None if name is None else words[name]
        if told is None:
            literal[other if name is None else name] = None
            return found.group()
        room -= len(told)
        if room < 0:
            raise PromptError(f"The {called}, filled, has over {_LONGEST:,} characters; name each field once.")
        return told

    filled = _FIELD.sub(word, text)
    unknown = [name for name, told in words.items() if told is None]
    _refuse_slips(called, unknown, task)
    return _Filled(filled, words.keys() - set(unknown), tuple(literal))


def _refuse_slips(called: str, unknown: Sequence[str], task: _Fields) -> None:
    known = {name.lower() for name in task.names}
    for name in unknown[:_MOST_SLIPS]:
        likely = _LEAST_SLIP <= len(name) <= _MOST_SLIP
        if likely and difflib.get_close_matches(name.lower(), known, n=1, cutoff=_CLOSE):
            raise PromptError(
                f"The {called} uses {{{name}}}; the task has {task.listed}. {{text}} and {{labels}} always work."
            )


def labels_in_words(by_control: Mapping[str, tuple[str, ...]]) -> str:
    """What `{labels}` stands for: the labels, by control if several have some; taxonomies as full paths."""
    told = {name: labels for name, labels in by_control.items() if labels}
    if len(told) == 1:
        return _joined(next(iter(told.values())))
    return "\n".join(f"{name}: {_joined(labels)}" for name, labels in told.items())


def _joined(labels: tuple[str, ...]) -> str:
    quoted = any("," in label for label in labels)
    return ", ".join(f'"{label}"' if quoted else label for label in labels)
