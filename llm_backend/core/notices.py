"""What do we tell an annotator in a text box, and how is it told apart from what they or a model wrote?"""

from collections.abc import Iterable
from dataclasses import replace

from llm_backend.core.prompts import entries_of
from llm_backend.core.wire import Region

NOTICE_PREFIX = "⚠ llm-backend: "
"""Begins every notice. It cannot pass for an answer; such entries are never learned from or exported."""


def own_words(region: Region) -> list[str]:
    """The entries of a text box that are no notices."""
    return [entry for entry in entries_of(region) if not entry.startswith(NOTICE_PREFIX)]


def without_notices(regions: Iterable[Region]) -> tuple[Region, ...]:
    """The same regions as if no notice stood in them; a box that holds nothing else is left out."""
    return tuple(filter(None, map(_without_notice, regions)))


def _without_notice(region: Region) -> Region | None:
    if region.type != "textarea" or len(words := own_words(region)) == len(entries_of(region)):
        return region
    return replace(region, value={**region.value, "text": words}) if words else None
