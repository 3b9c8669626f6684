"""Which sample projects does a newcomer find, and what is in them?

The forms have the structure, names and labels of the sample configs that people bring along; tasks and pictures are
our own. They lie as files in `samples/`.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from llm_backend.core.wire import JSON

_TYPE_A_PROMPT = (
    "Open a task, switch on Auto-Annotation at the bottom of the page, type a prompt and press Shift+Enter: "
    "the model fills the whole form."
)
_JUST_LOOK = (
    "Open a task: the model's prediction is there at first sight. For all tasks at once: tick them in the list, "
    "then Actions > Retrieve Predictions."
)


@dataclass(frozen=True, slots=True)
class Sample:
    """A project of the demo.

    Attributes:
        slug: Name of its files.
        title: What the list of projects calls it; it also finds the project again at the next start.
        what: What it is good for, in a sentence.
        prompted: Whether a person types a prompt; otherwise the form itself says what is asked.
        pictures: Whether its tasks are the files in its folder instead of texts.
    """

    slug: str
    title: str
    what: str
    prompted: bool = True
    pictures: bool = False

    @property
    def description(self) -> str:
        """What the project's card says."""
        return f"{self.what} {_TYPE_A_PROMPT if self.prompted else _JUST_LOOK}"

    @property
    def label_config(self) -> str:
        return _folder().joinpath(f"{self.slug}.xml").read_text(encoding="utf-8")

    @property
    def tasks(self) -> list[Mapping[str, JSON]]:
        """The data of its tasks; none where its tasks are pictures."""
        if self.pictures:
            return []
        told: list[Mapping[str, JSON]] = json.loads(_folder().joinpath(f"{self.slug}.json").read_text(encoding="utf-8"))
        return told

    @contextmanager
    def files(self) -> Iterator[list[Path]]:
        """Its pictures as files on disk, also when the package is read from an archive."""
        with resources.as_file(_folder().joinpath(self.slug)) as folder:
            yield sorted(folder.glob("*.png")) if self.pictures else []


def _folder() -> Traversable:
    return resources.files("llm_backend.demo").joinpath("samples")


SAMPLES = (
    Sample(
        "evaluation",
        "1 · Prompt engineering and answer evaluation",
        "Try prompts on a passage and grade what comes back: answer, evaluation tree and stars.",
    ),
    Sample("classification", "2 · Text classification", "Is it meant sarcastically?"),
    Sample("dialogue", "3 · Dialogues for fine-tuning", "Let the bot answer, correct it, keep the pair."),
    Sample(
        "receipts",
        "4 · Receipts: summary and category",
        "The model looks at a picture (with a real model that can see).",
        pictures=True,
    ),
    Sample("moderation", "5 · Moderation of a bot's answers", "Which problems does the dialogue have?", prompted=False),
    Sample("preference", "6 · Human preference for RLHF", "Which of two answers is the better one?", prompted=False),
)
