"""Shift+Enter, as the annotator lives it."""

import asyncio
import json
from pathlib import Path

import pytest

from llm_backend.adapters.store import Project
from llm_backend.adapters.store.sqlite import SqliteStore
from llm_backend.core.chat import Call
from llm_backend.core.notices import NOTICE_PREFIX
from llm_backend.errors import Busy, KeyRefused, ProviderRefused, StoreError
from tests.support.scripted import ScriptedLLM, prefers
from tests.support.serving import CONFIG, GOOD, by_name, chosen, serving, task, typed


def test_a_prompt_fills_every_control_and_leaves_the_prompt_alone(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        regions = host.shift_enter(typed("Classify it"))
    assert by_name(regions) == {"response": ["It is sarcastic."], "sentiment": ["Negative"]}
    assert {region["origin"] for region in regions} == {"prediction"}
    assert {region["to_name"] for region in regions} == {"text"}


@pytest.mark.parametrize(
    "context",
    [
        pytest.param([], id="the burst after Submit"),
        pytest.param([typed("  ")], id="a blank prompt"),
        pytest.param([typed("mine", "response")], id="another box"),
        pytest.param([chosen("Positive")], id="a choice"),
    ],
)
def test_without_a_prompt_nothing_is_answered_and_no_model_asked(tmp_path: Path, context: list[dict]) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path) as host:
        host.setup(extra_params={"prompt": "The manager's"})
        assert host.shift_enter(*context) == []
    assert not llm.calls


@pytest.mark.parametrize("origin", ["manual", "prediction-changed"])
def test_what_a_person_made_is_not_overwritten(tmp_path: Path, origin: str) -> None:
    with serving(ScriptedLLM("Only text."), tmp_path) as host:
        regions = host.shift_enter(typed("Again"), chosen("Positive", origin), typed("Old.", "response", "prediction"))
    assert by_name(regions) == {"response": ["Only text."]}


def test_machine_output_of_an_earlier_prompt_is_replaced(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        regions = host.shift_enter(typed("Again"), chosen("Positive", "prediction"))
    assert by_name(regions)["sentiment"] == ["Negative"]


def test_what_a_person_drafted_on_an_object_out_of_sight_is_not_overwritten(tmp_path: Path) -> None:
    config = CONFIG.replace(
        '<Choices name="sentiment" toName="text"', '<Text name="b" value="$b"/><Choices name="sentiment" toName="b"'
    )
    mine = {**chosen("Positive"), "to_name": "b"}
    opened = {"id": 1, "data": {"text": "a", "b": "b"}, "drafts": [{"result": [mine]}]}
    with serving(ScriptedLLM("Only text."), tmp_path) as host:
        assert by_name(host.shift_enter(typed("Go"), task=opened, config=config)) == {"response": ["Only text."]}


@pytest.mark.parametrize(
    ("error", "calls"),
    [(KeyRefused("The key is refused."), 1), (ProviderRefused("The model declined."), 1), (Busy("Rate limit."), 1)],
    ids=["key", "refusal", "busy"],
)
def test_a_failure_is_one_sentence_in_the_response_box(tmp_path: Path, error: Exception, calls: int) -> None:
    llm = ScriptedLLM(error)
    with serving(llm, tmp_path) as host:
        (region,) = host.shift_enter(typed("Classify it"))
    assert region["from_name"] == "response"
    assert region["value"] == {"text": [f"{NOTICE_PREFIX}{error}"]}
    assert len(llm.calls) == calls


def test_a_store_that_is_away_is_one_sentence_in_the_response_box(tmp_path: Path) -> None:
    class Away(SqliteStore):
        def project(self, key: str) -> Project:
            raise StoreError("Redis cannot be reached.")

    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path, Away(tmp_path / "data")) as host:
        (region,) = host.shift_enter(typed("Classify it"))
        (noted,) = host.shift_enter(typed("Go"), typed("Mine.", "response"))
        assert host.shift_enter() == host.shift_enter(typed("Go", "response")) == []  # nobody asked
        assert host.shift_enter(typed("Go"), config="<View>") == []
    assert region["value"] == {"text": [f"{NOTICE_PREFIX}Redis cannot be reached."]}
    assert noted["value"]["text"] == ["Mine.", f"{NOTICE_PREFIX}Redis cannot be reached."]
    assert not llm.calls  # whether the project has a provider of its own is not known


def test_a_prompt_that_cannot_be_saved_is_answered(tmp_path: Path) -> None:
    class Full(SqliteStore):
        def save_prompt(self, key: str, text: str, origin: str) -> None:
            raise StoreError("The disk is full.")

    with serving(ScriptedLLM(GOOD), tmp_path, Full(tmp_path / "data"), save_prompt_on_use=True) as host:
        assert by_name(host.shift_enter(typed("Go"))) == {"response": ["It is sarcastic."], "sentiment": ["Negative"]}


def test_a_failure_is_added_after_a_persons_text_and_leaves_with_the_next_success(tmp_path: Path) -> None:
    with serving(ScriptedLLM(Busy("Rate limit."), {"sentiment": "Negative"}), tmp_path) as host:
        (noted,) = host.shift_enter(typed("Go"), typed("Mine.", "response"))
        assert noted["value"]["text"] == ["Mine.", f"{NOTICE_PREFIX}Rate limit."]
        assert noted["origin"] == "manual"
        regions = host.shift_enter(typed("Go"), noted)
    assert by_name(regions) == {"sentiment": ["Negative"], "response": ["Mine."]}


def test_an_earlier_notice_is_nobodys_work_even_where_the_editor_says_manual(tmp_path: Path) -> None:
    notice = typed(f"{NOTICE_PREFIX}Rate limit.", "response")
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        assert by_name(host.shift_enter(typed("Go"), notice))["response"] == ["It is sarcastic."]


def test_a_control_that_stayed_wrong_is_named_and_the_others_are_filled(tmp_path: Path) -> None:
    with serving(ScriptedLLM({**GOOD, "sentiment": "Meh"}), tmp_path) as host:
        regions = by_name(host.shift_enter(typed("Go")))
    assert "sentiment" not in regions
    answer, notice = regions["response"]
    assert answer == "It is sarcastic."
    assert notice.startswith(NOTICE_PREFIX)
    assert "Meh" in notice


def test_a_misspelt_field_is_told_in_the_response_box(tmp_path: Path) -> None:
    with serving(ScriptedLLM(GOOD), tmp_path) as host:
        (region,) = host.shift_enter(typed("Classify {txet}"))
    assert "{txet}" in region["value"]["text"][0]


def test_a_config_without_a_text_box_gets_no_regions_on_failure(tmp_path: Path) -> None:
    config = """<View><Text name="text" value="$text"/><TextArea name="prompt" toName="text"/>
    <Rating name="r" toName="text"/></View>"""
    with serving(ScriptedLLM(Busy("Rate limit.")), tmp_path) as host:
        assert host.shift_enter(typed("Go"), config=config) == []


def test_a_late_answer_is_there_for_the_next_identical_question(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def slowly(_: Call) -> dict[str, str]:
        await release.wait()
        return GOOD

    llm = ScriptedLLM(slowly)
    with serving(llm, tmp_path, interactive_timeout=0.05) as host:
        (late,) = host.shift_enter(typed("Go"))
        assert "has not answered" in late["value"]["text"][0]
        host.services.loop.run(_set(release))
        assert by_name(host.shift_enter(typed("Go"), late)) == {
            "response": ["It is sarcastic."],
            "sentiment": ["Negative"],
        }
    assert len(llm.calls) == 1


async def _set(event: asyncio.Event) -> None:
    event.set()


def test_interactive_calls_have_their_own_lane(tmp_path: Path) -> None:
    llm = ScriptedLLM(GOOD)
    with serving(llm, tmp_path) as host:
        host.shift_enter(typed("Go"))
        host.batch(task(1))
    assert [call.lane for call in llm.calls] == ["interactive", "batch"]


def test_a_pairwise_answer_is_addressed_where_the_editor_shows_it(tmp_path: Path) -> None:
    config = """<View><Text name="q" value="$q"/><Text name="a" value="$a"/><Text name="b" value="$b"/>
    <TextArea name="prompt" toName="q"/><Pairwise name="pw" toName="a,b"/></View>"""
    data = {"id": 1, "data": {"q": "Which?", "a": "x", "b": "y"}}
    prompt = {**typed("Which?"), "to_name": "q"}
    with serving(ScriptedLLM(prefers("x")), tmp_path) as host:
        (shown,) = host.shift_enter(prompt, task=data, config=config)
        ((stored,),) = [answer["result"] for answer in host.batch(data, config=config)]
    assert (shown["to_name"], stored["to_name"]) == ("q", "a")
    assert shown["value"] == stored["value"] == {"selected": "left"}


def test_a_side_that_a_person_clicked_is_not_answered_again(tmp_path: Path) -> None:
    config = """<View><Text name="q" value="$q"/><Text name="a" value="$a"/><Text name="b" value="$b"/>
    <TextArea name="prompt" toName="q"/><TextArea name="why" toName="q"/><Pairwise name="pw" toName="a,b"/></View>"""
    clicked = {
        "from_name": "pw",
        "to_name": "pw",
        "type": "pairwise",
        "value": {"selected": "right"},
        "origin": "manual",
    }
    opened = {"id": 1, "data": {"q": "Which?", "a": "x", "b": "y"}, "drafts": [{"result": [clicked]}]}
    with serving(ScriptedLLM("Because."), tmp_path) as host:
        regions = host.shift_enter({**typed("Which?"), "to_name": "q"}, task=opened, config=config)
    assert [region["from_name"] for region in regions] == ["why"]


SPANS = """<View><Text name="text" value="$text"/>
  <Labels name="who" toName="text"><Label value="Person"/><Label value="Place"/></Labels>
  <Choices name="sure" toName="text" perRegion="true"><Choice value="yes"/><Choice value="no"/></Choices>
  <Relations/><TextArea name="prompt" toName="text"/><TextArea name="response" toName="text"/></View>"""
ALICE, ROME = ({"quote": word, "before": "", "sure": "yes"} for word in ("Alice", "Rome"))
MARKED = {
    "who": [{"id": 1, **ALICE, "label": "Person"}, {"id": 2, **ROME, "label": "Place"}],
    "relations": [{"from": 1, "to": 2}],
    "response": None,
}


def mark(start: int, end: int, label: str, origin: str, ident: str = "s1") -> dict:
    value = {"start": start, "end": end, "text": "…", "labels": [label]}
    names = {"from_name": "who", "to_name": "text", "type": "labels"}
    return {"id": ident, "value": value, "origin": origin, **names}


def marks(tmp_path: Path, *context: dict, drafted: tuple[dict, ...] = ()) -> list[dict]:
    opened = {"id": 1, "data": {"text": "Alice met Bob in Rome."}, "drafts": [{"result": list(drafted)}]}
    with serving(ScriptedLLM(json.dumps(MARKED)), tmp_path) as host:
        return host.shift_enter(*context, task=opened, config=SPANS)


def places(regions: list[dict]) -> list[int]:
    return [region["value"]["start"] for region in regions if region["type"] == "labels"]


def test_no_id_is_sent_twice_for_the_editor_has_the_first_one_on_screen(tmp_path: Path) -> None:
    first, second = (marks(tmp_path / name, typed("Mark")) for name in ("a", "b"))
    assert places(first) == places(second) == [0, 17]
    ids = [{region["id"] for region in regions if "id" in region} for regions in (first, second)]
    assert len(ids[0]) == 2
    assert not ids[0] & ids[1]
    (link,) = (region for region in second if region["type"] == "relation")
    assert {link["from_id"], link["to_id"]} == ids[1]


@pytest.mark.parametrize(
    ("drafted", "left"),
    [
        pytest.param(mark(0, 5, "Person", "prediction"), [17], id="the machine's own"),
        pytest.param(mark(0, 5, "Place", "prediction"), [0, 17], id="the machine's own, with another label"),
        pytest.param(mark(0, 5, "Person", "manual"), [17], id="a person's"),
        pytest.param(mark(0, 5, "Place", "prediction-changed"), [17], id="a person's, with another label"),
        pytest.param(mark(0, 4, "Person", "manual"), [0, 17], id="a person's, elsewhere"),
    ],
)
def test_what_is_marked_on_screen_is_not_marked_again(tmp_path: Path, drafted: dict, left: list[int]) -> None:
    assert places(marks(tmp_path, typed("Mark"), drafted=(drafted,))) == left


def test_a_span_drawn_by_hand_asks_for_the_others(tmp_path: Path) -> None:
    drawn = mark(0, 5, "Place", "manual")
    regions = marks(tmp_path, drawn, drafted=(typed("Mark"),))
    assert places(regions) == [17]
    assert "s1" not in {region.get("id") for region in regions}


def test_that_nothing_more_is_to_be_marked_is_said(tmp_path: Path) -> None:
    held = (mark(0, 5, "Person", "prediction"), mark(17, 21, "Place", "prediction", "s2"))
    (told,) = marks(tmp_path, typed("Mark"), drafted=held)
    assert told["value"]["text"] == [f"{NOTICE_PREFIX}The model answered nothing that is not on the screen already."]
