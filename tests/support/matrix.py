"""What is filled of each labeling config that Label Studio ships, and why is the rest not?"""

import base64
import mimetypes
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from llm_backend.adapters.media import Media
from llm_backend.core.chat import Part, Takes
from llm_backend.core.controls import bind
from llm_backend.core.inputs import MediaRef
from llm_backend.core.labeling import LabelingConfig, Output, parse
from llm_backend.core.predictor import Outcome, Parameters, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON, Prediction, Task
from llm_backend.errors import BackendError
from llm_backend.loop import Loop
from llm_backend.services import texts
from llm_backend.settings import Settings
from tests.support.reading_model import ReadingModel
from tests.support.samples import SERVED, sample
from tests.support.validator import served

EXCEPTED = {
    "chatbot-assessment": "a Rating without toName: the editor binds it to the only object, the SDK does not see it",
    "serp-ranking": "nested Choices: their results are paths, which the SDK's checker cannot read",
}
"""The templates whose results go by the editor's rules, since the host's checker cannot read them."""

FOREIGN = ("chat_eval", "chat_llm_eval", "chat_red_team", "chat_rlhf", "chatbot", "pdf_ocr")
"""The templates that the community's editor does not open at all: they need tags of the Enterprise edition."""

_PROMPT = Prompt("Fill in the form.", "default")
_TAKES: Takes = frozenset(("file", "audio"))
_PLAIN = frozenset(("TextArea", "Choices", "Taxonomy", "Rating", "Number", "DateTime", "Pairwise", "Ranker"))
_SPANS = frozenset(("Labels", "HyperTextLabels", "ParagraphLabels"))
_TEXTS = frozenset(("Text", "HyperText", "Paragraphs"))


@dataclass(frozen=True)
class Filled:
    """What became of one labeling config.

    Attributes:
        controls: Every control of the config, as a reader calls it.
        plain: Those that answer for the whole task or mark pieces of a text by quote, which need no drawing.
        why: The reason of each control that was left empty.
    """

    name: str
    xml: str
    data: Mapping[str, JSON]
    controls: tuple[str, ...]
    plain: tuple[str, ...]
    prediction: dict[str, JSON]
    why: Mapping[str, str]

    @property
    def whole(self) -> bool:
        """Whether it has controls and all of them are filled."""
        return bool(self.controls) and not self.why

    @property
    def lacking(self) -> list[str]:
        """The plain controls that were left empty, with the reason."""
        return [f"{name}: {self.why[name]}" for name in self.plain if name in self.why]

    @property
    def line(self) -> str:
        filled = len(self.controls) - len(self.why)
        return f"| {self.name} | {filled} of {len(self.controls)} | {' '.join(dict.fromkeys(self.why.values()))} |"


def fill(name: str, xml: str, *, geometry: bool = False) -> Filled:
    """Ask the reading model about a made-up task.

    Args:
        geometry: Whether what draws shapes or marks times is asked, too (FILL_GEOMETRY).
    """
    config, data = parse(xml), sample(xml)
    outcome, failure = _asked(config, data, geometry)
    made = Prediction(outcome.regions, model_version="m").to_json()
    named = {output.name or output.tag: output for output in config.outputs}
    empty = [shown for shown, output in named.items() if not _has(output, outcome)]
    _, unfillable = bind(config, geometry)
    reasons = {item.output.name or item.output.tag: item.reason for item in unfillable}
    said = failure or " ".join(outcome.faults) or "The model left it empty."
    plain = tuple(shown for shown, output in named.items() if _is_plain(output, config))
    return Filled(name, xml, data, tuple(named), plain, made, {shown: reasons.get(shown, said) for shown in empty})


def table(rows: Iterable[Filled]) -> str:
    """The rows in Markdown."""
    return "\n".join(
        ("| Template | Controls filled | Why the others are not |", "|---|---|---|", *(r.line for r in rows))
    )


def whole(rows: Sequence[Filled]) -> str:
    """How many templates are wholly filled."""
    return f"{sum(row.whole for row in rows)} of {len(rows)}"


def controls(rows: Sequence[Filled]) -> str:
    """How many controls are filled, of all templates together."""
    every = sum(len(row.controls) for row in rows)
    return f"{every - sum(len(row.why) for row in rows)} of {every}"


async def media(refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
    """A fetch that brings media in as the backend does; those that Label Studio serves, from its package."""
    adapter = Media(Settings())
    try:
        return await adapter.fetch([_from_package(ref) for ref in refs], takes)
    finally:
        await adapter.close()


def _from_package(ref: MediaRef) -> MediaRef:
    if not ref.url.startswith(SERVED):
        return ref
    kind = mimetypes.guess_type(ref.url)[0]
    return replace(ref, url=f"data:{kind};base64,{base64.b64encode(served(ref.url)).decode()}")


def _asked(config: LabelingConfig, data: Mapping[str, JSON], geometry: bool) -> tuple[Outcome, str]:
    """What came of the task, or why nothing did."""
    loop = Loop()  # of another thread: where a browser is open, it has this one's
    try:
        plan = make_plan(config, texts(), Template(), Parameters(fill_geometry=geometry))
        return loop.run(predict(plan, Task(1, data), _PROMPT, ReadingModel(takes=_TAKES), media)), ""
    except BackendError as exc:
        return Outcome(()), exc.sentence
    finally:
        loop.close()


def _has(output: Output, outcome: Outcome) -> bool:
    if output.tag == "Relations":
        return any(region.type == "relation" for region in outcome.regions)
    return any(region.from_name == output.name for region in outcome.regions)


def _is_plain(output: Output, config: LabelingConfig) -> bool:
    on = {config.objects.get(name) for name in output.to_names}
    if output.tag in _SPANS:
        return on <= _TEXTS
    return output.tag == "Relations" or (output.tag in _PLAIN and not output.flag("perregion"))
