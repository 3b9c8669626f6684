"""What is written of the answers to prompts: pairs, rankings, or rows for Labelbox? And what came of each prompt?"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from llm_backend.cli.asking import Summary
from llm_backend.cli.prompts import Prompts
from llm_backend.core.generate import RANKING, Answer, Answered, Pairing, Sampler, Wanted, different, digest_of, letter
from llm_backend.core.wire import JSON
from llm_backend.interchange.labelbox.conversation import MOST_MESSAGES, ModelOutput
from llm_backend.interchange.labelbox.generating import generated_row, too_long

if TYPE_CHECKING:
    from llm_backend.backend.generating import Panel, Said

Purpose: TypeAlias = Literal["pairwise", "ranker", "labelbox"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Form:
    """What is made of the answers to a prompt.

    Attributes:
        instruction: What a Ranker's annotator is asked to do; "" for the row's own `task`, or a common one.
    """

    purpose: Purpose = "pairwise"
    pairing: Pairing = "all"
    seed: int = 0
    instruction: str = ""

    @property
    def what(self) -> str:
        return "row" if self.purpose == "labelbox" else "task"

    @property
    def most_turns(self) -> int | None:
        return MOST_MESSAGES if self.purpose == "labelbox" else None

    @property
    def fields(self) -> tuple[str, ...]:
        """What a task has beside the fields of its row."""
        return ("task", "prompt", "items") if self.purpose == "ranker" else ("prompt", "answer1", "answer2")

    @property
    def label_config(self) -> str:
        """A new project's."""
        if self.purpose == "ranker":
            return RANKING
        sample = resources.files("llm_backend.demo") / "samples" / "preference.xml"
        return sample.read_text(encoding="utf-8")

    def most(self, wanted: Wanted) -> int:
        """How many are made of a prompt, if all its answers differ."""
        if self.purpose != "pairwise":
            return 1
        if self.pairing == "adjacent":
            return wanted.most - 1
        pairs = wanted.most * (wanted.most - 1) // 2
        return pairs - (wanted.samplers * wanted.answers * (wanted.answers - 1) // 2 if self.pairing == "across" else 0)

    def made(self, answered: Answered) -> Iterator[dict[str, JSON]]:
        """The tasks, or the row."""
        if self.purpose == "pairwise":
            yield from answered.pairwise_tasks(self.pairing)
        elif self.purpose == "ranker":
            yield answered.ranking_task(self.instruction)
        else:
            outputs = [_output(number, answer) for number, answer in enumerate(answered.shuffled, 1)]
            yield generated_row(_key(answered), answered.chat, outputs)


def _output(number: int, answer: Answer) -> ModelOutput:
    return ModelOutput(f"Response {letter(number)}", answer.text, answer.samplers[0].name)


def _key(answered: Answered) -> str:
    """The row's own global key; else one that stands for the conversation."""
    own = answered.task.data.get("global_key")
    return own if isinstance(own, str) and own.strip() else f"prompt-{digest_of(answered.chat)[:16]}"


class Outcome:
    """What came of the prompts, counted while it is written.

    Attributes:
        prompts: Those with answers to compare, and why others have none.
        samplers: What came of the prompts with each.
        answers: The same of all samplers together.
        made: How many tasks or rows.
        fewer: How many answers less there are than were asked for, where some came.
        long: How many rows hold a text that Labelbox does not take.
    """

    def __init__(self, samplers: Iterable[Sampler], place: str) -> None:
        """
        Args:
            place: What counts the prompts.
        """
        self.prompts = Summary(place)
        self.samplers = {sampler: Summary(place) for sampler in samplers}
        self.answers = Summary(place)
        self.made = self.fewer = self.long = 0

    def answered(self, line: int, said: Sequence["Said"], wanted: int) -> tuple[Answer, ...]:
        """Count what was said to a prompt; returns the answers that differ.

        Args:
            wanted: How many answers of each sampler.
        """
        for one in said:
            for summary in (self.samplers[one.sampler], self.answers):
                summary.count(line, one.reason, answered=bool(one.texts), lasting=one.lasting)
        distinct = different((one.sampler, text) for one in said for text in one.texts)
        self.fewer += max(0, wanted * sum(bool(one.texts) for one in said) - len(distinct))
        return distinct

    def count(self, line: int, made: Sequence[Mapping[str, JSON]], given: int, distinct: int) -> None:
        """Count what was made of a prompt.

        Args:
            given: How many answers there are if all differ.
            distinct: How many do.
        """
        self.made += len(made)
        if distinct > 1:
            reason = "No two answers of different models or temperatures differ."
        elif distinct:
            reason = "All answers are the same." if given > 1 else "Only one answer came."
        else:
            reason = "No answer came."
        self.prompts.count(line, "" if made else reason, answered=bool(made), lasting=True)


def comparisons(prompts: Prompts, panel: "Panel", form: Form, outcome: Outcome) -> Iterator[dict[str, JSON]]:
    """What is made of all prompts, page by page, and counted."""
    every = prompts.rows()
    while page := list(itertools.islice(every, _PAGE)):
        for row, said in zip(page, panel.answers([prompts.task(row) for row in page]), strict=True):
            distinct = outcome.answered(row.line, said, panel.wanted.answers)
            answered = Answered(row.task, row.meta or {}, prompts.chat(row), distinct, form.seed)
            made = list(form.made(answered)) if len(distinct) > 1 else []
            outcome.count(row.line, made, panel.wanted.answers * sum(bool(one.texts) for one in said), len(distinct))
            if form.purpose == "labelbox":
                outcome.long += sum(map(too_long, made))
            yield from made
