"""Which tasks nearly repeat one that people had answered before the model did?

With examples in its questions (FEW_SHOT), the model may have been shown people's answer to such a task. It is never
shown the task's own; but what is said of a near-duplicate gives as much away.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from llm_backend.core.examples import NEAR_DUPLICATE, Index
from llm_backend.core.wire import TaskId

_Words = Mapping[str, float]
_ROUNDING = 1e-9


class Likeness:
    """Takes in what annotated tasks show, and when people answered them."""

    def __init__(self) -> None:
        self._tasks: defaultdict[str, list[tuple[float, TaskId]]] = defaultdict(list)

    def note(self, task: TaskId, text: str, annotated: float) -> None:
        """Take in a task.

        Args:
            annotated: When people first answered it, in seconds since 1970; 0 where that is not known.
        """
        if text.strip():
            self._tasks[text].append((annotated, task))

    def repeats(self) -> dict[TaskId, float]:
        """For each task that has a near-duplicate, when people first answered one of these; 0 where it is not known."""
        texts = list(self._tasks)
        found: dict[TaskId, float] = {}

        def note(task: TaskId, annotated: float) -> None:
            found[task] = min(annotated, found.get(task, math.inf))

        for held in self._tasks.values():
            held.sort(key=lambda one: one[0])
            for place, (_, task) in enumerate(held if len(held) > 1 else ()):
                note(task, held[1 if place == 0 else 0][0])
        for pair in near(texts):
            for mine, theirs in (pair, pair[::-1]):
                for _, task in self._tasks[texts[mine]]:
                    note(task, self._tasks[texts[theirs]][0][0])
        return found


def near(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """All pairs of texts that are near-duplicates, by their places.

    Two such texts share one of their rarest words, those without which the rest of either is too short to be near
    anything (prefix filtering, Bayardo, Ma and Srikant 2007): only those that do are held against each other.
    """
    index = Index(texts)
    held = [index.weights(text) for text in texts]
    frequency = Counter(word for words in held for word in words)
    by_word: defaultdict[str, list[int]] = defaultdict(list)
    for at, words in enumerate(held):
        rarest = list(_rarest(words, frequency))
        others = {other for word in rarest for other in by_word[word]}
        yield from ((other, at) for other in others if _nearness(words, held[other]) >= NEAR_DUPLICATE)
        for word in rarest:
            by_word[word].append(at)


def _rarest(words: _Words, frequency: Mapping[str, int]) -> Iterator[str]:
    """So many of the rarest words that those left are shorter than near-duplicates' common part."""
    left = 1.0
    for word in sorted(words, key=lambda word: (frequency[word], word)):
        if left < NEAR_DUPLICATE**2 - _ROUNDING:
            break
        yield word
        left -= words[word] ** 2


def _nearness(one: _Words, other: _Words) -> float:
    return sum(weight * other.get(word, 0.0) for word, weight in one.items())
