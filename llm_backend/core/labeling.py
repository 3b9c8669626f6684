"""What does this project want labelled? A labeling config in XML becomes a `LabelingConfig`."""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from llm_backend.core.markup import (
    Element,
    attributes,
    inner_text,
    inner_xml,
    own_text,
    parse_xml,
    readable_text,
    repeated,
    tag_of,
)

# Label Studio's own spelling, by the lower-case name that the editor goes by.
OBJECTS = {
    tag.lower(): tag
    for tag in (
        *("Text", "HyperText", "Paragraphs", "Image", "Audio", "AudioPlus", "Video", "Pdf", "Table", "List"),
        *("TimeSeries", "Chat"),
    )
}
CONTROLS = {
    tag.lower(): tag
    for tag in (
        *("Bitmask", "BitmaskLabels", "Brush", "BrushLabels", "Choices", "DateTime", "Ellipse", "EllipseLabels"),
        *("HyperTextLabels", "KeyPoint", "KeyPointLabels", "Labels", "MagicWand", "Number", "Pairwise"),
        *("ParagraphLabels", "Polygon", "PolygonLabels", "Ranker", "Rating", "Rectangle", "RectangleLabels"),
        *("Relations", "Taxonomy", "TextArea", "TimeSeriesLabels", "TimelineLabels", "Vector", "VectorLabels"),
        *("VideoRectangle", "ReactCode", "VideoVector", "VideoVectorLabels", "OcrLabels"),
    )
}
# What is shown from an address: also one that the config itself gives.
_FROM_ADDRESSES = frozenset(("Image", "Audio", "AudioPlus", "Video", "Pdf", "TimeSeries"))
# Attributes that say what may be answered or what is shown; all others are layout and do not reach the model.
_MEANINGFUL = frozenset(
    (
        *("alias", "allownested", "apiurl", "choice", "contextscroll", "default", "encoding", "format", "framerate"),
        *("inline", "labeling", "leafsonly", "max"),
        *("maxrating", "maxsubmissions", "maxusages", "min", "namekey", "only", "peritem", "perregion", "required"),
        *("sep", "skipduplicates", "smart", "step", "textkey", "timecolumn", "timeformat", "value", "valuelist"),
        *("valuetype",),
    )
)
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

    def repeated(self, counts: Iterable[int]) -> "LabelingConfig":
        """The config of a task, with what is repeated in its place.

        Args:
            counts: How often each Repeater repeats (`core.repeats.counts`).
        """
        return self.showing(map(range, counts))

    def showing(self, entries: Iterable[Iterable[int | str]]) -> "LabelingConfig":
        """The config with these entries of what is repeated in its place.

        Args:
            entries: By their numbers, for each Repeater in document order; one within another is counted anew for each
                entry of that. An entry by its Repeater's own flag leaves what is in it as it stands.
        """
        reader = _Reader(self.prompt_prefix, iter(entries))
        reader.visit(parse_xml(self.xml), ())
        return reader.config()

    @property
    def digest(self) -> str:
        """Changes when what is shown or asked changes; style and layout do not move it."""
        asked = (self.prompt, self.outputs, self.sources, self.notes, sorted(self.objects.items()), self.repeats)
        return hashlib.sha256(repr(asked).encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def empty(self) -> bool:
        """Whether it neither shows nor asks anything, as in a project that was just made."""
        return not self.outputs and not self.objects and self.prompt is None


def parse(xml: str, prompt_prefix: str = "prompt") -> LabelingConfig:
    """Read a labeling config.

    Args:
        prompt_prefix: Name of the prompt box; else the first TextArea whose name begins so is it.
    Raises:
        LabelingError: The XML cannot be read.
    """
    reader = _Reader(prompt_prefix)
    if xml.strip():
        reader.visit(parse_xml(xml), ())
    return replace(reader.config(), xml=xml, prompt_prefix=prompt_prefix)


class _Reader:
    """One walk over the tags, gathering as it goes."""

    def __init__(self, prompt_prefix: str, entries: Iterator[Iterable[int | str]] | None = None) -> None:
        """
        Args:
            entries: Which ones each Repeater shows; None leaves what is in it as it stands, once.
        """
        self._prefix = prompt_prefix
        self._entries = entries
        self._repeats: list[Repeat] = []
        self._outputs: list[Output] = []
        self._sources: list[Source] = []
        self._notes: list[str] = []
        self._objects: dict[str, str] = {}
        self._heading: list[str] = []

    def visit(self, element: Element, conditions: tuple[Condition, ...]) -> None:
        tag = tag_of(element)
        attrs = attributes(element)
        if not tag or tag in ("style", "filter", "shortcut"):
            return
        conditions += _conditions(attrs)
        if tag in OBJECTS:
            self._object(OBJECTS[tag], element, attrs)
        elif tag in CONTROLS or (attrs.get("name") and "toname" in attrs):
            self._control(CONTROLS.get(tag, str(element.tag)), element, attrs, conditions)
        elif tag in ("header", "markdown"):
            self._header(attrs.get("value") or inner_text(element))
        elif tag == "repeater":
            self._repeater(element, attrs, conditions)
        else:
            for child in element:
                self.visit(child, conditions)

    def config(self) -> LabelingConfig:
        outputs = tuple(self._bound(output) for output in self._outputs)
        prompt = self._prompt_box(outputs)
        return LabelingConfig(
            prompt=prompt,
            outputs=tuple(output for output in outputs if output.name != prompt),
            sources=tuple(self._sources),
            notes=tuple(self._notes),
            objects=self._objects,
            repeats=tuple(self._repeats),
        )

    def _repeater(self, element: Element, attrs: dict[str, str], conditions: tuple[Condition, ...]) -> None:
        flag = attrs.get("indexflag") or "{{idx}}"
        if self._entries is not None:
            for index in next(self._entries):
                for child in repeated(element, flag, index):
                    self.visit(child, conditions)
            return
        around, self._repeats = self._repeats, []
        for child in element:
            self.visit(child, conditions)
        self._repeats = [*around, Repeat(attrs.get("on", ""), flag, tuple(self._repeats))]

    def _object(self, tag: str, element: Element, attrs: dict[str, str]) -> None:
        value = attrs.get("value") or attrs.get("valuelist") or ""
        if tag == "HyperText" and not attrs.get("value"):
            value = inner_xml(element)
        elif not value:
            value = inner_text(element)
        name = attrs.get("name", "")
        source = Source(name, tag, value, _meaningful(attrs), _channels(element))
        if name:
            self._objects[name] = tag
        if not source.literal or (tag in _FROM_ADDRESSES and value):
            self._sources.append(source)
            self._heading.clear()
        elif tag in ("Text", "HyperText"):
            self._words(readable_text(value) if tag == "HyperText" else value)

    def _header(self, value: str) -> None:
        if references(value):
            self._sources.append(Source("", "Header", value))
        else:
            self._words(value)

    def _words(self, value: str) -> None:
        if words := " ".join(value.split()):
            self._notes.append(words)
            self._heading.append(words)

    def _control(self, tag: str, element: Element, attrs: dict[str, str], conditions: tuple[Condition, ...]) -> None:
        name = attrs.get("name", "")
        if not name and tag != "Relations":
            return
        self._outputs.append(
            Output(
                name=name,
                tag=tag,
                to_names=tuple(part.strip() for part in attrs.get("toname", "").split(",") if part.strip()),
                choices=tuple(_choices(element)),
                attrs=_meaningful(attrs),
                heading=" ".join(self._heading),
                conditions=conditions,
            )
        )
        self._heading.clear()

    def _bound(self, output: Output) -> Output:
        if output.to_names or len(self._objects) != 1:
            return output
        (only,) = self._objects
        return replace(output, to_names=(only,))

    def _prompt_box(self, outputs: tuple[Output, ...]) -> str | None:
        boxes = [o.name for o in outputs if o.tag == "TextArea" and not o.flag("perregion") and not o.flag("peritem")]
        if self._prefix in boxes:
            return self._prefix
        return next((name for name in boxes if name.startswith(self._prefix)), None)


def _choices(element: Element) -> Iterator[Choice]:
    """The options below a control, through any views between; options below options are their children."""
    for child in element:
        tag = tag_of(child)
        if tag in ("choice", "label", "relation", "bucket"):
            attrs = attributes(child)
            name = attrs.get("value") or attrs.get("name") or ""
            shown = readable_text(attrs.get("html", ""))
            value = name or own_text(child) or shown
            if value:
                hints = (attrs.get("hint", "").strip(), shown, attrs.get("title", "").strip())
                hint = "; ".join(part for part in hints if part and part != value)
                default = attrs.get("default", "").strip().lower() == "true"
                yield Choice(value, attrs.get("alias"), hint, tuple(_choices(child)), default)
        elif tag:
            yield from _choices(child)


def _channels(element: Element) -> tuple[Channel, ...]:
    """The channels of a TimeSeries, through any MultiChannel and view between."""
    found = (attributes(below) for below in element.iter() if tag_of(below) == "channel")
    return tuple(
        Channel(attrs["column"].strip(), attrs.get("legend", ""), attrs.get("units", ""))
        for attrs in found
        if attrs.get("column", "").strip()
    )


def _conditions(attrs: Mapping[str, str]) -> tuple[Condition, ...]:
    when, tag_name = attrs.get("visiblewhen", ""), attrs.get("whentagname", "")
    values = _parted(attrs.get("whenchoicevalue", ""))
    labels = _labels(attrs.get("whenlabelvalue", ""))
    if when in ("choice-selected", "choice-unselected", "region-selected", "no-region-selected"):
        return (Condition(when, tag_name, values, labels),)
    if values:
        # Without visibleWhen the editor compares the whole attribute with every chosen value.
        return (Condition("choice-selected", tag_name, (attrs["whenchoicevalue"],)),)
    if labels:
        return (Condition("region-selected", tag_name, (), labels),)
    return ()


def _parted(values: str) -> tuple[str, ...]:
    return tuple(value for value in values.split(",") if value)


def _labels(values: str) -> tuple[str, ...]:
    """The labels that `whenLabelValue` names; one whose own words hold a comma counts too, as in the editor."""
    parts = _parted(values)
    return (values, *parts) if len(parts) > 1 else parts


def _meaningful(attrs: Mapping[str, str]) -> dict[str, str]:
    return {name: attrs[name] for name in sorted(attrs) if name in _MEANINGFUL}
