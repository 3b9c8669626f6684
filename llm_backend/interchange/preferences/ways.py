"""Which ways do records come out of a labeling config? One, or one for each entry of what it repeats for a task."""

from collections.abc import Iterator, Mapping

from llm_backend.core.controls.base import listed
from llm_backend.core.labeling import LabelingConfig, show_entries
from llm_backend.core.repeats import Entry, Shown, entries
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.preferences.finding import Finding, Kind, Wishes
from llm_backend.interchange.preferences.way import Way

_MOST_HELD = 4096


class Ways:
    """The ways that a labeling config has for records of a kind.

    What it shows once has one way, and so has each Repeater, which goes for all of its entries.

    Attributes:
        told: What they go by, as a person is told.
        dialogue: Whether prompts are conversations, not single texts.
    """

    def __init__(self, config: LabelingConfig, kind: Kind, wishes: Wishes) -> None:
        """
        Raises:
            RequestError: There is none, or it needs to be told more.
        """
        _refuse_unknown(config, wishes)
        self._config = config
        self._kind = kind
        self._wishes = wishes
        self._held: dict[Shown, Way | None] = {}
        self._repeaters: set[tuple[int, ...]] = set()
        found, faults = [], []
        for entry in entries(config):
            try:
                if way := self._way(entry):
                    found.append(way)
                    self._repeaters.add(entry.repeater)
            except RequestError as exc:
                faults.append(exc)
        if not found:
            raise next(iter(faults), RequestError(_nothing(kind, wishes)))
        self.told = " and ".join(way.told for way in found)
        self.dialogue = any(way.dialogue for way in found)

    def of(self, data: Mapping[str, JSON]) -> Iterator[tuple[Entry, Way]]:
        """The ways of a task.

        Raises:
            InputError: What is repeated is repeated too often.
        """
        for entry in entries(self._config, data):
            if entry.repeater in self._repeaters and (way := self._way(entry)):
                yield entry, way

    def _way(self, entry: Entry) -> Way | None:
        if entry.shown not in self._held:
            if len(self._held) >= _MOST_HELD:
                self._held.clear()
            self._held[entry.shown] = self._found(entry)
        return self._held[entry.shown]

    def _found(self, entry: Entry) -> Way | None:
        if not self._config.repeats:
            return Finding(self._config, self._kind, self._wishes, _names(self._config)).way()
        config = show_entries(self._config, entry.shown)
        others = _names(show_entries(self._config, entry.around)) if entry.repeater else frozenset()
        return Finding(config, self._kind, self._wishes.within(entry), _names(config) - others).way()


def _names(config: LabelingConfig) -> frozenset[str]:
    controls, sources = (output.name for output in config.outputs), (source.name for source in config.sources)
    return frozenset((*controls, *sources))


def _nothing(kind: Kind, wishes: Wishes) -> str:
    needed = {
        "pairs": "a Pairwise, a Ranker, a Rating for each of several answers, Choices of a List's titles, or a "
        "TextArea with a model's answer",
        "demonstrations": "a TextArea with answers, a dialogue, a Pairwise or a Ranker",
        "rated": "a Rating, Choices, a Pairwise or a Ranker",
    }[kind]
    by = f' in "{wishes.control}"' if wishes.control else ""
    return f"The labeling config has nothing{by} that this format can be made of: it takes {needed}."


def _refuse_unknown(config: LabelingConfig, wishes: Wishes) -> None:
    controls = [output.name for output in config.outputs if output.name]
    for name in filter(None, (wishes.control, wishes.margin)):
        if name not in controls:
            raise RequestError(f'The labeling config has no control "{name}"; it has {listed(controls)}.')
