"""One control of a labeling config, and a task to ask it about."""

from collections.abc import Mapping
from typing import Any

from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import LabelingConfig, parse
from llm_backend.core.wire import Region

DATA = {"text": "I love it when my computer crashes"}
TEXT = '<Text name="text" value="$text"/>'


def config_of(tags: str) -> LabelingConfig:
    """A config that shows a text and has these tags."""
    return parse(f"<View>{TEXT}{tags}</View>")


def one(tag: str, data: Mapping[str, Any] | None = None) -> tuple[Control, Inputs]:
    """The one control that a tag makes; the task holds `text` and `data`."""
    config = config_of(tag)
    (control,), _ = bind(config)
    return control, read(config, {**DATA, **(data or {})})


def made(tag: str, answer: Any, data: Mapping[str, Any] | None = None) -> Any:
    """The whole value that an answer becomes, or None where no region is made."""
    control, inputs = one(tag, data)
    regions = control.read(answer, inputs)
    if not regions:
        return None
    (region,) = regions
    assert (region.from_name, region.to_name, region.type) == (control.name, control.to_name, control.output.type)
    return dict(region.value)


def by_person(tag: str, value: Any, data: Mapping[str, Any] | None = None, to_name: str = "text") -> Any:
    """The answer that a person's region with this value stands for."""
    control, inputs = one(tag, data)
    return control.encode([Region(control.name, to_name, control.output.type, value, origin="manual")], inputs)
