"""Does what we send hold what Label Studio's checker demands, and what its editor needs to load it?

The SDK's checker lets pass what makes the editor drop a region, and with it all that follow; so both count here. What
is wrong with our own regions is a fault of ours. Three things go by the editor alone, for the SDK's checker cannot read
them: nested Choices, controls without a toName, and the real names of what a Repeater repeats.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from llm_backend.core.checks.values import flaw
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import LabelingConfig, Output
from llm_backend.core.wire import Region

_RELATION = "relation"
_DIRECTIONS = ("left", "right", "bi")
# Of what a value must hold nothing else, unless it stands at a place in the object.
_WHOLE_TASK = frozenset(("choices", "datetime", "number", "pairwise", "ranker", "rating", "taxonomy", "textarea"))


@dataclass(frozen=True, slots=True)
class Wrong:
    """A region that may not be sent, and why, as a sentence."""

    region: Region
    sentence: str


def wrongs(config: LabelingConfig, inputs: Inputs, regions: Sequence[Region]) -> list[Wrong]:
    """What is wrong with the regions of one result; nothing if it can be sent.

    Args:
        inputs: What the task shows, and its data.
    """
    result = _Result(config, inputs, regions)
    return [Wrong(region, sentence) for region in regions if (sentence := result.wrong(region))]


def sound(config: LabelingConfig, inputs: Inputs, regions: Sequence[Region]) -> tuple[list[Region], list[Wrong]]:
    """Leave out every control at which something is wrong, and what hangs on it; what is left can be sent."""
    kept, found = list(regions), []
    while wrong := wrongs(config, inputs, kept):
        found += wrong
        fallen = {(one.region.from_name, one.region.type) for one in wrong}
        kept = [region for region in kept if (region.from_name, region.type) not in fallen]
    return kept, found


class _Result:
    """The regions of one result, looked at together."""

    def __init__(self, config: LabelingConfig, inputs: Inputs, regions: Sequence[Region]) -> None:
        self._config = config
        self._inputs = inputs
        self._outputs = {output.name: output for output in config.outputs}
        self._regions = regions
        self._places = {r.id: r for r in regions if r.id is not None and self._is_place(r)}
        self._seen: set[tuple[str, object]] = set()

    def wrong(self, region: Region) -> str:
        """The first thing that is wrong with a region; "" if nothing is."""
        if region.type == _RELATION:
            return next(self._of_relation(region), "")
        output = self._outputs.get(region.from_name)
        if output is None:
            return f'"{region.from_name}" is no control of the labeling config.'
        return next(self._of_region(region, output), "")

    def _of_region(self, region: Region, output: Output) -> Iterator[str]:
        named = f'{output.tag} "{output.name}"'
        if region.type != output.type:
            yield f"{named} makes {output.type}, not {region.type}."
        if region.to_name not in output.to_names or region.to_name not in self._config.objects:
            yield f'{named} does not label "{region.to_name}".'
        if region.score is not None and not 0 <= region.score <= 1:
            yield f"{named} has the score {region.score}; it lies between 0 and 1."
        if region.item_index is not None and region.item_index < 0:
            yield f"{named} stands at item {region.item_index}; items are counted from 0."
        if self._hangs(output):
            yield from self._of_part(region, named)
        elif region.type in _WHOLE_TASK:
            yield from self._of_whole(region, named)
        if what := flaw(region, output, self._inputs):
            yield f"{named} {what}."

    def _of_part(self, region: Region, named: str) -> Iterator[str]:
        """What is asked of a region needs that region, once."""
        place = self._places.get(region.id or "")
        if place is None:
            yield f"{named} is asked of a region, and there is none with its id."
        elif (place.to_name, place.item_index) != (region.to_name, region.item_index) or _moved(region, place):
            yield f'{named} lies elsewhere than its region, which is in "{place.to_name}".'
        yield from self._once(region.from_name, region.id, f"{named} answers twice for one region.")

    def _of_whole(self, region: Region, named: str) -> Iterator[str]:
        if len(region.value) != 1:
            yield f"{named} holds {sorted(region.value)}; an answer about the whole task holds one thing."
        yield from self._once(region.from_name, region.item_index, f"{named} answers twice.")

    def _once(self, name: str, at: object, sentence: str) -> Iterator[str]:
        if (name, at) in self._seen:
            yield sentence
        self._seen.add((name, at))

    def _of_relation(self, region: Region) -> Iterator[str]:
        relations = [output for output in self._config.outputs if output.tag == "Relations"]
        if not relations:
            yield "The labeling config has no Relations."
        ends = [region.value.get(end) for end in ("from_id", "to_id")]
        if not all(isinstance(end, str) and end in self._places for end in ends) or ends[0] == ends[1]:
            yield "A relation links two different regions of the same result."
        if region.value.get("direction") not in _DIRECTIONS:
            yield f"A relation's direction is left, right or bi, not {region.value.get('direction')!r}."
        known = {choice.result for output in relations for choice in output.choices}
        labels = region.value.get("labels", [])
        if not isinstance(labels, list) or not all(isinstance(label, str) and label in known for label in labels):
            yield "A relation has labels that the labeling config does not know."

    def _is_place(self, region: Region) -> bool:
        output = self._outputs.get(region.from_name)
        return output is not None and not self._hangs(output)

    def _hangs(self, output: Output) -> bool:
        """Whether a control is asked region by region: perRegion, or bare Labels of shapes that other tags draw."""
        on = {self._config.objects.get(name) for name in output.to_names}
        return output.flag("perregion") or (output.tag == "Labels" and not on.isdisjoint(("Image", "Video")))


def _moved(part: Region, whole: Region) -> bool:
    """Whether what hangs on a region tells another place than the region; bare labels have to tell it."""
    place = {key: held for key, held in whole.value.items() if key not in (whole.type, part.type, "text")}
    told = part.value if part.type == "labels" else {**place, **part.value}
    return any(key not in told or told[key] != held for key, held in place.items())
