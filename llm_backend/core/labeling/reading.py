"""How is a labeling config in XML read, as the editor reads it?"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from llm_backend.core.labeling.config import (
    Channel,
    Choice,
    Condition,
    LabelingConfig,
    Output,
    Repeat,
    Source,
    references,
)
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


def repeat(config: LabelingConfig, counts: Iterable[int]) -> LabelingConfig:
    """The config of a task, with what is repeated in its place.

    Args:
        counts: How often each Repeater repeats (`core.repeats.counts`).
    """
    return show_entries(config, map(range, counts))


def show_entries(config: LabelingConfig, entries: Iterable[Iterable[int | str]]) -> LabelingConfig:
    """The config with these entries of what is repeated in its place.

    Args:
        entries: By their numbers, for each Repeater in document order; one within another is counted anew for each
            entry of that. An entry by its Repeater's own flag leaves what is in it as it stands.
    """
    reader = _Reader(config.prompt_prefix, iter(entries))
    reader.visit(parse_xml(config.xml), ())
    return reader.config()


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
