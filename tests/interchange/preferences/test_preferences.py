"""What records annotations become, and why others become none."""

from collections import Counter
from typing import Any

import pytest

from llm_backend.core.labeling import parse
from llm_backend.core.notices import NOTICE_PREFIX
from llm_backend.core.wire import Annotation, Region, Task, annotations_of
from llm_backend.errors import InputError, PromptError, RequestError
from llm_backend.interchange.preferences import (
    Demonstration,
    Kind,
    Policy,
    Preference,
    Rated,
    Reason,
    Record,
    Roles,
    Taking,
    Turn,
    Ways,
    Wishes,
)
from tests.support.exported import PAIR, PAIRWISE, annotation, ranked, region, side, stars, task, written


def user(text: str) -> tuple[Turn, ...]:
    return (Turn("user", text),)


def take(
    xml: str, kind: Kind, raw: dict[str, Any], policy: str = "all", **wished: Any
) -> tuple[list[Record], dict[Reason, int]]:
    taking = Taking(Ways(parse(xml), kind, Wishes(**wished)), kind, Policy.read(policy))
    taken = taking.take(Task.from_json(raw), annotations_of(raw))
    return [one.record for one in taken], dict(+taking.left)


CHOSEN_LEFT = Preference(user("Hello?"), "Hi.", "Go away.")
CHOSEN_RIGHT = Preference(user("Hello?"), "Go away.", "Hi.")

RANKER = """<View><Text name="task" value="$task"/><Text name="prompt" value="$prompt"/>
<List name="answers" value="$items"/><Ranker name="rank" toName="answers">{buckets}</Ranker></View>"""
BUCKETS = RANKER.format(buckets='<Bucket name="good"/><Bucket name="bad"/><Bucket name="ugly"/>')
ITEMS = {
    "task": "Rank these.",
    "prompt": "Hello?",
    "items": [
        {"id": 1, "title": "One", "body": "Hi."},
        {"id": "b", "html": "<p>Good <b>day</b>.</p>"},
        {"id": "c", "title": "Hey."},
    ],
}
RESPONSE = """<View><Text name="text" value="$text"/><TextArea name="prompt" toName="text"/>
<TextArea name="notes" toName="text" smart="false"/><TextArea name="response" toName="text"/></View>"""
SFT = """<View><Text name="prompt" value="$prompt"/><TextArea name="instruction" toName="prompt"/></View>"""
CHAT = """<View><Paragraphs name="chat" value="$chat" nameKey="role" textKey="content"/>{controls}</View>"""


# Pairwise


@pytest.mark.parametrize(("selected", "record"), [("left", CHOSEN_LEFT), ("right", CHOSEN_RIGHT)])
def test_the_side_that_was_clicked_is_the_chosen_one(selected: str, record: Preference) -> None:
    assert take(PAIRWISE, "pairs", task(1, PAIR, annotation(1, side(selected)))) == ([record], {})


def test_the_sides_are_found_by_the_config_not_by_their_names() -> None:
    xml = """<View><Header value="$question"/><Text name="b" value="$x.second"/><HyperText name="a" value="$first"/>
    <Pairwise name="comparison" toName="a,b"/></View>"""
    html = "<script>alert('1')</script><p>Hi &amp; bye</p>"
    data = {"question": "Why?", "first": html, "x": {"second": "No."}}
    (record,), _ = take(xml, "pairs", task(1, data, annotation(1, side("left"))))
    assert record == Preference(user("Why?"), html, "No.")


def test_a_pair_serves_as_a_demonstration_and_as_rated_answers() -> None:
    raw = task(1, PAIR, annotation(1, side("right")))
    assert take(PAIRWISE, "demonstrations", raw)[0] == [Demonstration(user("Hello?"), "Go away.")]
    assert take(PAIRWISE, "rated", raw)[0] == [
        Rated(user("Hello?"), "Go away.", True),
        Rated(user("Hello?"), "Hi.", False),
    ]


def test_a_rating_beside_a_pairwise_says_by_how_much() -> None:
    xml = PAIRWISE.replace("</View>", '<Rating name="strength" toName="answer1"/></View>')
    told = annotation(1, side("left"), stars("strength", 4))
    (record,), _ = take(xml, "pairs", task(1, PAIR, told), margin="strength")
    assert record == Preference(user("Hello?"), "Hi.", "Go away.", 4.0)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(task(1, PAIR), Reason.UNTOUCHED, id="not annotated"),
        pytest.param(task(1, PAIR, annotation(1)), Reason.UNDECIDED, id="empty"),
        pytest.param(task(1, PAIR, annotation(1, side("none"))), Reason.UNDECIDED, id="none"),
        pytest.param(task(1, PAIR, annotation(1, side("left"), was_cancelled=True)), Reason.SKIPPED, id="skipped"),
        pytest.param(task(1, PAIR | {"answer2": "Hi. "}, annotation(1, side("left"))), Reason.IDENTICAL, id="same"),
        pytest.param(task(1, PAIR | {"answer2": " "}, annotation(1, side("left"))), Reason.BLANK, id="blank answer"),
        pytest.param(task(1, PAIR | {"prompt": ""}, annotation(1, side("left"))), Reason.BLANK, id="blank prompt"),
        pytest.param(
            task(1, PAIR | {"answer1": f"{NOTICE_PREFIX}no key"}, annotation(1, side("left"))),
            Reason.NOTICE,
            id="notice",
        ),
    ],
)
def test_what_teaches_nothing_is_left_out_with_its_reason(raw: dict[str, Any], reason: Reason) -> None:
    assert take(PAIRWISE, "pairs", raw) == ([], {reason: 1})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(InputError, match='no "answer2"'):
        take(PAIRWISE, "pairs", task(1, {"prompt": "a", "answer1": "b"}, annotation(1, side("left"))))


# Annotators

LEFT_THEN_RIGHT = (annotation(2, side("right"), by=2, day=1), annotation(1, side("left"), by=1, day=2))


@pytest.mark.parametrize(
    ("policy", "annotations", "records", "left"),
    [
        ("all", LEFT_THEN_RIGHT, [CHOSEN_LEFT, CHOSEN_RIGHT], {}),
        ("latest", LEFT_THEN_RIGHT, [CHOSEN_LEFT], {Reason.OLDER: 1}),
        ("majority", LEFT_THEN_RIGHT, [], {Reason.EVEN: 2}),
        ("majority", (*LEFT_THEN_RIGHT, annotation(3, side("right"))), [CHOSEN_RIGHT], {Reason.OUTVOTED: 2}),
        (
            "majority",
            (*LEFT_THEN_RIGHT, annotation(3, side("left")), annotation(4)),
            [CHOSEN_LEFT],
            {Reason.OUTVOTED: 3},
        ),
        ("ground_truth", LEFT_THEN_RIGHT, [], {Reason.NO_GROUND_TRUTH: 2}),
    ],
)
def test_whose_word_counts(
    policy: str, annotations: tuple[dict[str, Any], ...], records: list[Record], left: dict[Reason, int]
) -> None:
    assert take(PAIRWISE, "pairs", task(1, PAIR, *annotations), policy) == (records, left)


@pytest.mark.parametrize("policy", ["all", "latest", "majority", "agreement>=1"])
def test_a_ground_truth_goes_before_all_others(policy: str) -> None:
    true = annotation(3, side("right"), ground_truth=True)
    raw = task(1, PAIR, annotation(1, side("left"), day=9), annotation(2, side("left")), true)
    assert take(PAIRWISE, "pairs", raw, policy) == ([CHOSEN_RIGHT], {Reason.AFTER_GROUND_TRUTH: 2})


@pytest.mark.parametrize(
    ("least", "sides", "made"),
    [
        ("1", ["left", "left"], CHOSEN_LEFT),
        ("0.33", ["left", "right", "right"], CHOSEN_RIGHT),
        ("33%", ["left", "right", "right"], CHOSEN_RIGHT),
        ("0.34", ["left", "right", "right"], Reason.DISAGREED),
        ("0.5", ["left", "right"], Reason.DISAGREED),
        ("0", ["left", "right"], Reason.EVEN),
        ("0", ["left"], Reason.ALONE),
        ("0.5", ["left", "none"], Reason.DISAGREED),
        ("1", ["none", "none"], Reason.UNDECIDED),
    ],
)
def test_those_tasks_count_whose_annotators_agree_enough_two_by_two(
    least: str, sides: list[str], made: Preference | Reason
) -> None:
    annotations = [annotation(number, side(one), by=number) for number, one in enumerate(sides, 1)]
    records, left = take(PAIRWISE, "pairs", task(1, PAIR, *annotations), f"agreement>={least}")
    assert [*records, *(reason for reason in left if reason != Reason.OUTVOTED)] == [made]


@pytest.mark.parametrize(("least", "count"), [("0.5", 3), ("0.6", 0)])
def test_rankings_agree_by_the_pairs_that_they_order_alike(least: str, count: int) -> None:
    """Of three pairs, the first ranking and the second order two alike, these and the third one and two."""
    told = (["1", "b", "c"], ["b", "1", "c"], ["b", "c", "1"])
    annotations = [annotation(number, ranked("rank", rank=ids)) for number, ids in enumerate(told, 1)]
    records, _ = take(RANKER.format(buckets=""), "pairs", task(1, ITEMS, *annotations), f"agreement>={least}")
    assert len(records) == count
    assert [(one.chosen, one.rejected) for one in records if isinstance(one, Preference)][:1] == (
        [("Good day.", "Hi.")] if count else []
    )


@pytest.mark.parametrize(("least", "made"), [("0.66", 2), ("0.67", 0)])
def test_items_in_buckets_agree_by_their_buckets(least: str, made: int) -> None:
    one = annotation(1, ranked("rank", good=["c", "1"], bad=["b"]))
    other = annotation(2, ranked("rank", good=["c"], bad=["b"], ugly=["1"]))
    records, _ = take(BUCKETS, "pairs", task(1, ITEMS, one, other), f"agreement>={least}", buckets=("good", "bad"))
    assert len(records) == made


def test_answers_rated_apart_agree_by_which_is_better_not_by_their_stars() -> None:
    told = [annotation(n, stars("r1", one), stars("r2", other)) for n, (one, other) in enumerate([(5, 2), (4, 3)], 1)]
    records, _ = take(RATINGS, "pairs", task(1, PAIR, *told), "agreement>=1")
    assert records == [Preference(user("Hello?"), "Hi.", "Go away.", 3.0, (5, 2))]


def test_texts_agree_to_the_letter() -> None:
    told = [annotation(n, written("instruction", "Same", text)) for n, text in enumerate(("One", "Other"), 1)]
    assert take(SFT, "demonstrations", task(1, {"prompt": "a"}, *told), "agreement>=0.6")[1] == {Reason.DISAGREED: 2}
    assert len(take(SFT, "demonstrations", task(1, {"prompt": "a"}, *told), "agreement>=0.5")[0]) == 2


@pytest.mark.parametrize("told", ["agreement", "agreement>=1.5", "agreement>=-1", "agreement>0.5", "most", ""])
def test_a_policy_that_is_none_is_refused(told: str) -> None:
    with pytest.raises(RequestError, match="in quotes"):
        Policy.read(told)


# Ranker


@pytest.mark.parametrize(
    ("pairs", "told"),
    [
        ("all", [("Hey.", "Hi.", 1.0), ("Hey.", "Good day.", 2.0), ("Hi.", "Good day.", 1.0)]),
        ("adjacent", [("Hey.", "Hi.", 1.0), ("Hi.", "Good day.", 1.0)]),
        ("best-worst", [("Hey.", "Good day.", 2.0)]),
    ],
)
def test_a_ranking_is_paired(pairs: str, told: list[tuple[str, str, float]]) -> None:
    raw = task(1, ITEMS, annotation(1, ranked("rank", rank=["c", "1", "b"])))
    records, _ = take(RANKER.format(buckets=""), "pairs", raw, pairs=pairs)
    assert [(one.chosen, one.rejected, one.margin) for one in records if isinstance(one, Preference)] == told


def test_what_is_nothing_but_a_picture_has_no_words_to_learn_from() -> None:
    items = [{"id": "a", "title": "Image 1", "html": "<img src='https://e.com/a.png'>"}, {"id": "b", "body": "Hi."}]
    raw = task(1, ITEMS | {"items": items}, annotation(1, ranked("rank", rank=["a", "b"])))
    assert take(RANKER.format(buckets=""), "pairs", raw) == ([], {Reason.BLANK: 1})


def test_buckets_are_compared_in_the_order_that_a_person_gives_and_their_own_items_are_ties() -> None:
    raw = task(1, ITEMS, annotation(1, ranked("rank", good=["c", "1"], bad=["b"], _=["x"])))
    with pytest.raises(RequestError, match="--buckets good,bad,ugly"):
        take(BUCKETS, "pairs", raw)
    with pytest.raises(RequestError, match='no Bucket "fine"'):
        take(BUCKETS, "pairs", raw, buckets=("fine",))
    raw = task(1, ITEMS, annotation(1, ranked("rank", good=["c", "1"], bad=["b"])))
    records, left = take(BUCKETS, "pairs", raw, buckets=("bad", "ugly", "good"))
    assert records == [Preference(user("Hello?"), "Good day.", one, 1.0, (1, 0)) for one in ("Hey.", "Hi.")]
    assert left == {}


def test_buckets_say_which_answers_are_good() -> None:
    raw = task(1, ITEMS, annotation(1, ranked("rank", good=["c"], bad=["b"], ugly=["1"])))
    records, left = take(BUCKETS, "rated", raw, good=("good",), bad=("bad",))
    assert records == [Rated(user("Hello?"), "Hey.", True), Rated(user("Hello?"), "Good day.", False)]
    assert left == {Reason.UNNAMED: 1}


def test_of_a_ranking_only_the_ends_are_demonstrated_or_rated() -> None:
    raw = task(1, ITEMS, annotation(1, ranked("rank", rank=["c", "1", "b"])))
    plain = RANKER.format(buckets="")
    assert take(plain, "demonstrations", raw)[0] == [Demonstration(user("Hello?"), "Hey.")]
    assert take(plain, "rated", raw)[0] == [
        Rated(user("Hello?"), "Hey.", True, 2),
        Rated(user("Hello?"), "Good day.", False, 0),
    ]


@pytest.mark.parametrize(
    ("lists", "reason"), [({"rank": []}, Reason.EMPTY), ({"rank": ["b"]}, Reason.UNDECIDED), ({}, Reason.EMPTY)]
)
def test_a_ranking_of_less_than_two_says_nothing(lists: dict[str, list[str]], reason: Reason) -> None:
    raw = task(1, ITEMS, annotation(1, ranked("rank", **lists)))
    assert take(RANKER.format(buckets=""), "pairs", raw) == ([], {reason: 1})


def test_an_item_that_the_task_does_not_have_is_named() -> None:
    raw = task(1, ITEMS, annotation(1, ranked("rank", rank=["b", "nine"])))
    with pytest.raises(InputError, match='no item "nine"'):
        take(RANKER.format(buckets=""), "pairs", raw)


# Ratings of several answers

RATINGS = PAIRWISE.replace('<Pairwise name="comparison" toName="answer1,answer2"/>', "").replace(
    "</View>", '<Rating name="r1" toName="answer1"/><Rating name="r2" toName="answer2"/></View>'
)


@pytest.mark.parametrize(
    ("first", "second", "made"),
    [
        (5, 2, Preference(user("Hello?"), "Hi.", "Go away.", 3.0, (5, 2))),
        (1, 2, Preference(user("Hello?"), "Go away.", "Hi.", 1.0, (2, 1))),
        (3, 3, Reason.UNDECIDED),
        (3, 0, Reason.EMPTY),
    ],
)
def test_answers_that_are_rated_apart_are_compared_by_their_stars(
    first: int, second: int, made: Preference | Reason
) -> None:
    records, left = take(RATINGS, "pairs", task(1, PAIR, annotation(1, stars("r1", first), stars("r2", second))))
    assert [*records, *left] == [made]


# Choices of one of several answers

ELECTED = """<View><Paragraphs name="dialogue" value="$chat" nameKey="role" textKey="content"/>
<List name="media" value="$media"/><List name="responses" value="$items"/>
<Choices name="best" toName="dialogue"><Choice value="One"/><Choice value="b"/><Choice value="Tie"/></Choices>
<Choices name="faults" toName="dialogue" choice="multiple"><Choice value="rude"/></Choices>
<TextArea name="reason" toName="dialogue"/></View>"""
ASKED = {"chat": [{"role": "user", "content": "Hello?"}], "media": [], "items": ITEMS["items"]}


@pytest.mark.parametrize("control", ["", "best"])
def test_the_answer_whose_title_is_chosen_goes_before_all_others(control: str) -> None:
    reason = written("reason", "Kind.")
    raw = task(1, ASKED, annotation(1, region("best", "choices", ["One"]), reason))
    assert take(ELECTED, "pairs", raw, control=control) == (
        [Preference(user("Hello?"), "Hi.", "Good day."), Preference(user("Hello?"), "Hi.", "Hey.")],
        {},
    )
    assert take(ELECTED, "demonstrations", raw, control=control)[0] == [Demonstration(user("Hello?"), "Hi.")]
    rated = [Rated(user("Hello?"), text, good) for text, good in (("Hi.", True), ("Good day.", False), ("Hey.", False))]
    assert take(ELECTED, "rated", raw)[0] == rated
    assert take(ELECTED, "demonstrations", raw, control="reason")[0] == [Demonstration(user("Hello?"), "Kind.")]


@pytest.mark.parametrize(("chosen", "reason"), [(["Tie"], Reason.UNTITLED), ([], Reason.EMPTY)])
def test_a_choice_that_is_no_title_is_a_tie(chosen: list[str], reason: Reason) -> None:
    assert take(ELECTED, "pairs", task(1, ASKED, annotation(1, region("best", "choices", chosen)))) == ([], {reason: 1})


def test_choices_beside_a_box_for_a_response_are_not_taken_for_a_vote() -> None:
    xml = ELECTED.replace('name="reason"', 'name="response"')
    assert Ways(parse(xml), "pairs", Wishes()).told == 'TextArea "response", as people changed it'
    assert Ways(parse(xml), "pairs", Wishes(control="best")).told == 'Choices "best" of the titles in "responses"'


# TextArea


def test_each_text_answers_the_task_own_prompt() -> None:
    raw = task(1, {"prompt": "Sum of evens?"}, annotation(1, written("instruction", "def f():\n  ...", "Second")))
    assert take(SFT, "demonstrations", raw)[0] == [
        Demonstration(user("Sum of evens?"), "def f():\n  ..."),
        Demonstration(user("Sum of evens?"), "Second"),
    ]


def test_what_the_annotator_typed_is_the_prompt_as_the_model_got_it() -> None:
    raw = task(
        1,
        {"text": "Paris."},
        annotation(1, written("prompt", "Where is {text}?"), written("response", "In France.")),
        annotation(2, written("prompt", "Translate."), written("response", "Paříž.")),
    )
    assert take(RESPONSE, "demonstrations", raw)[0] == [
        Demonstration(user("Where is Paris.?"), "In France."),
        Demonstration(user("Source Text: Paris.\n\nTask Directive: Translate."), "Paříž."),
    ]


def test_a_prompt_with_a_misspelt_field_is_told() -> None:
    raw = task(1, {"review": "x"}, annotation(1, written("prompt", "Read {revew}"), written("response", "y")))
    with pytest.raises(PromptError, match="revew"):
        take(RESPONSE.replace("$text", "$review"), "demonstrations", raw)


def test_a_notice_is_no_answer() -> None:
    notice = f"{NOTICE_PREFIX}The key is wrong."
    raw = task(
        1,
        {"prompt": "a"},
        annotation(1, written("instruction", notice)),
        annotation(2, written("instruction", "b", notice)),
    )
    assert take(SFT, "demonstrations", raw) == ([Demonstration(user("a"), "b")], {Reason.EMPTY: 1})


def test_a_changed_response_is_preferred_over_the_models() -> None:
    shown = {"id": 7, "result": [written("instruction", "Model's", "Same", "Third")]}
    changed = annotation(1, written("instruction", "Mine", "Same "), parent_prediction=7, prediction=shown)
    unknown = annotation(2, written("instruction", "New"))
    assert take(SFT, "pairs", task(1, {"prompt": "a"}, changed, unknown)) == (
        [Preference(user("a"), "Mine", "Model's")],
        {Reason.UNCHANGED: 1, Reason.NO_ORIGINAL: 1},
    )


# Dialogues


def turns(*told: tuple[str, str]) -> dict[str, Any]:
    return {"chat": [{"role": role, "content": content} for role, content in told]}


def test_a_response_to_a_dialogue_has_its_turns_as_prompt() -> None:
    xml = CHAT.format(controls='<TextArea name="response" toName="chat"/>')
    data = turns(("Developer", "Be kind."), ("Human", "Hi"), ("Bot", "Hello."), ("Zoe", "Who are you?"))
    raw = task(1, data, annotation(1, written("response", "A bot.")))
    (record,), _ = take(xml, "demonstrations", raw)
    assert [turn.role for turn in record.prompt] == ["system", "user", "assistant", "user"]
    (record,), _ = take(xml, "demonstrations", raw, roles=Roles({"human": "tool", "zoe": "user"}))
    assert [turn.role for turn in record.prompt] == ["system", "tool", "assistant", "user"]


def test_what_the_annotator_typed_is_the_last_turn() -> None:
    xml = CHAT.format(controls='<TextArea name="prompt" toName="chat"/><TextArea name="response" toName="chat"/>')
    raw = task(
        1,
        turns(("user", "Hi"), ("assistant", "Hello.")),
        annotation(1, written("prompt", "More"), written("response", "Hm.")),
    )
    (record,), _ = take(xml, "demonstrations", raw)
    assert record == Demonstration((Turn("user", "Hi"), Turn("assistant", "Hello."), Turn("user", "More")), "Hm.")


def test_a_prompt_that_ends_with_the_answer_is_none() -> None:
    xml = CHAT.format(controls='<TextArea name="response" toName="chat"/>')
    raw = task(1, turns(("user", "Hi"), ("assistant", "Hello.")), annotation(1, written("response", "Better.")))
    assert take(xml, "demonstrations", raw) == ([], {Reason.NOT_THEIR_TURN: 1})


def test_a_dialogue_without_a_text_box_is_a_demonstration_itself() -> None:
    xml = CHAT.format(controls='<Rating name="r" toName="chat"/>')
    raw = task(1, turns(("user", "Hi"), ("assistant", "Hello.")), annotation(1, stars("r", 5)))
    assert take(xml, "demonstrations", raw)[0] == [Demonstration(user("Hi"), "Hello.")]


# Ratings and choices of one answer

GRADING = """<View><Text name="document" value="$document"/><Text name="summary" value="$summary"/>
<Rating name="rating" toName="summary"/>{more}</View>"""
GRADED = {"document": ["One.", "Two."], "summary": "Both."}


@pytest.mark.parametrize(
    ("count", "wished", "made"),
    [
        (4, {}, Rated(user("One.\nTwo."), "Both.", True, 4)),
        (2, {}, Rated(user("One.\nTwo."), "Both.", False, 2)),
        (3, {}, Reason.MIDDLING),
        (3, {"least": 3.0}, Rated(user("One.\nTwo."), "Both.", True, 3)),
        (2, {"most": 1.0}, Reason.MIDDLING),
        (0, {}, Reason.EMPTY),
    ],
)
def test_stars_say_whether_an_answer_is_good(count: int, wished: dict[str, float], made: Rated | Reason) -> None:
    records, left = take(
        GRADING.format(more=""), "rated", task(1, GRADED, annotation(1, stars("rating", count))), **wished
    )
    assert [*records, *left] == [made]


YES_NO = '<Choices name="lies" toName="chat"><Choice value="Yes"/><Choice value="No"/></Choices>'


def test_choices_say_whether_an_answer_is_good_once_a_person_says_which() -> None:
    xml = CHAT.format(controls=YES_NO)
    data = turns(("user", "Hi"), ("assistant", "Hello."))
    raw = task(1, data, annotation(1, region("lies", "choices", ["No"])), annotation(2, region("lies", "choices", [])))
    with pytest.raises(RequestError, match="--good VALUE"):
        take(xml, "rated", raw)
    with pytest.raises(RequestError, match='no value "no"; it has Yes or No'):
        take(xml, "rated", raw, good=("no",))
    records, left = take(xml, "rated", raw, good=("No",), bad=("Yes",))
    assert (records, left) == ([Rated(user("Hi"), "Hello.", True)], {Reason.EMPTY: 1})


def test_a_rating_beside_a_response_is_of_the_response() -> None:
    xml = SFT.replace("</View>", '<Rating name="r" toName="prompt"/></View>')
    raw = task(1, {"prompt": "a"}, annotation(1, written("instruction", "b"), stars("r", 1)))
    assert take(xml, "rated", raw)[0] == [Rated(user("a"), "b", False, 1)]


# What is told


@pytest.mark.parametrize(
    ("xml", "kind", "wished", "told"),
    [
        ("<View><Text name='t' value='$t'/></View>", "pairs", {}, "it takes a Pairwise"),
        ("<View><Text name='t' value='$t'/></View>", "rated", {}, "it takes a Rating"),
        (PAIRWISE, "pairs", {"control": "other"}, 'no control "other"; it has comparison'),
        (PAIRWISE, "pairs", {"margin": "m"}, 'no control "m"'),
        (PAIRWISE.replace('<Text name="prompt" value="$prompt"/>', ""), "pairs", {}, "name its field with --prompt"),
        (PAIRWISE.replace('<Text name="answer', '<Image name="answer'), "pairs", {}, 'Image "answer1"'),
        (GRADING.format(more='<Rating name="b" toName="document"/>'), "rated", {}, "choose one with --control"),
        (GRADING.format(more=""), "rated", {"least": 2.0, "most": 3.0}, "overlap"),
    ],
)
def test_what_cannot_be_known_is_asked_for(xml: str, kind: Kind, wished: dict[str, Any], told: str) -> None:
    with pytest.raises(RequestError, match=told):
        Ways(parse(xml), kind, Wishes(**wished))


def test_the_prompt_can_be_named() -> None:
    raw = task(1, PAIR | {"hint": "Be brief."}, annotation(1, side("left")))
    (record,), _ = take(PAIRWISE, "pairs", raw, prompt=("hint", "prompt"))
    assert record == Preference(user("Be brief.\n\nHello?"), "Hi.", "Go away.")


def test_a_prediction_is_read_like_an_annotation() -> None:
    taking = Taking(Ways(parse(PAIRWISE), "pairs", Wishes()), "pairs")
    predicted = Annotation((Region("comparison", "answer1", "pairwise", {"selected": "right"}),))
    (taken,) = taking.take(Task(1, PAIR), (predicted,))
    assert (taken.record, taking.left) == (CHOSEN_RIGHT, Counter())


# What a Repeater repeats

REPEATED = """<View><Text name="title" value="$title"/><Repeater on="$pairs" indexFlag="{{idx}}">
<Text name="prompt_{{idx}}" value="$pairs[{{idx}}].prompt"/><Text name="a_{{idx}}" value="$pairs[{{idx}}].a"/>
<Text name="b_{{idx}}" value="$pairs[{{idx}}].b"/>%s</Repeater>%s</View>"""
COMPARED = '<Pairwise name="pw_{{idx}}" toName="a_{{idx}},b_{{idx}}"/>'
TWO = {"title": "T", "pairs": [{"prompt": "P0", "a": "A0", "b": "B0"}, {"prompt": "P1", "a": "A1", "b": "B1"}]}


def chose(index: int, selected: str) -> dict[str, Any]:
    return region(f"pw_{index}", "pairwise", selected, "selected")


def test_each_entry_of_what_is_repeated_is_a_pair() -> None:
    raw = task(1, TWO, annotation(2, chose(1, "left")), annotation(1, chose(0, "right"), chose(1, "right")))
    assert take(REPEATED % (COMPARED, ""), "pairs", raw) == (
        [
            Preference(user("P0"), "B0", "A0"),
            Preference(user("P1"), "B1", "A1"),
            Preference(user("P1"), "A1", "B1"),
        ],
        {Reason.UNDECIDED: 1},
    )


def test_a_majority_is_found_for_each_entry() -> None:
    told = [annotation(n, chose(0, "left"), chose(1, side)) for n, side in enumerate(("left", "right", "right"), 1)]
    records, left = take(REPEATED % (COMPARED, ""), "pairs", task(1, TWO, *told), "majority")
    assert records == [Preference(user("P0"), "A0", "B0"), Preference(user("P1"), "B1", "A1")]
    assert left == {Reason.OUTVOTED: 4}


def test_skipped_annotations_and_empty_lists_are_counted_once() -> None:
    skipped = annotation(1, chose(0, "left"), was_cancelled=True)
    assert take(REPEATED % (COMPARED, ""), "pairs", task(1, TWO, skipped)) == ([], {Reason.SKIPPED: 1})
    raw = task(1, {"title": "T", "pairs": []}, annotation(1, chose(0, "left")))
    assert take(REPEATED % (COMPARED, ""), "pairs", raw) == ([], {Reason.NO_ENTRY: 1})


def test_ratings_and_choices_in_a_repeater_are_of_their_own_entry_beside_what_stands_outside() -> None:
    xml = REPEATED % ('<Rating name="r_{{idx}}" toName="a_{{idx}}"/>', '<TextArea name="response" toName="title"/>')
    raw = task(1, TWO, annotation(1, stars("r_0", 5), stars("r_1", 1), written("response", "All.")))
    assert take(xml, "rated", raw)[0] == [
        Rated(user("P0"), "A0", True, 5),
        Rated(user("P1"), "A1", False, 1),
    ]
    assert take(xml, "demonstrations", raw)[0] == [Demonstration(user("T"), "All.")]
    sorts = '<Choices name="c_{{idx}}" toName="b_{{idx}}"><Choice value="good"/><Choice value="bad"/></Choices>'
    raw = task(1, TWO, annotation(1, region("c_1", "choices", ["bad"])))
    records, left = take(REPEATED % (sorts, ""), "rated", raw, good=("good",), bad=("bad",), control="c_{{idx}}")
    assert (records, left) == ([Rated(user("P1"), "B1", False)], {Reason.EMPTY: 1})


def test_a_repeater_within_a_repeater_has_an_entry_for_each_of_both() -> None:
    xml = """<View><Repeater on="$chats" indexFlag="{{c}}"><Repeater on="$chats[{{c}}].turns" indexFlag="{{t}}">
    <Text name="q_{{c}}_{{t}}" value="$chats[{{c}}].turns[{{t}}].prompt"/>
    <TextArea name="answer_{{c}}_{{t}}" toName="q_{{c}}_{{t}}"/></Repeater></Repeater></View>"""
    data = {"chats": [{"turns": [{"prompt": "00"}]}, {"turns": []}, {"turns": [{"prompt": "20"}, {"prompt": "21"}]}]}
    told = [written(f"answer_{name}", name) for name in ("0_0", "2_0", "2_1")]
    assert take(xml, "demonstrations", task(1, data, annotation(1, *told)))[0] == [
        Demonstration(user("00"), "0_0"),
        Demonstration(user("20"), "2_0"),
        Demonstration(user("21"), "2_1"),
    ]


def test_what_an_entry_lacks_is_named_with_its_number() -> None:
    raw = task(1, {"title": "T", "pairs": [{"prompt": "P", "a": "A"}]}, annotation(1, chose(0, "left")))
    with pytest.raises(InputError, match=r'no "pairs\[0\]\.b"'):
        take(REPEATED % (COMPARED, ""), "pairs", raw)


def test_what_is_repeated_is_told_by_its_name_in_the_config() -> None:
    ways = Ways(parse(REPEATED % (COMPARED, "")), "pairs", Wishes())
    assert ways.told == 'Pairwise "pw_{{idx}}"'
    with pytest.raises(RequestError, match='no control "pw_0"; it has pw_'):
        Ways(parse(REPEATED % (COMPARED, "")), "pairs", Wishes(control="pw_0"))
