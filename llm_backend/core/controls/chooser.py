"""What do Choices and Taxonomy share: what they ask, and how an answer becomes a region, and back?"""

import copy
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.controls.options import Option, Options
from llm_backend.core.inputs import Inputs, resolve
from llm_backend.core.labeling import Choice, Output
from llm_backend.core.markup import readable_text
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError, InputError

_MOST_LEVELS = 50


class Chooser(Control):
    """A control that takes one or several options of a list, which may come from the task's data.

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


def _entries(value: JSON) -> list[JSON]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _reference(output: Output) -> str:
    value = output.attrs.get("value", "")
    return value if "$" in value else ""


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else ""
