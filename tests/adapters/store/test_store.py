"""What every home of the store promises."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from llm_backend.adapters.store import Kept, Project, Store
from llm_backend.errors import StoreError
from tests.adapters.store.homes import Clock

KEY, OTHER = "1.1795217550", "1.1801234567"
DAY = 86_400.0
PREDICTION = {
    "result": [{"from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": ["gut 👍"]}}],
    "score": None,
    "model_version": "m-1",
}
ODD_TEXTS = {
    "empty": "",
    "lines": "Classify it:\r\n\tgood or bad\n",
    "right to left": "סווג את הטקסט",
    "emoji": "👩‍👩‍👧 👍🏽",
    "half an emoji": "broken \ud83d end",
    "nul": "a\x00b",
    "quotes": "'; DROP TABLE projects; --\"",
    "a word of JSON": "null",
    "long": "word " * 200_000,
}


def answer(digest: str, made: float, prediction: object = PREDICTION) -> Kept:
    return Kept(digest, prediction, "", False, made)


def odd_texts() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)


# Projects and prompts


def test_unknown_project_is_an_empty_record(store: Store) -> None:
    assert store.project(KEY) == Project(KEY)
    assert store.projects() == ()


def test_setup_is_remembered_over_a_restart(open_store: Callable[..., Store], clock: Clock) -> None:
    params = {"prompt": "Classify", "api_key": "k", "nested": {"a": [1, None, "ü"]}}
    open_store().save_setup(KEY, "http://host:8080", "token", params, "<View/>")
    found = open_store().project(KEY)
    assert found == Project(
        KEY,
        hostname="http://host:8080",
        access_token="token",
        extra_params=params,
        label_config="<View/>",
        updated=clock.now,
    )


def test_later_setup_replaces_the_earlier_and_leaves_the_prompt(store: Store) -> None:
    store.save_setup(KEY, "http://old", "old", {"model": "a"})
    store.save_prompt(KEY, "Classify", "submitted")
    store.save_setup(KEY, "http://new", "new", {})
    found = store.project(KEY)
    assert (found.hostname, found.access_token, found.extra_params) == ("http://new", "new", {})
    assert (found.prompt, found.prompt_origin) == ("Classify", "submitted")


def test_what_scores_have_been_worth_is_remembered_and_forgotten(open_store: Callable[..., Store]) -> None:
    table = {"knots": [[0.1, 0.2], [1.0, 0.9]], "count": 50}
    store = open_store()
    store.save_calibration(KEY, table)
    assert store.project(KEY) == Project(KEY)  # it is not known yet
    store.save_setup(KEY, "http://host", "token", {})
    store.save_calibration(KEY, table)
    again = open_store()
    assert again.project(KEY).calibration == table
    again.save_setup(KEY, "http://host", "other", {})
    assert again.project(KEY).calibration == table
    again.save_calibration(KEY, None)
    assert again.project(KEY).calibration is None


def test_repeated_setup_is_no_change(store: Store, clock: Clock) -> None:
    store.save_setup(KEY, "http://host", "token", {"model": "a"})
    before = store.project(KEY)
    clock.now += 60
    store.save_setup(KEY, "http://host", "token", {"model": "a"})
    assert store.project(KEY) == before
    store.save_setup(KEY, "http://host", "token", {"model": "a"}, "<View/>")
    assert (store.project(KEY).label_config, store.project(KEY).updated) == ("<View/>", clock.now)


def test_saved_prompt_replaces_the_one_before(store: Store, clock: Clock) -> None:
    store.save_prompt(KEY, "first", "submitted")
    clock.now += 60
    store.save_prompt(KEY, "second", "used")
    assert store.project(KEY) == Project(KEY, "second", "used", updated=clock.now)


def test_pinned_prompt_is_not_touched_by_a_saved_one(store: Store) -> None:
    store.save_prompt(KEY, "mine", "submitted")
    store.pin_prompt(KEY, "ours")
    store.save_prompt(KEY, "theirs", "submitted")
    found = store.project(KEY)
    assert (found.prompt, found.prompt_origin, found.pinned) == ("ours", "pinned", True)


def test_another_pin_replaces_the_pinned_prompt(store: Store) -> None:
    store.pin_prompt(KEY, "first")
    store.pin_prompt(KEY, "second")
    assert store.project(KEY).prompt == "second"


def test_reset_takes_the_prompt_and_the_pin_and_leaves_the_setup(store: Store) -> None:
    store.save_setup(KEY, "http://host", "token", {"model": "a"})
    store.pin_prompt(KEY, "ours")
    store.reset_prompt(KEY)
    found = store.project(KEY)
    assert (found.prompt, found.prompt_origin, found.pinned) == (None, "", False)
    assert found.hostname == "http://host"
    store.save_prompt(KEY, "next", "submitted")
    assert store.project(KEY).prompt == "next"


def test_reset_of_an_unknown_project_makes_none(store: Store) -> None:
    store.reset_prompt(KEY)
    assert store.projects() == ()


def test_same_id_on_two_hosts_shares_nothing(store: Store, clock: Clock) -> None:
    store.save_prompt(KEY, "here", "submitted")
    store.note_annotation_prompt(KEY, 1, "here")
    store.keep(KEY, "m-1", answer("d", clock.now))
    assert store.project(OTHER) == Project(OTHER)
    assert store.annotation_prompt(OTHER, 1) is None
    assert store.kept(OTHER, "m-1", ["d"]) == {}


def test_projects_come_last_changed_first(store: Store, clock: Clock) -> None:
    for key in ("a", "b", "c"):
        clock.now += 1
        store.save_setup(key, "", "", {})
    clock.now += 1
    store.save_prompt("a", "Classify", "submitted")
    assert [project.key for project in store.projects()] == ["a", "c", "b"]


def test_forgotten_project_leaves_nothing(store: Store, clock: Clock) -> None:
    for key in (KEY, OTHER):
        store.save_setup(key, "http://host", "token", {"api_key": "k"})
        store.pin_prompt(key, "Classify")
        store.note_annotation_prompt(key, 1, "Classify")
        store.keep(key, "m-1", answer("d", clock.now))
    store.forget(KEY)
    assert store.project(KEY) == Project(KEY)
    assert store.annotation_prompt(KEY, 1) is None
    assert store.kept(KEY, "m-1", ["d"]) == {}
    assert [project.key for project in store.projects()] == [OTHER]
    assert store.annotation_prompt(OTHER, 1) == "Classify"
    assert set(store.kept(OTHER, "m-1", ["d"])) == {"d"}


@odd_texts()
def test_prompt_comes_back_as_it_was_written(store: Store, text: str) -> None:
    store.save_prompt(KEY, text, "submitted")
    assert store.project(KEY).prompt == text


@odd_texts()
def test_any_text_is_a_key(store: Store, clock: Clock, text: str) -> None:
    store.save_setup(text, text, text, {text: text}, text)
    store.save_prompt(text, "Classify", "submitted")
    store.keep(text, text, answer("d", clock.now))
    assert store.project(text).prompt == "Classify"
    assert store.project(text).extra_params == {text: text}
    assert set(store.kept(text, text, ["d"])) == {"d"}
    store.forget(text)
    assert store.projects() == ()


def test_secrets_are_not_shown(store: Store) -> None:
    store.save_setup(KEY, "http://host", "s3cret-token", {"api_key": "s3cret-key"})
    assert "s3cret" not in repr(store.project(KEY))


# What annotations were asked with


@odd_texts()
def test_annotation_s_prompt_comes_back(open_store: Callable[..., Store], text: str) -> None:
    open_store().note_annotation_prompt(KEY, 7, text)
    assert open_store().annotation_prompt(KEY, 7) == text


def test_annotation_never_seen_differs_from_one_without_a_prompt(store: Store) -> None:
    store.note_annotation_prompt(KEY, 1, "")
    assert store.annotation_prompt(KEY, 1) == ""
    assert store.annotation_prompt(KEY, 2) is None


def test_latest_note_of_an_annotation_counts(store: Store) -> None:
    store.note_annotation_prompt(KEY, 1, "first")
    store.note_annotation_prompt(KEY, 1, "second")
    assert store.annotation_prompt(KEY, 1) == "second"


def test_huge_annotation_id_is_taken(store: Store) -> None:
    store.note_annotation_prompt(KEY, 10**30, "Classify")
    assert store.annotation_prompt(KEY, 10**30) == "Classify"


def test_deleted_annotations_are_forgotten_and_their_neighbours_are_not(store: Store) -> None:
    for ident in range(1, 6):
        store.note_annotation_prompt(KEY, ident, "Classify")
    store.forget_annotations(KEY, [2, 4, 99])
    store.forget_annotations(KEY, [])
    assert [store.annotation_prompt(KEY, ident) is not None for ident in range(1, 6)] == [
        True,
        False,
        True,
        False,
        True,
    ]


def test_each_project_remembers_its_latest_annotations_only(open_store: Callable[..., Store]) -> None:
    store = open_store(notes_most=100)
    store.note_annotation_prompt(OTHER, 1, "of a quiet project")
    for ident in range(3_000):
        store.note_annotation_prompt(KEY, ident, "Classify")
        store.note_annotation_prompt(KEY, 5_000, "noted again and again")
    found = [ident for ident in range(3_000) if store.annotation_prompt(KEY, ident) is not None]
    assert found[-1] == 2_999
    assert 99 <= len(found) <= 1_000
    assert found == list(range(found[0], 3_000))
    assert store.annotation_prompt(KEY, 5_000) == "noted again and again"
    assert store.annotation_prompt(OTHER, 1) == "of a quiet project"


# Kept answers


KEPT_ANSWERS = {
    "a prediction": Kept("d", PREDICTION, "", False, 1_795_217_549.25),
    "an empty prediction": Kept("d", {"result": [], "score": None}, "", False, 1_795_217_549.0),
    "a lasting failure": Kept("d", None, 'The task lacks "text" \ud83d.', True, 1_795_217_549.0),
    "a passing failure": Kept("d", None, "Rate limit reached.", False, 1_795_217_549.0),
}


@pytest.mark.parametrize("kept", KEPT_ANSWERS.values(), ids=KEPT_ANSWERS)
def test_kept_answer_comes_back_over_a_restart(open_store: Callable[..., Store], kept: Kept) -> None:
    open_store().keep(KEY, "m-1", kept)
    assert open_store().kept(KEY, "m-1", ["other", "d"]) == {"d": kept}


def test_answers_of_another_version_are_not_given(store: Store, clock: Clock) -> None:
    store.keep(KEY, "m-1", answer("d", clock.now))
    assert store.kept(KEY, "m-2", ["d"]) == {}


def test_later_answer_replaces_the_earlier(store: Store, clock: Clock) -> None:
    failure = Kept("d", None, "The model will not answer this.", True, clock.now)
    store.keep(KEY, "m-1", failure)
    success = replace(failure, prediction=PREDICTION, reason="", lasting=False, made=clock.now + 1)
    store.keep(KEY, "m-1", success)
    assert store.kept(KEY, "m-1", ["d"]) == {"d": success}


def test_dropped_answer_is_gone_alone(store: Store, clock: Clock) -> None:
    for digest in ("a", "b"):
        store.keep(KEY, "m-1", answer(digest, clock.now))
    store.drop(KEY, "m-1", "a")
    store.drop(KEY, "m-1", "never kept")
    assert set(store.kept(KEY, "m-1", ["a", "b"])) == {"b"}


def test_thousands_of_answers_are_read_in_one_go(store: Store, clock: Clock) -> None:
    for number in range(0, 5_000, 2):
        store.keep(KEY, "m-1", answer(f"{number:064x}", clock.now, {"result": [], "score": None, "n": number}))
    found = store.kept(KEY, "m-1", (f"{number % 5_000:064x}" for number in range(10_000)))
    assert {digest: kept.prediction["n"] for digest, kept in found.items() if kept.prediction} == {
        f"{number:064x}": number for number in range(0, 5_000, 2)
    }


def test_nothing_asked_is_nothing_found(store: Store) -> None:
    assert store.kept(KEY, "m-1", []) == {}


def test_answer_past_its_age_is_not_given(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store(keep_days=7)
    store.keep(KEY, "m-1", answer("d", clock.now))
    clock.now += 7 * DAY - 1
    assert set(store.kept(KEY, "m-1", ["d"])) == {"d"}
    clock.now += 1
    assert store.kept(KEY, "m-1", ["d"]) == {}
    clock.now -= 7 * DAY  # it was hidden, not yet removed
    assert set(store.kept(KEY, "m-1", ["d"])) == {"d"}


def test_answers_past_their_age_are_removed_by_a_restart(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store(keep_days=7)
    for number in range(5_000):
        store.keep(KEY, "m-1", answer(str(number), clock.now + number % 2))
    clock.now += 7 * DAY
    open_store(keep_days=7)
    clock.now -= 7 * DAY
    found = open_store(keep_days=7).kept(KEY, "m-1", map(str, range(5_000)))
    assert set(found) == set(map(str, range(1, 5_000, 2)))


def test_oldest_answers_give_way_when_there_are_too_many(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store(keep_most=1_000)
    for number in range(3_000):
        store.keep(KEY, "m-1", answer(str(number), clock.now + number))
    found = store.kept(KEY, "m-1", map(str, range(3_000)))
    assert 1_000 <= len(found) <= 2_000
    assert set(found) == set(map(str, range(3_000 - len(found), 3_000)))


# Many at once


def test_many_threads_lose_nothing(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store()
    threads, each = 16, 150
    start = threading.Barrier(threads)

    def work(number: int) -> None:
        dice, key = random.Random(number), f"project-{number % 4}"
        start.wait()
        for step in range(each):
            digest = f"{number}-{step}"
            store.keep(key, "m-1", answer(digest, clock.now, {"result": [], "score": None, "from": digest}))
            store.note_annotation_prompt(key, number * each + step, digest)
            store.forget_annotations(key, [-1 - number, -1 - step])
            store.save_prompt(key, f"of {number}", "submitted")
            if step % 50 == 0:
                store.forget(f"passing project {number}")
            store.save_setup(key, f"http://host-{dice.random()}", "token", {})
            seen = f"{number}-{dice.randint(0, step)}"
            found = store.kept(key, "m-1", [seen])[seen].prediction
            assert found is not None
            assert found["from"] == seen
            assert store.project(key).prompt in {f"of {one}" for one in range(number % 4, threads, 4)}

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    store = open_store()
    for number in range(threads):
        key, digests = f"project-{number % 4}", [f"{number}-{step}" for step in range(each)]
        assert set(store.kept(key, "m-1", digests)) == set(digests)
        assert [store.annotation_prompt(key, number * each + step) for step in range(each)] == digests


def test_closed_store_says_so(store: Store) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="has been closed"):
        store.project(KEY)
