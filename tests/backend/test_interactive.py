"""Shift+Enter, as the annotator lives it."""

import asyncio
from pathlib import Path

import pytest

from llm_backend.core.chat import Call
from llm_backend.core.notices import NOTICE_PREFIX
from llm_backend.errors import Busy, KeyRefused, ProviderRefused
from tests.support.scripted import ScriptedLLM
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
    with serving(ScriptedLLM({"pw": "left"}), tmp_path) as host:
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
