"""What do we ask for a Number, how does its answer become a region, and back?"""

import math
from typing import TypeGuard

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

# The editor's own tolerance for steps such as 0.1, which binary fractions miss.
_EPSILON = 1e-8


class Number(Control, tags=("Number",)):
    """A number. Answer: a JSON number within min and max; with `step`, a whole number of steps from min (or 0).

    A whole number stays one; texts such as `"4"` are not numbers.
    """

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        self.lowest = _finite(output, "min")
        self.highest = _finite(output, "max")
        step = _finite(output, "step")
        self.step = step if step is not None and step > 0 else None

    @classmethod
    def cannot(cls, output: Output) -> str:
        least, most = _finite(output, "min"), _finite(output, "max")
        if least is None or most is None or least <= most:
            return ""
        return f"takes no number: its min is {least} and its max {most}"

    def schema(self, inputs: Inputs) -> JSON:
        bounds = {"minimum": self.lowest, "maximum": self.highest}
        return {"type": self._type()} | {name: bound for name, bound in bounds.items() if bound is not None}

    def describe(self, inputs: Inputs) -> str:
        words = ["a number", self._bounds()]
        if self.step is not None:
            words.append(f"in steps of {self.step} from {self._basis()}")
        return " ".join(word for word in words if word)

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        if not _is_number(answer) or not self._within(answer):
            raise AnswerError(f'"{self.name}" takes {self.describe(inputs)}; the model gave {shown(answer)}.')
        return [self.region({"number": answer})]

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        for region in self.own(regions):
            number = region.value.get("number")
            if _is_number(number) and self._within(number):
                return number
        return None

    def _type(self) -> str:
        """`integer` where only whole numbers can lie on a step."""
        return "integer" if isinstance(self.step, int) and isinstance(self._basis(), int) else "number"

    def _basis(self) -> int | float:
        return 0 if self.lowest is None else self.lowest

    def _bounds(self) -> str:
        if self.lowest is None:
            return "" if self.highest is None else f"of at most {self.highest}"
        return f"of at least {self.lowest}" if self.highest is None else f"from {self.lowest} to {self.highest}"

    def _within(self, number: int | float) -> bool:
        if (self.lowest is not None and number < self.lowest) or (self.highest is not None and number > self.highest):
            return False
        return self.step is None or self._on_step(float(number), float(self._basis()), float(self.step))

    @staticmethod
    def _on_step(number: float, basis: float, step: float) -> bool:
        steps = (number - basis) / step
        return math.isfinite(steps) and abs(round(steps) * step + basis - number) <= _EPSILON


def _is_number(answer: JSON) -> TypeGuard[int | float]:
    """Whether it is a JSON number that the editor, which knows only floats, can hold."""
    try:
        return isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(float(answer))
    except OverflowError:
        return False


def _finite(output: Output, name: str) -> int | float | None:
    number = output.number(name)
    if number is None or not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number
