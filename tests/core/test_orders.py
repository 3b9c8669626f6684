"""What is compared is asked in both orders, and only what both bear out is predicted."""

import asyncio
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from llm_backend.core.chat import Call, Completion, ImagePart, Part, Takes, Usage
from llm_backend.core.examples import Correction, Lessons, Pool, TokenMeter
from llm_backend.core.inputs import MediaRef, read
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Outcome, Parameters, Plan, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON, Region, Task
from llm_backend.errors import AnswerError, Busy, ProviderRefused, Unconfirmed
from llm_backend.services import texts
from tests.support.scripted import Reply, ScriptedLLM, no_media, prefers

OBJECTS = '<Text name="a" value="$one"/><Text name="b" value="$two"/>'
PAIR = '<Pairwise name="better" toName="a,b"/>'
TONE = '<Choices name="tone" toName="a"><Choice value="good"/><Choice value="bad"/></Choices>'
DATA = {"one": "A dog.", "two": "A cat."}
LIST = '<List name="list" value="$items"/>'
RANKER = '<Ranker name="order" toName="list"/>'
BUCKETS = '<Ranker name="pick" toName="list"><Bucket name="yes"/><Bucket name="no"/></Ranker>'
ITEMS = {"items": [{"id": name, "title": f"Item {name}"} for name in "abcde"]}


def plan_of(tags: str, **parameters: Any) -> Plan:
    return make_plan(parse(f"<View>{tags}</View>"), texts(), Template(), Parameters(**parameters))


def asked(
    tags: str,
    llm: ScriptedLLM,
    data: Mapping[str, JSON] = DATA,
    prompt: str = "Which is better?",
    *,
    fetch: Any = no_media,
    held: Sequence[Region] = (),
    **parameters: Any,
) -> Outcome:
    plan = plan_of(tags, **parameters)
    return asyncio.run(predict(plan, Task(1, data), Prompt(prompt, "config"), llm, fetch, held=held))


def values(outcome: Outcome) -> dict[str, JSON]:
    return {region.from_name: next(iter(region.value.values())) for region in outcome.regions}


def shown(call: Call) -> str:
    return call.messages[-1].text


# Two objects


@pytest.mark.parametrize(("liked", "side"), [("A dog.", "left"), ("A cat.", "right")])
def test_what_is_preferred_wherever_it_stands_is_predicted(liked: str, side: str) -> None:
    llm = ScriptedLLM(prefers(liked))
    outcome = asked(OBJECTS + PAIR, llm)
    assert outcome.regions == (Region("better", "a", "pairwise", {"selected": side}, id=outcome.regions[0].id),)
    assert outcome.reasons == ()
    first, other = llm.calls
    assert shown(other) == shown(first).replace("dog", "_").replace("cat", "dog").replace("_", "cat")
    assert other.messages[0] == first.messages[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_model_that_takes_a_place_has_no_preference(side: str) -> None:
    with pytest.raises(Unconfirmed) as failed:
        asked(OBJECTS + PAIR, ScriptedLLM({"better": side}))
    told = f'Asked again with "a" and "b" exchanged, the model took the one on the {side} again: "better" stays empty.'
    assert failed.value.sentence == told
    assert failed.value.unconfirmed == (told,)
    assert failed.value.usage == Usage(20, 10, 2)
    assert failed.value.lasting
    assert "left" not in failed.value.logged


def test_the_other_controls_are_asked_once_and_kept() -> None:
    llm = ScriptedLLM({"tone": "good", "better": "left"}, {"better": "left"})
    outcome = asked(OBJECTS + TONE + PAIR, llm)
    assert values(outcome) == {"tone": ["good"]}
    assert outcome.faults == ()
    assert [sentence.partition(",")[0] for sentence in outcome.unconfirmed] == [
        'Asked again with "a" and "b" exchanged'
    ]
    assert outcome.usage == Usage(20, 10, 2)
    assert [list(call.schema["properties"]) for call in llm.calls if call.schema] == [["tone", "better"], ["better"]]


def test_a_required_comparison_that_is_not_borne_out_fails_no_task() -> None:
    required = PAIR.replace("/>", ' required="true"/>')
    outcome = asked(OBJECTS + TONE + required, ScriptedLLM({"tone": "good", "better": "left"}))
    assert values(outcome) == {"tone": ["good"]}


def test_neither_both_times_is_an_answer_and_neither_once_is_none() -> None:
    assert asked(OBJECTS + PAIR, ScriptedLLM({"better": None})) == Outcome((), usage=Usage(20, 10, 2))
    with pytest.raises(Unconfirmed, match='the model took neither and then left: "better" stays empty'):
        asked(OBJECTS + PAIR, ScriptedLLM({"better": None}, {"better": "left"}))


def test_several_comparisons_of_the_same_objects_share_the_second_question() -> None:
    more = '<Pairwise name="kinder" toName="b,a"/><Pairwise name="longer" toName="a,b"/>'
    first = {"better": "left", "kinder": "left", "longer": "left"}
    llm = ScriptedLLM(first, {"better": "right", "kinder": "right", "longer": "left"})
    outcome = asked(OBJECTS + PAIR + more, llm)
    assert values(outcome) == {"better": "left", "kinder": "left"}
    assert len(llm.calls) == 2


def test_comparisons_that_meet_in_an_object_are_turned_one_by_one() -> None:
    third = '<Text name="c" value="$three"/><Pairwise name="other" toName="b,c"/>'
    llm = ScriptedLLM(prefers("A cat."))
    outcome = asked(OBJECTS + PAIR + third, llm, {**DATA, "three": "A cow."})
    assert values(outcome) == {"better": "right", "other": "left"}
    assert [re.findall(r"dog|cat|cow", shown(call)) for call in llm.calls] == [
        ["dog", "cat", "cow"],
        ["cat", "dog", "cow"],
        ["dog", "cow", "cat"],
    ]


@pytest.mark.parametrize(
    ("prompt", "data", "objects"),
    [
        ("Is 1, {one} better than 2, {two}?", DATA, OBJECTS),
        (
            "Is 1, {one} better than 2, {two}?",
            DATA,
            '<Text name="a" value="Answer 1: $one"/><HyperText name="b" value="$two"/>',
        ),
        (
            "Compare {all}.",
            {"all": ["A dog.", "A cat."]},
            '<Text name="a" value="$all[0]"/><Text name="b" value="$all[1]"/>',
        ),
    ],
    ids=["fields", "fields of mixed tags", "a list of both"],
)
def test_a_prompt_that_names_the_data_is_turned_with_it(prompt: str, data: Mapping[str, JSON], objects: str) -> None:
    """Else the model would be shown the same twice, and told the contrary of it."""
    llm = ScriptedLLM(
        lambda call: {"better": "left" if shown(call).index("dog") < shown(call).index("cat") else "right"}
    )
    outcome = asked(objects + PAIR, llm, data, prompt)
    assert values(outcome) == {"better": "left"}
    first, other = map(shown, llm.calls)
    assert first != other == first.replace("dog", "_").replace("cat", "dog").replace("_", "cat")


def test_pictures_change_places_and_are_fetched_once() -> None:
    images = '<Image name="a" value="$one"/><Image name="b" value="$two"/>'
    fetched: list[str] = []

    async def fetch(refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
        fetched.extend(ref.url for ref in refs)
        return [(ImagePart(ref.url),) for ref in refs]

    def reply(call: Call) -> Reply:
        (of_a,) = (p for p in call.messages[-1].parts if isinstance(p, ImagePart) and p.caption == "a")
        return {"better": "left" if of_a.url == "https://x/dog.png" else "right"}

    data = {"one": "https://x/dog.png", "two": "https://x/cat.png"}
    llm = ScriptedLLM(reply)
    assert values(asked(images + PAIR, llm, data, fetch=fetch)) == {"better": "left"}
    assert fetched == list(data.values())
    parts = [p.url for call in llm.calls for p in call.messages[-1].parts if isinstance(p, ImagePart)]
    assert parts == [data["one"], data["two"], data["two"], data["one"]]


def test_pages_change_places_with_the_pictures_in_them() -> None:
    pages = '<HyperText name="a" value="$one"/><HyperText name="b" value="$two"/>'
    data = {"one": "<p>A <b>dog</b>.</p>", "two": "<h1>A cat.</h1>"}
    llm = ScriptedLLM(prefers("A cat."))
    assert values(asked(pages + PAIR, llm, data)) == {"better": "right"}
    assert shown(llm.calls[1]).index("cat") < shown(llm.calls[1]).index("dog")


def test_a_person_who_chose_is_not_asked_for() -> None:
    llm = ScriptedLLM({"tone": "good"})
    asked(OBJECTS + TONE + PAIR, llm, held=[Region("better", "a", "pairwise", {"selected": "left"})])
    assert len(llm.calls) == 1


def test_a_hidden_comparison_tells_nothing() -> None:
    shown_if_bad = PAIR.replace("/>", ' visibleWhen="choice-selected" whenTagName="tone" whenChoiceValue="bad"/>')
    outcome = asked(OBJECTS + TONE + shown_if_bad, ScriptedLLM({"tone": "good", "better": "left"}))
    assert (values(outcome), outcome.reasons) == ({"tone": ["good"]}, ())


def test_what_compares_nothing_is_asked_once() -> None:
    llm = ScriptedLLM({"tone": "good"})
    asked(OBJECTS + TONE, llm)
    assert len(llm.calls) == 1


# Where one of the orders brings no answer


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (ProviderRefused("The model declined."), "The model declined."),
        ({"better": "a tie"}, '"better" takes left or right; the model gave "a tie".'),
        ("Both are fine.", "The answer is not the JSON object that was asked for."),
    ],
    ids=["refused", "off the list", "no form"],
)
def test_without_an_answer_to_the_other_order_there_is_no_prediction(second: Reply, why: str) -> None:
    llm = ScriptedLLM({"tone": "good", "better": "left"}, second)
    outcome = asked(OBJECTS + TONE + PAIR, llm)
    assert values(outcome) == {"tone": ["good"]}
    assert outcome.unconfirmed == (f'"better" stays empty, for the other order brought no answer. {why}',)


def test_an_answer_to_the_other_order_is_mended_like_any_other() -> None:
    llm = ScriptedLLM({"better": "left"}, {"better": "b"}, {"better": "right"})
    assert values(asked(OBJECTS + PAIR, llm)) == {"better": "left"}
    assert '"better" takes left or right; the model gave "b".' in llm.asked


def test_a_fault_in_the_first_order_stays_a_fault() -> None:
    def wrong(call: Call) -> Reply:
        return {"better": "right" if "A cat.\n\nb:" in shown(call) else "tie"}

    with pytest.raises(AnswerError, match=r'^"better" takes left or right; the model gave "tie"\.$') as failed:
        asked(OBJECTS + PAIR, ScriptedLLM(wrong))
    assert not isinstance(failed.value, Unconfirmed)


@pytest.mark.parametrize("first", [True, False])
def test_what_may_pass_is_tried_again_as_a_whole_and_told_what_it_took(first: bool) -> None:
    full = Busy("full")
    for _ in range(2):
        with pytest.raises(Busy) as failed:
            asked(OBJECTS + PAIR, ScriptedLLM(*((full, {"better": "left"}) if first else ({"better": "left"}, full))))
        assert failed.value.usage == Usage(10, 5, 1)


def test_both_orders_are_asked_at_the_same_time() -> None:
    async def waiting() -> tuple[Outcome, int]:
        both, begun = asyncio.Event(), 0

        async def reply(call: Call) -> Reply:
            nonlocal begun
            begun += 1
            if begun == 2:
                both.set()
            await both.wait()
            return prefers("A dog.")(call)

        llm = ScriptedLLM(reply)
        asking = predict(plan_of(OBJECTS + PAIR), Task(1, DATA), Prompt("Go", "config"), llm, no_media)
        return await asyncio.wait_for(asking, 10), begun

    outcome, begun = asyncio.run(waiting())
    assert (values(outcome), begun) == ({"better": "left"}, 2)


# How sure it is


def with_logprob(answer: JSON, sure: float) -> Completion:
    text = json.dumps(answer)
    tokens = [
        {"token": piece, "logprob": math.log(sure if piece in ("left", "right") else 1.0)}
        for piece in re.findall(r"\w+|\W", text)
    ]
    return Completion((text,), ("stop",), ({"content": tokens},), structured=True)


def test_a_preference_is_as_sure_as_it_is_on_the_average_of_both_orders() -> None:
    llm = ScriptedLLM(with_logprob({"better": "left"}, 0.9), with_logprob({"better": "right"}, 0.7))
    (region,) = asked(OBJECTS + PAIR, llm, logprobs=True).regions
    assert region.score == pytest.approx(0.8)


def test_samples_of_both_orders_count_alike() -> None:
    def said(*sides: str) -> Completion:
        return Completion(tuple(json.dumps({"better": side}) for side in sides), structured=True)

    llm = ScriptedLLM(said("left", "left", "left", "right"), said("right", "left", "right", "left"))
    (region,) = asked(OBJECTS + PAIR, llm, samples=4).regions
    assert region.score == pytest.approx((0.75 + 0.5) / 2)


# Rankings


def in_order(*orders: str) -> ScriptedLLM:
    return ScriptedLLM(*({"order": list(order)} for order in orders))


def test_the_items_are_offered_the_other_way_round() -> None:
    llm = in_order("bacde")
    outcome = asked(LIST + RANKER, llm, ITEMS, "Rank {items}")
    assert values(outcome) == {"order": {"order": list("bacde")}}
    assert outcome.reasons == ()
    assert [re.findall(r"\[(\w)\]", shown(call)) for call in llm.calls] == [list("abcde"), list("edcba")]
    offered = [re.findall(r'"(\w)"', call.messages[0].text.partition("best first: ")[2]) for call in llm.calls]
    assert offered == [list("abcde"), list("edcba")]


def test_rankings_that_are_near_come_to_their_mean_with_a_lower_score() -> None:
    outcome = asked(LIST + RANKER, in_order("abcde", "bacde"), ITEMS)
    (region,) = outcome.regions
    assert region.value == {"ranker": {"order": list("abcde")}}
    assert region.score == pytest.approx(0.9)
    assert outcome.unconfirmed == (
        "Asked again with the items the other way round, the model put 9 of 10 pairs in the same order "
        '(Kendall\'s tau 0.80): "order" holds the mean of both rankings, with a lower score.',
    )


def test_a_model_that_ranks_by_place_ranks_nothing() -> None:
    def by_place(call: Call) -> Reply:
        return {"order": re.findall(r"\[(\w)\]", shown(call))}

    with pytest.raises(Unconfirmed, match=r'0 of 10 pairs in the same order \(.* tau -1.00\): "order" stays empty'):
        asked(LIST + RANKER, ScriptedLLM(by_place), ITEMS)


def in_buckets(*answers: tuple[str, str]) -> ScriptedLLM:
    return ScriptedLLM(*({"pick": {"yes": list(yes), "no": list(no)}} for yes, no in answers))


def test_of_buckets_the_items_stay_that_are_in_the_same_one_both_times() -> None:
    outcome = asked(LIST + BUCKETS, in_buckets(("abd", "c"), ("adb", "ec")), ITEMS)
    (region,) = outcome.regions
    assert region.value == {"ranker": {"yes": list("abd"), "no": ["c"]}}
    assert region.score == pytest.approx(4 / 5 * 2 / 3)
    assert outcome.unconfirmed[0].startswith(
        "Asked again with the items the other way round, the model put 4 of 5 items into the same bucket, "
        'and 2 of 3 pairs in the same order: "pick" holds what both say'
    )


@pytest.mark.parametrize(
    ("tags", "other"),
    [(BUCKETS, ("a", "bcde")), (BUCKETS.replace('"no"/', '"no" default="true"/'), ("abc", "de"))],
    ids=["most are elsewhere", "each has to be placed"],
)
def test_buckets_that_have_too_little_in_common_are_none(tags: str, other: tuple[str, str]) -> None:
    with pytest.raises(Unconfirmed, match=r"items into the same bucket.*stays empty"):
        asked(LIST + tags, in_buckets(("abcd", "e"), other), ITEMS)


def test_pairs_and_lists_are_turned_in_one_question() -> None:
    llm = ScriptedLLM({"better": "left", "order": list("abcde")}, {"better": "right", "order": list("abcde")})
    outcome = asked(OBJECTS + PAIR + LIST + RANKER, llm, {**DATA, **ITEMS})
    assert set(values(outcome)) == {"better", "order"}
    assert len(llm.calls) == 2


# Examples and versions


def test_examples_are_turned_with_the_question() -> None:
    plan = plan_of(OBJECTS + PAIR, few_shot=2)
    told = [
        Correction("1", {"one": "A dog, brown.", "two": "A cat, black."}, {"better": "left"}, task=7),
        Correction("2", {"one": "A dog, old.", "two": "A cat, wild."}, {"better": None, "tone": "x"}, task=8),
    ]
    lessons = Lessons(Pool(told, lambda one: read(plan.config, one.data).text), TokenMeter())
    llm = ScriptedLLM(prefers("A dog."))
    asyncio.run(predict(plan, Task(1, DATA), Prompt("Which?", "config"), llm, no_media, lessons=lessons))
    first, other = ([message.text for message in call.messages[1:-1]] for call in llm.calls)
    assert first[1] == '{"better": "left"}'
    assert other[1] == '{"better": "right"}'
    assert first[0].index("dog, brown") < first[0].index("cat, black")
    assert other[0].index("cat, black") < other[0].index("dog, brown")


def test_what_repeats_is_turned_in_each_of_its_places() -> None:
    tags = (
        '<Text name="old" value="$old"/><Repeater on="$rows" indexFlag="{{i}}"><Text name="new{{i}}" '
        'value="$rows[{{i}}].text"/><Pairwise name="better{{i}}" toName="old,new{{i}}"/></Repeater>'
    )
    llm = ScriptedLLM(prefers("A dog."))
    outcome = asked(tags, llm, {"old": "A dog.", "rows": [{"text": "A cat."}, {"text": "A cow."}]})
    assert values(outcome) == {"better0": "left", "better1": "left"}
    assert [re.findall(r"dog|cat|cow", shown(call)) for call in llm.calls] == [
        ["dog", "cat", "cow"],
        ["cat", "dog", "cow"],
        ["cow", "cat", "dog"],
    ]


def test_pairs_of_several_entries_share_the_second_question() -> None:
    tags = (
        '<Repeater on="$rows"><Text name="a{{idx}}" value="$rows[{{idx}}].one"/><Text name="b{{idx}}" '
        'value="$rows[{{idx}}].two"/><Pairwise name="better{{idx}}" toName="a{{idx}},b{{idx}}"/></Repeater>'
    )
    llm = ScriptedLLM(prefers("A dog."))
    outcome = asked(tags, llm, {"rows": [DATA, {"one": "A cow.", "two": "A dog."}]})
    assert values(outcome) == {"better0": "left", "better1": "right"}
    assert len(llm.calls) == 2


def version_of_one_order(plan: Plan, prompt: Prompt) -> str:
    """The `model_version` under which answers were kept before any question was asked in both orders."""
    told = (plan.config.digest, plan.texts.digest, repr(plan.template), repr(plan.parameters), prompt.text)
    digest = hashlib.sha256("\0".join(told).encode()).hexdigest()
    return f"m-{digest[:12]}"


def test_what_was_answered_to_one_order_alone_has_another_version() -> None:
    prompt, compares, labels = Prompt("Go", "config"), plan_of(OBJECTS + PAIR), plan_of(OBJECTS + TONE)
    assert compares.version(prompt, "m") != version_of_one_order(compares, prompt)
    assert labels.version(prompt, "m") == version_of_one_order(labels, prompt)
