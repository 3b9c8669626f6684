"""What is above, and what is below, some branches of a tree of choices?"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from llm_backend.core.labeling import Choice

Path = tuple[str, ...]


def upper(choices: Sequence[Choice], most: int) -> tuple[Choice, ...]:
    """As many whole levels from the root as end in at most `most` branches, and not the lowest.

    Returns:
        The tree cut off there; nothing where there are no such levels, or a single branch.
    """
    widths: list[int] = []
    level, ends = list(choices), 0
    while level and ends + len(level) <= most:
        widths.append(ends + len(level))
        ends += sum(not choice.children for choice in level)
        level = [child for choice in level for child in choice.children]
    if not level:
        widths = widths[:-1]
    return _cut(choices, len(widths)) if widths and widths[-1] > 1 else ()


def below(choices: Sequence[Choice], chosen: Collection[Path], above: Path = ()) -> tuple[Choice, ...]:
    """The tree with the chosen branches alone: what is above them, and all that is below.

    Args:
        chosen: Their paths from the root, as results spell them.
    """
    kept = []
    for choice in choices:
        path = (*above, choice.result)
        if path in chosen:
            kept.append(choice)
        elif children := below(choice.children, chosen, path):
            kept.append(replace(choice, children=children))
    return tuple(kept)


def _cut(choices: Sequence[Choice], depth: int) -> tuple[Choice, ...]:
    return tuple(replace(choice, children=_cut(choice.children, depth - 1) if depth > 1 else ()) for choice in choices)
