"""What is one entry of a `result` list, and what is a prediction made of?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from llm_backend.core.wire.values import JSON, moment, number_or_none, text_or_none, whole_or_none

RELATION = "relation"
_ENDS = ("from_id", "to_id")
_LINK = (*_ENDS, "direction", "labels")


@dataclass(frozen=True, slots=True)
class Region:
    """One entry of a `result` list.

    Attributes:
        type: The control's tag in lower case, such as `choices`; `relation` for one that links two others.
        value: The payload as the editor writes it, such as `{"choices": ["A"]}`. A relation has no names and no value
            of its own: its JSON holds `from_id`, `to_id`, `direction` and `labels` flat, and here `value` holds them.
        id: Regions that belong together, such as a span and what hangs on it, share one.
        origin: `manual`, `prediction` or `prediction-changed`; who made it.
        score: A probability, or None.
        proportions: Width over height of the picture that it lies on, where the host tells; it is never sent, and
            makes no difference between regions.
    """

    from_name: str
    to_name: str
    type: str
    value: Mapping[str, JSON]
    id: str | None = None
    origin: str | None = None
    score: float | None = None
    item_index: int | None = None
    proportions: float | None = field(default=None, compare=False)

    @property
    def by_person(self) -> bool:
        """Whether a person made or changed it. The editor calls what has no origin `manual`."""
        return self.origin != "prediction"

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Region":
        value = raw.get("value")
        if raw.get("type") == RELATION:
            # Ends are spelled as ids are.
            value = {key: text_or_none(raw[key]) if key in _ENDS else raw[key] for key in _LINK if key in raw}
        item_index = raw.get("item_index")
        return cls(
            from_name=str(raw.get("from_name") or ""),
            to_name=str(raw.get("to_name") or ""),
            type=str(raw.get("type") or ""),
            value=value if isinstance(value, Mapping) else {},
            id=text_or_none(raw.get("id")),
            origin=text_or_none(raw.get("origin")),
            score=number_or_none(raw.get("score")),
            item_index=item_index if type(item_index) is int else None,
            proportions=_proportions(raw),
        )

    def to_json(self) -> dict[str, JSON]:
        raw: dict[str, JSON]
        if self.type == RELATION:
            raw = {"type": self.type, **self.value}
        else:
            raw = {
                "from_name": self.from_name,
                "to_name": self.to_name,
                "type": self.type,
                "value": dict(self.value),
            }
        for key in ("id", "origin", "score", "item_index"):
            if (held := getattr(self, key)) is not None:
                raw[key] = held
        return raw


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is stored for a task: its regions, a score (a probability or None) and the version that made it.

    Attributes:
        id, created: Under which number the host stores it, and since when (seconds since 1970; 0 where it does not
            tell). We tell neither.
    """

    result: tuple[Region, ...]
    score: float | None = None
    model_version: str | None = None
    id: int | None = None
    created: float = 0.0

    @classmethod
    def from_json(cls, raw: Mapping[str, JSON]) -> "Prediction":
        version = text_or_none(raw.get("model_version"))
        return cls(
            regions_of(raw.get("result")),
            number_or_none(raw.get("score")),
            version,
            whole_or_none(raw.get("id")),
            moment(raw.get("created_at")),
        )

    def to_json(self) -> dict[str, JSON]:
        raw: dict[str, JSON] = {"result": [region.to_json() for region in self.result], "score": self.score}
        if self.model_version is not None:
            raw["model_version"] = self.model_version
        return raw


def marked(regions: tuple[Region, ...], origin: str) -> tuple[Region, ...]:
    """The same regions, saying who made them."""
    return tuple(replace(region, origin=origin) for region in regions)


def regions_of(raw: JSON) -> tuple[Region, ...]:
    """The regions of a `result` list; entries that are none are left out."""
    entries = raw if isinstance(raw, list) else []
    return tuple(Region.from_json(entry) for entry in entries if isinstance(entry, Mapping))


def _proportions(raw: Mapping[str, JSON]) -> float | None:
    width, height = (number_or_none(raw.get(name)) for name in ("original_width", "original_height"))
    return width / height if width and height and width > 0 and height > 0 else None
