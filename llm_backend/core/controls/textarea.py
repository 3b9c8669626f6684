"""What do we ask for a TextArea, how does its answer become a region, and back?"""

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError


class TextArea(Control, tags=("TextArea",)):
    """Free text, stored word for word. Answer: one text, or a list of texts, one per submission.

    One text is asked for; several come from several completions (`most` says how many fit), or from a person. Blank
    entries say nothing and are left out; with skipDuplicates so are those that repeat another but for case, which
    the editor does not take.

    Attributes:
        most: How many texts it holds (maxSubmissions); None for any number.
    """

    textual = True
    label_paths = ()

    def __init__(self, output: Output) -> None:
        super().__init__(output)
        most = output.whole("maxsubmissions")
        self.most = most if most is not None and most > 0 else None

    def schema(self, inputs: Inputs) -> JSON:
        return {"type": "string"}

    def describe(self, inputs: Inputs) -> str:
        return "a text"

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        texts = answer if isinstance(answer, list) else [answer]
        if not all(isinstance(text, str) for text in texts):
            raise AnswerError(f'"{self.name}" takes text; the model gave {shown(answer)}.')
        texts = self._entries(texts)
        if self.most is not None and len(texts) > self.most:
            raise AnswerError(f'"{self.name}" holds at most {self.most} text(s); the model gave {len(texts)}.')
        return [self.region({"text": texts})] if texts else []

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        texts: list[str] = []
        for region in self.own(regions):
            held = region.value.get("text")
            texts += [text for text in (held if isinstance(held, list) else [held]) if isinstance(text, str)]
        texts = self._entries(texts)[: self.most]
        return texts if len(texts) > 1 else next(iter(texts), None)

    def _entries(self, texts: list[str]) -> list[str]:
        kept = [text for text in map(_storable, texts) if text.strip()]
        if not self.output.flag("skipduplicates"):
            return kept
        first: dict[str, str] = {}
        for text in kept:
            first.setdefault(text.lower(), text)
        return list(first.values())


def _storable(text: str) -> str:
    """The text without what is no text: NUL, which the host's database refuses, and halves of characters."""
    return text.replace("\0", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
