"""What every home of the store promises of runs."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from llm_backend.adapters.store import Kept, Settled, Store
from llm_backend.core.chat import Usage
from llm_backend.core.predictor import Parameters
from llm_backend.core.prompts import Prompt
from llm_backend.core.run import Run, RunTask, Spec
from llm_backend.core.wire import Task
from llm_backend.errors import UnknownRun
from tests.adapters.store.homes import Clock

KEY, OTHER = "1.1795217550", "1.1801234567"
SPEC = Spec(KEY, "m-1", "<View/>", Prompt("Classify", "submitted"), Parameters())
SPENT = Usage(100, 10, 1)
DAY = 86_400.0


def names(count: int, prefix: str = "t") -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


def tasks(*digests: str) -> list[RunTask]:
    return [RunTask(digest, Task(number, {"text": f"of {digest}"})) for number, digest in enumerate(digests)]


def add(store: Store, run_id: str, *digests: str, spec: Spec = SPEC, created: float = 1.0) -> list[str]:
    """Add a run; returns the digests that are its own."""
    return list(store.add_run(Run(run_id, spec, "queued", created=created), tasks(*digests)))


def done(digest: str, note: str = "", usage: Usage = SPENT) -> Settled:
    return Settled(Kept(digest, {"result": [], "score": None, "note": note}, "", False, 1_795_217_550.0), usage)


def failed(digest: str, lasting: bool = True, usage: Usage = SPENT) -> Settled:
    return Settled(Kept(digest, None, "The model declined.", lasting, 1_795_217_550.0), usage)


def known(store: Store, run_id: str) -> Run:
    run = store.run(run_id)
    assert run is not None
    return run


def counts(store: Store, run_id: str) -> dict[str, int]:
    return {state: count for state, count in known(store, run_id).counts.items() if count}


def waiting(store: Store, run_id: str) -> list[str]:
    return [task.digest for _, task in store.waiting_tasks(run_id, 1_000_000)]


def states(store: Store, run_id: str) -> dict[str, str]:
    return {status.digest: status.state for status in store.task_statuses(run_id, most=1_000_000)}


# Adding


def test_added_run_comes_back_over_a_restart(open_store: Callable[..., Store]) -> None:
    odd = "broken \ud83d end, 👍, 'quoted\" \x00"
    spec = Spec(KEY, "m-1", f"<View>{odd}</View>", Prompt(odd, "pinned"), Parameters("a model", None, 3), "label")
    open_store().add_run(Run("r", spec, "queued", created=12.5), tasks("a", "b"))
    found = known(open_store(), "r")
    assert (found.id, found.spec, found.state, found.reason) == ("r", spec, "queued", "")
    assert (found.created, found.started, found.finished, found.usage) == (12.5, 0, 0, Usage())
    assert (found.total, found.waiting, found.unfinished) == (2, 2, True)


TASKS = {
    "a number as id": Task(7, {"text": "good"}),
    "a huge id": Task(10**30, {"text": "good"}),
    "a word as id": Task("seven \ud83d", {"text": "good"}),
    "no id": Task(None, {"text": "good"}),
    "no data": Task(1, {}),
    "half an emoji": Task(1, {"te\ud83dxt": "broken \ud83d end"}),
    "nested": Task(1, {"messages": [{"role": "user", "n": [1, 2.5, None, True]}], "ünï": {"a": {"b": []}}}),
    "long": Task(1, {"text": "word " * 200_000}),
}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_task_comes_back_as_it_was_sent(open_store: Callable[..., Store], task: Task) -> None:
    mine = open_store().add_run(Run("r", SPEC, "queued"), [RunTask("d", task)])
    assert mine == ("d",)
    store = open_store()
    assert store.waiting_tasks("r", 10) == ((0, RunTask("d", task)),)
    assert store.waiting_among("r", ["d"]) == (RunTask("d", task),)
    (status,) = store.task_statuses("r")
    assert (status.digest, status.task_id, status.state, status.reason) == ("d", task.id, "waiting", "")


def test_run_without_tasks_is_not_stored(store: Store) -> None:
    assert add(store, "r") == []
    assert store.run("r") is None
    assert store.runs() == ()


def test_question_waits_in_one_unfinished_run_at_most(store: Store) -> None:
    assert add(store, "first", "a", "b") == ["a", "b"]
    assert add(store, "second", "b", "c", "a", "d") == ["c", "d"]
    assert add(store, "third", "a", "c") == []
    assert store.run("third") is None
    assert waiting(store, "second") == ["c", "d"]
    assert [place for place, _ in store.waiting_tasks("second", 10)] == [0, 1]
    assert counts(store, "second") == {"waiting": 2}


def test_task_named_twice_is_asked_once(store: Store) -> None:
    given = [RunTask("a", Task(1, {})), RunTask("b", Task(2, {})), RunTask("a", Task(3, {}))]
    assert store.add_run(Run("r", SPEC, "queued"), iter(given)) == ("a", "b")
    assert store.waiting_among("r", "ab") == tuple(given[:2])
    assert counts(store, "r") == {"waiting": 2}


@pytest.mark.parametrize(
    "other", [replace(SPEC, version="m-2"), replace(SPEC, project=OTHER)], ids=["version", "project"]
)
def test_same_task_of_another_version_or_project_is_another_question(store: Store, other: Spec) -> None:
    assert add(store, "first", "a") == ["a"]
    assert add(store, "second", "a", spec=other) == ["a"]
    store.settle("first", [done("a")])
    assert waiting(store, "second") == ["a"]
    assert store.kept(other.project, other.version, ["a"]) == {}


def test_any_text_is_a_project_and_a_version(store: Store) -> None:
    odd = "broken \ud83d end, ü 👍 \x00"
    spec = replace(SPEC, project=odd, version=odd)
    assert add(store, "r", "a", "b", spec=spec) == ["a", "b"]
    assert store.runs_waiting_for(odd, odd, ["a"]) == {"a": "r"}
    assert [task.digest for task in store.waiting_among("r", ["b"])] == ["b"]
    assert store.settle("r", [done("a"), failed("b")]) == "completed"
    assert set(store.kept(odd, odd, "ab")) == {"a", "b"}
    assert store.retry_run("r") == 1
    assert set(store.kept(odd, odd, "ab")) == {"a"}
    store.forget(odd)
    assert store.run("r") is None


def test_what_is_settled_or_cancelled_may_be_asked_by_another_run(store: Store) -> None:
    add(store, "first", "a", "b", "c")
    store.settle("first", [done("a"), failed("b")])
    assert add(store, "second", "a", "b", "c") == ["a", "b"]
    store.set_run_state("first", "cancelled")
    assert add(store, "third", "a", "b", "c") == ["c"]


def test_fifty_thousand_tasks_are_added_at_once_and_in_order(store: Store) -> None:
    digests = names(50_000)
    assert add(store, "r", *digests) == digests
    assert counts(store, "r") == {"waiting": 50_000}
    found = store.waiting_tasks("r", 256, after=49_900)
    assert [(place, task.digest) for place, task in found] == list(enumerate(digests))[49_901:]
    assert store.runs_waiting_for(KEY, "m-1", digests[::7]) == dict.fromkeys(digests[::7], "r")


def test_run_is_seen_when_it_is_complete_and_not_before(store: Store) -> None:
    digests = names(20_000)
    seen: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            run = store.run("r")
            listed = store.runs()
            seen.update(run.waiting for run in (run, *listed) if run)
            if "r" in store.runs_waiting_for(KEY, "m-1", digests[:1]).values():
                assert store.run("r") is not None

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        add(store, "r", *digests)
        over.set()
        looking.result()
    assert seen <= {20_000}


# Waiting


def test_waiting_tasks_are_read_page_by_page(store: Store) -> None:
    digests = names(100)
    add(store, "r", *digests)
    store.settle("r", [done(digest) for digest in digests[::3]])
    read: list[str] = []
    after = -1
    while page := store.waiting_tasks("r", 7, after):
        assert len(page) <= 7
        read += [task.digest for _, task in page]
        after = page[-1][0]
    assert read == [digest for number, digest in enumerate(digests) if number % 3]


def test_waiting_among_tells_apart_what_waits_here(store: Store) -> None:
    add(store, "r", "a", "b", "c")
    add(store, "other", "d")
    store.settle("r", [done("a")])
    assert [task.digest for task in store.waiting_among("r", ["d", "c", "a", "nobody's", "b", "c"])] == ["b", "c"]
    assert store.waiting_among("r", []) == ()


def test_which_run_waits_for_a_question_is_known_while_it_is_unfinished(store: Store) -> None:
    add(store, "first", "a", "b")
    add(store, "second", "c", "d")
    store.set_run_state("second", "paused", "The key is refused.")
    asked = ["a", "b", "c", "d", "e", "a"]
    store.settle("first", [done("b")])
    assert store.runs_waiting_for(KEY, "m-1", asked) == {"a": "first", "c": "second", "d": "second"}
    assert store.runs_waiting_for(KEY, "m-2", asked) == store.runs_waiting_for(OTHER, "m-1", asked) == {}
    store.set_run_state("second", "cancelled")
    assert store.runs_waiting_for(KEY, "m-1", iter(asked)) == {"a": "first"}


# Settling


def test_settled_tasks_are_counted_and_their_answers_kept(store: Store) -> None:
    add(store, "r", "a", "b", "c", "d")
    store.set_run_state("r", "running")
    outcomes = [done("a"), failed("b", lasting=True), failed("c", lasting=False)]
    assert store.settle("r", outcomes) == "running"
    assert counts(store, "r") == {"waiting": 1, "done": 1, "failed": 2}
    assert known(store, "r").usage == Usage(300, 30, 3)
    assert store.kept(KEY, "m-1", "abcd") == {"a": outcomes[0].kept, "b": outcomes[1].kept}
    assert [(status.digest, status.state, status.reason) for status in store.task_statuses("r")] == [
        ("a", "done", ""),
        ("b", "failed", "The model declined."),
        ("c", "failed", "The model declined."),
        ("d", "waiting", ""),
    ]


def test_settling_again_counts_nothing_twice(store: Store) -> None:
    add(store, "r", "a", "b", "c")
    store.settle("r", [done("a", "first"), failed("b"), done("a", "in one call")])
    before = known(store, "r")
    assert store.settle("r", [done("a", "late"), failed("a"), failed("b")]) == "queued"
    assert known(store, "r") == before
    assert store.kept(KEY, "m-1", ["a"])["a"].prediction["note"] == "first"  # type: ignore[index]


def test_settling_nothing_tells_the_state(store: Store) -> None:
    add(store, "r", "a")
    assert store.settle("r", []) == "queued"
    store.set_run_state("r", "paused", "The key is refused.")
    assert store.settle("r", []) == "paused"


def test_run_is_completed_with_its_last_task(store: Store, clock: Clock) -> None:
    add(store, "r", "a", "b")
    store.set_run_state("r", "running")
    clock.now += 60
    assert store.settle("r", [done("a")]) == "running"
    clock.now += 60
    assert store.settle("r", [failed("b")]) == "completed"
    run = known(store, "r")
    assert (run.state, run.started, run.finished) == ("completed", clock.now - 120, clock.now)
    assert store.settle("r", [done("b")]) == "completed"


def test_paused_run_whose_last_calls_come_in_is_completed(store: Store) -> None:
    add(store, "r", "a")
    store.set_run_state("r", "paused", "The key is refused.")
    assert store.settle("r", [done("a")]) == "completed"
    assert known(store, "r").reason == ""


def test_answer_that_comes_after_the_cancelling_is_kept_and_not_counted(store: Store) -> None:
    add(store, "r", "a", "b")
    store.set_run_state("r", "cancelled", "by a person")
    before = known(store, "r")
    assert store.settle("r", [done("a"), failed("b")]) == "cancelled"
    assert known(store, "r") == before
    assert set(store.kept(KEY, "m-1", "ab")) == {"a"}


def test_thousands_are_settled_in_one_call(store: Store) -> None:
    digests = names(5_000)
    add(store, "r", *digests)
    assert store.settle("r", [done(digest) for digest in digests]) == "completed"
    assert counts(store, "r") == {"done": 5_000}
    assert known(store, "r").usage == Usage(500_000, 50_000, 5_000)
    assert set(store.kept(KEY, "m-1", digests)) == set(digests)


def test_reason_comes_back_as_it_was_written(open_store: Callable[..., Store]) -> None:
    odd = "broken \ud83d end, 👍, 'quoted\" \x00"
    store = open_store()
    add(store, "r", "a", "b")
    store.settle("r", [Settled(Kept("a", None, odd, True, 1.0))])
    store.set_run_state("r", "paused", odd)
    store = open_store()
    assert known(store, "r").reason == odd
    assert store.task_statuses("r", ["failed"])[0].reason == odd


# States


def test_run_notes_when_it_started_the_first_time_and_when_it_ended(store: Store, clock: Clock) -> None:
    add(store, "r", "a")
    began = clock.now
    store.set_run_state("r", "running")
    clock.now += 60
    store.set_run_state("r", "paused", "The key is refused.")
    assert (known(store, "r").reason, known(store, "r").finished) == ("The key is refused.", 0)
    clock.now += 60
    store.set_run_state("r", "running")
    assert (known(store, "r").started, known(store, "r").reason) == (began, "")
    store.set_run_state("r", "failed", "A fault of ours.")
    assert (known(store, "r").state, known(store, "r").finished) == ("failed", clock.now)


def test_run_moves_only_from_the_states_that_are_named(store: Store) -> None:
    add(store, "r", "a")
    assert not store.set_run_state("r", "running", only=("paused", "cancelled"))
    assert known(store, "r").state == "queued"
    assert store.set_run_state("r", "running", only=("queued", "paused"))
    assert known(store, "r").state == "running"


def test_cancelled_run_waits_for_nothing_and_keeps_what_it_has(store: Store) -> None:
    add(store, "r", "a", "b", "c")
    store.settle("r", [done("a"), failed("b")])
    store.set_run_state("r", "cancelled", "by a person")
    assert counts(store, "r") == {"done": 1, "failed": 1, "cancelled": 1}
    assert states(store, "r") == {"a": "done", "b": "failed", "c": "cancelled"}
    assert waiting(store, "r") == []
    assert store.waiting_among("r", ["c"]) == ()
    assert [status.digest for status in store.task_statuses("r", ["cancelled"])] == ["c"]
    assert store.task_statuses("r", ["waiting"]) == ()
    assert set(store.kept(KEY, "m-1", "abc")) == {"a", "b"}


def test_statuses_come_in_order_by_state_and_page_by_page(store: Store) -> None:
    digests = names(100)
    add(store, "r", *digests)
    store.settle("r", [failed(digest) if number % 2 else done(digest) for number, digest in enumerate(digests[:50])])
    assert [status.digest for status in store.task_statuses("r")] == digests
    assert [status.place for status in store.task_statuses("r")] == list(range(100))
    assert [status.digest for status in store.task_statuses("r", ["failed"], most=3, after=5)] == ["t7", "t9", "t11"]
    assert len(store.task_statuses("r", ["failed", "waiting"])) == 75
    assert len(store.task_statuses("r", most=10)) == 10
    assert store.task_statuses("r", after=99) == ()


def test_runs_are_listed_the_newest_first(store: Store) -> None:
    for number, run_id in enumerate("abcd"):
        add(store, run_id, run_id, created=100.0 + number)
    store.set_run_state("a", "cancelled")
    store.set_run_state("b", "running")
    assert [run.id for run in store.runs()] == ["d", "c", "b", "a"]
    assert [run.id for run in store.runs(most=2)] == ["d", "c"]
    assert [run.id for run in store.runs(("queued", "running"))] == ["d", "c", "b"]
    assert store.runs(("failed",)) == ()


UNKNOWN: dict[str, Callable[[Store], Any]] = {
    "waiting_tasks": lambda store: store.waiting_tasks("nobody's", 10),
    "waiting_among": lambda store: store.waiting_among("nobody's", ["a"]),
    "task_statuses": lambda store: store.task_statuses("nobody's"),
    "settle": lambda store: store.settle("nobody's", [done("a")]),
    "set_run_state": lambda store: store.set_run_state("nobody's", "cancelled"),
    "retry_run": lambda store: store.retry_run("nobody's"),
}


@pytest.mark.parametrize("call", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_run_is_a_sentence(store: Store, call: Callable[[Store], Any]) -> None:
    assert store.run("nobody's") is None
    with pytest.raises(UnknownRun, match=r"no run .*nobody's") as caught:
        call(store)
    assert caught.value.status == 404
    assert store.kept(KEY, "m-1", ["a"]) == {}


# Trying again


def test_failed_tasks_of_a_completed_run_wait_again(store: Store) -> None:
    add(store, "r", "a", "b", "c")
    store.settle("r", [done("a"), failed("b", lasting=True), failed("c", lasting=False)])
    assert store.retry_run("r") == 2
    run = known(store, "r")
    assert (run.state, run.finished, counts(store, "r")) == ("queued", 0, {"waiting": 2, "done": 1})
    assert set(store.kept(KEY, "m-1", "abc")) == {"a"}
    assert store.waiting_tasks("r", 10) == tuple(enumerate(tasks("a", "b", "c")))[1:]
    assert store.task_statuses("r", ["waiting"])[0].reason == ""
    assert store.settle("r", [done("b"), done("c")]) == "completed"
    assert known(store, "r").usage == Usage(500, 50, 5)


def test_cancelled_run_goes_on_where_it_stood(store: Store) -> None:
    add(store, "r", "a", "b", "c")
    store.settle("r", [done("a"), failed("b")])
    store.set_run_state("r", "cancelled", "by a person")
    assert store.retry_run("r") == 2
    assert counts(store, "r") == {"waiting": 2, "done": 1}
    assert (known(store, "r").state, known(store, "r").reason) == ("queued", "")
    assert [task.digest for task in store.waiting_among("r", "abc")] == ["b", "c"]
    assert store.runs_waiting_for(KEY, "m-1", "abc") == {"b": "r", "c": "r"}


def test_retry_leaves_what_another_run_waits_for(store: Store) -> None:
    add(store, "r", "a", "b", "c", "d")
    store.settle("r", [failed("a"), failed("b")])
    store.set_run_state("r", "cancelled")
    assert add(store, "other", "a", "c") == ["a", "c"]
    assert store.retry_run("r") == 2
    assert states(store, "r") == {"a": "failed", "b": "waiting", "c": "cancelled", "d": "waiting"}
    assert counts(store, "r") == {"waiting": 2, "failed": 1, "cancelled": 1}
    assert store.runs_waiting_for(KEY, "m-1", "abcd") == {"a": "other", "b": "r", "c": "other", "d": "r"}
    assert store.settle("other", [done("a"), done("c")]) == "completed"
    assert store.settle("r", [done("b"), done("d")]) == "completed"
    assert counts(store, "r") == {"done": 2, "failed": 1, "cancelled": 1}


def test_retry_with_nothing_to_try_again_moves_nothing(store: Store) -> None:
    add(store, "r", "a")
    store.settle("r", [done("a")])
    before = known(store, "r")
    assert store.retry_run("r") == 0
    assert known(store, "r") == before


def test_failed_tasks_of_a_run_under_way_wait_again_beside_the_others(store: Store) -> None:
    add(store, "r", "a", "b")
    store.set_run_state("r", "running")
    store.settle("r", [failed("a")])
    assert store.retry_run("r") == 1
    assert (known(store, "r").state, waiting(store, "r")) == ("queued", ["a", "b"])


def test_run_may_be_cancelled_and_retried_again_and_again(store: Store) -> None:
    add(store, "r", *names(10))
    for number in range(4):
        store.settle("r", [done(f"t{number}"), failed(f"t{number + 5}")])
        store.set_run_state("r", "cancelled")
        assert add(store, f"other {number}", *names(10)[number + 1 : 5]) == names(10)[number + 1 : 5]
        store.set_run_state(f"other {number}", "cancelled")
        store.retry_run("r")
        assert counts(store, "r") == {"waiting": 9 - number, "done": number + 1}
    assert store.settle("r", [done(digest) for digest in names(10)]) == "completed"


# Forgetting


def test_forgotten_project_has_no_runs(store: Store) -> None:
    add(store, "r", *names(3_000))
    add(store, "ended", "x")
    store.settle("ended", [failed("x")])
    add(store, "other's", "a", spec=replace(SPEC, project=OTHER))
    store.forget(KEY)
    assert store.run("r") is None
    assert [run.id for run in store.runs()] == ["other's"]
    assert store.runs_waiting_for(KEY, "m-1", names(10)) == {}
    with pytest.raises(UnknownRun):
        store.settle("r", [done("t1")])
    assert add(store, "again", "t1", "x") == ["t1", "x"]


def test_finished_runs_give_way_to_newer_ones_and_unfinished_do_not(
    open_store: Callable[..., Store], clock: Clock
) -> None:
    store = open_store(runs_most=10)
    add(store, "unfinished", "u")
    for number in range(40):
        clock.now += 1
        add(store, f"r{number}", f"t{number}", created=clock.now)
        store.settle(f"r{number}", [done(f"t{number}")])
    store = open_store(runs_most=10)
    assert [run.id for run in store.runs()] == [f"r{number}" for number in range(39, 29, -1)] + ["unfinished"]
    with pytest.raises(UnknownRun):
        store.task_statuses("r29")
    assert waiting(store, "unfinished") == ["u"]


def test_finished_runs_give_way_now_and_then(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store(runs_most=10)
    for number in range(600):
        clock.now += 1
        add(store, f"r{number}", f"t{number}", created=clock.now)
        store.settle(f"r{number}", [done(f"t{number}")])
    assert store.run("r599") is not None
    assert len(store.runs(most=1_000)) < 500


def test_finished_runs_end_with_their_age(open_store: Callable[..., Store], clock: Clock) -> None:
    store = open_store(keep_days=7)
    add(store, "old", *names(3_000))
    store.set_run_state("old", "cancelled")
    add(store, "unfinished", "u")
    clock.now += DAY
    add(store, "young", "y")
    store.settle("young", [done("y")])
    clock.now += 6 * DAY
    assert [run.id for run in open_store(keep_days=7).runs()] == ["young", "unfinished"]


# Many at once


def test_many_threads_ask_and_settle_each_question_once(open_store: Callable[..., Store]) -> None:
    store = open_store()
    threads, questions = 8, names(600)
    start = threading.Barrier(threads)
    asked: list[list[str]] = [[] for _ in range(threads)]

    def work(number: int) -> None:
        dice = random.Random(number)
        start.wait()
        for step in range(6):
            run_id = f"r{number}-{step}"
            mine = add(store, run_id, *dice.sample(questions, 300))
            asked[number] += mine
            store.set_run_state(run_id, "running", only=("queued",)) if mine else None
            if mine and dice.random() < 0.2:
                store.set_run_state(run_id, "cancelled", only=("queued", "running"))
                store.retry_run(run_id)
            for _, task in store.waiting_tasks(run_id, 1_000) if mine else ():
                store.settle(run_id, [done(task.digest) if dice.random() < 0.9 else failed(task.digest)])
            store.runs_waiting_for(KEY, "m-1", questions)
            store.give(KEY, "m-1", mine, time.time())

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))
    store = open_store()
    assert {digest for mine in asked for digest in mine} <= set(store.kept(KEY, "m-1", questions))
    for run in store.runs(most=1_000):
        ended = [status.state for status in store.task_statuses(run.id)]
        assert {state: ended.count(state) for state in ("done", "failed", "cancelled", "waiting")} == {
            state: run.counts.get(state, 0) for state in ("done", "failed", "cancelled", "waiting")
        }
        assert run.state == ("completed" if run.counts.get("cancelled", 0) < run.total else "cancelled")
        assert run.usage.calls == ended.count("done") + ended.count("failed")
    assert store.runs_waiting_for(KEY, "m-1", questions) == {}
