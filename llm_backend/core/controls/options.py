"""Which options does a control offer, and which one does an answer name?"""

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

from llm_backend.core.controls.base import listed, shown
from llm_backend.core.controls.trees import upper
from llm_backend.core.inputs import fields_of, resolve
from llm_backend.core.labeling import Choice
from llm_backend.core.wire import JSON
from llm_backend.errors import AnswerError

Result = str | tuple[str, ...]
# As many values as a strict schema's enums may have.
MOST_OPTIONS = 1000
_MOST_ON_A_LINE = 12
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


def _given(alias: str | None) -> tuple[str, ...]:
    return (alias,) if alias else ()
