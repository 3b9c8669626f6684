"""What does a project show and ask?"""

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# How the editor spells a reference to the task's data: `$name`, `$a.b[0]`.
REFERENCE = re.compile(r"\$\w+(?:\.\w+|\[\w+\])*")


def references(value: str) -> tuple[str, ...]:
    """The references to the task's data in a `value` attribute; `$100` in a sentence is money."""
    if REFERENCE.fullmatch(value):
        return (value,)
    return tuple(found for found in REFERENCE.findall(value) if not found[1].isdigit())


@dataclass(frozen=True, slots=True)
class Choice:
    """An option of Choices, Taxonomy or a label control, or a Bucket.

    Attributes:
        value: What the annotator reads and the model is offered.
        alias: What stands in results in its place, if given.
        hint: What else is known of it: its hint, the words of its `html`, or its title.
        default: Whether all items begin there (Bucket).
    """

    value: str
    alias: str | None = None
    hint: str = ""
    children: tuple["Choice", ...] = ()
    default: bool = False

    @property
    def result(self) -> str:
        """How results spell it."""
        return self.value if self.alias is None else self.alias


@dataclass(frozen=True, slots=True)
class Condition:
    """When a tag is shown: `visibleWhen` with its `whenTagName`, `whenChoiceValue` and `whenLabelValue`."""

    when: str
    tag_name: str = ""
    choice_values: tuple[str, ...] = ()
    label_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """A column that a TimeSeries shows, by name or number."""

    column: str
    legend: str = ""
    units: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """A tag that shows data of the task. A header that shows data is one too; its name is then "".

    Attributes:
        channels: What a TimeSeries shows of its data.
    """

    name: str
    tag: str
    value: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()

    @property
    def literal(self) -> bool:
        """Whether it shows the config's own words, not the task's."""
        return not references(self.value)


@dataclass(frozen=True, slots=True)
class Output:
    """A control: a tag that takes an answer.

    Attributes:
        tag: In Label Studio's spelling; `type` is its lower case.
        to_names: The objects that it labels; filled in where the config leaves out `toName` and has one object.
        attrs: Those that say what may be answered, names in lower case.
        heading: The words that stand right above it in the form.
        conditions: All must hold for the control to be shown.
    """

    name: str
    tag: str
    to_names: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    attrs: Mapping[str, str] = field(default_factory=dict)
    heading: str = ""
    conditions: tuple[Condition, ...] = ()

    @property
    def type(self) -> str:
        return self.tag.lower()

    def flag(self, name: str) -> bool:
        """Whether a yes/no attribute is on."""
        return self.attrs.get(name, "").strip().lower() == "true"

    def whole(self, name: str) -> int | None:
        """A whole-number attribute, or None where it is missing or no number."""
        try:
            return int(self.attrs.get(name, ""))
        except ValueError:
            return None

    def number(self, name: str) -> float | None:
        """A numeric attribute, or None where it is missing or no number."""
        try:
            number = float(self.attrs.get(name, ""))
        except ValueError:
            return None
        return number if math.isfinite(number) else None

    @property
    def required(self) -> bool:
        return self.flag("required")


@dataclass(frozen=True, slots=True)
class Repeat:
    """A Repeater: what stands in it is there once for every entry of a list, in whose place `flag` has its number.

    Attributes:
        on: The list, such as `$images`.
        within: The Repeaters that stand in it.
    """

    on: str
    flag: str
    within: tuple["Repeat", ...] = ()

    def at(self, flag: str, index: int | str) -> "Repeat":
        """This Repeater as it stands in one entry of another."""
        on, own = (text.replace(flag, str(index), 1) for text in (self.on, self.flag))
        return Repeat(on, own, tuple(repeat.at(flag, index) for repeat in self.within))


@dataclass(frozen=True, slots=True)
class LabelingConfig:
    """What a project shows and asks.

    Attributes:
        prompt: Name of the TextArea that holds the annotator's prompt, or None.
        outputs: Every other control, in document order.
        sources: The tags that show data, in document order.
        notes: The form's own words (headers, literal texts), in document order.
        objects: Tag of every named object, literal ones included.
        repeats: The Repeaters that stand in no other; what is in them has its real names for each task only.
    """

    prompt: str | None
    outputs: tuple[Output, ...]
    sources: tuple[Source, ...]
    notes: tuple[str, ...]
    objects: Mapping[str, str]
    repeats: tuple[Repeat, ...] = ()
    xml: str = field(default="", repr=False, compare=False)
    prompt_prefix: str = field(default="prompt", repr=False, compare=False)

    @property
    def digest(self) -> str:
        """Changes when what is shown or asked changes; style and layout do not move it."""
        asked = (self.prompt, self.outputs, self.sources, self.notes, sorted(self.objects.items()), self.repeats)
        return hashlib.sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def empty(self) -> bool:
        """Whether it neither shows nor asks anything, as in a project that was just made."""
        return not self.outputs and not self.objects and self.prompt is None
