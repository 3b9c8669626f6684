"""Which way do records come out of what a labeling config shows?"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from llm_backend.core.controls import bind
from llm_backend.core.controls.base import listed
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import LabelingConfig, Output
from llm_backend.core.prompts import Template, labels_in_words
from llm_backend.core.repeats import Entry
from llm_backend.errors import RequestError
from llm_backend.interchange.preferences.answering import (
    Answers,
    Asked,
    Judged,
    Spoken,
    Written,
    in_box,
    in_object,
    last_turn,
)
from llm_backend.interchange.preferences.comparing import Compared, Elected, Pairs, Ranked, RatedApart
from llm_backend.interchange.preferences.reading import Reading, Roles, require_words
from llm_backend.interchange.preferences.way import Verdict, Way

Kind: TypeAlias = Literal["pairs", "demonstrations", "rated"]
_RESPONSE = "response"
_STARS = 5  # of a Rating that does not say
_SORTS = ("Rating", "Choices")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person says about a labeling config that it does not say itself; everything may be left to it.

    Attributes:
        control: The control to go by.
        prompt: Objects or data keys that make the prompt.
        response: The text box, or the object, that holds the answer.
        margin: The Rating or Number that says by how much a side of a Pairwise is better.
        good, bad: Values of Choices, or Buckets, that say so of an answer.
        least, most: Stars from which an answer is good, and up to which it is bad.
        buckets: From the better to the worse.
    """

    control: str = ""
    prompt: tuple[str, ...] = ()
    response: str = ""
    margin: str = ""
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    buckets: tuple[str, ...] = ()
    pairs: Pairs = "all"
    roles: Roles = field(default_factory=Roles)
    template: Template = field(default_factory=Template)

    def within(self, entry: Entry) -> "Wishes":
        """What it says of one entry of what the config repeats."""
        return replace(
            self,
            control=entry.named(self.control),
            prompt=tuple(map(entry.named, self.prompt)),
            response=entry.named(self.response),
            margin=entry.named(self.margin),
        )


class Finding:
    """Looks through a labeling config for a way."""

    def __init__(self, config: LabelingConfig, kind: Kind, wishes: Wishes, own: Container[str]) -> None:
        """
        Args:
            own: Names of the controls, and of the dialogues, that it may go by; the others are there to be read.
        """
        self._config = config
        self._own = own
        self._kind = kind
        self._wishes = wishes
        self._reading = Reading(config, wishes.prompt, wishes.roles)
        self._verdict = Verdict(frozenset(wishes.good), frozenset(wishes.bad))
        compared = (self._pairwise, self._ranker, self._ratings, self._elected)
        self._ways: Mapping[Kind, Sequence[Callable[[], Way | None]]] = {
            "pairs": (*compared, self._edited),
            "demonstrations": (self._elected, self._written, self._spoken, *compared),
            "rated": (self._elected, self._judged, *compared),
        }

    def way(self) -> Way | None:
        """The first way to records of this kind, from the plainest word of a person on.

        Raises:
            RequestError: It needs to be told more.
        """
        return next(filter(None, (find() for find in self._ways[self._kind])), None)

    def _outputs(self, *tags: str) -> Iterator[Output]:
        """The controls of these tags that answer for the whole task, and that the person does not rule out."""
        return (output for output in self._of_whole(*tags) if self._wishes.control in ("", output.name))

    def _of_whole(self, *tags: str) -> Iterator[Output]:
        for output in self._config.outputs:
            whole = not output.flag("perregion") and not output.flag("peritem")
            if output.tag in tags and whole and output.name in self._own:
                yield output

    def _pairwise(self) -> Way | None:
        output = next((output for output in self._outputs("Pairwise") if len(output.to_names) == 2), None)
        if output is None:
            return None
        left, right = output.to_names
        self._require(left, right)
        rated = {one.to_names[0]: one.name for one in self._of_whole("Rating") if len(one.to_names) == 1}
        ratings = (rated[left], rated[right]) if left in rated and right in rated else None
        return Compared(self._reading, output.name, (left, right), self._wishes.margin or None, ratings)

    def _ranker(self) -> Way | None:
        output = next(self._outputs("Ranker"), None)
        if output is None or not output.to_names:
            return None
        items, names = output.to_names[0], [bucket.value for bucket in output.choices]
        self._require(items)
        told = (*self._wishes.buckets, *self._wishes.good, *self._wishes.bad)
        if unknown := [name for name in told if name not in names]:
            raise RequestError(f'Ranker "{output.name}" has no Bucket "{unknown[0]}"; it has {listed(names)}.')
        judged = self._kind == "rated" and bool(self._wishes.good or self._wishes.bad)
        if names and not self._wishes.buckets and not judged:
            rated = " (or --good and --bad, each with a Bucket)" if self._kind == "rated" else ""
            raise RequestError(
                f'Ranker "{output.name}" sorts into Buckets, and which is better cannot be known: '
                f"name them from the better to the worse with --buckets {','.join(names)}{rated}."
            )
        verdict = self._verdict if judged else None
        # Only of the ends of a ranking can be said whether they are good.
        pairs = self._wishes.pairs if self._kind == "pairs" else "best-worst"
        return Ranked(self._reading, output.name, items, pairs, self._wishes.buckets, verdict)

    def _ratings(self) -> Way | None:
        ratings = {output.to_names[0]: output.name for output in self._outputs("Rating") if len(output.to_names) == 1}
        ratings = {name: rating for name, rating in ratings.items() if name != self._wishes.response}
        if len(ratings) < 2:
            return None
        self._require(*ratings)
        return RatedApart(self._reading, ratings)

    def _elected(self) -> Way | None:
        """Choices between the items of a List. That they are about these cannot be known: so there must be no others,
        and no box for a response, or the person says so."""
        control, named = self._wishes.control, bool(self._wishes.good or self._wishes.bad)
        lists = [source.name for source in self._config.sources if source.tag == "List"]
        found = [output for output in self._outputs("Choices") if _between(output) and not output.conditions]
        if not lists or len(found) != 1 or (self._kind == "rated" and (control or named)):
            return None
        if not control and any(_RESPONSE in box.name for box in self._of_whole("TextArea")):
            return None
        items = next((name for name in lists if name == self._wishes.response or _RESPONSE in name), lists[0])
        self._require(items)
        return Elected(self._reading, found[0].name, items)

    def _edited(self) -> Way | None:
        box = self._box(self._wishes.control)
        return Written(self._asked(), box, edited=True) if box else None

    def _written(self) -> Way | None:
        box = self._box(self._wishes.control)
        return Written(self._asked(), box) if box else None

    def _spoken(self) -> Way | None:
        source = None if self._wishes.control else self._reading.dialogue()
        return Spoken(self._reading, source) if source and source.name in self._own else None

    def _judged(self) -> Way | None:
        told = bool(self._wishes.good or self._wishes.bad)
        found = sorted(self._outputs(*_SORTS), key=lambda output: output.tag != ("Choices" if told else "Rating"))
        if not found or (not self._wishes.control and any(self._outputs("Pairwise", "Ranker"))):
            return None
        output, *others = found
        if others and not self._wishes.control and output.tag == others[0].tag:
            names = listed([f'"{one.name}"' for one in found if one.tag == output.tag])
            raise RequestError(f"Several controls could say what is good, {names}: choose one with --control.")
        if output.tag == "Choices":
            self._require_verdict(output)
        middle = ((output.whole("maxrating") or _STARS) + 1) / 2
        least = self._wishes.least if self._wishes.least is not None else middle + 0.5
        most = self._wishes.most if self._wishes.most is not None else middle - 0.5
        if most >= least:
            raise RequestError(f"--bad-to {most:g} and --good-from {least:g} overlap.")
        return Judged(output.name, output.tag, self._verdict, least, most, self._answers(output))

    def _answers(self, output: Output) -> Answers:
        """What a control judges: the person's word, else a text box of the form, else what the control is on."""
        response, about = self._wishes.response, next(iter(output.to_names), "")
        if response in self._config.objects:
            about = response
        elif box := self._box(response):
            return in_box(self._asked(), box)
        self._require_words(about)
        if (source := self._reading.dialogue()) and source.name == about:
            return last_turn(self._reading, source)
        self._reading.require_prompt((about,))
        return in_object(self._reading, about)

    def _box(self, name: str) -> str:
        """The text box that holds the answer: as for the backend's own sentences, `response` in its name goes first."""
        wanted = self._wishes.response or name
        boxes = list(self._of_whole("TextArea"))
        names = [output.name for output in boxes if output.attrs.get("smart", "").lower() != "false"]
        names = names or [output.name for output in boxes]
        if wanted:
            return wanted if wanted in [output.name for output in boxes] else ""
        return next((name for name in names if _RESPONSE in name), next(iter(names), ""))

    def _asked(self) -> Asked:
        if self._config.prompt is None:
            self._reading.require_prompt()
        controls, _ = bind(self._config, drawing=True)
        fixed = {control.name: () if control.dynamic else control.labels(Inputs((), {})) for control in controls}
        return Asked(self._reading, self._wishes.template, labels_in_words(fixed))

    def _require(self, *answers: str) -> None:
        self._require_words(*answers)
        self._reading.require_prompt(answers)

    def _require_words(self, *answers: str) -> None:
        require_words(self._config, answers)

    def _require_verdict(self, output: Output) -> None:
        values = [choice.result for choice in output.choices]
        told = (*self._wishes.good, *self._wishes.bad)
        if not told:
            raise RequestError(
                f'Which values of Choices "{output.name}" speak for an answer? Say --good VALUE and --bad VALUE; '
                f"it has {listed(values)}."
            )
        if values and (unknown := [value for value in told if value not in values]):
            raise RequestError(f'Choices "{output.name}" has no value "{unknown[0]}"; it has {listed(values)}.')


def _between(output: Output) -> bool:
    """Whether one of several is to be chosen."""
    return output.attrs.get("choice", "single").lower().startswith("single")
