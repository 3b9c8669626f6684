"""What every home of the store promises of what people made of tasks."""

from collections.abc import Callable
from typing import Any

import pytest

from llm_backend.adapters.store import Learned, Store
from llm_backend.core.examples import Correction

KEY, OTHER = "1.1795217550", "1.1801234567"


def correction(ident: int, label: str = "good", **more: Any) -> Correction:
    return Correction(str(ident), {"text": f"text {ident}"}, {"tone": label}, task=ident, made=5.0, **more)


def ids(corrections: tuple[Correction, ...]) -> list[str]:
    return [one.annotation for one in corrections]


def test_a_project_has_learned_nothing_at_first(store: Store) -> None:
    assert store.learned(KEY) == Learned()
    assert store.corrections(KEY) == ()
    assert store.publish(KEY) == Learned()


def test_corrections_outlive_the_process_whatever_they_hold(open_store: Callable[..., Store]) -> None:
    odd = Correction("a-7", {"text": "half \ud83d, nul \0"}, {"x": [["A", "B"], 5, None]}, "seven", "3", 7.5, True)
    open_store().learn(KEY, [correction(1), odd])
    assert open_store().corrections(KEY) == (correction(1), odd)


def test_a_changed_annotation_replaces_what_was_learned_of_it(store: Store) -> None:
    store.learn(KEY, [correction(1), correction(2)])
    store.learn(KEY, [correction(1, "bad")])
    assert store.corrections(KEY) == (correction(2), correction(1, "bad"))
    assert store.learned(KEY).count == 2


def test_batches_go_by_what_was_published_and_a_deletion_leaves_both_at_once(store: Store) -> None:
    store.learn(KEY, [correction(1), correction(2)])
    assert store.corrections(KEY, published=True) == ()
    first = store.publish(KEY)
    assert first.publication
    store.learn(KEY, [correction(3)])
    assert ids(store.corrections(KEY)) == ["1", "2", "3"]
    assert ids(store.corrections(KEY, published=True)) == ["1", "2"]
    store.unlearn(KEY, ["1", "99"])
    assert ids(store.corrections(KEY)) == ["2", "3"]
    assert ids(store.corrections(KEY, published=True)) == ["2"]
    assert store.learned(KEY).publication == first.publication


def test_a_changed_correction_is_not_published_until_the_next_time(store: Store) -> None:
    store.learn(KEY, [correction(1), correction(2)])
    store.publish(KEY)
    store.learn(KEY, [correction(1, "bad")])
    assert ids(store.corrections(KEY, published=True)) == ["2"]
    store.publish(KEY)
    assert store.corrections(KEY, published=True) == (correction(2), correction(1, "bad"))


def test_publishing_again_moves_nothing_unless_something_was_learned(store: Store) -> None:
    store.learn(KEY, [correction(1)])
    first = store.publish(KEY)
    assert store.publish(KEY) == first
    store.learn(KEY, [correction(2)])
    assert store.publish(KEY).publication != first.publication


def test_what_came_since_the_publication_is_counted_without_what_was_merely_accepted(store: Store) -> None:
    store.learn(KEY, [correction(1), correction(2, accepted=True)])
    assert store.learned(KEY).since == 1
    assert store.publish(KEY).since == 0
    assert store.learn(KEY, [correction(3)]).since == 1


def test_the_stamp_tells_every_change(store: Store) -> None:
    stamps = [store.learned(KEY).stamp]
    stamps.append(store.learn(KEY, [correction(1)]).stamp)
    stamps.append(store.publish(KEY).stamp)
    stamps.append(store.learn(KEY, [correction(1, "bad")]).stamp)
    store.unlearn(KEY, ["1"])
    stamps.append(store.learned(KEY).stamp)
    assert len(set(stamps)) == 5
    store.unlearn(KEY, ["1"])
    assert store.learned(KEY).stamp == stamps[-1]


def test_no_stamp_comes_again_after_a_project_was_forgotten(store: Store) -> None:
    before = store.learn(KEY, [correction(1)])
    store.forget(KEY)
    assert store.learn(KEY, [correction(2)]).stamp != before.stamp


def test_the_oldest_corrections_give_way(open_store: Callable[..., Store]) -> None:
    store = open_store(corrections_most=3)
    store.learn(KEY, [correction(n) for n in range(5)])
    store.learn(KEY, [correction(2)])
    store.learn(KEY, [correction(9)])
    assert ids(store.corrections(KEY)) == ["4", "2", "9"]


@pytest.mark.parametrize("forgotten", [KEY, OTHER])
def test_forgetting_a_project_forgets_its_corrections_and_no_others(store: Store, forgotten: str) -> None:
    for key in (KEY, OTHER):
        store.learn(key, [correction(1)])
        store.publish(key)
    store.forget(forgotten)
    assert store.corrections(forgotten) == ()
    assert store.learned(forgotten) == Learned()
    (left,) = {KEY, OTHER} - {forgotten}
    assert store.corrections(left, published=True) == (correction(1),)
