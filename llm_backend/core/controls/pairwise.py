"""What do we ask for a Pairwise, how does its answer become a region, and back?"""

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

_SIDES = ("left", "right")


class Pairwise(Control, tags=("Pairwise",)):
    """The better of two objects. Answer: `left` or `right`; null where neither is, for the tag knows no tie.

    Stored results name the first object as `to_name`, the only form that both the host's validator and the editor
    take; the editor itself writes the control's own name. An interactive answer is shown only under the object that
    the prompt box labels (seen in the editor of 1.23.2). Any form is read.
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
