"""What do we ask for a Rating, how does its answer become a region, and back?"""

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError


class Rating(Control, tags=("Rating",)):
    """Stars. Answer: a whole number from 1 to maxRating (5 when the tag does not say).

    Nothing is coerced: `4.0`, `"4"`, true and 0 (the editor's "not rated") are not ratings.
    """

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self.stars = _most(output)

    @classmethod
    def cannot(cls, output: Output) -> str:
        return "" if _most(output) >= 1 else f"has no star to give: its maxRating is {_most(output)}"

    def schema(self, inputs: Inputs) -> JSON:
        return {"type": "integer", "minimum": 1, "maximum": self.stars}

    def describe(self, inputs: Inputs) -> str:
        return f"a whole number from 1 to {self.stars}"

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        if type(answer) is not int or not 1 <= answer <= self.stars:
            raise AnswerError(
                f'"{self.name}" takes a whole number from 1 to {self.stars}; the model gave {shown(answer)}.'
            )
        return [self.region({"rating": answer})]

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        for region in self.own(regions):
            rating = region.value.get("rating")
            if isinstance(rating, int | float) and rating in range(1, self.stars + 1):
                return int(rating)
        return None


def _most(output: Output) -> int:
    most = output.whole("maxrating")
    return 5 if most is None else most
