"""What do we ask for Choices, how does its answer become a region, and back?"""

from collections.abc import Iterable, Mapping, Sequence

from llm_backend.core.controls.chooser import Chooser
from llm_backend.core.controls.options import Options, filled, flat, paths, refers, separator_for
from llm_backend.core.labeling import Choice, Output
from llm_backend.core.wire import JSON


class Choices(Chooser, tags=("Choices",)):
    """Boxes to tick. Answer: the words of one option, or a list of such where `choice="multiple"`.

    Options may come from the task (`value="$options"`, after those of the config). Under `allowNested` an option is
    a whole path, and results hold paths, for top-level options too; only entries with none below them can be chosen,
    for the editor ticks a parent when all its children are. Without it, what is nested is not shown and not offered.
    """

    def __init__(self, output: Output) -> None:
        self.multiple = output.attrs.get("choice", "").strip().lower() == "multiple"
        self.nested = output.flag("allownested")
        super().__init__(output)

    def _options(self, choices: Sequence[Choice]) -> Options:
        if not self.nested:
            return Options(self.name, flat(choices))
        separator = separator_for(choices)
        return Options(self.name, paths(choices, separator, leaves_only=True, merge=False), separator, choices)

    def _refers(self, choices: Iterable[Choice]) -> bool:
        return refers(choices)

    def _filled(self, choices: Iterable[Choice], data: Mapping[str, JSON]) -> Iterable[Choice]:
        return filled(choices, data)
