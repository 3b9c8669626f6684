"""How often does a task show what its labeling config repeats (`<Repeater>`), and what stands in each entry?"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from llm_backend.core.inputs import resolve
from llm_backend.core.labeling import LabelingConfig, Repeat
from llm_backend.core.wire import JSON
from llm_backend.errors import InputError

_MOST = 1000


Shown = tuple[tuple[int | str, ...], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of what a config repeats, or (with no flags) what it shows once.

    Attributes:
        repeater: Which Repeater it is of: its number, and that of the one within it, and so on.
        flags: What stands for the entry's number in names, with that number; the outermost first.
        shown, around: What of every Repeater is shown to see this entry, and to see all but it
            (`LabelingConfig.showing`); where one stands within it, none of that.
    """

    repeater: tuple[int, ...] = ()
    flags: tuple[tuple[str, int | str], ...] = ()
    shown: Shown = ()
    around: Shown = ()

    def named(self, name: str) -> str:
        """A name of the labeling config as it stands in this entry."""
        for flag, index in self.flags:
            name = name.replace(flag, str(index), 1)
        return name


def entries(config: LabelingConfig, data: Mapping[str, JSON] | None = None) -> Iterator[Entry]:
    """What a config shows once, and then all entries that a task has of what it repeats.

    Args:
        data: Of the task; None gives each Repeater one entry, whose number is the flag itself.
    Raises:
        InputError: The task has more than anybody could label.
    """
    if data is not None:
        counts(config, data)
    hidden = ((),) * len(config.repeats)
    yield Entry(shown=hidden, around=hidden)
    yield from _entries(config.repeats, data)


def _entries(repeats: Sequence[Repeat], data: Mapping[str, JSON] | None) -> Iterator[Entry]:
    for place, repeat in enumerate(repeats):
        before, after = ((),) * place, ((),) * (len(repeats) - place - 1)
        indices: Sequence[int | str] = [repeat.flag] if data is None else range(_length(repeat, data))
        for index in indices:
            within = [inner.at(repeat.flag, index) for inner in repeat.within]
            hidden: Shown = ((),) * len(within)
            flags = ((repeat.flag, index),)
            yield Entry((place,), flags, (*before, (index,), *hidden, *after), (*before, (), *after))
            for inner in _entries(within, data):
                yield Entry(
                    (place, *inner.repeater),
                    (*flags, *inner.flags),
                    (*before, (index,), *inner.shown, *after),
                    (*before, (index,), *inner.around, *after),
                )


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
        count = _length(repeat, data)
        yield count
        for index in range(count):
            yield from _counts([within.at(repeat.flag, index) for within in repeat.within], data)


def _length(repeat: Repeat, data: Mapping[str, JSON]) -> int:
    held = resolve(repeat.on, data)
    return len(held) if isinstance(held, list) else 0
