"""The rows that a person looks at differ, and are those of which the judge is least sure."""

from llm_backend.core.review import Candidate, informative, spread

TEXTS = ["red apple pie", "red apple cake", "red apple tart", "blue sea water", "blue sea wave", "green old tree"]


def test_texts_that_differ_most_come_first() -> None:
    assert {TEXTS[place].split()[0] for place in spread(TEXTS, 3)} == {"red", "blue", "green"}
    assert sorted(spread(TEXTS, 10)) == list(range(6))
    assert spread(TEXTS, 4) == spread(TEXTS, 4)


def test_equal_and_empty_texts_can_be_spread() -> None:
    assert spread(["same"] * 3 + [""], 4) in ([0, 3, 1, 2], [0, 1, 2, 3], [0, 3, 2, 1])
    assert spread([], 4) == []


def test_every_label_is_seen_and_of_each_the_least_sure() -> None:
    sure = [Candidate(f"a{n}", "1", 0.9 + n / 100) for n in range(8)]
    others = [Candidate("b0", "0", 0.99), Candidate("b1", "0", 0.4), Candidate("c", "2")]
    chosen = informative([*sure, *others], 5)
    assert [one.name for one in chosen] == ["b1", "a0", "c", "b0", "a1"]


def test_where_nobody_is_sure_the_order_stays() -> None:
    assert [one.name for one in informative([Candidate(str(n), "1") for n in range(5)], 3)] == ["0", "1", "2"]
