"""Which of an answer's regions does the form show, given what else the answer chose?

The editor hides a control whose `visibleWhen` does not hold, and leaves its result out when the annotation is
submitted. A region of a hidden control is therefore not sent, and a hidden control need not be answered.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from llm_backend.core.controls.base import Control, Regions
from llm_backend.core.labeling import Choice, Condition, Output
from llm_backend.core.wire import JSON, Region

_CHOOSING = ("choices", "taxonomy")


def shown_regions(controls: Sequence[Control], regions: Regions) -> list[Region]:
    """Those of `regions` whose control is shown; regions of other controls stay.

    Conditions depend on regions and regions on conditions, so this goes round until nothing changes. Controls that
    hide each other in a circle never come to rest; then the last round counts.
    """
    outputs = {control.name: control.output for control in controls}
    kept = list(regions)
    for _ in range(len(outputs) + 1):
        still = [region for region in regions if _shown(outputs.get(region.from_name), outputs, _with(region, kept))]
        if still == kept:
            break
        kept = still
    return kept


def hidden(controls: Sequence[Control], regions: Regions) -> frozenset[str]:
    """The names of the controls that the form does not show, given these regions; they need no answer."""
    outputs = {control.name: control.output for control in controls}
    kept = shown_regions(controls, regions)
    return frozenset(name for name, output in outputs.items() if not _shown(output, outputs, kept))


def applies(output: Output, region: Regions, outputs: Mapping[str, Output]) -> bool:
    """Whether a control that is asked region by region is shown for this one.

    Args:
        region: What is known of it so far: the place with its labels, and what hangs on it.
        outputs: The controls that hang on such regions, by name.
    """
    return all(_holds_on(condition, output, region, outputs) for condition in output.conditions)


def _holds_on(condition: Condition, output: Output, region: Regions, outputs: Mapping[str, Output]) -> bool:
    if condition.when == "choice-selected":
        return _chosen(condition, output, outputs, region)
    if condition.when == "choice-unselected":
        return not _chosen(condition, output, outputs, region)
    if condition.when == "no-region-selected":
        return False
    named = [part for part in region if condition.tag_name in ("", part.from_name)]
    labels = {label for part in named for label in _last_names(part.value.get(part.type))}
    return bool(named) and (not condition.label_values or not labels.isdisjoint(condition.label_values))


def _with(region: Region, regions: Regions) -> Regions:
    """Those of `regions` that are on the screen with this one: an object shows one item at a time."""
    if region.item_index is None:
        return regions
    return [other for other in regions if other.item_index in (None, region.item_index)]


def _shown(output: Output | None, outputs: Mapping[str, Output], regions: Regions) -> bool:
    return output is None or all(_holds(when, output, outputs, regions) for when in output.conditions)


def _holds(condition: Condition, output: Output, outputs: Mapping[str, Output], regions: Regions) -> bool:
    """Whether a condition holds. No region is selected while the whole task is answered."""
    if condition.when == "choice-selected":
        return _chosen(condition, output, outputs, regions)
    if condition.when == "choice-unselected":
        return not _chosen(condition, output, outputs, regions)
    return condition.when == "no-region-selected"


def _chosen(condition: Condition, output: Output, outputs: Mapping[str, Output], regions: Regions) -> bool:
    """Whether one of the condition's values (any value, if it has none) is chosen in the tag it names (or in any)."""
    for region in regions:
        if region.type not in _CHOOSING or region.from_name == output.name:
            continue
        if condition.tag_name and region.from_name != condition.tag_name:
            continue
        if not condition.tag_name and region.type != "choices":
            continue
        chosen = set(_last_names(region.value.get(region.type)))
        if condition.choice_values:
            chosen &= _spelled(condition.choice_values, outputs.get(region.from_name))
        if chosen:
            return True
    return False


def _last_names(value: JSON) -> Iterator[str]:
    """The names that were chosen; of a path, the last one, as the editor compares them."""
    for entry in value if isinstance(value, list | tuple) else [value]:
        name = entry[-1] if isinstance(entry, list | tuple) and entry else entry
        if isinstance(name, str):
            yield name


def _spelled(values: Iterable[str], output: Output | None) -> set[str]:
    """The values as results spell them: a condition may name an option by its value or by its alias."""
    options = list(_all(output.choices)) if output else []
    return {
        next((option.result for option in options if value in (option.alias, option.value)), value) for value in values
    }


def _all(choices: Iterable[Choice]) -> Iterator[Choice]:
    for choice in choices:
        yield choice
        yield from _all(choice.children)
