"""Which control fills each output of a labeling config, and why can others not be filled?"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llm_backend.core.controls.base import Control, listed
from llm_backend.core.controls.per_item import PerItem
from llm_backend.core.controls.regions import Labeling, RegionMaker
from llm_backend.core.labeling import CONTROLS, LabelingConfig, Output

_PAINTS = "paints single pixels, which a language model cannot; an annotator has to paint them"
_FOLLOWS = "follows things from frame to frame, and a model is shown few of the frames; an annotator has to follow them"
_TRACES = "traces lines through many points, which a language model cannot place; an annotator has to draw them"
# Tags that stay with a person whatever is wanted, and why.
_BY_HAND = {
    **dict.fromkeys(("Bitmask", "BitmaskLabels", "Brush", "BrushLabels", "MagicWand"), _PAINTS),
    **dict.fromkeys(("VideoRectangle", "VideoVector", "VideoVectorLabels"), _FOLLOWS),
    **dict.fromkeys(("Vector", "VectorLabels"), _TRACES),
    "OcrLabels": "is a tag of Label Studio Enterprise; the community edition's editor does not have it",
}
_DRAWN_ON = frozenset(("Image", "Video"))
_ITEMWISE = frozenset(("Choices", "DateTime", "Number", "Rating", "Taxonomy", "TextArea"))


@dataclass(frozen=True, slots=True)
class Unfillable:
    """An output that a person has to fill, and why, as a sentence."""

    output: Output
    reason: str


def bind(config: LabelingConfig, drawing: bool = False) -> tuple[tuple[Control, ...], tuple[Unfillable, ...]]:
    """Find a control for every output that can be filled, and the reason for each that cannot.

    What is asked region by region hangs on the controls that make the regions; links between regions come last.

    Args:
        drawing: Whether shapes and stretches of time are wanted (FILL_GEOMETRY), which most models misplace.
    """
    return _Binding(config, drawing).bound()


class _Binding:
    """One pass over a config's outputs: the makers of regions first, then what hangs on them, then all in order."""

    def __init__(self, config: LabelingConfig, drawing: bool) -> None:
        self._config = config
        self._drawing = drawing
        obstacles = (_obstacle(output, config, drawing) for output in config.outputs)
        self._reasons = dict(enumerate(obstacles))
        free = (output for at, output in enumerate(config.outputs) if not self._reasons[at])
        self._makers = [output for output in free if _makes_regions(output, config)]
        self._linked = bool(self._makers) and any(output.tag == "Relations" for output in config.outputs)

    def bound(self) -> tuple[tuple[Control, ...], tuple[Unfillable, ...]]:
        controls: list[Control] = []
        others: list[Unfillable] = []
        for at, output in enumerate(self._config.outputs):
            reason = self._reasons[at] or self._homeless(output)
            if reason:
                others.append(Unfillable(output, reason))
            elif not _hangs(output, self._config):
                controls.append(self._control(output))
        others += [_chat(name) for name, tag in self._config.objects.items() if tag == "Chat"]
        return tuple(sorted(controls, key=lambda control: control.links)), tuple(others)

    def _control(self, output: Output) -> Control:
        if output not in self._makers:
            control = Control.by_tag[output.tag](output)
            return PerItem(control, self._shown_in(output)) if _of_items(output) else control
        maker = _maker(output.tag)
        objects = {name: self._config.objects[name] for name in output.to_names}
        hanging = [_hung(part) for part in self._hanging_on(output)]
        sources = (source for source in self._config.sources if source.name in objects)
        pages = {source.name: source.value for source in sources if "valuelist" in source.attrs}
        return maker(output, objects, hanging, self._linked, pages)

    def _shown_in(self, output: Output) -> str:
        """Where the object of an output has its items from."""
        return next(source.value for source in self._config.sources if source.name in output.to_names)

    def _hanging_on(self, maker: Output) -> Iterator[Output]:
        """What is asked of each region that an output makes."""
        for at, output in enumerate(self._config.outputs):
            if not self._reasons[at] and _hangs(output, self._config) and maker in self._homes(output):
                yield output

    def _homes(self, output: Output) -> list[Output]:
        """The makers on whose regions a control hangs: those of its object, and of these those that it names."""
        named = {condition.tag_name for condition in output.conditions if condition.when == "region-selected"} - {""}
        labelers = {other.name for other in self._config.outputs if _labels_shapes(other, self._config)}
        homes = [maker for maker in self._makers if not set(maker.to_names).isdisjoint(output.to_names)]
        if _labels_shapes(output, self._config):
            return [maker for maker in homes if not _maker(maker.tag).labelled]
        return [maker for maker in homes if named <= {maker.name, *labelers}]

    def _homeless(self, output: Output) -> str:
        """Why something that goes with regions has none to go with; "" if it has, or goes with none."""
        if output.tag == "Relations":
            return "" if self._makers else f"{_named(output)} links regions, and nothing here makes any."
        if not _hangs(output, self._config) or self._homes(output):
            return ""
        objects = _quoted(output.to_names)
        return f"{_named(output)} is answered region by region, and nothing that is filled makes regions in {objects}."


def _hung(output: Output) -> Control:
    known = Control.by_tag[output.tag]
    return Labeling(output) if issubclass(known, RegionMaker) else known(output)


def _maker(tag: str) -> type[RegionMaker]:
    """The maker of regions for a tag that is known to have one."""
    maker = Control.by_tag[tag]
    assert issubclass(maker, RegionMaker)
    return maker


def _makes_regions(output: Output, config: LabelingConfig) -> bool:
    known = Control.by_tag.get(output.tag)
    return known is not None and issubclass(known, RegionMaker) and not _labels_shapes(output, config)


def _hangs(output: Output, config: LabelingConfig) -> bool:
    """Whether a control is asked region by region."""
    return output.flag("perregion") or _labels_shapes(output, config)


def _of_items(output: Output) -> bool:
    """Whether a control is asked item by item; the editor lets only these be."""
    return output.flag("peritem") and not output.flag("perregion") and output.tag in _ITEMWISE


def _labels_shapes(output: Output, config: LabelingConfig) -> bool:
    """Whether these are bare labels of shapes that other tags draw, such as Labels beside Rectangle."""
    return output.tag == "Labels" and any(config.objects.get(name) in _DRAWN_ON for name in output.to_names)


def _named(output: Output) -> str:
    return f'{output.tag} "{output.name}"' if output.name else output.tag


def _obstacle(output: Output, config: LabelingConfig, drawing: bool) -> str:
    """Why an output cannot be filled by itself; "" if it can."""
    if output.tag == "Relations":
        return ""
    why = (
        _tag(output)
        or _items(output, config)
        or _objects(output, config)
        or _sight(output, config)
        or _place(output, config, drawing)
        or Control.by_tag[output.tag].cannot(output)
    )
    return f"{_named(output)} {why}." if why else ""


def _tag(output: Output) -> str:
    if output.tag in Control.by_tag:
        return ""
    if output.tag in _BY_HAND:
        return _BY_HAND[output.tag]
    if output.tag not in CONTROLS.values():
        return "is not a tag of Label Studio that is known here; an annotator has to fill it"
    return f"is not among the tags that are filled: {listed(sorted(Control.by_tag), most=30).replace(' or ', ' and ')}"


def _items(output: Output, config: LabelingConfig) -> str:
    """Why an output of one object's items cannot be filled; "" if it can, or is not of items."""
    without = [name for name in output.to_names if config.objects.get(name) != "Image"]
    if _of_items(output) and without:
        return f'is answered item by item (perItem="true"), and {_quoted(without)} has no items; an Image has'
    return ""


def _objects(output: Output, config: LabelingConfig) -> str:
    known = _quoted(config.objects)
    if not config.objects:
        return "has nothing to label: the labeling config shows no named object, such as a Text"
    if not output.to_names:
        return f"does not say which object it labels; set its toName to {known}"
    missing = [name for name in output.to_names if name not in config.objects]
    if missing:
        return f"labels {_quoted(missing)}, which the labeling config does not have; set its toName to {known}"
    return ""


def _sight(output: Output, config: LabelingConfig) -> str:
    if not config.sources:
        return "has nothing to go by: the labeling config shows nothing of the task that a model can read"
    return ""


def _place(output: Output, config: LabelingConfig, drawing: bool) -> str:
    """Why regions cannot be made in these objects; "" if they can, or none are to be."""
    if not _makes_regions(output, config):
        return ""
    tags = [config.objects[name] for name in output.to_names]
    places = {_maker(output.tag).places.get(tag) for tag in tags}
    (place, *more) = places
    if place is None or more:
        return f"marks pieces of {listed(sorted(set(tags)))}, which it is not known to do; an annotator has to do it"
    if place.drawn and not drawing:
        return "draws shapes or marks times, which most models misplace; FILL_GEOMETRY=1 has it filled all the same"
    return ""


def _chat(name: str) -> Unfillable:
    words = "takes new messages in Label Studio Enterprise only; its messages are read, none is written"
    return Unfillable(Output(name, "Chat", (name,)), f'Chat "{name}" {words}.')


def _quoted(names: Iterable[str]) -> str:
    return listed([f'"{name}"' for name in names])
