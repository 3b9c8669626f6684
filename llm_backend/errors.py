"""What can go wrong, and what does the user read?

Every error that a person may read is a sentence: what was found, what was expected, what to do.

    BackendError                      anything a person may read
    ├── SettingsError                 the server was told something it cannot use     (start-up)
    ├── RequestError           400    a body that cannot be read
    │   ├── BodyTooLarge       413
    │   └── LabelingError      400    a labeling config that cannot work
    ├── NotAllowed             401    the caller did not show who it is
    ├── UnknownRun, UnknownProject 404
    ├── StoreError             503    what we remember cannot be written or read now (a full disk, say)
    ├── TaskError                     one task failed; its neighbours do not
    │   ├── InputError                the task lacks what the config shows
    │   ├── PromptError               the prompt cannot be filled for this task
    │   ├── AnswerError               the model's answer does not fit the control
    │   │   └── Unconfirmed           what it prefers changes with the order of what is compared
    │   ├── MediaError                a picture could not be fetched or shown
    │   └── ProviderRefused           the model will not answer this (refusal, filter, too long)
    └── ProviderError                 the model could not be asked
        ├── KeyRefused                wrong key, no rights, exhausted quota, missing model: asking again is in vain
        ├── Busy                      overload that outlasted our patience
        │   └── RateLimited           a rate limit that did
        └── Unreachable               no connection, or no answer in time

`lasting` says whether asking again for the same thing must fail the same way.
"""

from collections.abc import Sequence
from typing import Any


class BackendError(Exception):
    """A fault told as one sentence.

    Attributes:
        status: The HTTP status under which a door reports it.
        lasting: True if the same question would fail in the same way again.
        usage: What was spent before it failed, if anything was (a `core.chat.Usage`).
    """

    status = 500
    lasting = False
    usage: Any = None

    @property
    def sentence(self) -> str:
        """What a person reads who may see the data: the annotator, the manager."""
        return str(self)

    @property
    def logged(self) -> str:
        """What the log may hold: nothing of task, prompt or answer."""
        return self.sentence


class SettingsError(BackendError):
    """Settings that cannot be used; one message names all of them."""

    lasting = True


class RequestError(BackendError):
    """A request that cannot be understood."""

    status = 400
    lasting = True


class BodyTooLarge(RequestError):
    """A body over `MAX_BODY_MB`."""

    status = 413


class LabelingError(RequestError):
    """A labeling config that cannot be read, or that holds nothing a model can fill."""


class NotAllowed(BackendError):
    """Credentials are missing or wrong."""

    status = 401
    lasting = True


class UnknownRun(BackendError):
    """There is no such run, or no more."""

    status = 404
    lasting = True


class UnknownProject(BackendError):
    """Nothing is known of such a project."""

    status = 404
    lasting = True


class UnknownDataset(BackendError):
    """There is no such dataset."""

    status = 404
    lasting = True


class StoreError(BackendError):
    """The store cannot take or give now: a full disk, an I/O error, another program that holds the file."""

    status = 503


class TaskError(BackendError):
    """One task failed for a reason of its own; asking the same again gives the same."""

    lasting = True


class InputError(TaskError):
    """The task does not hold what the labeling config shows. The sentence may quote what it holds instead."""

    @property
    def logged(self) -> str:
        return "The task does not hold what the labeling config shows."


class PromptError(TaskError):
    """The prompt cannot be filled for this task. The sentence quotes a piece of the prompt."""

    @property
    def logged(self) -> str:
        return "The prompt names a field that the task does not have."


class AnswerError(TaskError):
    """An answer that a control cannot take. The sentence quotes it, which may echo the task.

    Attributes:
        made: The regions of those parts of the answer that can be taken (`core.wire.Region`s), where it has parts.
        wrong: What is our fault and not the model's (`core.predictor.Outcome.wrong`).
        unconfirmed: What changed with the order of what is compared (`core.predictor.Outcome.unconfirmed`).
    """

    wrong: tuple[str, ...] = ()
    unconfirmed: tuple[str, ...] = ()

    def __init__(self, sentence: str, made: Sequence[Any] = ()) -> None:
        super().__init__(sentence)
        self.made = tuple(made)

    @property
    def logged(self) -> str:
        return "The model's answer does not fit the form."


class Unconfirmed(AnswerError):
    """All answers that are left compare things, and change with the order in which these stand."""

    @property
    def logged(self) -> str:
        return "What the model prefers changes with the order of what it compares."


class MediaError(TaskError):
    """A medium that may not be fetched, could not be, or cannot be shown to a model."""

    def __init__(self, sentence: str, lasting: bool = True) -> None:
        super().__init__(sentence)
        self.lasting = lasting


class ProviderRefused(TaskError):
    """The model or its filter declined: refusal, content filter, too long a question, a bad request."""


class ProviderError(BackendError):
    """The model could not be asked; another task would have fared no better."""

    status = 502


class KeyRefused(ProviderError):
    """Wrong key, missing rights, exhausted quota or an unknown model. Never retried."""


class Busy(ProviderError):
    """The provider, or our own limits, had no place for our calls until our patience ended."""

    status = 503


class RateLimited(Busy):
    """The provider said that calls come too fast or hold too many tokens."""


class Unreachable(ProviderError):
    """No connection to the provider, or no answer in time."""

    status = 504
