"""How do written answers and ratings become demonstrations, rated answers, and pairs of an answer before and after?"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.inputs import read
from llm_backend.core.labeling import Source
from llm_backend.core.prompts import Prompt as Typed
from llm_backend.core.prompts import Template, prompt_in, render
from llm_backend.core.wire import Annotation, Region, Task
from llm_backend.interchange.preferences.reading import Reading
from llm_backend.interchange.preferences.records import Demonstration, Preference, Prompt, Rated, Reason, Turn
from llm_backend.interchange.preferences.way import Made, Verdict, entries, numbers_of, values_of


@dataclass(frozen=True, slots=True)
class Asked:
    """What a response answers: what the annotator typed, filled for the task as the model got it, else the task's own.

    Attributes:
        labels: What `{labels}` stands for.
    """

    reading: Reading
    template: Template
    labels: str = ""

    @property
    def dialogue(self) -> bool:
        return self.reading.dialogue() is not None

    def prompt(self, task: Task, regions: Sequence[Region]) -> Prompt:
        """
        Raises:
            TaskError: The task lacks it, or the prompt names what the task does not have.
        """
        config = self.reading.config
        typed = prompt_in(regions, config.prompt) if config.prompt else ""
        if dialogue := self.reading.dialogue():
            return (*self.reading.turns(dialogue, task), *((Turn("user", typed),) if typed else ()))
        if not typed:
            return self.reading.prompt(task)
        inputs = read(config, task.data, task.id)
        return (Turn("user", render(Typed(typed, "annotator"), inputs, self.labels, self.template).text),)


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a text box: each entry answers the prompt.

    Attributes:
        edited: Whether it is rather about what a person changed: theirs, over the model's, entry by entry.
    """

    asked: Asked
    control: str
    edited: bool = False

    @property
    def told(self) -> str:
        return f'TextArea "{self.control}"' + (", as people changed it" if self.edited else "")

    @property
    def dialogue(self) -> bool:
        return self.asked.dialogue

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        return dict(enumerate(entries(annotation.result, self.control)))

    def records(self, task: Task, annotation: Annotation) -> Made:
        texts = entries(annotation.result, self.control)
        if not texts:
            yield Reason.EMPTY
        else:
            yield from (self._edits if self.edited else self._answers)(task, annotation, texts)

    def _answers(self, task: Task, annotation: Annotation, texts: Sequence[str]) -> Made:
        prompt = self.asked.prompt(task, annotation.result)
        yield from (Demonstration(prompt, text) for text in texts)

    def _edits(self, task: Task, annotation: Annotation, texts: Sequence[str]) -> Made:
        models = entries(annotation.shown or (), self.control)
        if not models:
            yield Reason.NO_ORIGINAL
            return
        prompt = self.asked.prompt(task, annotation.result)
        for person, model in zip(texts, models, strict=False):  # an entry that one of them alone has is no pair
            yield Reason.UNCHANGED if person.strip() == model.strip() else Preference(prompt, person, model)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A dialogue that an annotator let pass: its last turn answers those before."""

    reading: Reading
    source: Source

    @property
    def told(self) -> str:
        return f'{self.source.tag} "{self.source.name}"'

    @property
    def dialogue(self) -> bool:
        return True

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        return {self.source.name: True}

    def records(self, task: Task, annotation: Annotation) -> Made:
        *before, last = self.reading.turns(self.source, task)
        yield Demonstration(tuple(before), last.content) if last.role == "assistant" else Reason.EMPTY


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer that was rated, or sorted by Choices.

    Attributes:
        tag: Rating or Choices.
        verdict: What of Choices is good, and what bad.
        least: Stars from which a rated answer is good.
        most: Stars up to which it is bad.
        answers: The prompt and answers that it is about.
    """

    control: str
    tag: str
    verdict: Verdict
    least: float
    most: float
    answers: "Answers"

    @property
    def told(self) -> str:
        return f'{self.tag} "{self.control}" of {self.answers.told}'

    @property
    def dialogue(self) -> bool:
        return self.answers.dialogue

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        good = self._good(annotation)
        return {} if good is Reason.EMPTY else {self.control: good}

    def records(self, task: Task, annotation: Annotation) -> Made:
        good = self._good(annotation)
        if isinstance(good, Reason):
            yield good
            return
        prompt, texts = self.answers.of(task, annotation)
        if not texts:
            yield Reason.EMPTY
        yield from (Rated(prompt, text, good, self._stars(annotation)) for text in texts)

    def _good(self, annotation: Annotation) -> bool | Reason:
        if self.tag == "Rating":
            stars = self._stars(annotation)
            if stars is None:
                return Reason.EMPTY
            return True if stars >= self.least else False if stars <= self.most else Reason.MIDDLING
        held = values_of(annotation.result, self.control, "choices")
        said = [value for values in held if isinstance(values, list) for value in values if isinstance(value, str)]
        if not said:
            return Reason.EMPTY
        good = self.verdict.of(said)
        return Reason.UNNAMED if good is None else good

    def _stars(self, annotation: Annotation) -> float | None:
        return next(numbers_of(annotation.result, self.control), 0.0) or None  # no star is no rating


@dataclass(frozen=True, slots=True)
class Answers:
    """Which answers a judgement is about.

    Attributes:
        of: The prompt and the answers of a task that an annotation judges.
    """

    told: str
    dialogue: bool
    of: Callable[[Task, Annotation], tuple[Prompt, Sequence[str]]]


def in_box(asked: Asked, control: str) -> Answers:
    """What stands in a text box of the same form."""
    return Answers(
        f'"{control}"',
        asked.dialogue,
        lambda task, annotation: (asked.prompt(task, annotation.result), entries(annotation.result, control)),
    )


def last_turn(reading: Reading, source: Source) -> Answers:
    """The last turn of a dialogue."""

    def of(task: Task, annotation: Annotation) -> tuple[Prompt, Sequence[str]]:
        *before, last = reading.turns(source, task)
        return tuple(before), [last.content] if last.role == "assistant" else []

    return Answers(f'"{source.name}"', True, of)


def in_object(reading: Reading, name: str) -> Answers:
    """What an object of the form shows."""
    return Answers(
        f'"{name}"',
        reading.dialogue((name,)) is not None,
        lambda task, annotation: (reading.prompt(task, (name,)), [reading.text(name, task)]),
    )
