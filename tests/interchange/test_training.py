"""Files to train from are what their trainers read: `datasets` loads them, and no rule of theirs is broken."""

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from llm_backend.core.labeling import parse
from llm_backend.interchange.exports import ExportedTask, read_export
from llm_backend.interchange.preferences import Reason, Taking, Ways, Wishes
from llm_backend.interchange.training import FORMATS, Exported, Rows, Split, export
from tests.support.exported import PAIR, PAIRWISE, annotation, ranked, side, stars, task, written
from tests.support.training_rules import openai_faults, trl_faults

CHAT = """<View><Paragraphs name="chat" value="$chat" nameKey="role" textKey="content"/>
<TextArea name="response" toName="chat"/><Rating name="rating" toName="chat"/></View>"""
TURNS = [{"role": "Human", "content": "Hi"}, {"role": "bot", "content": "Hello."}, {"role": "Human", "content": "How?"}]


def pairs(count: int) -> list[dict[str, Any]]:
    return [
        task(
            number, {**PAIR, "prompt": f"Hello {number}?"}, annotation(number, side("left" if number % 3 else "right"))
        )
        for number in range(1, count + 1)
    ]


def chats(count: int) -> list[dict[str, Any]]:
    shown = {"id": 7, "result": [written("response", "So.")]}
    return [
        task(
            number,
            {"chat": [*TURNS, {"role": "Human", "content": f"And {number}?"}]},
            annotation(
                number,
                written("response", f"Well, {number}."),
                stars("rating", 1 + 4 * (number % 2)),
                parent_prediction=7,
                prediction=shown,
            ),
        )
        for number in range(1, count + 1)
    ]


def exported(
    folder: Path, xml: str, form: str, tasks: list[dict[str, Any]], share: float = 1.0, **options: bool
) -> tuple[list[list[dict[str, Any]]], Exported, Rows]:
    """The rows of each file, what was counted, and what was left."""
    source = folder / "export.json"
    source.write_text(json.dumps(tasks))
    way = Ways(parse(xml), FORMATS[form].kind, Wishes())
    conversation = FORMATS[form].conversations or way.dialogue or options.get("conversational", False)
    told = {name: options[name] for name in ("meta", "scores", "repeats") if name in options}
    rows = Rows(Taking(way, FORMATS[form].kind), FORMATS[form], conversation, **told)
    files = [folder / f"{number}.jsonl" for number in range(1 + (share < 1))]
    done = export(read_export(source), rows, files, Split(share), predictions=options.get("predictions", False))
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files], done, rows


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.disable_progress_bars()


@pytest.mark.parametrize("conversational", [False, True])
@pytest.mark.parametrize(("xml", "tasks"), [(PAIRWISE, pairs(12)), (CHAT, chats(12))], ids=["pairwise", "chat"])
@pytest.mark.parametrize("form", list(FORMATS))
def test_every_format_is_loaded_by_datasets_and_keeps_the_rules(
    tmp_path: Path, form: str, xml: str, tasks: list[dict[str, Any]], conversational: bool
) -> None:
    (rows,), done, _ = exported(tmp_path, xml, form, tasks, conversational=conversational)
    assert len(rows) == sum(done.rows) >= 12
    check = openai_faults if form.startswith("openai") else trl_faults
    assert [fault for row in rows for fault in check(row, form)] == []
    loaded = datasets.Dataset.from_json(str(tmp_path / "0.jsonl"), cache_dir=str(tmp_path / "cache"))
    assert loaded.column_names == list(rows[0])
    if form != "openai-dpo":  # `tools` is an empty list there, of which no type can be told
        assert loaded.to_list() == rows


def test_a_preference_is_written_as_each_trainer_reads_it(tmp_path: Path) -> None:
    tasks = [task(1, PAIR, annotation(1, side("right")))]
    asked, good, bad = (
        {"role": role, "content": text}
        for role, text in (("user", "Hello?"), ("assistant", "Go away."), ("assistant", "Hi."))
    )
    made = {form: exported(tmp_path, PAIRWISE, form, tasks)[0][0] for form in FORMATS}
    assert made == {
        "trl-preference": [{"prompt": "Hello?", "chosen": "Go away.", "rejected": "Hi."}],
        "trl-implicit": [{"chosen": [asked, good], "rejected": [asked, bad]}],
        "trl-sft": [{"prompt": "Hello?", "completion": "Go away."}],
        "trl-kto": [
            {"prompt": "Hello?", "completion": "Go away.", "label": True},
            {"prompt": "Hello?", "completion": "Hi.", "label": False},
        ],
        "reward": [{"prompt": "Hello?", "chosen": "Go away.", "rejected": "Hi."}],
        "openai-sft": [{"messages": [asked, good]}],
        "openai-dpo": [
            {
                "input": {"messages": [asked], "tools": [], "parallel_tool_calls": True},
                "preferred_output": [good],
                "non_preferred_output": [bad],
            }
        ],
    }


def test_a_ranking_gives_a_reward_model_its_margins(tmp_path: Path) -> None:
    tasks = [task(1, PAIR, annotation(1, stars("r1", 5), stars("r2", 2)))]
    (rows,), _, _ = exported(tmp_path, APART, "reward", tasks)
    assert rows == [{"prompt": "Hello?", "chosen": "Hi.", "rejected": "Go away.", "margin": 3.0}]


STARS = PAIRWISE.replace("</View>", '<Rating name="r1" toName="answer1"/><Rating name="r2" toName="answer2"/></View>')
APART = STARS.replace('<Pairwise name="comparison" toName="answer1,answer2"/>', "")


@pytest.mark.parametrize(("repeats", "count"), [(False, 1), (True, 2)])
def test_a_row_that_is_there_already_is_left_out_wherever_it_comes_from(
    tmp_path: Path, repeats: bool, count: int
) -> None:
    """The stars differ, of which the rows do not tell."""
    tasks = [task(n, PAIR, annotation(n, stars("r1", 3 + n), stars("r2", 1))) for n in (1, 2)]
    (rows,), _, lines = exported(tmp_path, APART, "trl-preference", tasks, repeats=repeats, meta=True)
    assert [row["meta"]["task"] for row in rows] == [1, 2][:count]
    assert lines.left[Reason.DUPLICATE] == 2 - count
    assert len(exported(tmp_path, APART, "reward", tasks)[0][0]) == 2  # here they do


RANKED = """<View><Text name="prompt" value="$prompt"/><List name="answers" value="$items"/>
<Ranker name="rank" toName="answers"/></View>"""
ITEMS = [{"id": ident, "body": ident.upper()} for ident in "abc"]


@pytest.mark.parametrize(
    ("xml", "form", "raw", "told"),
    [
        (APART, "trl-preference", task(1, PAIR, annotation(1, stars("r1", 2), stars("r2", 5))), [[5, 2]]),
        (
            STARS,
            "reward",
            task(1, PAIR, annotation(1, side("left"), stars("r1", 2), stars("r2", 5))),
            [[2, 5]],
        ),
        (STARS, "reward", task(1, PAIR, annotation(1, side("left"), stars("r1", 2))), [[None, None]]),
        (STARS, "trl-kto", task(1, PAIR, annotation(1, side("right"), stars("r1", 2), stars("r2", 5))), [[5], [2]]),
        (
            RANKED,
            "trl-implicit",
            task(1, {"prompt": "a", "items": ITEMS}, annotation(1, ranked("rank", rank=["b", "c", "a"]))),
            [[2, 1], [2, 0], [1, 0]],
        ),
    ],
    ids=["ratings", "pairwise", "one rating", "kto", "ranks"],
)
def test_rows_say_how_their_answers_were_rated_if_wanted(
    tmp_path: Path, xml: str, form: str, raw: dict[str, Any], told: list[list[float | None]]
) -> None:
    (rows,), _, _ = exported(tmp_path, xml, form, [raw], scores=True)
    names = ["score"] if form == "trl-kto" else ["score_chosen", "score_rejected"]
    assert [[row[name] for name in names] for row in rows] == told
    (plain,), _, _ = exported(tmp_path, xml, form, [raw])
    assert not any(name in row for row in plain for name in names)


def test_rows_say_where_they_come_from_if_wanted(tmp_path: Path) -> None:
    tasks = [task(4, PAIR, annotation(9, side("left"), by=3))]
    (rows,), _, _ = exported(tmp_path, PAIRWISE, "trl-preference", tasks, meta=True)
    assert rows[0]["meta"] == {"task": 4, "annotation": 9, "annotator": "3"}


def test_rows_say_whose_answers_they_are_about_where_the_task_tells(tmp_path: Path) -> None:
    """As of tasks that were generated."""

    def generated(**models: str) -> dict[str, Any]:
        also = {"also": [{"model": "large"}, {"model": "tiny"}]}
        answers = {place: {"model": model, **(also if model == "large" else {})} for place, model in models.items()}
        return {"meta": {"generated": {"seed": 0, "answers": answers}}}

    told = generated(answer1="small", answer2="large")
    pair = task(1, PAIR, annotation(1, side("right")), **told)
    (rows,), _, _ = exported(tmp_path, PAIRWISE, "trl-preference", [pair], meta=True)
    assert rows[0]["meta"] == {
        "task": 1,
        "annotation": 1,
        "annotator": "1",
        "chosen_model": "large, tiny",
        "rejected_model": "small",
    }
    (rows,), _, _ = exported(tmp_path, PAIRWISE, "trl-kto", [pair], meta=True)
    assert [(row["label"], row["meta"]["model"]) for row in rows] == [(True, "large, tiny"), (False, "small")]
    told = generated(a="small", b="large", c="tiny")
    ranking = task(1, {"prompt": "a", "items": ITEMS}, annotation(1, ranked("rank", rank=["b", "a"])), **told)
    (rows,), _, _ = exported(tmp_path, RANKED, "trl-sft", [ranking], meta=True)
    assert rows[0]["meta"]["model"] == "large, tiny"
    for odd in ({"meta": {"generated": 3}}, {"meta": {"generated": {"answers": [1]}}}, {"meta": 3}, generated(b="x")):
        (rows,), _, _ = exported(tmp_path, PAIRWISE, "trl-sft", [{**pair, **odd}], meta=True)
        assert set(rows[0]["meta"]) == {"task", "annotation", "annotator"}


def test_of_a_row_of_labelbox_the_models_are_told_that_it_names(tmp_path: Path) -> None:
    outputs = [{"modelConfigName": "small"}, {}, 3]
    data = {"prompt": "a", "items": [{"id": n, "body": f"{n}"} for n in range(3)]}
    data["labelbox"] = {"document": {"modelOutputs": outputs}}
    raw = task(1, data, annotation(1, ranked("rank", rank=["2", "1", "0"])))
    (rows,), _, _ = exported(tmp_path, RANKED, "trl-preference", [raw], meta=True)
    named = [{name for name in row["meta"] if name.endswith("model")} for row in rows]
    assert named == [set(), {"rejected_model"}, {"rejected_model"}]
    assert rows[1]["meta"]["rejected_model"] == "small"


def test_whatever_the_order_of_an_export_the_file_is_the_same(tmp_path: Path) -> None:
    tasks = [
        task(n, {**PAIR, "prompt": f"{n}"}, annotation(2 * n, side("left")), annotation(1, side("right")))
        for n in (1, 2, 3)
    ]
    turned = [{**one, "annotations": one["annotations"][::-1]} for one in reversed(tasks)]
    (rows,), _, _ = exported(tmp_path, PAIRWISE, "trl-preference", tasks)
    (again,), _, _ = exported(tmp_path, PAIRWISE, "trl-preference", turned)
    assert rows == again
    assert [row["prompt"] for row in rows] == ["1", "1", "2", "2", "3", "3"]


def test_a_split_keeps_what_is_made_of_a_task_together_and_is_the_same_for_a_longer_export(tmp_path: Path) -> None:
    def both(count: int) -> list[dict[str, Any]]:
        sides = (annotation(1, side("left")), annotation(2, side("right")))
        return [task(n, {**PAIR, "prompt": f"{n}"}, *sides) for n in range(1, count + 1)]

    (train, test), done, _ = exported(tmp_path, PAIRWISE, "trl-preference", both(300), share=0.9)
    assert done.rows == [len(train), len(test)]
    asked = [{row["prompt"] for row in part} for part in (train, test)]
    assert not asked[0] & asked[1]
    assert len(asked[0]) + len(asked[1]) == 300
    assert 10 < len(asked[1]) < 60
    (_, longer), _, _ = exported(tmp_path, PAIRWISE, "trl-preference", both(400), share=0.9)
    assert asked[1] == {row["prompt"] for row in longer if int(row["prompt"]) <= 300}


def test_drafts_and_predictions_are_left_unless_predictions_are_wanted(tmp_path: Path) -> None:
    told = {"drafts": [{"result": [side("left")]}], "predictions": [{"id": 1, "result": [side("right")]}, 5]}
    tasks = [task(1, PAIR, **told)]
    (rows,), _, lines = exported(tmp_path, PAIRWISE, "trl-preference", tasks)
    assert (rows, dict(+lines.left)) == ([], {Reason.UNTOUCHED: 1, Reason.DRAFT: 1})
    (rows,), _, lines = exported(tmp_path, PAIRWISE, "trl-preference", tasks, predictions=True)
    assert ([row["chosen"] for row in rows], dict(+lines.left)) == (["Go away."], {Reason.BARE: 1})
    tasks = [task(1, PAIR, annotation(1, side("left"))), task(2, PAIR, predictions=[5])]
    (rows,), _, lines = exported(tmp_path, PAIRWISE, "trl-preference", tasks, predictions=True)
    assert (rows, dict(+lines.left)) == ([], {Reason.UNPREDICTED: 1, Reason.BARE: 1})


def test_a_task_that_misses_a_field_is_named_by_line_and_key_and_spoils_no_other(tmp_path: Path) -> None:
    tasks = [task(1, {"prompt": "a", "answer1": "b"}, annotation(1, side("left"))), *pairs(2)]
    _, done, _ = exported(tmp_path, PAIRWISE, "trl-preference", tasks)
    assert (done.tasks, done.unusable, done.rows) == (3, 1, [2])
    assert [(fault.line, fault.sentence) for fault in done.faults] == [(1, 'Its data has no "answer2".')]


def test_markup_with_scripts_is_kept_to_the_letter(tmp_path: Path) -> None:
    html = '<script>alert("x")</script>&lt;b&gt;\u2028</b>\r\n'
    xml = PAIRWISE.replace("<Text", "<HyperText")
    (rows,), _, _ = exported(
        tmp_path, xml, "trl-preference", [task(1, {**PAIR, "answer1": html}, annotation(1, side("left")))]
    )
    assert rows[0]["chosen"] == html


def test_an_export_is_read_task_by_task(tmp_path: Path) -> None:
    """What comes first is written before the last is read."""
    taken: list[int] = []

    class Watched(Rows):
        def take(self, task: Any, annotations: Any) -> list[str]:
            taken.append(task.id)
            return super().take(task, annotations)

    def tasks() -> Any:
        for number in range(3):
            assert taken == list(range(number))
            yield ExportedTask(number, number, PAIR)

    way = Ways(parse(PAIRWISE), "pairs", Wishes())
    export(tasks(), Watched(Taking(way, "pairs"), FORMATS["trl-preference"], False), [], Split())
    assert taken == [0, 1, 2]
