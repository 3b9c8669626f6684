"""What does a task say that goes into training: the prompt, and the answers that are compared?

Texts are taken as the task's data holds them: markup stays markup, and scripts in it are neither run nor removed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from llm_backend.core.controls.base import listed
from llm_backend.core.inputs import as_text, fields_of, read, resolve
from llm_backend.core.labeling import LabelingConfig, Source, references
from llm_backend.core.markup import readable_text
from llm_backend.core.wire import JSON, Task
from llm_backend.errors import InputError, RequestError
from llm_backend.interchange.preferences.records import Prompt, Turn

ROLES = ("system", "user", "assistant", "tool")
_ROLES: Mapping[str, str] = {
    **{role: role for role in ROLES},
    **dict.fromkeys(("human", "customer", "client", "question", "prompt", "prompter"), "user"),
    **dict.fromkeys(("ai", "agent", "answer", "bot", "chatbot", "gpt", "llm", "model"), "assistant"),
    "developer": "system",
    "function": "tool",
}
_DIALOGUES = ("Paragraphs", "Chat")
_WORDY = ("Text", "HyperText", "Header", "List", "Table", *_DIALOGUES)
_PROMPT = "prompt"
_KEY = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Roles:
    """Who speaks in a dialogue, in the words of trainers.

    Attributes:
        named: What the names of this dataset mean, in lower case; they go before what is known of itself.
        unknown: What any other name means.
    """

    named: Mapping[str, str] = field(default_factory=dict)
    unknown: str = "user"

    def of(self, author: str) -> str:
        name = author.strip().lower()
        return self.named.get(name) or _ROLES.get(name, self.unknown)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is compared.

    Attributes:
        place: Where the task has it: a key of its data, or an item's id.
        title: Of an item.
    """

    text: str
    place: str
    title: str = ""

    @classmethod
    def of_item(cls, entry: Mapping[str, JSON]) -> "Answer":
        """An item of a List: its body, else the words of its html (none, of a picture), else its title."""
        title, body, html = (as_text(entry.get(key)) for key in ("title", "body", "html"))
        words = body if body.strip() else readable_text(html) if html.strip() else title
        return cls(words, _ident(entry.get("id")), title)


class Reading:
    """Finds prompts and answers in tasks, by a labeling config."""

    def __init__(self, config: LabelingConfig, prompt: Sequence[str] = (), roles: Roles | None = None) -> None:
        """
        Args:
            prompt: Names of objects, or keys of the task's data, that make the prompt; () finds it in the config.
        """
        self.config = config
        self._named = tuple(prompt)
        self._roles = roles or Roles()
        self._readers: dict[str, Callable[[Task], str]] = {}

    def source(self, name: str) -> Source | None:
        """The source of an object."""
        return next((source for source in self.config.sources if source.name == name), None)

    def dialogue(self, apart: Sequence[str] = ()) -> Source | None:
        """The dialogue that is the prompt, or None where the prompt is text.

        Args:
            apart: Objects that hold answers.
        """
        sources = self._prompt_sources(apart)
        return next((source for source in sources if source.tag in _DIALOGUES), None)

    def text(self, name: str, task: Task) -> str:
        """What an object shows of a task, as the data holds it.

        Args:
            name: An object, or a key of the task's data.
        Raises:
            InputError: The task does not have it.
        """
        if name not in self._readers:
            source = self.source(name)
            value = source.value if source else f"${name}"
            encoded = source is not None and source.attrs.get("encoding", "none").lower() != "none"
            self._readers[name] = self._decoded(name) if encoded else _plain(name, value)
        return self._readers[name](task)

    def answer(self, name: str, task: Task) -> Answer:
        """
        Raises:
            InputError: The task does not have it.
        """
        source = self.source(name)
        found = references(source.value) if source else ()
        return Answer(self.text(name, task), found[0].removeprefix("$") if found else name)

    def turns(self, source: Source, task: Task) -> Prompt:
        """A dialogue, with its roles as trainers call them.

        Raises:
            InputError: The task does not have it, or its turns are not what the config says.
        """
        seen = read(LabelingConfig(None, (), (source,), (), {}), task.data, task.id).seen[0]
        if seen.missing:
            raise InputError(lacking(source.value))
        if not seen.utterances:
            raise InputError(f'"{source.value}" holds no list of turns.')
        return tuple(Turn(self._roles.of(turn.author), turn.text) for turn in seen.utterances)

    def prompt(self, task: Task, apart: Sequence[str] = ()) -> Prompt:
        """What was to be answered.

        Args:
            apart: Objects that hold answers.
        Raises:
            InputError: The task does not have it.
        """
        if dialogue := self.dialogue(apart):
            return self.turns(dialogue, task)
        names = self._named or [source.name or fields_of(source.value)[0] for source in self._prompt_sources(apart)]
        return (Turn("user", "\n\n".join(self.text(name, task) for name in names)),)

    def require_prompt(self, apart: Sequence[str] = ()) -> None:
        """
        Raises:
            RequestError: The config shows nothing that could be the prompt.
        """
        if not self._named and not self._prompt_sources(apart):
            raise RequestError("The labeling config shows no prompt beside the answers: name its field with --prompt.")

    def items(self, name: str, task: Task) -> Mapping[str, Answer]:
        """The answers of a List, by their ids.

        Raises:
            InputError: The task does not have it.
        """
        source = self.source(name)
        value = source.value if source else f"${name}"
        found = resolve(value, task.data)
        if not isinstance(found, list):
            raise InputError(lacking(value) if found is None else f'"{value}" holds no list of items.')
        answers = (Answer.of_item(entry) for entry in found if isinstance(entry, Mapping))
        return {answer.place: answer for answer in answers}

    def _prompt_sources(self, apart: Sequence[str]) -> tuple[Source, ...]:
        if self._named:
            return tuple(source for name in self._named if (source := self.source(name)) is not None)
        shown = [source for source in self.config.sources if source.tag in _WORDY and source.name not in apart]
        if dialogue := next((source for source in shown if source.tag in _DIALOGUES), None):
            return (dialogue,)
        named = [source for source in shown if source.name == _PROMPT or _last_keys(source.value) == {_PROMPT}]
        return tuple(named[:1] or shown)

    def _decoded(self, name: str) -> Callable[[Task], str]:
        def words(task: Task) -> str:
            seen = read(self.config, task.data, task.id).of(name)
            if seen is None or seen.missing:
                raise InputError(lacking(f"${name}"))
            return seen.text

        return words


def require_words(config: LabelingConfig, names: Sequence[str]) -> None:
    """
    Raises:
        RequestError: What is compared is no text.
    """
    wordless = [f'{config.objects[name]} "{name}"' for name in names if config.objects.get(name, "Text") not in _WORDY]
    if wordless:
        raise RequestError(
            f"These formats hold texts, and what is compared is {listed(wordless)}; --format csv has it."
        )


def _plain(name: str, value: str) -> Callable[[Task], str]:
    def words(task: Task) -> str:
        found = resolve(value, task.data)
        if found is None:
            raise InputError(lacking(value))
        return found if isinstance(found, str) else as_text(found)

    return words


def lacking(value: str) -> str:
    """Says that a task does not have what a `value` attribute refers to."""
    keys = [reference.removeprefix("$") for reference in references(value) or (value,)]
    return f"Its data has no {listed(list(_quoted(keys)))}."


def _last_keys(value: str) -> set[str]:
    """The keys at the ends of a `value` attribute's references."""
    return {_KEY.findall(reference)[-1] for reference in references(value)}


def _quoted(names: Iterable[str]) -> Iterator[str]:
    return (f'"{name}"' for name in names)


def _ident(ident: JSON) -> str:
    """An item's id as results spell it: whole numbers without a point."""
    return as_text(int(ident) if isinstance(ident, float) and ident.is_integer() else ident)
