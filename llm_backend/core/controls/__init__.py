"""Which control fills each output of a labeling config, and why can others not be filled?

Every module of this folder is loaded, so that a new tag is a new file.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass

from llm_backend.core import inputs
from llm_backend.core.controls.base import Control, Regions, listed
from llm_backend.core.controls.conditions import hidden, shown_regions
from llm_backend.core.labeling import CONTROLS, LabelingConfig, Output

for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")

_SHAPES = frozenset(
    (
        *("Bitmask", "BitmaskLabels", "Brush", "BrushLabels", "Ellipse", "EllipseLabels", "KeyPoint"),
        *("KeyPointLabels", "MagicWand", "Polygon", "PolygonLabels", "Rectangle", "RectangleLabels", "Vector"),
        *("VectorLabels", "VideoRectangle", "VideoVector", "VideoVectorLabels", "OcrLabels"),
    )
)
_TIMES = frozenset(("TimeSeriesLabels", "TimelineLabels"))


@dataclass(frozen=True, slots=True)
class Unfillable:
    """An output that a person has to fill, and why, as a sentence."""

    output: Output
    reason: str


def bind(config: LabelingConfig) -> tuple[tuple[Control, ...], tuple[Unfillable, ...]]:
    """Find a control for every output that can be filled, and the reason for each that cannot."""
    controls: list[Control] = []
    others: list[Unfillable] = []
    for output in config.outputs:
        if reason := _obstacle(output, config):
            others.append(Unfillable(output, reason))
        else:
            controls.append(Control.by_tag[output.tag](output))
    others += [_chat(name) for name, tag in config.objects.items() if tag == "Chat"]
    return tuple(controls), tuple(others)


def _obstacle(output: Output, config: LabelingConfig) -> str:
    """Why an output cannot be filled; "" if it can."""
    named = f'{output.tag} "{output.name}"' if output.name else output.tag
    why = (
        _tag(output)
        or _scope(output)
        or _objects(output, config)
        or _sight(output, config)
        or Control.by_tag[output.tag].cannot(output)
    )
    return f"{named} {why}." if why else ""


def _tag(output: Output) -> str:
    if output.tag in Control.by_tag:
        return ""
    if output.tag in _SHAPES:
        return "draws shapes, which a language model cannot place reliably; an annotator has to draw them"
    if output.tag in _TIMES:
        return "marks stretches of time, which a language model cannot place reliably; an annotator has to mark them"
    if output.tag not in CONTROLS.values():
        return "is not a tag of Label Studio that is known here; an annotator has to fill it"
    return f"is not among the tags that are filled: {listed(sorted(Control.by_tag), most=30).replace(' or ', ' and ')}"


def _scope(output: Output) -> str:
    if output.flag("perregion"):
        return 'is answered region by region (perRegion="true"); only what is asked about the whole task is filled'
    if output.flag("peritem"):
        return 'is answered item by item (perItem="true"); only what is asked about the whole task is filled'
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
    tags = [config.objects[name] for name in output.to_names]
    if not any(tag in inputs.READABLE for tag in tags):
        return f"labels {listed(sorted(set(tags)))}, which is not shown to the model"
    if not any(source.tag in inputs.READABLE for source in config.sources):
        return "has nothing to go by: the labeling config shows nothing of the task that a model can read"
    return ""


def _chat(name: str) -> Unfillable:
    words = "takes new messages in Label Studio Enterprise only; its messages are read, none is written"
    return Unfillable(Output(name, "Chat", (name,)), f'Chat "{name}" {words}.')


def _quoted(names: Iterable[str]) -> str:
    return listed([f'"{name}"' for name in names])


__all__ = ["Control", "Regions", "Unfillable", "bind", "hidden", "shown_regions"]
