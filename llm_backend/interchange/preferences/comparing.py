"""How does a comparison become pairs? By Pairwise, by Ranker, by ratings of several answers, by a vote for one."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, pairwise, product
from typing import Literal, TypeAlias

from llm_backend.core.wire import JSON, Annotation, Region, Task
from llm_backend.errors import InputError
from llm_backend.interchange.preferences.reading import Answer, Reading
from llm_backend.interchange.preferences.records import Preference, Prompt, Rated, Reason
from llm_backend.interchange.preferences.way import Made, Verdict, numbers_of, values_of

Pairs: TypeAlias = Literal["all", "adjacent", "best-worst"]
_SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Compared:
    """The sides of a Pairwise: the one that was chosen, over the other.

    Attributes:
        objects: The left one and the right one.
        margin: A Rating or Number that says how much better it is.
        ratings: The Ratings of the sides, where both have one of their own.
    """

    reading: Reading
    control: str
    objects: tuple[str, str]
    margin: str | None = None
    ratings: tuple[str, str] | None = None

    @property
    def told(self) -> str:
        return f'Pairwise "{self.control}"'

    @property
    def dialogue(self) -> bool:
        return self.reading.dialogue(self.objects) is not None

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        side = self._side(annotation)
        return {} if side is None else {self.control: side}

    def records(self, task: Task, annotation: Annotation) -> Made:
        side = self._side(annotation)
        if side is None:
            yield Reason.UNDECIDED
            return
        best, worst = (0, 1) if side == "left" else (1, 0)
        answers, stars = [self.reading.answer(name, task) for name in self.objects], self._stars(annotation)
        scores = (stars[best], stars[worst]) if stars else None
        prompt = self.reading.prompt(task, self.objects)
        yield _over(prompt, answers[best], answers[worst], self._margin(annotation), scores)

    def _side(self, annotation: Annotation) -> JSON:
        said = values_of(annotation.result, self.control, "selected")
        return next((side for side in said if side in _SIDES), None)

    def _stars(self, annotation: Annotation) -> list[float]:
        """The stars of both sides, or nothing."""
        told = [next(numbers_of(annotation.result, rating), 0.0) for rating in self.ratings or ()]
        return told if all(told) else []  # no star is no rating

    def _margin(self, annotation: Annotation) -> float | None:
        if self.margin is None:
            return None
        return next(numbers_of(annotation.result, self.margin), 0.0)


@dataclass(frozen=True, slots=True)
class Ranked:
    """The items of a Ranker: whichever stands higher, over the lower.

    Attributes:
        items: The List.
        buckets: From the better to the worse, where the items are sorted into Buckets; items in one are ties.
        verdict: Which buckets hold good answers, and which bad ones; then each item is one rated answer.
    """

    reading: Reading
    control: str
    items: str
    pairs: Pairs = "all"
    buckets: tuple[str, ...] = ()
    verdict: Verdict | None = None

    @property
    def told(self) -> str:
        return f'Ranker "{self.control}"'

    @property
    def dialogue(self) -> bool:
        return self.reading.dialogue((self.items,)) is not None

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        """In which bucket each item is; of a plain ranking, which of each two items stands higher."""
        lists = self._lists(annotation.result)
        if self.buckets or self.verdict is not None:
            return {ident: name for name, ids in lists.items() for ident in ids}
        return {frozenset(two): two[0] for ids in lists.values() for two in combinations(ids, 2)}

    def records(self, task: Task, annotation: Annotation) -> Made:
        lists = self._lists(annotation.result)
        if not any(lists.values()):
            yield Reason.EMPTY
            return
        prompt, items = self.reading.prompt(task, (self.items,)), self.reading.items(self.items, task)
        if unknown := [ident for ident in chain(*lists.values()) if ident not in items]:
            raise InputError(f'Its data has no item "{unknown[0]}", which "{self.control}" ranks.')
        if self.verdict is not None:
            yield from self._sorted(prompt, items, lists, self.verdict)
            return
        levels = [ids for name in self.buckets if (ids := lists.get(name, ()))] if self.buckets else _single(lists)
        if len(levels) < 2:
            yield Reason.UNDECIDED
        for higher, lower in _paired(len(levels), self.pairs):
            for best, worst in product(levels[higher], levels[lower]):
                below = float(len(levels) - 1 - higher), float(len(levels) - 1 - lower)
                yield _over(prompt, items[best], items[worst], float(lower - higher), below)

    def _sorted(
        self, prompt: Prompt, items: Mapping[str, Answer], lists: Mapping[str, tuple[str, ...]], verdict: Verdict
    ) -> Made:
        """Each item as a good answer or a bad one, by its bucket."""
        for name, ids in lists.items():
            good = verdict.of([name])
            for answer in [items[ident] for ident in ids]:
                yield Reason.UNNAMED if good is None else Rated(prompt, answer.text, good, places=(answer.place,))

    def _lists(self, regions: Sequence[Region]) -> Mapping[str, tuple[str, ...]]:
        held = next(iter(values_of(regions, self.control, "ranker")), None)
        lists = held if isinstance(held, Mapping) else {}
        return {name: tuple(map(str, ids)) for name, ids in lists.items() if isinstance(ids, list)}


@dataclass(frozen=True, slots=True)
class Elected:
    """Choices that name the best item of a List by its title: that one, over every other.

    Attributes:
        items: The List.
    """

    reading: Reading
    control: str
    items: str

    @property
    def told(self) -> str:
        return f'Choices "{self.control}" of the titles in "{self.items}"'

    @property
    def dialogue(self) -> bool:
        return self.reading.dialogue((self.items,)) is not None

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        titles = self._titles(annotation)
        return {self.control: titles[0]} if titles else {}

    def records(self, task: Task, annotation: Annotation) -> Made:
        titles = self._titles(annotation)
        if not titles:
            yield Reason.EMPTY
            return
        items = self.reading.items(self.items, task)
        best = next((ident for ident, item in items.items() if item.title == titles[0]), None)
        if best is None:
            yield Reason.UNTITLED
            return
        prompt = self.reading.prompt(task, (self.items,))
        yield from (_over(prompt, items[best], items[other]) for other in items if other != best)

    def _titles(self, annotation: Annotation) -> list[str]:
        held = values_of(annotation.result, self.control, "choices")
        return [title for titles in held if isinstance(titles, list) for title in titles if isinstance(title, str)]


@dataclass(frozen=True, slots=True)
class RatedApart:
    """Several answers that each have a Rating of their own: whichever has more stars, over the other.

    Attributes:
        ratings: The name of the Rating of each answer's object.
    """

    reading: Reading
    ratings: Mapping[str, str]

    @property
    def told(self) -> str:
        return "Ratings " + " and ".join(f'"{name}"' for name in self.ratings.values())

    @property
    def dialogue(self) -> bool:
        return self.reading.dialogue(tuple(self.ratings)) is not None

    def said(self, annotation: Annotation) -> Mapping[Hashable, Hashable]:
        """Which of each two answers is better, or neither."""
        stars = self._stars(annotation)
        return {
            (one, other): (stars[one] > stars[other]) - (stars[one] < stars[other])
            for one, other in combinations(self.ratings, 2)
            if one in stars and other in stars
        }

    def records(self, task: Task, annotation: Annotation) -> Made:
        stars = self._stars(annotation)
        if len(stars) < 2:
            yield Reason.EMPTY
            return
        prompt = self.reading.prompt(task, tuple(self.ratings))
        for one, other in combinations(stars, 2):
            if stars[one] == stars[other]:
                yield Reason.UNDECIDED
                continue
            best, worst = (one, other) if stars[one] > stars[other] else (other, one)
            answers = self.reading.answer(best, task), self.reading.answer(worst, task)
            yield _over(prompt, *answers, stars[best] - stars[worst], (stars[best], stars[worst]))

    def _stars(self, annotation: Annotation) -> dict[str, float]:
        told = {name: next(numbers_of(annotation.result, rating), 0.0) for name, rating in self.ratings.items()}
        return {name: stars for name, stars in told.items() if stars}  # no star is no rating


def _over(
    prompt: Prompt,
    best: Answer,
    worst: Answer,
    margin: float | None = None,
    scores: tuple[float, float] | None = None,
) -> Preference:
    return Preference(prompt, best.text, worst.text, margin, scores, (best.place, worst.place))


def _single(lists: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The levels of a plain ranking: each item is one."""
    return [(ident,) for ident in next(iter(lists.values()))]


def _paired(levels: int, pairs: Pairs) -> Iterator[tuple[int, int]]:
    """Which levels are compared, the higher one first."""
    if pairs == "all":
        return combinations(range(levels), 2)
    return pairwise(range(levels)) if pairs == "adjacent" else iter([(0, levels - 1)] if levels > 1 else [])
