"""What does a text answer to each field of the form?"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from llm_backend.core.answers.parsing import CONTRADICTION, parse
from llm_backend.core.chat import Completion
from llm_backend.core.controls.base import Control
from llm_backend.core.inputs import Inputs
from llm_backend.core.scores import agreement, label_probability
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import AnswerError

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)


class Reading:
    """The answers read so far: the first valid one of each control, distinct entries for text fields, and faults.

    Attributes:
        asked: The controls, by the key of their field.
        faults: The sentence of each control that nothing read so far answers.
        unconfirmed: The sentence of each comparison that the other order did not bear out.
    """

    def __init__(self, asked: Mapping[str, Control], inputs: Inputs, wanted: int, *, plain: bool) -> None:
        """
        Args:
            wanted: Distinct entries wanted per text field.
            plain: The only field's text was asked for in plain words, not as JSON.
        """
        self.asked = asked
        self.faults: dict[str, str] = {}
        self.unconfirmed: dict[str, str] = {}
        self._inputs = inputs
        self._wanted = wanted
        self._plain = plain
        self._made: dict[str, list[Region]] = {}
        self._partly: dict[str, list[Region]] = {}
        self._certainty: dict[str, float | None] = {}
        self._samples: defaultdict[str, list[JSON]] = defaultdict(list)

    @property
    def regions(self) -> list[Region]:
        """In the order of the form; of an answer that is partly at fault, the part that is not."""
        return [region for key in self.asked for region in self._made.get(key, self._partly.get(key, ()))]

    @property
    def scored(self) -> list[Region]:
        """The regions, each saying how sure the model is of its control's labels, where that can be told."""
        return [
            replace(region, score=self._sure(key)) if key in self._made else region
            for key in self.asked
            for region in self._made.get(key, self._partly.get(key, ()))
        ]

    def take(self, completion: Completion) -> None:
        """Read every text of a completion; after the first time, only for the controls that were at fault."""
        due = list(self.faults or self.asked)
        earlier, self._partly = self._partly, {}
        faults: dict[str, str] = {}
        for index, text in enumerate(completion.texts):
            try:
                answered = self._answers(_THOUGHT.sub("", text).strip(), due, completion, index)
            except AnswerError as exc:
                faults = dict.fromkeys(due, exc.sentence) | faults
                continue
            for key in due:
                new = key not in self._made
                if fault := self._take_answer(key, answered):
                    faults.setdefault(key, fault)
                elif new:
                    self._certainty[key] = self._from_logprobs(key, completion, index)
                if len(completion.texts) > 1:
                    self._take_sample(key, answered)
        self.faults = {key: faults[key] for key in due if key not in self._made and key in faults}
        self._keep_parts(earlier)
        self._unlink()

    def join(self, other: "Reading") -> None:
        """Take over what another reading found at fault."""
        self.asked = {**self.asked, **{key: other.asked[key] for key in other.faults}}
        self.faults = {**self.faults, **other.faults}

    def excuse(self, hidden: Collection[str]) -> None:
        """Drop the faults of controls that the form does not show, given the other answers."""
        self.faults = {key: fault for key, fault in self.faults.items() if self.asked[key].name not in hidden}
        told = self.unconfirmed.items()
        self.unconfirmed = {key: sentence for key, sentence in told if self.asked[key].name not in hidden}

    def answer(self, key: str) -> tuple[list[Region], float | None] | None:
        """The regions of a control and how sure the model is of them; None where it was not answered."""
        return (self._made[key], self._sure(key)) if key in self._made else None

    def settle(self, key: str, regions: list[Region], sure: float | None, sentence: str = "") -> None:
        """Put into an answer's place what it comes to beside the one to the other order.

        Args:
            sentence: What the other order did not bear out, if anything.
        """
        self._made[key], self._certainty[key] = regions, sure
        self._samples.pop(key, None)
        if sentence:
            self.unconfirmed[key] = sentence

    def _keep_parts(self, earlier: Mapping[str, list[Region]]) -> None:
        """Fall back on the good part of an earlier answer; not where others refer to its regions by number."""
        for key in self.faults:
            if key in earlier and not (self.asked[key].linked or self.asked[key].links):
                self._partly.setdefault(key, earlier[key])

    def _unlink(self) -> None:
        """Ask for links again with the regions that they link: their numbers may come to mean others."""
        if not any(self.asked[key].linked for key in self.faults):
            return
        for key, control in self.asked.items():
            if control.links:
                self._partly.setdefault(key, self._made.pop(key, []))
                self.faults.setdefault(key, f'"{control.name}" links places that were not all understood.')

    def _take_answer(self, key: str, answered: Mapping[str, JSON]) -> str:
        """Read one control's answer; returns what is wrong with it, or ""."""
        control, settled = self.asked[key], key in self._made
        if settled and not control.textual:
            return ""
        if key not in answered:
            return f'"{control.name}" was left out of the answer.'
        answer = self._one_more(key, answered[key]) if settled else answered[key]
        try:
            made = control.read(answer, self._inputs, self.regions)
        except AnswerError as exc:
            if exc.made:
                self._partly.setdefault(key, list(exc.made))
            return exc.sentence
        self._made[key] = made or self._made.get(key, [])
        return ""

    def _sure(self, key: str) -> float | None:
        """How sure the model is of a control's labels: by their tokens, or by how many samples said the same."""
        if (certain := self._certainty.get(key)) is not None:
            return certain
        return agreement(_said(self._made[key]), self._samples[key])

    def _from_logprobs(self, key: str, completion: Completion, index: int) -> float | None:
        if index >= len(completion.logprobs):
            return None
        control, text = self.asked[key], _THOUGHT.sub("", completion.texts[index]).strip()
        logprobs, paths = completion.logprobs[index], control.label_paths
        told = (label_probability(text, logprobs, name, paths) for name in (key, control.name))
        return next((certain for certain in told if certain is not None), None)

    def _take_sample(self, key: str, answered: Mapping[str, JSON]) -> None:
        """Note what one of several completions says, if it is an answer and not free text."""
        control = self.asked[key]
        if control.textual or key not in answered:
            return
        with suppress(AnswerError):
            self._samples[key].append(_said(control.read(answered[key], self._inputs, self.regions)))

    def _one_more(self, key: str, answer: JSON) -> JSON:
        """The entries of a text field so far, and the new one if it is another and there is room."""
        control = self.asked[key]
        told = control.encode(self._made[key], self._inputs)
        held = [told] if isinstance(told, str) else list(told or ())
        if not isinstance(answer, str) or not answer.strip() or answer in held:
            return held
        room = min(self._wanted, control.most or self._wanted)
        return [*held, answer][: max(len(held), room)]

    def _answers(self, text: str, due: Sequence[str], completion: Completion, index: int) -> Mapping[str, JSON]:
        """One completion's answer to each field.

        Raises:
            AnswerError: It is no answer at all; the sentence holds for every field.
        """
        cut_off = "The answer was cut off at the model's length limit."
        if self._plain:
            if completion.truncated(index):
                raise AnswerError(cut_off)
            if not text:
                raise AnswerError("The model answered with an empty text.")
            return dict.fromkeys(due, text)
        names = {control.name: key for key, control in self.asked.items()}
        found = parse(text, due, names)
        if found is not None:
            keyed = [(key if key in self.asked else names.get(key, key), value) for key, value in found.items()]
            told = dict(keyed)
            if any(value != told[key] for key, value in keyed):
                raise AnswerError(CONTRADICTION)
            return told
        if completion.truncated(index):
            raise AnswerError(cut_off)
        return self._plain_words(text, due, completion.structured)

    def _plain_words(self, words: str, due: Sequence[str], structured: bool) -> Mapping[str, JSON]:
        """Words where JSON was asked for: a label only if the whole answer is one, else the one text field's text."""
        if not words:
            raise AnswerError("The model answered with an empty text.")
        takers = [key for key in due if self._is_label(key, words)]
        texts = [key for key in due if self.asked[key].textual]
        if len(takers) == 1:
            return {takers[0]: words}
        if not takers and len(texts) == 1 and not structured:
            return {texts[0]: words}
        raise AnswerError("The answer is not the JSON object that was asked for.")

    def _is_label(self, key: str, words: str) -> bool:
        control = self.asked[key]
        try:
            return bool(control.labels(self._inputs) and control.decode(words, self._inputs))
        except AnswerError:
            return False


def _said(regions: Iterable[Region]) -> JSON:
    """What an answer says, whichever regions it would make anew."""
    return [(region.from_name, region.item_index, region.value) for region in regions]
