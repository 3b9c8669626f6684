"""What does a trainer learn from? Pairs, demonstrations and rated answers, whichever file they are written to."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation; `role` is system, user, assistant or tool."""

    role: str
    content: str


Prompt: TypeAlias = tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Preference:
    """Of two answers to a prompt, the one that people prefer.

    Attributes:
        margin: By how much, in the steps of whatever it was told in; None where that is not known.
        scores: What was given to the chosen one and to the other: stars, or how many ranks are below; None likewise.
        places: Where the task has the chosen one and the other: a key of its data, or an item's id; () if nowhere.
    """

    prompt: Prompt
    chosen: str
    rejected: str
    margin: float | None = None
    scores: tuple[float, float] | None = None
    places: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Demonstration:
    """How a prompt is to be answered; `places` as of a `Preference`, but one."""

    prompt: Prompt
    completion: str
    places: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Rated:
    """Whether an answer to a prompt is a good one.

    Attributes:
        score: The stars that it got; None where that is not known.
        places: As of a `Preference`, but one.
    """

    prompt: Prompt
    completion: str
    good: bool
    score: float | None = None
    places: tuple[str, ...] = field(default=(), compare=False)


Record: TypeAlias = Preference | Demonstration | Rated


class Reason(StrEnum):
    """Why something that an export holds makes no record."""

    UNTOUCHED = "no annotation"
    UNPREDICTED = "no prediction"
    BARE = "a prediction that the export tells by nothing but its id"
    DRAFT = "a draft that was not submitted"
    SKIPPED = "skipped by the annotator"
    EMPTY = "nothing answered in the control that counts"
    UNDECIDED = "a tie"
    UNTITLED = "a choice that is the title of no answer (a tie, for one)"
    MIDDLING = "rated in the middle"
    UNNAMED = "a value that is named neither good nor bad"
    AFTER_GROUND_TRUTH = "another annotation of the task is the ground truth"
    NO_GROUND_TRUTH = "not marked as ground truth"
    OLDER = "a later annotation of the task goes first"
    OUTVOTED = "other annotators of the task outvote or repeat it"
    EVEN = "as many annotators say one thing as the other"
    ALONE = "one annotator alone, so that nobody agrees"
    DISAGREED = "annotators of the task agree too little"
    UNCHANGED = "left as the model wrote it"
    NO_ORIGINAL = "what the model wrote is not told (--project tells it, exports mostly do not)"
    IDENTICAL = "both answers are the same"
    NO_ENTRY = "nothing in the list for which the labeling config repeats its fields"
    BLANK = "a text is empty"
    NOTICE = "a notice of the backend, no answer"
    NOT_THEIR_TURN = "the prompt does not end with the user's turn"
    DUPLICATE = "the same record is there already"


def as_demonstrations(record: Record) -> Iterator[Record]:
    """Of a pair, the chosen answer as a demonstration."""
    if isinstance(record, Preference):
        record = Demonstration(record.prompt, record.chosen, record.places[:1])
    yield record


def as_rated(record: Record) -> Iterator[Record]:
    """Of a pair, the chosen answer as a good one and the other as a bad one."""
    if isinstance(record, Preference):
        chosen, rejected = record.scores or (None, None)
        yield Rated(record.prompt, record.chosen, True, chosen, record.places[:1])
        yield Rated(record.prompt, record.rejected, False, rejected, record.places[1:])
    else:
        yield record


def as_it_is(record: Record) -> Iterator[Record]:
    yield record


def texts_of(record: Record) -> Iterator[str]:
    """The answers that a record holds."""
    held = (getattr(record, one.name) for one in fields(record))
    return (value for value in held if isinstance(value, str))
