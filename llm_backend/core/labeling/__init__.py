"""What does this project want labelled? A labeling config in XML becomes a `LabelingConfig`.

`config` holds what it shows and asks, and `reading` how that is read from its tags.
"""

from llm_backend.core.labeling.config import (
    REFERENCE,
    Channel,
    Choice,
    Condition,
    LabelingConfig,
    Output,
    Repeat,
    Source,
    references,
)
from llm_backend.core.labeling.reading import CONTROLS, OBJECTS, parse, repeat, show_entries

__all__ = [
    "CONTROLS",
    "OBJECTS",
    "REFERENCE",
    "Channel",
    "Choice",
    "Condition",
    "LabelingConfig",
    "Output",
    "Repeat",
    "Source",
    "parse",
    "references",
    "repeat",
    "show_entries",
]
