"""What do several models answer to the same prompts? Each is asked about all, and what they say is put together."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from llm_backend.backend.datasets import Answer, Dataset, Datasets, Progress, row_digest
from llm_backend.core.generate import Sampler, Wanted, different
from llm_backend.core.prompts import entries_of
from llm_backend.core.wire import Task

_AGAIN = "again"
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a prompt with one sampler.

    Attributes:
        texts: Its answers, as many as there are; none where it failed.
        reason: Why there is none.
        lasting: Whether asking the same again would fail in the same way.
    """

    sampler: Sampler
    texts: tuple[str, ...] = ()
    reason: str = ""
    lasting: bool = False


class Panel:
    """Several samplers that are asked the same. One that cannot be asked keeps the others from nothing.

    Attributes:
        wanted: Whom to ask, and for how much.
        samplers: In the order in which they are asked: one after the other, so that a server that holds one model at a
            time loads each once.
        progress: How far each is, all turns together.
    """

    def __init__(self, datasets: Datasets, wanted: Wanted) -> None:
        self.wanted = wanted
        self._datasets = datasets
        self._turns = [self._opened()]
        self.samplers = tuple(self._turns[0])
        self.progress = {sampler: Progress() for sampler in self.samplers}

    @property
    def halted(self) -> Mapping[Sampler, str]:
        """Samplers that cannot be asked further, and why."""
        return {sampler: progress.halted for sampler, progress in self.progress.items() if progress.halted}

    @property
    def complete(self) -> bool:
        """Whether every question has its answer."""
        return not any(progress.halted or progress.failed for progress in self.progress.values())

    @property
    def askable(self) -> tuple[Sampler, ...]:
        """Whom asking again may draw other answers from: without chance a model says the same again."""
        return tuple(one for one in self.samplers if one.temperature != 0 and one not in self.halted)

    async def ask(
        self, tasks: Callable[[], Iterable[Task]], tell: Callable[[Progress], None], *, again: bool = False
    ) -> None:
        """Have asked what is not known of these conversations.

        Args:
            tasks: Begins with the first of them, each time it is called.
            tell: Told of the progress of all samplers together, again and again.
            again: Ask anew for what failed before in a way that asking would not change.
        """
        await self._ask(self.samplers, tasks, tell, again)

    async def ask_again(
        self, tasks: Callable[[], Iterable[Task]], alike: Collection[str], tell: Callable[[Progress], None]
    ) -> None:
        """Have asked in a further turn those of the conversations that `alike` found."""
        turn = len(self._turns)
        self._turns.append(self._opened())

        def again() -> Iterator[Task]:
            return (_turned(task, turn) for task in tasks() if row_digest(task) in alike)

        await self._ask(self.askable, again, tell, again=False)

    async def _ask(
        self,
        samplers: Iterable[Sampler],
        tasks: Callable[[], Iterable[Task]],
        tell: Callable[[Progress], None],
        again: bool,
    ) -> None:
        done = Progress()
        for sampler in samplers:
            progress = await self._turns[-1][sampler].ask(tasks(), _after(done, tell), again=again)
            done += progress
            self.progress[sampler] += progress

    def alike(self, tasks: Iterable[Task]) -> set[str]:
        """Digests of those conversations whose answers are fewer than two, since they repeat each other."""
        if not self.askable or len(self._turns) >= self.wanted.tries:
            return set()
        return {
            row_digest(task)
            for page in _pages(tasks)
            for task, said in zip(page, self.answers(page), strict=True)
            if self._repeats(said)
        }

    def answers(self, tasks: Sequence[Task]) -> Iterator[tuple[Said, ...]]:
        """What all samplers said to each of these conversations, in order."""
        turns = [self._answers(tasks, turn) for turn in range(len(self._turns))]
        return (self._together(said) for said in zip(*turns, strict=True))

    def _answers(self, tasks: Sequence[Task], turn: int) -> Iterator[tuple[Said, ...]]:
        turned = [_turned(task, turn) for task in tasks]
        each = [
            [self._said(sampler, answer) for answer in dataset.answers(turned)]
            for sampler, dataset in self._turns[turn].items()
        ]
        return zip(*each, strict=True)

    def _opened(self) -> dict[Sampler, Dataset]:
        """A dataset of each: it counts what was asked of it, so that each turn has its own."""
        wanted = self.wanted
        opened = (
            self._datasets.converse(wanted.system, model=model, temperature=temperature, answers=wanted.answers)
            for model in wanted.models
            for temperature in wanted.temperatures
        )
        several = len(wanted.temperatures) > 1
        return {_sampler(dataset, self._datasets.model, several=several): dataset for dataset in opened}

    def _said(self, sampler: Sampler, answer: Answer) -> Said:
        if answer.prediction is None:
            halted = "" if answer.lasting else self.halted.get(sampler, "")
            return Said(sampler, (), halted or answer.reason, answer.lasting)
        texts = [text for region in answer.prediction.result for text in entries_of(region)]
        return Said(sampler, tuple(texts))

    def _together(self, turns: Sequence[tuple[Said, ...]]) -> tuple[Said, ...]:
        """Of the further turns as many as it took to find two answers that differ."""
        (said, *others) = turns
        for more in others:
            if not self._repeats(said):
                break
            said = tuple(
                replace(one, texts=(*one.texts, *other.texts)) if one.texts else one
                for one, other in zip(said, more, strict=True)
            )
        return said

    def _repeats(self, said: Sequence[Said]) -> bool:
        answering = sum(bool(one.texts) for one in said)
        distinct = len(different((one.sampler, text) for one in said for text in one.texts))
        return 0 < distinct < min(2, self.wanted.answers * answering)


def _sampler(dataset: Dataset, own: str, *, several: bool) -> Sampler:
    """
    Args:
        own: The model that is asked where none is named.
        several: Whether there are several temperatures.
    """
    parameters = dataset.spec.parameters
    model = parameters.model or own
    name = f"{model} at temperature {parameters.temperature:g}" if several else model
    return Sampler(name, model, parameters.temperature, dataset.spec.version)


def _after(done: Progress, tell: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Tells of a progress together with what others have done before."""
    return lambda progress: tell(done + progress)


def _turned(task: Task, turn: int) -> Task:
    """The conversation as it is asked in a turn: what the model does not see makes another question of it."""
    return Task(task.id, {**task.data, _AGAIN: turn}) if turn else task


def _pages(tasks: Iterable[Task]) -> Iterator[Sequence[Task]]:
    rest = iter(tasks)
    while page := list(itertools.islice(rest, _PAGE)):
        yield page
