"""Which tasks nearly repeat one that people had answered before the model did?"""

from hypothesis import given, settings
from hypothesis import strategies as st

from llm_backend.agreement.likeness import Likeness, near
from llm_backend.core.examples import NEAR_DUPLICATE, Index
from tests.support.exports import annotation, prediction, said, task
from tests.support.reports import only, report

LONG = "The quick brown fox jumps over the lazy dog near the river bank today"


def noted(*tasks: tuple[str, float]) -> dict[int | str, float]:
    likeness = Likeness()
    for number, (text, annotated) in enumerate(tasks):
        likeness.note(number, text, annotated)
    return likeness.repeats()


def test_a_task_repeats_what_was_answered_first_of_those_like_it() -> None:
    assert noted((LONG, 30.0), (LONG + "!", 10.0), (LONG, 20.0), ("Another text", 1.0)) == {0: 10.0, 1: 20.0, 2: 10.0}


def test_what_shows_no_text_repeats_nothing() -> None:
    assert noted(("", 1.0), (" ", 2.0), ("Alone", 3.0)) == {}


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=6).map(" ".join), unique=True, max_size=12))
def test_no_near_duplicate_is_overlooked(texts: list[str]) -> None:
    index = Index(texts)
    every = {
        (min(at, other), max(at, other))
        for at, text in enumerate(texts)
        for other, nearness in index.nearest(text)
        if at != other and nearness >= NEAR_DUPLICATE + 1e-9
    }
    found = {*near(texts)}
    assert every <= found
    assert all(dict(index.nearest(texts[one]))[other] >= NEAR_DUPLICATE - 1e-9 for one, other in found)


def test_figures_are_told_without_what_the_model_may_have_been_shown() -> None:
    """A model that repeats people's word on what it has seen nearly the same of, and else says `good`."""
    rows = []
    for n in range(40):
        text, word = f"Case {n}: {LONG} {n} {n * 7}", "good" if n % 2 else "bad"
        rows.append(task(2 * n, [annotation(said(word), at=100.0)], [prediction(said("good"), at=50.0)], text=text))
        people = [annotation(said(word), at=900.0)]
        rows.append(task(2 * n + 1, people, [prediction(said(word), at=500.0)], text=text + "."))
    one = only(report(*rows))
    assert one.apart is not None
    assert (one.all.tasks, one.apart.tasks) == (80, 40)
    assert one.all.accuracy is not None
    assert one.apart.accuracy is not None
    assert (one.all.accuracy.value, one.apart.accuracy.value) == (0.75, 0.5)


def test_where_no_task_repeats_another_there_is_no_such_view() -> None:
    rows = [task(n, [annotation(said("good"))], [prediction(said("good"))]) for n in range(3)]
    assert only(report(*rows)).apart is None
