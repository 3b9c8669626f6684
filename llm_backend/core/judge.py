"""Which plan does a criterion make? Columns to look at, an explanation to write, and then a label to choose.

A criterion is a text with the names of columns in braces. One of ours, or a file, may have a head: a line `name: ...`,
then `pass_when: <label>`, and for each column the names that datasets may have for it, up to an empty line.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from llm_backend.core.examples import Correction
from llm_backend.core.wire import JSON, Annotation, Prediction, Region, Task
from llm_backend.errors import RequestError

LABELS = ("0", "1")
LABEL_COLUMN, SOURCE_COLUMN, EXPLANATION_COLUMN, SCORE_COLUMN = "label", "label_source", "explanation", "score"
BY_PERSON, BY_MODEL = "human", "llm"
_LABEL, _EXPLANATION = "label", "explanation"
# `{{name}}` is literal, as in every prompt.
_COLUMN = re.compile(r"(?<!\{)\{([^\W\d]\w*)\}(?!\})")
_HEAD_LINE = re.compile(r"(\w+)[ \t]*:[ \t]*(.*)")
# What stands for all labels in every prompt.
_OURS = "labels"


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a judge goes by.

    Attributes:
        text: With the columns' names in braces.
        pass_when: The label of what is as it should be; "" where that is not told.
        columns: By the name of a column in the text, the names that datasets may have for it, the likeliest first.
    """

    text: str
    name: str = ""
    pass_when: str = ""
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def named(self) -> tuple[str, ...]:
        """The names in braces, in the order of their first appearance."""
        return tuple(dict.fromkeys(_COLUMN.findall(self.text)))


def read_criterion(text: str) -> Criterion:
    """A criterion with or without a head.

    Raises:
        RequestError: It says nothing, or its head cannot be read.
    """
    text = text.strip().removeprefix("\ufeff")
    if not text:
        raise RequestError("The criterion is empty: say what the label depends on, such as: Is {output} polite?")
    if not text.startswith("name:"):
        return Criterion(text)
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    told = dict(map(_head_line, head.splitlines()))
    name, pass_when = told.pop("name"), told.pop("pass_when", "")
    columns = {column: tuple(filter(None, map(str.strip, names.split(",")))) for column, names in told.items()}
    if not body.strip():
        raise RequestError(f'The criterion "{name}" ends with its head: an empty line and the text must follow.')
    return Criterion(body.strip(), name, pass_when, columns)


def find_criterion(
    told: str, ours: Mapping[str, str], file: Callable[[str], str | None] = lambda name: None
) -> Criterion:
    """The criterion that is meant: one of ours by its name, a file's, or the text itself.

    Args:
        ours: Texts by name.
        file: What stands in the file of that name; None if there is none.
    Raises:
        RequestError: There is none of that name, or it cannot be read.
    """
    return read_criterion(criterion_text(told, ours, file))


def criterion_text(told: str, ours: Mapping[str, str], file: Callable[[str], str | None] = lambda name: None) -> str:
    """The text of the criterion that is meant, with its head; see `find_criterion`."""
    name = re.sub(r"[\s-]+", "_", told.strip().casefold())
    if name in ours:
        return ours[name]
    if (held := file(told)) is not None:
        return held
    if told.strip() and not re.search(r"[\s{]", told.strip()):
        raise RequestError(
            f'There is no criterion and no file "{told.strip()[:60]}". Ours are {", ".join(sorted(ours))}; '
            "or write one out, such as: Is {output} polite?"
        )
    return told


@dataclass(frozen=True, slots=True)
class Verdict:
    """A label with its reasons.

    Attributes:
        score: How sure the model is of it, from 0 to 1; None where that cannot be told.
    """

    label: str
    explanation: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Rubric:
    """A criterion for one dataset.

    Attributes:
        columns: By the criterion's name of a column, the dataset's own.
        dataset: All columns of the dataset.
        label_column: Where people's labels stand, and the judge's will.
    """

    criterion: Criterion
    labels: tuple[str, ...]
    columns: Mapping[str, str]
    dataset: tuple[str, ...]
    label_column: str = LABEL_COLUMN

    @cached_property
    def prompt(self) -> str:
        """The criterion with the dataset's names."""
        return _COLUMN.sub(lambda found: f"{{{self.columns.get(found[1], found[1])}}}", self.criterion.text)

    @cached_property
    def label_config(self) -> str:
        """What a task of Label Studio would be labelled by: the reasons are asked for before the label."""
        shown = tuple(dict.fromkeys(self.columns.values()))
        texts = (f"  <Text name={_attribute(_shown(name))} value={_attribute('$' + name)}/>" for name in shown)
        about = _attribute(_shown(shown[-1]))
        choices = (f"    <Choice value={_attribute(label)}/>" for label in self.labels)
        return "\n".join(
            (
                "<View>",
                *texts,
                f'  <TextArea name="{_EXPLANATION}" toName={about} maxSubmissions="1" editable="true" smart="false"/>',
                f'  <Choices name="{_LABEL}" toName={about} choice="single" required="true">',
                *choices,
                "  </Choices>",
                "</View>",
            )
        )

    def task(self, data: Mapping[str, JSON]) -> Task:
        """What the judge is shown of a row: nothing but the columns that the criterion names."""
        return Task(None, {name: data[name] for name in self.columns.values() if name in data})

    def given(self, data: Mapping[str, JSON], annotations: Iterable[Annotation] = ()) -> Verdict | None:
        """The label that a person gave a row, in its column or by annotating it; None where nobody did.

        Raises:
            RequestError: It is none of the labels.
        """
        told = None if data.get(SOURCE_COLUMN) == BY_MODEL else data.get(self.label_column)
        if told is not None and not (isinstance(told, str) and not told.strip()):
            explained = data.get(EXPLANATION_COLUMN) if SOURCE_COLUMN in data else None
            return Verdict(self.read_label(told), explained if isinstance(explained, str) else "")
        for annotation in sorted(annotations, key=lambda one: one.updated or one.created, reverse=True):
            found = None if annotation.was_cancelled else self._in_regions(annotation.result)
            if found is not None:
                return Verdict(self.read_label(found.label), found.explanation)
        return None

    def read_label(self, told: JSON) -> str:
        """A label as a person or a program wrote it; numbers may come as 1 or 1.0.

        Raises:
            RequestError: It is none of the labels.
        """
        word = str(told).strip() if isinstance(told, str | int | float) and not isinstance(told, bool) else ""
        for label in self.labels:
            if word == label or (word and _number(word) is not None and _number(word) == _number(label)):
                return label
        shown = f'"{told}"' if isinstance(told, str) else repr(told)
        raise RequestError(f"{shown[:60]} is none of the labels {', '.join(self.labels)}")

    def verdict(self, prediction: Prediction | None) -> Verdict | None:
        """What a prediction says."""
        return None if prediction is None else self._in_regions(prediction.result)

    def correction(self, name: str, data: Mapping[str, JSON], verdict: Verdict, by: str, made: float) -> Correction:
        """A person's label as an example to go by.

        Args:
            name: Stands for it in the memory.
        """
        answers = {_LABEL: verdict.label, **({_EXPLANATION: verdict.explanation} if verdict.explanation else {})}
        return Correction(name, self.task(data).data, answers, by=by, made=made)

    def learned(self, correction: Correction) -> Verdict | None:
        """The label of an example; None where it is none of these labels."""
        label = correction.answers.get(_LABEL)
        explanation = correction.answers.get(_EXPLANATION)
        if label not in self.labels:
            return None
        return Verdict(str(label), explanation if isinstance(explanation, str) else "")

    def _in_regions(self, regions: Iterable[Region]) -> Verdict | None:
        found, label, explanation = None, None, ""
        for region in regions:
            if region.from_name in (_LABEL, self.label_column) and region.value.get("choices"):
                found, label = region, str(region.value["choices"][0])
            elif region.from_name == _EXPLANATION and region.value.get("text"):
                text = region.value["text"]
                explanation = text if isinstance(text, str) else str(text[0])
        return None if found is None or label is None else Verdict(label, explanation, found.score)


def make_rubric(
    criterion: Criterion,
    columns: Sequence[str],
    labels: Sequence[str] = (),
    label_column: str = LABEL_COLUMN,
) -> Rubric:
    """Find the columns that a criterion goes by in a dataset.

    Args:
        columns: The dataset's.
        labels: Of the judge; 0 and 1 if none are told.
    Raises:
        RequestError: A column is missing, the criterion names none, or the labels cannot be chosen from.
    """
    labels = tuple(label.strip() for label in labels) or LABELS
    if len(set(labels)) != len(labels) or len(labels) < 2 or not all(labels):
        raise RequestError("A judge chooses from two labels or more, each told once, such as 0,1 or good,fair,poor.")
    if criterion.pass_when and criterion.pass_when not in labels:
        raise RequestError(
            f'The criterion "{criterion.name}" passes with the label {criterion.pass_when}; the labels are '
            f"{', '.join(labels)}. Leave the labels as they are, or write a criterion of your own."
        )
    has = [name for name in columns if name not in (label_column, SOURCE_COLUMN)]
    found = {name: _column(name, criterion, has) for name in criterion.named}
    found = {name: column for name, column in found.items() if column is not None or name != _OURS}
    if label_column in found and label_column in columns:
        raise RequestError(
            f"The criterion uses {{{label_column}}}, the column of people's labels, which a judge must not see. Name "
            "another with the label column, or leave it out."
        )
    told = f"The columns are {_quoted(has)}."
    if lacking := [name for name, column in found.items() if column is None]:
        raise RequestError(f"The criterion uses {_lacking(lacking, criterion)}, which no column fills. {told}")
    if not found and (unnamed := [name for name in has if f"{{{name}}}" in criterion.text]):
        raise RequestError(
            f"{{{unnamed[0]}}} is no placeholder: the name of a column in braces is made of letters, digits and "
            '"_". Give the column such a name in the dataset.'
        )
    if not found:
        raise RequestError(f"The criterion names no column: put one in braces where its text belongs. {told}")
    known = {name: column for name, column in found.items() if column}
    return Rubric(criterion, labels, known, tuple(columns), label_column)


def reworded(rubric: Rubric, text: str) -> Rubric:
    """The rubric with another text for its criterion.

    Raises:
        RequestError: The text names no column, or one that the dataset does not have.
    """
    criterion = replace(rubric.criterion, text=text.strip())
    return make_rubric(criterion, rubric.dataset, rubric.labels, rubric.label_column)


def _column(name: str, criterion: Criterion, columns: Sequence[str]) -> str | None:
    """The dataset's column for a name; only a criterion with a head takes one of another name."""
    if name in columns:
        return name
    alike = {column.casefold(): column for column in reversed(columns) if re.fullmatch(r"[^\W\d]\w*", column)}
    names = (name, *criterion.columns[name]) if name in criterion.columns else ()
    return next((alike[other.casefold()] for other in names if other.casefold() in alike), None)


def _lacking(names: Sequence[str], criterion: Criterion) -> str:
    return ", ".join(
        f"{{{name}}}" + (f" (or {', '.join(others)})" if (others := criterion.columns.get(name)) else "")
        for name in names
    )


def _head_line(line: str) -> tuple[str, str]:
    found = _HEAD_LINE.fullmatch(line.strip())
    if not found:
        raise RequestError(f'The head of the criterion has the line "{line[:60]}"; write each as NAME: VALUE.')
    return found[1], found[2].strip()


def _shown(column: str) -> str:
    """What the text of a column is called in the labeling config, where controls have names, too."""
    return f"{column}_text" if column in (_LABEL, _EXPLANATION) else column


def _attribute(value: str) -> str:
    return f'"{html.escape(value)}"'


def _number(word: str) -> float | None:
    try:
        return float(word)
    except ValueError:
        return None


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "none"
