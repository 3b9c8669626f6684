"""How do predictions get into Label Studio when it did not wait for them?"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

import pytest

from llm_backend.adapters.host import Host
from llm_backend.backend.push import Push, PushReport, Target
from llm_backend.core.wire import Prediction, Region
from tests.support.host_stub import LEGACY, PROJECT, StubHost, serving
from tests.support.waits import Pauses

VERSION = "stub-model-ab12"


def made(label: Any = "good") -> Prediction:
    choices = label if isinstance(label, list) else [label]
    return Prediction((Region("tone", "text", "choices", {"choices": choices}),))


def stored(task: int, version: str = VERSION) -> dict[str, Any]:
    return {**made().to_json(), "task": task, "model_version": version}


class Taken:
    """Another was given these tasks' predictions a moment ago, for so many looks."""

    def __init__(self, tasks: Collection[int], looks: int) -> None:
        self.tasks = set(tasks)
        self.looks = looks
        self.released: list[set[int]] = []
        self.unsure: set[int] = set()

    async def take(self, tasks: Collection[int]) -> set[int]:
        self.looks -= 1
        return set(tasks) - (self.tasks if self.looks >= 0 else set())

    async def release(self, stored: Collection[int], unsure: Collection[int] = ()) -> None:
        self.released.append(set(stored))
        self.unsure = set(unsure)


Pushing = Callable[[Push, Target], Awaitable[PushReport]]


def play(studio: StubHost, scene: Pushing, pauses: Pauses | None = None, key: str = LEGACY, **more: Any) -> PushReport:
    pauses = pauses or Pauses()

    async def run() -> PushReport:
        async with serving(studio) as here:
            host = Host(here.origin, key, seconds=5.0)
            try:
                return await scene(Push(clock=pauses.clock, sleep=pauses.sleep, **more), Target(host, PROJECT))
            finally:
                await host.close()

    return asyncio.run(run())


def test_predictions_are_stored_in_bulk_with_their_version() -> None:
    studio = StubHost(set(range(1, 8)))
    predictions = [(task, made()) for task in range(1, 8)]

    report = play(studio, lambda push, target: push.push(target, VERSION, predictions), slice_size=3)

    assert report == PushReport(stored=7)
    assert studio.imports == [[1, 2, 3], [4, 5, 6], [7]]
    assert studio.having(VERSION) == list(range(1, 8))


def test_an_empty_prediction_is_stored_as_well() -> None:
    studio = StubHost({1})
    report = play(studio, lambda push, target: push.push(target, VERSION, [(1, Prediction(()))]))
    assert report == PushReport(stored=1)
    assert studio.predictions == [{"task": 1, "result": [], "score": None, "model_version": VERSION}]


def test_what_the_host_has_of_this_version_is_not_stored_again() -> None:
    studio = StubHost({1, 2, 3}, [stored(1), stored(2, "older")])
    report = play(studio, lambda push, target: push.push(target, VERSION, [(task, made()) for task in (1, 2, 3)]))
    assert report == PushReport(stored=2, already_there=1)
    assert studio.having(VERSION) == [1, 2, 3]


def test_deleted_tasks_cost_their_neighbours_nothing() -> None:
    studio = StubHost({1, 3})
    report = play(studio, lambda push, target: push.push(target, VERSION, [(task, made()) for task in (1, 2, 3, 4)]))
    assert report == PushReport(stored=2, gone=2)
    assert studio.having(VERSION) == [1, 3]


def test_nested_choices_go_one_by_one_and_the_others_in_bulk() -> None:
    studio = StubHost({1, 2, 3})
    predictions = [(1, made()), (2, made([["Top", "Leaf"]])), (3, made())]

    report = play(studio, lambda push, target: push.push(target, VERSION, predictions))

    assert report == PushReport(stored=3, singly=1)
    assert (studio.imports, studio.singles) == ([[1, 3]], [2])


def test_what_the_import_leaves_out_is_found_and_goes_one_by_one() -> None:
    studio = StubHost({1, 2, 3})
    predictions = [(1, made()), (2, made("from the task's own options")), (3, made())]

    report = play(studio, lambda push, target: push.push(target, VERSION, predictions))

    assert report == PushReport(stored=3, singly=1)
    assert studio.singles == [2]
    assert studio.having(VERSION) == [1, 2, 3]


def test_what_a_strict_host_refuses_is_counted_and_said() -> None:
    studio = StubHost({1, 2}, strict=True)
    report = play(studio, lambda push, target: push.push(target, VERSION, [(1, made()), (2, made("unknown"))]))
    assert (report.stored, report.dropped, report.refused) == (1, 1, 0)
    assert "does not take predictions of this shape" in report.reason


def test_a_nested_choice_of_a_deleted_task_is_counted_as_gone() -> None:
    report = play(StubHost({1}), lambda push, target: push.push(target, VERSION, [(2, made([["Top"]]))]))
    assert report == PushReport(gone=1)


def test_a_host_that_is_down_is_tried_again_with_growing_pauses() -> None:
    pauses, studio = Pauses(), StubHost({1}, down=4)
    report = play(studio, lambda push, target: push.push(target, VERSION, [(1, made())]), pauses)
    assert report == PushReport(stored=1)
    assert pauses.taken == [1.0, 2.0, 4.0, 8.0]


def test_a_host_that_stays_down_is_given_up_after_a_while() -> None:
    pauses, studio = Pauses(), StubHost({1}, down=10**6)
    predictions = [(task, made()) for task in range(4)]

    report = play(studio, lambda push, target: push.push(target, VERSION, predictions), pauses, slice_size=2)

    assert (report.stored, report.refused) == (0, 4)
    assert "answered 503" in report.reason
    assert 800 < sum(pauses.taken) <= 900


def test_an_import_without_an_answer_is_looked_for_before_it_is_sent_again() -> None:
    pauses, studio = Pauses(), StubHost({1, 2}, loses=1)
    report = play(studio, lambda push, target: push.push(target, VERSION, [(1, made()), (2, made())]), pauses)
    assert report == PushReport(stored=2)
    assert studio.imports == [[1, 2]]
    assert studio.having(VERSION) == [1, 2]
    assert pauses.taken == [15.0]


def test_a_refused_token_is_told_at_once_and_not_shown_in_words() -> None:
    pauses = Pauses()
    wrong = "f" * 40
    report = play(StubHost({1}), lambda push, target: push.push(target, VERSION, [(1, made())]), pauses, wrong)
    assert report.refused == 1
    assert "does not accept LABEL_STUDIO_API_KEY" in report.reason
    assert wrong not in report.reason
    assert pauses.taken == []


def test_what_another_was_given_a_moment_ago_is_looked_for_once_more() -> None:
    pauses, studio = Pauses(), StubHost({1, 2})
    claim = Taken({2}, looks=2)
    pauses.then = lambda: studio.predictions.append(stored(2)) if len(pauses.taken) == 2 else None

    report = play(studio, lambda push, target: push.push(target, VERSION, [(1, made()), (2, made())], claim), pauses)

    assert report == PushReport(stored=1, already_there=1)
    assert studio.having(VERSION) == [1, 2]
    assert claim.released[0] == {1}


def test_what_another_was_given_and_the_host_never_took_is_stored_in_the_end() -> None:
    studio = StubHost({1})
    report = play(studio, lambda push, target: push.push(target, VERSION, [(1, made())], Taken({1}, looks=3)))
    assert report == PushReport(stored=1)


def test_what_was_sent_when_the_push_ended_may_be_in_there_soon() -> None:
    studio, claim = StubHost({1, 2}, hold=asyncio.Event()), Taken((), looks=0)

    async def scene(push: Push, target: Target) -> PushReport:
        pushed = asyncio.ensure_future(push.push(target, VERSION, [(1, made()), (2, made([["Top"]]))], claim))
        await studio.during_import.wait()
        pushed.cancel()
        await asyncio.wait([pushed])
        return PushReport()

    play(studio, scene)
    assert (claim.released, claim.unsure) == ([set()], {1})


def test_heavy_predictions_travel_in_smaller_slices() -> None:
    studio = StubHost({1, 2, 3})
    long = Prediction((Region("note", "text", "textarea", {"text": ["x" * 400_000]}),))
    report = play(studio, lambda push, target: push.push(target, VERSION, [(task, long) for task in (1, 2, 3)]))
    assert report == PushReport(stored=3)
    assert studio.imports == [[1], [2], [3]]


@pytest.mark.parametrize("task", ["7", "a name"])
def test_a_task_that_is_none_of_label_studios_is_left_out(task: str) -> None:
    studio = StubHost({1})
    report = play(studio, lambda push, target: push.push(target, VERSION, [(task, made()), (1, made())]))
    assert (report.stored, report.refused) == (1, 1)


def test_nothing_to_push_asks_nobody() -> None:
    studio = StubHost({1})
    assert play(studio, lambda push, target: push.push(target, VERSION, [])) == PushReport()
    assert studio.looks == 0
