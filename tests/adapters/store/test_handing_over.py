"""Who may take an answer to the host, in both homes of the store?"""

import time
from concurrent.futures import ThreadPoolExecutor

from llm_backend.adapters.store import Store
from tests.adapters.store.homes import Clock

KEY, OTHER = "7.1795217550", "8.1795217551"


def names(count: int) -> list[str]:
    return [f"t{number}" for number in range(count)]


def test_first_of_two_that_wait_is_given_the_answer(store: Store, clock: Clock) -> None:
    asked = clock.now
    clock.now += 5
    assert not store.given_since(KEY, "m-1", "a", asked)
    assert store.give(KEY, "m-1", ["a", "b"], asked) == {"a", "b"}
    assert store.give(KEY, "m-1", ["b", "c"], asked + 1) == {"c"}
    assert store.given_since(KEY, "m-1", "a", asked)
    assert not store.given_since(KEY, "m-1", "d", asked)


def test_who_asks_after_the_handing_over_is_given_it_again(store: Store, clock: Clock) -> None:
    store.give(KEY, "m-1", ["a"], clock.now - 1)
    clock.now += 1
    assert not store.given_since(KEY, "m-1", "a", clock.now)
    assert store.give(KEY, "m-1", ["a"], clock.now) == {"a"}
    assert store.give(KEY, "m-1", ["a"], clock.now) == set()


def test_handing_over_is_of_one_version_and_project(store: Store, clock: Clock) -> None:
    store.give(KEY, "m-1", ["a"], clock.now)
    assert store.give(KEY, "m-2", ["a"], clock.now) == store.give(OTHER, "m-1", ["a"], clock.now) == {"a"}


def test_of_many_at_once_one_is_given_each_answer(store: Store, clock: Clock) -> None:
    digests = names(200)
    with ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda _: store.give(KEY, "m-1", digests, clock.now), range(16)))
    assert sorted(digest for mine in given for digest in mine) == sorted(digests)


def test_what_somebody_holds_is_given_to_nobody_until_it_is_let_go(store: Store, clock: Clock) -> None:
    assert store.hold(KEY, "m-1", ["a", "b"], "one", 60.0) == {"a", "b"}
    clock.now += 30
    assert store.give(KEY, "m-1", ["a", "b", "c"], clock.now) == {"c"}
    store.let_go(KEY, "m-1", ["a"], "one")
    assert store.give(KEY, "m-1", ["a", "b"], clock.now) == {"a"}


def test_what_is_let_go_as_handed_over_is_given_to_those_alone_that_ask_later(store: Store, clock: Clock) -> None:
    store.hold(KEY, "m-1", ["a"], "one", 60.0)
    clock.now += 2
    store.let_go(KEY, "m-1", ["a"], "one", shown_within=10.0)
    assert store.given_since(KEY, "m-1", "a", clock.now - 1)
    assert store.give(KEY, "m-1", ["a"], clock.now - 1) == set()
    clock.now += 1
    assert store.give(KEY, "m-1", ["a"], clock.now) == {"a"}


def test_what_somebody_holds_another_cannot_hold_nor_let_go(store: Store, clock: Clock) -> None:
    store.hold(KEY, "m-1", ["a"], "one", 60.0)
    assert store.hold(KEY, "m-1", ["a", "b"], "two", 60.0) == {"b"}
    store.let_go(KEY, "m-1", ["a"], "two")
    assert store.hold(KEY, "m-1", ["a"], "two", 60.0) == set()
    assert store.hold(KEY, "m-1", ["a"], "one", 60.0) == {"a"}


def test_what_may_be_on_its_way_is_not_held_and_given_all_the_same_to_who_asks_again(
    store: Store, clock: Clock
) -> None:
    store.give(KEY, "m-1", ["a"], clock.now, shown_within=30.0)
    store.hold(KEY, "m-1", ["b"], "one", 60.0)
    store.let_go(KEY, "m-1", ["b"], "one", shown_within=30.0)
    clock.now += 29
    assert store.hold(KEY, "m-1", ["a", "b"], "two", 60.0) == set()
    assert store.give(KEY, "m-1", ["b"], clock.now, shown_within=0.5) == {"b"}
    clock.now += 2
    assert store.hold(KEY, "m-1", ["a", "b"], "two", 60.0) == {"a", "b"}


def test_holding_is_of_one_version_and_project(store: Store, clock: Clock) -> None:
    store.hold(KEY, "m-1", ["a"], "one", 60.0)
    assert store.give(KEY, "m-2", ["a"], clock.now) == store.give(OTHER, "m-1", ["a"], clock.now) == {"a"}


def test_what_a_dead_process_held_is_free_in_a_while_and_what_is_held_anew_is_not(store: Store, clock: Clock) -> None:
    lease = 0.6
    assert store.hold(KEY, "m-1", ["dead's", "living's"], "one", lease) == {"dead's", "living's"}
    given: set[str] = set()
    while not given:
        assert store.hold(KEY, "m-1", ["living's"], "one", lease) == {"living's"}
        clock.now += 0.01
        time.sleep(0.01)  # one home goes by its own clock
        given = store.give(KEY, "m-1", ["dead's", "living's"], clock.now)
    assert given == {"dead's"}


def test_of_many_at_once_one_holds_each_answer(store: Store, clock: Clock) -> None:
    digests = names(1_200)
    with ThreadPoolExecutor(8) as pool:
        held = list(pool.map(lambda n: store.hold(KEY, "m-1", digests, f"holder {n}", 60.0), range(8)))
    assert sorted(digest for mine in held for digest in mine) == sorted(digests)
