"""What of this task does the model see? Texts, utterances, items, series, and the media still to fetch.

`values` finds what a tag's `value` refers to, `reading` reads it as its tag shows it (`series` for time series), `seen`
is what comes of it, `bringing` has the media fetched, and `turning` turns a task whose objects are compared.
"""

from llm_backend.core.inputs.bringing import fetched, once
from llm_backend.core.inputs.reading import READABLE, read
from llm_backend.core.inputs.seen import Fetch, Inputs, Item, Kind, MediaRef, Seen, Utterance
from llm_backend.core.inputs.turning import Turn
from llm_backend.core.inputs.values import as_text, fields_of, resolve

__all__ = [
    "READABLE",
    "Fetch",
    "Inputs",
    "Item",
    "Kind",
    "MediaRef",
    "Seen",
    "Turn",
    "Utterance",
    "as_text",
    "fetched",
    "fields_of",
    "once",
    "read",
    "resolve",
]
