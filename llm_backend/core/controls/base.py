"""What do we ask for a tag, how does its answer become a region, and back? The part that all controls share."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, ClassVar

from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

Regions = Sequence[Region]


class Control(ABC):
    """All that is known of one tag.

    A subclass names its tags (`class Rating(Control, tags=("Rating",))`) and is found by them. It answers three
    questions: `schema`, what is asked; `decode`, what region an answer makes; `encode`, what answer a region stands
    for. `encode(decode(answer)) == answer` for every canonical answer.

    Attributes:
        name: The control's name in the config.
        to_name: The object that stored results name.
        required: Whether it must be answered whatever else is answered. One that the form shows only under conditions
            may be left empty in the question; `read` reports it all the same, and whoever knows the other answers
            excuses it if it is hidden (`conditions.hidden`).
        dynamic: Whether what is asked depends on the task's data.
        textual: Whether the answer is free text, of which several may be wanted.
        most: How many entries a textual control holds; None means no limit.
        hanging: Controls that are asked within this one's answer, region by region.
        label_paths: Where in an answer labels stand, of which a model can say how sure it is (`core.scores.Path`);
            nowhere in free text.
        linked: Whether other answers refer to the regions of this one by number, and fall with them.
        links: Whether this answer refers to other controls' regions by number.
    """

    by_tag: ClassVar[dict[str, type["Control"]]] = {}
    dynamic: bool = False
    textual: ClassVar[bool] = False
    most: int | None = None
    hanging: tuple["Control", ...] = ()
    label_paths: tuple[tuple[str, ...], ...] = ((),)
    linked: bool = False
    links: ClassVar[bool] = False

    def __init_subclass__(cls, tags: Iterable[str] = (), **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for tag in tags:
            cls.by_tag[tag] = cls

    def __init__(self, output: Output) -> None:
        self.output = output
        self.name = output.name
        self.to_name = output.to_names[0] if output.to_names else ""
        self.required = output.required and not output.conditions

    def shown_at(self, prompted: str) -> str:
        """The `to_name` under which the editor shows an interactive answer; the stored one but for Pairwise.

        Args:
            prompted: The object that the prompt box labels.
        """
        return self.to_name

    @classmethod
    def cannot(cls, output: Output) -> str:
        """Why this tag, set up so, cannot be filled; "" if it can."""
        return ""

    @abstractmethod
    def schema(self, inputs: Inputs) -> JSON:
        """The JSON Schema of an answer, in OpenAI's strict subset.

        Raises:
            InputError: The task lacks what the question is made of, such as dynamic choices.
        """

    @abstractmethod
    def describe(self, inputs: Inputs) -> str:
        """What may be answered, in words: a line or a list that follows the field's title in the question."""

    @abstractmethod
    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        """The regions that an answer makes; none where it says that nothing applies.

        Raises:
            AnswerError: The answer is not one that the control takes. It is never mended by guessing.
        """

    @abstractmethod
    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        """The answer that a person's regions stand for; None where this control has none among them."""

    def labels(self, inputs: Inputs) -> tuple[str, ...]:
        """The labels that an answer is made of, as the model is offered them; none where it is free."""
        return ()

    def read(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        """`decode`, with "unanswered" (null, or a blank text) settled for all controls alike.

        Raises:
            AnswerError: As `decode`, or a required control was left unanswered.
        """
        made = [] if _unanswered(answer) else self.decode(answer, inputs, regions)
        if not made and self.output.required:
            raise AnswerError(f'"{self.name}" must be answered; the model left it empty.')
        return made

    def question(self, inputs: Inputs) -> JSON:
        """`schema`, open to null where the control may stay empty and no empty list says so."""
        schema = self.schema(inputs)
        if self.required or (schema.get("type") == "array" and "minItems" not in schema):
            return schema
        return {"anyOf": [schema, {"type": "null"}]}

    def region(self, value: Mapping[str, JSON]) -> Region:
        """A whole-task region of this control."""
        return Region(self.name, self.to_name, self.output.type, value)

    def own(self, regions: Regions) -> list[Region]:
        """Those of `regions` that are this control's."""
        return [region for region in regions if region.from_name == self.name]


def _unanswered(answer: JSON) -> bool:
    return answer is None or answer == [] or (isinstance(answer, str) and not answer.strip())


def keys_for(names: Iterable[str]) -> dict[str, str]:
    """A JSON key for each name, by letters, digits and `_`, which every server takes; no two are alike."""
    keys: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        key = re.sub(r"[^A-Za-z0-9_]", "_", name)[:64]
        taken = keys.values()
        usable = re.match(r"[A-Za-z]", key) and key not in taken
        keys[name] = key if usable else next(free for n in count(number) if (free := f"c{n}_") not in taken)
    return keys


def shown(answer: JSON, most: int = 80) -> str:
    """An answer as an error sentence quotes it: on one line, cut to a readable length."""
    text = f'"{answer[:most]}"' if isinstance(answer, str) else _written(answer)
    text = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return text if len(text) <= most else text[: most - 1] + "…"


def _written(answer: JSON) -> str:
    try:
        return json.dumps(answer, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(type(answer).__name__)


def listed(names: Sequence[str], most: int = 12) -> str:
    """Names in a sentence: `a, b or c`; long lists are cut and say how many there are."""
    if len(names) > most:
        return ", ".join(names[:most]) + f" … ({len(names)} in all)"
    if len(names) <= 1:
        return "".join(names)
    return ", ".join(names[:-1]) + " or " + names[-1]
