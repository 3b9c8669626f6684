"""How do answers become the regions of predictions and annotations?"""

import uuid
from collections.abc import Iterable, Iterator, Sequence

from llm_backend.core.wire import JSON, Region
from llm_backend.interchange.labelbox.answers import Answer
from llm_backend.interchange.labelbox.config import DIALOGUE, MESSAGE
from llm_backend.interchange.labelbox.conversation import Message

NAMES = uuid.UUID("0c2f6d8e-6f0a-5b43-9d1e-5d6c1b7a9e24")
"""The space of the ids that we make up, of what they are the ids of."""


def made_up(*parts: str) -> str:
    """An id that is the same whenever it is made of the same parts."""
    name = "\x1f".join(parts).encode("utf-8", "backslashreplace").decode("utf-8")
    return str(uuid.uuid5(NAMES, name))


def sheets(answers: Iterable[Answer]) -> list[list[Answer]]:
    """Answers put so that none of the sheets answers the same question twice: several people may have answered."""
    found: list[list[Answer]] = []
    asked: list[set[tuple[str, str]]] = []
    for answer in answers:
        about = (answer.feature.control, answer.message)
        place = next((index for index, held in enumerate(asked) if about not in held), len(asked))
        if place == len(asked):
            found.append([])
            asked.append(set())
        found[place].append(answer)
        asked[place].add(about)
    return found


def regions(answers: Sequence[Answer], messages: Sequence[Message]) -> list[dict[str, JSON]]:
    """The `result` that says the same.

    Args:
        messages: Those of the row; every one that an answer is about is among them.
    """
    places = {message.id: _place(index, message) for index, message in enumerate(messages)}
    made: list[Region] = []
    for ident in dict.fromkeys(answer.message for answer in answers if answer.message):
        value = {**places[ident], "paragraphlabels": [MESSAGE]}
        made.append(Region(MESSAGE, DIALOGUE, "paragraphlabels", value, made_up("message", ident)))
    for answer in answers:
        place = places[answer.message] if answer.message else {}
        ident = made_up("message", answer.message) if answer.message else answer.uuid or made_up(answer.feature.control)
        made += _of(answer, ident, place)
    return [region.to_json() for region in made]


def _of(answer: Answer, ident: str, place: dict[str, JSON]) -> Iterator[Region]:
    control = answer.feature.control
    if answer.feature.kind == "text":
        yield Region(control, DIALOGUE, "textarea", {**place, "text": [answer.text]}, ident, score=answer.confidence)
    else:
        chosen = [option.value for option in answer.options]
        yield Region(control, DIALOGUE, "choices", {**place, "choices": chosen}, ident, score=answer.confidence)
    for below in answer.nested:
        yield from _of(below, ident if place else made_up(ident, below.feature.control), place)


def _place(index: int, message: Message) -> dict[str, JSON]:
    """A whole message. The editor counts as JavaScript does, in UTF-16."""
    length = len(message.text.encode("utf-16-le", "surrogatepass")) // 2
    return {"start": str(index), "end": str(index), "startOffset": 0, "endOffset": length}
