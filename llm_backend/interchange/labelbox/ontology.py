"""What does a Labelbox ontology ask?"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from llm_backend.core.controls.base import listed, shown
from llm_backend.core.wire import JSON
from llm_backend.errors import RequestError
from llm_backend.interchange.labelbox.conversation import list_at, text_at

Kind: TypeAlias = Literal["radio", "checklist", "text"]

# Names that the labeling config uses for itself, and how a prompt box's name begins.
_TAKEN = ("dialogue", "responses", "media", "message")
_PROMPT = "prompt"
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Option:
    """An answer that may be chosen.

    Attributes:
        value: How answers name it, and results in Label Studio.
        label: What people read.
        features: What is asked when it is chosen.
    """

    value: str
    label: str
    schema: str = ""
    features: tuple["Feature", ...] = ()


@dataclass(frozen=True, slots=True)
class Feature:
    """One question: a classification.

    Attributes:
        name: How answers name it.
        control: Name of its control in Label Studio.
        heading: What people read.
        per_message: Whether it is asked of every message, not once for the row.
        schema: Its id in Labelbox, by which answers may name it, too.
    """

    name: str
    kind: Kind
    control: str
    heading: str
    required: bool = False
    per_message: bool = False
    options: tuple[Option, ...] = ()
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Ontology:
    """All questions.

    Attributes:
        left_out: What else it has, which has no counterpart here.
    """

    features: tuple[Feature, ...]
    left_out: tuple[str, ...] = ()


def read_ontology(raw: JSON) -> Ontology:
    """Read an ontology as Labelbox gives it ("normalized").

    Raises:
        RequestError: It is none, or has a classification of an unknown type; the sentence names it.
    """
    if not isinstance(raw, Mapping) or not ("classifications" in raw or "tools" in raw):
        raise RequestError('an ontology is an object with "classifications".')
    reader = _Reader()
    told = list_at(raw, "classifications", "") if "classifications" in raw else []
    tools = raw.get("tools") or []
    return Ontology(
        tuple(reader.features(told, nested=False)),
        tuple(str(tool.get("name") or tool.get("tool")) for tool in tools if isinstance(tool, Mapping)),
    )


def preference(titles: Sequence[str]) -> Ontology:
    """What is asked where there is no ontology: which output is best, and why.

    Args:
        titles: Those of the outputs.
    """
    options = tuple(Option(title, title) for title in dict.fromkeys((*titles, "Tie")))
    return Ontology(
        (
            Feature("Best response", "radio", "best_response", "Best response", required=True, options=options),
            Feature("Reason", "text", "reason", "Reason"),
        )
    )


def every(features: Iterable[Feature]) -> Iterator[tuple[Feature, Feature | None, Option | None]]:
    """Each feature, with the feature and option that it hangs on; these before it."""
    for feature in features:
        yield feature, None, None
        yield from _nested(feature)


def _nested(feature: Feature) -> Iterator[tuple[Feature, Feature, Option]]:
    for option in feature.options:
        for below in option.features:
            yield below, feature, option
            yield from _nested(below)


class _Reader:
    """Reads features, and gives each a control name of its own."""

    def __init__(self) -> None:
        self._taken = set(_TAKEN)

    def features(self, raw: Sequence[JSON], nested: bool, per_message: bool = False) -> Iterator[Feature]:
        names: set[str] = set()
        for number, told in enumerate(raw, 1):
            if not isinstance(told, Mapping):
                raise RequestError(f"classification {number} must be an object; found {shown(told)}.")
            feature = self._feature(told, f"classification {number}: ", nested, per_message)
            if feature.name in names:
                raise RequestError(f"several classifications have the name {shown(feature.name)}.")
            names.add(feature.name)
            yield feature

    def _feature(self, raw: Mapping[str, JSON], where: str, nested: bool, per_message: bool) -> Feature:
        heading = raw.get("instructions")
        name = _writable(text_at(raw, "name" if "name" in raw else "instructions", where))
        where = f"classification {shown(name)}: "
        kind = raw.get("type")
        if kind not in ("radio", "checklist", "text"):
            raise RequestError(f'{where}its "type" is {shown(kind)}; radio, checklist and text are known.')
        per_message = per_message if nested else raw.get("scope") == "index"
        control = self._control(name)
        options = list_at(raw, "options", where) if kind != "text" else []
        if kind != "text" and not options:
            raise RequestError(f"{where}it has no options to choose from.")
        return Feature(
            name=name,
            kind=kind,
            control=control,
            heading=_writable(heading) if isinstance(heading, str) and heading.strip() else name,
            required=raw.get("required") is True,
            per_message=per_message,
            options=tuple(self._option(told, where, per_message) for told in options),
            schema=_schema(raw),
        )

    def _option(self, raw: JSON, where: str, per_message: bool) -> Option:
        if not isinstance(raw, Mapping):
            raise RequestError(f"{where}an option must be an object; found {shown(raw)}.")
        value = _writable(text_at(raw, "value" if "value" in raw else "label", f"{where}option: "))
        label = raw.get("label")
        below = raw.get("options") or []
        if not isinstance(below, list):
            raise RequestError(f'{where}option {shown(value)}: "options" must be a list; found {shown(below)}.')
        features = tuple(self.features(below, nested=True, per_message=per_message))
        return Option(value, _writable(label) if isinstance(label, str) and label else value, _schema(raw), features)

    def _control(self, name: str) -> str:
        slug = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:48]
        if not slug[:1].isalpha() or slug.startswith(_PROMPT):
            slug = f"question_{slug}".rstrip("_")
        free = slug
        number = 2
        while free in self._taken:
            free, number = f"{slug}_{number}", number + 1
        self._taken.add(free)
        return free


def _writable(text: str) -> str:
    """
    Raises:
        RequestError: The text holds signs that XML cannot.
    """
    if _UNWRITABLE.search(text):
        raise RequestError(f"{listed([shown(text)])} holds control signs, which a labeling config cannot.")
    return text


def _schema(raw: Mapping[str, JSON]) -> str:
    told = raw.get("featureSchemaId") or raw.get("schemaNodeId") or raw.get("schemaId")
    return told if isinstance(told, str) else ""
