"""A Ranker: the items of a List in order, or sorted into buckets, by their ids."""

from typing import Any

import pytest

from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs, read
from llm_backend.core.labeling import parse
from llm_backend.core.wire import Region
from llm_backend.errors import AnswerError, InputError

ITEMS = [{"id": "blog", "title": "Ten tips"}, {"id": 2, "body": "Arrows"}, {"id": "wiki", "body": "An arrow is"}]
ORDER = '<Ranker name="rank" toName="list"/>'
PICK = '<Ranker name="rank" toName="list"><Bucket name="best" title="Best ones"/><Bucket name="ads"/></Ranker>'
SORT = '<Ranker name="rank" toName="list"><Bucket name="good" default="true"/><Bucket name="very bad"/></Ranker>'


def ranker(tag: str, items: Any = ITEMS) -> tuple[Control, Inputs]:
    config = parse(f'<View><List name="list" value="$items"/>{tag}</View>')
    (control,), _ = bind(config)
    return control, read(config, {"items": items})


def made(tag: str, answer: Any) -> Any:
    control, inputs = ranker(tag)
    regions = control.read(answer, inputs)
    assert all(
        (r.from_name, r.to_name, r.type, list(r.value)) == ("rank", "list", "ranker", ["ranker"]) for r in regions
    )
    return [dict(region.value["ranker"]) for region in regions]


def refusal(tag: str, answer: Any) -> str:
    with pytest.raises(AnswerError) as caught:
        made(tag, answer)
    return caught.value.sentence


@pytest.mark.parametrize(
    ("tag", "answer", "value"),
    [
        pytest.param(ORDER, ["wiki", "2", "blog"], {"rank": ["wiki", "2", "blog"]}, id="order"),
        pytest.param(ORDER, ["wiki", 2, "blog"], {"rank": ["wiki", "2", "blog"]}, id="number for a number"),
        pytest.param(PICK, {"best": ["2"], "ads": ["blog"]}, {"best": ["2"], "ads": ["blog"]}, id="the rest stays"),
        pytest.param(PICK, {"ads": ["blog"]}, {"best": [], "ads": ["blog"]}, id="a bucket left out is empty"),
        pytest.param(SORT, {"good": [], "very_bad": ["2", "wiki", "blog"]}, None, id="key of a bucket"),
        pytest.param(SORT, {"good": [], "very bad": ["2", "wiki", "blog"]}, None, id="name of a bucket"),
    ],
)
def test_an_answer_becomes_ids_by_column(tag: str, answer: Any, value: Any) -> None:
    assert made(tag, answer) == [value or {"good": [], "very bad": ["2", "wiki", "blog"]}]


@pytest.mark.parametrize("answer", [None, [], {"best": [], "ads": []}], ids=repr)
def test_where_nothing_is_picked_no_region_is_made(answer: Any) -> None:
    assert made(PICK, answer) == []


def test_a_required_ranker_must_be_answered() -> None:
    tag = PICK.replace("<Ranker", '<Ranker required="true"')
    assert refusal(tag, {"best": [], "ads": []}) == '"rank" must be answered; the model left it empty.'


@pytest.mark.parametrize(
    ("tag", "answer", "sentence"),
    [
        pytest.param(ORDER, ["wiki", "2"], '"rank" takes every id; the model left out blog.', id="missing"),
        pytest.param(
            ORDER,
            ["wiki", "2", "blog", "wiki"],
            '"rank" takes each id once; the model gave "wiki" several times.',
            id="twice",
        ),
        pytest.param(ORDER, ["wiki", "3"], '"rank" takes the ids blog, 2 or wiki; the model gave "3".', id="unknown"),
        pytest.param(
            ORDER, ["Wiki"], '"rank" takes the ids blog, 2 or wiki; the model gave "Wiki".', id="another case"
        ),
        pytest.param(
            ORDER, [2.0], '"rank" takes the ids blog, 2 or wiki; the model gave 2.0.', id="a number with a point"
        ),
        pytest.param(ORDER, "wiki", '"rank" takes a list of ids; the model gave "wiki".', id="no list"),
        pytest.param(
            ORDER, {"rank": ["wiki"]}, '"rank" takes a list of ids; the model gave {"rank": ["wiki"]}.', id="an object"
        ),
        pytest.param(
            PICK,
            ["wiki"],
            '"rank" takes a list of ids for each of best or ads; the model gave ["wiki"].',
            id="a list for buckets",
        ),
        pytest.param(
            PICK,
            {"best": "wiki"},
            '"rank" takes a list of ids for each of best or ads; the model gave {"best": "wiki"}.',
            id="an id for a list",
        ),
        pytest.param(
            PICK, {"best": [], "worst": []}, '"rank" takes best or ads; the model gave "worst".', id="unknown bucket"
        ),
        pytest.param(
            PICK,
            {"best": ["2"], "ads": ["2"]},
            '"rank" takes each id once; the model gave "2" several times.',
            id="in two buckets",
        ),
        pytest.param(
            SORT,
            {"good": ["2"], "very_bad": []},
            '"rank" takes every id; the model left out blog or wiki.',
            id="not placed though there is no list to stay in",
        ),
    ],
)
def test_an_answer_that_is_no_ranking_is_refused(tag: str, answer: Any, sentence: str) -> None:
    assert refusal(tag, answer) == sentence


def test_the_question_names_the_ids_and_the_buckets() -> None:
    control, inputs = ranker(ORDER)
    assert control.describe(inputs) == 'a list of all these ids, best first: "blog", "2", "wiki"'
    ids = {"type": "string", "enum": ["blog", "2", "wiki"]}
    assert control.schema(inputs) == {"type": "array", "items": ids, "minItems": 3, "maxItems": 3}
    control, inputs = ranker(PICK)
    assert control.describe(inputs) == (
        "an object with a list of ids, best first, for each of the following; each of these ids in at most one of "
        'them: "blog", "2", "wiki"\n- "best" (Best ones)\n- "ads"'
    )
    control, inputs = ranker(SORT)
    assert "each of these ids in one of the lists" in control.describe(inputs)
    assert '- "very_bad" (very bad)' in control.describe(inputs)


@pytest.mark.parametrize(
    ("items", "sentence"),
    [
        pytest.param([], 'Ranker "rank" has nothing to rank: "list" shows no list of items.', id="none"),
        pytest.param('[{"id": 1}]', 'Ranker "rank" has nothing to rank: "list" shows no list of items.', id="a text"),
        pytest.param(
            [{"id": 1}, {"body": "b"}],
            'Ranker "rank" takes the items of "list" by their ids; an item of this task has none. '
            'Give each an "id" of its own.',
            id="no id",
        ),
        pytest.param(
            [{"id": 1, "body": "a"}, {"id": "1", "body": "b"}],
            'Ranker "rank" takes the items of "list" by their ids; several items of this task have the id "1". '
            "Give each one of its own.",
            id="same id for different items",
        ),
    ],
)
def test_items_that_ids_do_not_tell_apart_are_refused(items: Any, sentence: str) -> None:
    control, inputs = ranker(ORDER, items)
    with pytest.raises(InputError) as caught:
        control.schema(inputs)
    assert caught.value.sentence == sentence


def test_an_item_that_is_there_twice_is_ranked_once_as_in_the_editor() -> None:
    control, inputs = ranker(ORDER, [{"id": 1, "body": "a"}, {"id": 2, "body": "b"}, {"id": 1, "body": "a"}])
    (region,) = control.read(["2", "1"], inputs)
    assert region.value == {"ranker": {"rank": ["2", "1"]}}


@pytest.mark.parametrize(
    ("tag", "value", "answer"),
    [
        pytest.param(ORDER, {"rank": ["wiki", "blog", "2"]}, ["wiki", "blog", "2"], id="order"),
        pytest.param(ORDER, {"rank": ["wiki", "blog"]}, None, id="of fewer items"),
        pytest.param(PICK, {"_": ["2"], "best": ["wiki", "x"]}, {"best": ["wiki"], "ads": []}, id="the list's own"),
        pytest.param(PICK, {"_": ["blog", "2", "wiki"]}, {"best": [], "ads": []}, id="nothing picked"),
        pytest.param(SORT, {"good": ["2"]}, None, id="not all placed"),
        pytest.param(ORDER, ["wiki"], None, id="nonsense"),
    ],
)
def test_a_persons_ranking_becomes_an_answer(tag: str, value: Any, answer: Any) -> None:
    control, inputs = ranker(tag)
    region = Region("rank", "list", "ranker", {"ranker": value}, origin="manual")
    assert control.encode([region], inputs) == answer
