"""How do annotations become what a trainer learns from: pairs, demonstrations, rated answers?

`ways` are looked for in the labeling config, by `finding`: of `comparing` (Pairwise, Ranker, several Ratings) or of
`answering` (TextArea, dialogues, Rating, Choices). `reading` finds prompt and answers in a task; `counting` says whose
word counts, and `taking` leaves out what is not worth learning from, with its reason.
"""

from llm_backend.interchange.preferences.counting import EVERYBODY, Policy
from llm_backend.interchange.preferences.finding import Kind, Wishes
from llm_backend.interchange.preferences.reading import ROLES, Roles
from llm_backend.interchange.preferences.records import (
    Demonstration,
    Preference,
    Prompt,
    Rated,
    Reason,
    Record,
    Turn,
)
from llm_backend.interchange.preferences.taking import Taken, Taking
from llm_backend.interchange.preferences.way import Way
from llm_backend.interchange.preferences.ways import Ways

__all__ = [
    "EVERYBODY",
    "ROLES",
    "Demonstration",
    "Kind",
    "Policy",
    "Preference",
    "Prompt",
    "Rated",
    "Reason",
    "Record",
    "Roles",
    "Taken",
    "Taking",
    "Turn",
    "Way",
    "Ways",
    "Wishes",
]
