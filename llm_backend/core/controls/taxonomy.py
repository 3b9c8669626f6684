"""What do we ask for a Taxonomy, how does its answer become a region, and back?"""

from collections.abc import Sequence

from llm_backend.core.controls.chooser import Chooser
from llm_backend.core.controls.options import Options, paths, separator_for
from llm_backend.core.labeling import Choice, Output


class Taxonomy(Chooser, tags=("Taxonomy",)):
    """Entries of a tree. Answer: a list of whole paths, such as `["Animal / Bird"]`; results hold paths from the root.

    With leafsOnly, only entries with none below them can be chosen. Of siblings with the same value there is only the
    first, as in the editor. A lone name stands for its path if the whole tree has it once.
    """

    multiple = True

    def __init__(self, output: Output) -> None:
        most = output.whole("maxusages")
        self.limit = most if most is not None and most > 0 else None
        super().__init__(output)

    @classmethod
    def cannot(cls, output: Output) -> str:
        if output.flag("labeling"):
            return 'marks pieces of a text (labeling="true"), which a person has to do'
        if output.attrs.get("apiurl"):
            return "loads its entries from elsewhere (apiUrl); write them into the labeling config or the task instead"
        return super().cannot(output)

    def _options(self, choices: Sequence[Choice]) -> Options:
        separator = separator_for(choices)
        tree = paths(choices, separator, leaves_only=self.output.flag("leafsonly"), merge=True)
        return Options(self.name, tree, separator, choices)
