"""Which branches of a large tree does the model look into first, and what is left to choose from below them?"""

from collections.abc import Sequence
from dataclasses import replace

from llm_backend.core.controls.base import Control, Regions
from llm_backend.core.controls.chooser import Chooser
from llm_backend.core.controls.options import Options, paths, separator_for
from llm_backend.core.controls.trees import below
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Choice


class Branches(Chooser):
    """The upper levels of a tree that has more options than a schema lists. Answer: the whole paths of some branches.

    A required control needs one at least; where no branch applies, nothing in the tree does.
    """

    multiple = True

    def __init__(self, whole: Chooser, inputs: Inputs) -> None:
        """
        Args:
            whole: The control whose options they are; its tree has branches (`Options.branches`).
        """
        required = {name: held for name, held in whole.output.attrs.items() if name == "required"}
        self._whole = whole
        self._tree = whole.options(inputs).tree
        super().__init__(replace(whole.output, choices=whole.options(inputs).branches, attrs=required))
        self.dynamic = True  # what is asked is not what the whole control asks under the same name

    def looked_into(self, regions: Regions) -> Chooser | None:
        """The control with what is below the chosen branches, and above them; None where none was chosen."""
        held = [path for region in self.own(regions) for path in region.value[self.output.type]]
        return self._whole.offering(below(self._tree, {tuple(path) for path in held})) if held else None

    def _options(self, choices: Sequence[Choice]) -> Options:
        separator = separator_for(choices)
        return Options(self.name, paths(choices, separator, leaves_only=True, merge=False), separator)

    def _kind(self) -> str:
        what = "first of all a list of the parts in which to look for what applies; any number of these"
        return what if self.required else f"{what} (empty if it is in none)"


def branches_of(control: Control, inputs: Inputs) -> Branches | None:
    """The branches to choose from first; None where all options can be offered at once, or there are no branches.

    Raises:
        InputError: The task's data do not hold the options that the config refers to.
    """
    if isinstance(control, Chooser) and control.options(inputs).branches:
        return Branches(control, inputs)
    return None
