"""How often does a task show what its labeling config repeats (`<Repeater>`)?"""

from collections.abc import Iterator, Mapping, Sequence

from llm_backend.core.inputs import resolve
from llm_backend.core.labeling import LabelingConfig, Repeat
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

_MOST = 1000


def counts(config: LabelingConfig, data: Mapping[str, JSON]) -> tuple[int, ...]:
    """How often each Repeater repeats for this task: in document order, one within another after each of its own.

    Raises:
        InputError: So often that nobody could label it.
    """
    found: list[int] = []
    for count in _counts(config.repeats, data):
        found.append(count)
        if sum(found) > _MOST:
            on = ", ".join(f'"{repeat.on}"' for repeat in config.repeats)
            raise InputError(f"The labeling config repeats its fields for {on}; more than {_MOST} are too many.")
    return tuple(found)


def _counts(repeats: Sequence[Repeat], data: Mapping[str, JSON]) -> Iterator[int]:
    for repeat in repeats:
        held = resolve(repeat.on, data)
        count = len(held) if isinstance(held, list) else 0
        yield count
        for index in range(count):
            yield from _counts([within.at(repeat.flag, index) for within in repeat.within], data)
