"""What do we remember? Projects and their prompts, what annotations were asked with, and kept answers.

One protocol, `Store`, and a home for it: `sqlite`, one file on this machine. Importing opens nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from llm_backend.core.wire import JSON


@dataclass(frozen=True, slots=True)
class Project:
    """What is known of a project, under the whole key that the host sends.

    Attributes:
        prompt: The saved prompt; None if there is none.
        prompt_origin: How it came to be saved, such as `submitted` or `pinned`; empty without a prompt.
        pinned: Whether a person fixed it, so that no submission replaces it.
        hostname: What /setup calls the host: a claim.
        access_token: What /setup sent along: a secret, for that host alone.
        extra_params: The manager's extra parameters; may hold a provider's key.
        updated: When any of this last changed, in seconds since 1970; 0 for a project never seen.
    """

    key: str
    prompt: str | None = None
    prompt_origin: str = ""
    pinned: bool = False
    extra_params: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    hostname: str = ""
    access_token: str = field(default="", repr=False)
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class Kept:
    """The answer to one question of one version: a prediction, or the reason why there is none.

    Attributes:
        digest: Stands for what was asked of the task.
        prediction: As it is handed to the host; None for a failure.
        reason: One sentence; empty beside a prediction.
        lasting: Whether asking the same again would fail in the same way.
        made: When, in seconds since 1970.
    """

    digest: str
    prediction: JSON | None
    reason: str
    lasting: bool
    made: float


class Store(Protocol):
    """Memory that outlives the process. Every method may be called from any thread, and is quick.

    Every method may raise `StoreError` (nothing can be written or read now); what it was given is then not remembered.
    """

    def project(self, key: str) -> Project:
        """What is known of the project; an empty record if it was never seen."""
        ...

    def projects(self) -> tuple[Project, ...]:
        """All that are known, the last changed first."""
        ...

    def save_setup(self, key: str, hostname: str, access_token: str, extra_params: Mapping[str, JSON]) -> None:
        """Remember what /setup said, in place of what it said before. The prompt stays."""
        ...

    def save_prompt(self, key: str, text: str, origin: str) -> None:
        """Make this the project's prompt, unless one is pinned."""
        ...

    def pin_prompt(self, key: str, text: str) -> None:
        """Make this the project's prompt until it is reset or another one is pinned."""
        ...

    def reset_prompt(self, key: str) -> None:
        """Forget the project's prompt, pinned or not. What /setup said stays."""
        ...

    def forget(self, key: str) -> None:
        """Remove every text of the project: prompt, token, parameters, annotations' prompts, kept answers."""
        ...

    def annotation_prompt(self, key: str, annotation_id: int) -> str | None:
        """The prompt noted last for this annotation, possibly empty; None if none ever was (or it is long ago)."""
        ...

    def note_annotation_prompt(self, key: str, annotation_id: int, prompt: str) -> None:
        """Remember the prompt that this annotation holds. Of a project only the latest thousands are remembered."""
        ...

    def forget_annotations(self, key: str, annotation_ids: Iterable[int]) -> None:
        """Drop the notes on annotations that were deleted."""
        ...

    def kept(self, key: str, version: str, digests: Iterable[str]) -> dict[str, Kept]:
        """The kept answers to those of the questions that have one, by digest. None is older than it may be."""
        ...

    def keep(self, key: str, version: str, kept: Kept) -> None:
        """Keep an answer, in place of an earlier one. The oldest give way when there are too many."""
        ...

    def drop(self, key: str, version: str, digest: str) -> None:
        """Remove one kept answer, so that the question is asked again."""
        ...

    def close(self) -> None:
        """Leave everything on disk and let go of it. Closing twice does no harm."""
        ...
