"""Which options does a control offer, and which one does an answer name?"""

import copy
import json
import unicodedata
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Self

from llm_backend.core.controls.base import Control, Regions, listed, shown
from llm_backend.core.controls.trees import upper
from llm_backend.core.inputs import Inputs, fields_of, resolve
from llm_backend.core.labeling import Choice, Output
from llm_backend.core.markup import readable_text
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError, InputError

Result = str | tuple[str, ...]
# As many values as a strict schema's enums may have.
MOST_OPTIONS = 1000
_MOST_ON_A_LINE = 12
_MOST_LEVELS = 50
_QUOTED = json.JSONEncoder(ensure_ascii=False).encode
_SEPARATORS = (" / ", " > ", " | ", " → ", " :: ")


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a list.

    Attributes:
        told: What the model is offered and answers with: the words that the annotator reads, or the full path.
        result: What results hold: the alias or the value, or a path of these.
        others: Further spellings under which it is accepted.
        heading: True for an entry that only holds others and cannot be chosen itself.
    """

    told: str
    result: Result
    others: tuple[str, ...] = ()
    hint: str = ""
    heading: bool = False


class Options:
    """The options of one control, found by name at the cost of a look-up."""

    def __init__(
        self, control: str, options: Iterable[Option], separator: str = "", tree: Sequence[Choice] = ()
    ) -> None:
        """
        Args:
            separator: What joins the names of a path, where options are paths.
            tree: What the paths lead through, where they are so many that branches may be asked for first.
        """
        self.tree = tree
        self._control = control
        self._separator = separator
        self._told: dict[str, Option] = {}
        self._others: dict[str, Option | None] = {}
        self._results: dict[Result, str] = {}
        for option in options:
            if not option.heading:
                self._results.setdefault(option.result, option.told)
            if self._told.setdefault(option.told, option) is option:
                _add(self._others, option.others, option)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the model may answer, in the config's order; an option that occurs twice is told once."""
        return tuple(name for name, option in self._told.items() if not option.heading)

    @cached_property
    def schema(self) -> JSON:
        """The schema of one option."""
        return {"type": "string", "enum": list(self.names)}

    @cached_property
    def branches(self) -> tuple[Choice, ...]:
        """The upper levels of a tree with more options than a schema lists; nothing where all can be listed."""
        return upper(self.tree, MOST_OPTIONS) if len(self) > MOST_OPTIONS else ()

    @cached_property
    def described(self) -> str:
        """All options: on one line if they are few and speak for themselves, else a line for each, with its hint."""
        hints = [" ".join(self._told[name].hint.split()) for name in self.names]
        names = [_QUOTED(name) for name in self.names]
        if len(names) <= _MOST_ON_A_LINE and not any(hints):
            return " " + ", ".join(names)
        lines = (f"{name}: {hint}" if hint else name for name, hint in zip(names, hints, strict=True))
        return "".join(f"\n- {line}" for line in lines)

    def find(self, answer: JSON) -> Option:
        """The option that an answer names: by its exact words, else by the same words in other case or spacing.

        Raises:
            AnswerError: It names none, or several. It is never taken for the nearest.
        """
        name = self._name(answer)
        if name is None:
            raise self._refusal(answer)
        for spellings in (self._told, self._others):
            if name in spellings:
                return self._choosable(spellings[name], answer)
        folded = _fold(name)
        for spellings in self._folded:
            if folded in spellings:
                return self._choosable(spellings[folded], answer)
        raise self._refusal(answer)

    def name_of(self, result: JSON) -> str | None:
        """What a result stands for, or None if the list does not have it."""
        if isinstance(result, list | tuple):
            result = tuple(result)
        try:
            return self._results.get(result)
        except TypeError:
            return None

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def _folded(self) -> tuple[dict[str, Option | None], dict[str, Option | None]]:
        told: dict[str, Option | None] = {}
        others: dict[str, Option | None] = {}
        for option in self._told.values():
            _add(told, [_fold(option.told)], option)
            _add(others, [_fold(name) for name in option.others], option)
        return told, others

    def _name(self, answer: JSON) -> str | None:
        if isinstance(answer, str):
            return answer
        if self._separator and isinstance(answer, list) and answer and all(isinstance(part, str) for part in answer):
            return self._separator.join(answer)
        return None

    def _choosable(self, option: Option | None, answer: JSON) -> Option:
        if option is None:
            raise AnswerError(f'"{self._control}" has several options like {shown(answer)}; give the exact, whole one.')
        if option.heading:
            raise AnswerError(f'"{self._control}" takes an entry below {shown(answer)}, not this heading itself.')
        return option

    def _refusal(self, answer: JSON) -> AnswerError:
        return AnswerError(f'"{self._control}" takes {listed(self.names)}; the model gave {shown(answer)}.')


class Chooser(Control):
    """What Choices and Taxonomy share: one or several options of a list, which may come from the task's data.

    Canonical answers are options as they are offered, each once, in any order.

    Attributes:
        multiple: Whether several may be chosen; the answer is then a list.
        limit: How many, or None for any number.
    """

    multiple: bool
    limit: int | None = None

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self._reference = _reference(output)
        self.dynamic = bool(self._reference) or self._refers(output.choices)
        self._fixed = None if self.dynamic else self._options(output.choices)
        self._latest: tuple[Mapping[str, JSON], Options] | None = None

    @classmethod
    def cannot(cls, output: Output) -> str:
        if output.choices or _reference(output):
            return ""
        return "offers nothing to choose from; add <Choice> tags to it"

    def schema(self, inputs: Inputs) -> JSON:
        one = self.options(inputs).schema
        if not self.multiple:
            return one
        bounds = {"minItems": 1 if self.required else None, "maxItems": self.limit}
        return {"type": "array", "items": one} | {name: bound for name, bound in bounds.items() if bound is not None}

    def describe(self, inputs: Inputs) -> str:
        return f"{self._kind()}:{self.options(inputs).described}"

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        chosen = self._chosen(answer, self.options(inputs))
        results = list(dict.fromkeys(option.result for option in chosen))
        if self.limit is not None and len(results) > self.limit:
            raise AnswerError(f'"{self.name}" takes at most {self.limit}; the model gave {len(results)}.')
        value = [result if isinstance(result, str) else list(result) for result in results]
        return [self.region({self.output.type: value})] if value else []

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        options = self.options(inputs)
        held = [entry for region in self.own(regions) for entry in _entries(region.value.get(self.output.type))]
        names = list(dict.fromkeys(name for entry in held if (name := options.name_of(entry)) is not None))
        return (names if self.multiple else names[0]) if names else None

    def labels(self, inputs: Inputs) -> tuple[str, ...]:
        return self.options(inputs).names

    def options(self, inputs: Inputs) -> Options:
        """What may be chosen for this task.

        Raises:
            InputError: The task's data do not hold the options that the config refers to.
        """
        if self._fixed is not None:
            return self._fixed
        latest = self._latest
        if latest is None or latest[0] is not inputs.data:
            latest = self._latest = (inputs.data, self._of_task(inputs.data))
        return latest[1]

    def offering(self, choices: Sequence[Choice]) -> Self:
        """The same control with other choices, for one task."""
        other = copy.copy(self)
        other._fixed = self._options(choices)
        other.dynamic = True
        return other

    def _of_task(self, data: Mapping[str, JSON]) -> Options:
        choices = self.output.choices
        if self._reference:
            choices += self._offered(resolve(self._reference, data))
        options = self._options(tuple(self._filled(choices, data)))
        if not options:
            raise InputError(f'{self.output.tag} "{self.name}" offers no option for this task.')
        return options

    @abstractmethod
    def _options(self, choices: Sequence[Choice]) -> Options:
        """The options that these choices make."""

    def _refers(self, choices: Iterable[Choice]) -> bool:
        """Whether an option's own words refer to the task's data."""
        return False

    def _filled(self, choices: Iterable[Choice], data: Mapping[str, JSON]) -> Iterable[Choice]:
        """The choices with references in their words filled in."""
        return choices

    def _kind(self) -> str:
        if not self.multiple:
            return "one of"
        few = "any number of" if self.limit is None else f"at most {self.limit} of"
        return f"a list of {few} these" if self.required else f"a list of {few} these (empty if none applies)"

    def _chosen(self, answer: JSON, options: Options) -> list[Option]:
        if not isinstance(answer, list):
            return [options.find(answer)]
        try:
            chosen = [options.find(entry) for entry in answer]
        except AnswerError as fault:
            return [self._whole_path(answer, options, fault)]
        if self.multiple or len(chosen) == 1:
            return chosen
        raise AnswerError(f'"{self.name}" takes one option; the model gave {shown(answer)}.')

    @staticmethod
    def _whole_path(answer: JSON, options: Options, fault: AnswerError) -> Option:
        """The option whose path the list of its names is, where the entries by themselves name none."""
        try:
            return options.find(answer)
        except AnswerError:
            raise fault from None

    def _offered(self, found: JSON) -> tuple[Choice, ...]:
        """The choices that the task's data offer: objects with a `value`. The editor shows plain texts as blanks."""
        if not isinstance(found, list):
            what = "nothing there" if found is None or found == "" else f"{shown(found)} there"
            raise InputError(
                f'{self.output.tag} "{self.name}" takes its options from {self._reference}; the task has {what} '
                'instead of a list such as [{"value": "first"}, {"value": "second"}].'
            )
        return tuple(self._choice(entry, 1) for entry in found)

    def _choice(self, entry: JSON, level: int) -> Choice:
        if isinstance(entry, Mapping) and level <= _MOST_LEVELS:
            alias, shown_as = entry.get("alias"), readable_text(_text(entry.get("html")))
            value = _text(entry.get("value"))
            below = entry.get("children")
            children = tuple(self._choice(child, level + 1) for child in below) if isinstance(below, list) else ()
            hints = [_text(entry.get("hint")).strip(), shown_as]
            if value:
                hint = "; ".join(hint for hint in hints if hint and hint != value)
                return Choice(value, alias if isinstance(alias, str) else None, hint, children)
        raise InputError(
            f'{self.output.tag} "{self.name}" takes its options from {self._reference}; the task has '
            f'{shown(entry)} among them, which is no object with a text as its "value".'
        )


def flat(choices: Iterable[Choice]) -> Iterator[Option]:
    """The options of a plain list."""
    for choice in choices:
        yield Option(choice.value, choice.result, _given(choice.alias), choice.hint)


def paths(choices: Sequence[Choice], separator: str, leaves_only: bool, merge: bool) -> Iterator[Option]:
    """The options of a tree, told as whole paths; a lone name is another spelling of its path.

    Args:
        leaves_only: Whether an entry with others below it is a mere heading.
        merge: Whether of siblings with the same value only the first is there, as in the editor's Taxonomy.
    """
    # Each level waits as (values above, results above, siblings).
    waiting: list[tuple[tuple[str, ...], tuple[str, ...], Iterator[Choice]]] = [((), (), _siblings(choices, merge))]
    while waiting:
        values, results, siblings = waiting[-1]
        choice = next(siblings, None)
        if choice is None:
            waiting.pop()
            continue
        values, results = (*values, choice.value), (*results, choice.result)
        others = (separator.join(results), choice.value, *_given(choice.alias))
        heading = leaves_only and bool(choice.children)
        yield Option(separator.join(values), results, others, choice.hint, heading)
        waiting.append((values, results, _siblings(choice.children, merge)))


def separator_for(choices: Sequence[Choice]) -> str:
    """What joins the names of a path: signs that stand in no name, nor come about where two names meet."""
    names = [f" {name} " for choice in _all(choices) for name in (choice.value, choice.result)]
    longer = (f" {'/' * length} " for length in count(2))
    candidates = (signs for group in (_SEPARATORS, longer) for signs in group)
    return next(signs for signs in candidates if not any(signs in name for name in names))


def filled(choices: Iterable[Choice], data: Mapping[str, JSON]) -> Iterator[Choice]:
    """The choices as the editor's Choices shows them: `$name` in an option's words stands for the task's data.

    An option whose reference leads nowhere has no words to be chosen by, and is left out.
    """
    for choice in choices:
        value: JSON = choice.value
        if "$" in choice.value:
            known = all(field in data for field in fields_of(choice.value))
            value = resolve(choice.value, data) if known else None
        if isinstance(value, str) and value:
            yield replace(choice, value=value, children=tuple(filled(choice.children, data)))


def refers(choices: Iterable[Choice]) -> bool:
    """Whether an option's words refer to the task's data."""
    return any("$" in choice.value for choice in _all(choices))


def _siblings(choices: Iterable[Choice], merge: bool) -> Iterator[Choice]:
    if not merge:
        return iter(choices)
    first: dict[str, Choice] = {}
    for choice in choices:
        first.setdefault(choice.value, choice)
    return iter(first.values())


def _all(choices: Iterable[Choice]) -> Iterator[Choice]:
    waiting = list(choices)
    while waiting:
        choice = waiting.pop()
        yield choice
        waiting += choice.children


def _add(spellings: dict[str, Option | None], names: Iterable[str], option: Option) -> None:
    """Note the names of an option; a name that leads to different results leads to none."""
    for name in names:
        held = spellings.setdefault(name, option)
        if held is not None and held.result != option.result:
            spellings[name] = None


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def _entries(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _given(alias: str | None) -> tuple[str, ...]:
    return (alias,) if alias else ()


def _reference(output: Output) -> str:
    value = output.attrs.get("value", "")
    return value if "$" in value else ""


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
