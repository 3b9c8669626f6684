"""What do we ask for a Pairwise, how does its answer become a region, and back?"""

from collections.abc import Mapping

from llm_backend.core.controls.base import Regions, shown
from llm_backend.core.controls.comparing import Comparison, Verdict
from llm_backend.core.inputs import Inputs, Turn
from llm_backend.core.labeling import Output, Source
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

_OTHER = {"left": "right", "right": "left"}
_SIDES = tuple(_OTHER)


class Pairwise(Comparison, tags=("Pairwise",)):
    """The better of two objects. Answer: `left` or `right`; null where neither is, for the tag knows no tie.

    Stored results name the first object as `to_name`, the only form that both the host's validator and the editor
    take; the editor itself writes the control's own name. An interactive answer is shown only under the object that
    the prompt box labels (seen in the editor of 1.23.2). Any form is read.

    In the other order the objects show each other's data. A preference is what names the same one both times.
    """

    def shown_at(self, prompted: str) -> str:
        return prompted

    @classmethod
    def cannot(cls, output: Output) -> str:
        if len(output.to_names) == 2 and len(set(output.to_names)) == 2:
            return ""
        return "compares two objects; set its toName to their two names, separated by a comma"

    def schema(self, inputs: Inputs) -> JSON:
        return {"type": "string", "enum": list(_SIDES)}

    def describe(self, inputs: Inputs) -> str:
        left, right = self.output.to_names
        words = f'"left" if "{left}" is better, "right" if "{right}" is better'
        return words if self.required else f"{words}, null if neither is"

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        side = answer.strip().casefold() if isinstance(answer, str) else ""
        if side not in _SIDES:
            raise AnswerError(f'"{self.name}" takes left or right; the model gave {shown(answer)}.')
        return [self.region({"selected": side})]

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        sides = (region.value.get("selected") for region in self.own(regions))
        return next((side for side in sides if side in _SIDES), None)

    def turn(self, sources: Mapping[str, Source]) -> Turn | None:
        left, right = map(sources.get, self.output.to_names)
        return Turn.exchange(left, right) if left and right else None

    def turned(self, answer: JSON) -> JSON:
        return _OTHER.get(answer, answer) if isinstance(answer, str) else answer

    def weigh(self, first: Regions, other: Regions) -> Verdict:
        side, again = (self._side(regions) for regions in (first, other))
        if self.turned(again) == side:
            return Verdict(list(first))
        left, right = self.output.to_names
        asked = f'Asked again with "{left}" and "{right}" exchanged'
        if side == again:
            return Verdict([], 0.0, f'{asked}, the model took the one on the {side} again: "{self.name}" stays empty.')
        told = " and then ".join(found or "neither" for found in (side, again))
        return Verdict([], 0.0, f'{asked}, the model took {told}: "{self.name}" stays empty.')

    def _side(self, regions: Regions) -> str | None:
        return next((region.value["selected"] for region in self.own(regions)), None)
