"""Tasks for preferences: which answers differ, which are paired, who stands where."""

from collections import Counter
from typing import Any

import pytest

from llm_backend.core.generate import INSTRUCTION, Answer, Answered, Pairing, Sampler, different
from llm_backend.core.wire import Task

A, B = Sampler("a", "a", 0.7, "a-1"), Sampler("b", "b", 0.7, "b-1")
USER = {"role": "user", "content": "Why?"}


def answered(*answers: Answer, seed: int = 0, chat: Any = (USER,), data: Any = None, **more: Any) -> Answered:
    return Answered(Task(None, data or {"prompt": "Why?"}), more.get("meta", {}), list(chat), answers, seed)


def of(*texts: str, sampler: Sampler = A) -> list[Answer]:
    return [Answer(text, (sampler,)) for text in texts]


def test_answers_that_differ_by_nothing_but_white_space_are_one_with_both_samplers() -> None:
    said = [(A, "It is\nso."), (A, "No."), (B, " It  is so. "), (B, "It is so"), (A, "It is so.")]
    assert different(said) == (Answer("It is\nso.", (A, B)), Answer("No.", (A,)), Answer("It is so", (B,)))


def test_the_order_is_of_chance_and_the_same_however_the_answers_came() -> None:
    answers = of("1", "2", "3", "4", "5")
    order = answered(*answers).shuffled
    assert answered(*reversed(answers)).shuffled == order
    assert sorted(order, key=lambda answer: answer.text) == answers
    assert len({tuple(answer.text for answer in answered(*answers, seed=seed).shuffled) for seed in range(20)}) > 10


def test_each_answer_of_a_pair_is_as_often_on_the_left_as_on_the_right() -> None:
    one, other = of("1", "2")
    left = Counter(next(answered(one, other, seed=seed).pairs("all"))[0].text for seed in range(400))
    assert 150 < left["1"] < 250  # of 400 by chance: five times the deviation
    assert left["1"] + left["2"] == 400


def test_no_answer_stands_on_the_left_of_all_its_pairs_by_its_place_in_the_order() -> None:
    answers = of(*map(str, range(12)))
    pairs = list(answered(*answers).pairs("all"))
    left = Counter(one.text for one, _ in pairs)
    assert len(pairs) == 66
    assert max(left.values()) < 11


@pytest.mark.parametrize(
    ("pairing", "wanted"),
    [
        ("all", {"12", "13", "14", "23", "24", "34"}),
        ("across", {"13", "14", "23", "24"}),
    ],
)
def test_which_answers_are_paired(pairing: Pairing, wanted: set[str]) -> None:
    answers = [*of("1", "2"), *of("3", "4", sampler=B)]
    assert {"".join(sorted(one.text + two.text)) for one, two in answered(*answers).pairs(pairing)} == wanted


def test_adjacent_pairs_link_all_answers_with_one_pair_less_than_there_are() -> None:
    answers = of("1", "2", "3", "4")
    pairs = list(answered(*answers).pairs("adjacent"))
    order = answered(*answers).shuffled
    assert [set(pair) for pair in pairs] == [set(order[at : at + 2]) for at in range(3)]


def test_across_an_answer_that_both_gave_is_held_against_that_of_neither() -> None:
    both = Answer("1", (A, B))
    assert list(answered(both, *of("2"), *of("3", sampler=B)).pairs("across")) != []
    assert all(both not in pair for pair in answered(both, *of("2"), *of("3", sampler=B)).pairs("across"))


def test_a_pairwise_task_says_in_its_meta_who_stands_where_and_keeps_what_the_row_had() -> None:
    row = {"prompt": "Why?", "topic": "sky", "answer1": "old"}
    prompt = Answered(Task(7, row), {"batch": 1}, [USER], (Answer("1", (A,)), Answer("2", (A, B))), 3)
    (task,) = prompt.pairwise_tasks("all")
    assert task["data"] == {"prompt": "Why?", "topic": "sky", "answer1": task["data"]["answer1"],
                            "answer2": task["data"]["answer2"]}  # fmt: skip
    assert {task["data"]["answer1"], task["data"]["answer2"]} == {"1", "2"}
    told = task["meta"]["generated"]
    assert task["meta"]["batch"] == 1
    assert (told["seed"], told["task"]) == (3, 7)
    by_text = {task["data"][place]: who for place, who in told["answers"].items()}
    a, b = ({"model": name, "temperature": 0.7, "model_version": f"{name}-1"} for name in "ab")
    assert by_text == {"1": a, "2": {**a, "also": [b]}}


def test_a_longer_conversation_is_a_prompt_in_words_and_its_turns() -> None:
    chat = [{"role": "system", "content": "Be brief."}, USER, {"role": "assistant", "content": "So."}, USER]
    (task,) = answered(*of("1", "2"), chat=chat, data={"messages": "[]"}).pairwise_tasks("all")
    assert task["data"]["prompt"] == "System: Be brief.\n\nUser: Why?\n\nAssistant: So.\n\nUser: Why?"
    assert task["data"]["messages"] == chat


def test_a_ranking_names_the_answers_by_letters_and_its_items_by_texts() -> None:
    prompt = answered(*of("1", "2"), *of("3", sampler=B))
    task = prompt.ranking_task()
    order = [answer.text for answer in prompt.shuffled]
    assert task["data"]["items"] == [
        {"id": "1", "title": "Answer A", "body": order[0]},
        {"id": "2", "title": "Answer B", "body": order[1]},
        {"id": "3", "title": "Answer C", "body": order[2]},
    ]
    assert task["meta"]["generated"]["answers"][str(order.index("3") + 1)]["model"] == "b"


@pytest.mark.parametrize(
    ("own", "told", "wanted"),
    [
        (None, "", INSTRUCTION),
        ("Sort them.", "", "Sort them."),
        ("Sort them.", "Rank!", "Rank!"),
        (7, "", INSTRUCTION),
        (" ", "", INSTRUCTION),
    ],
)
def test_whose_instruction_a_ranking_shows(own: Any, told: str, wanted: str) -> None:
    prompt = answered(*of("1", "2"), data={"prompt": "Why?", "task": own})
    assert prompt.ranking_task(told)["data"]["task"] == wanted
