"""Pieces of texts, pages and dialogues: what the editor shows of them, and what it hands back."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from llm_backend.core.wire import JSON
from tests.support.browser import SELECTED, Editor
from tests.support.lab import Lab, fills
from tests.support.validator import complaints

_ON_SCREEN = f"""() => {SELECTED}.regionStore.regions.map(region => ({{
  text: region.text,
  lit: (region._spans || []).map(span => span.textContent).join("|"),
  labels: region.labels,
  choices: region.results.filter(r => r.type === "choices").map(r => r.value.choices),
}}))"""
_LABELS = '<Label value="A"/><Label value="B"/>'
TEXT = "\ufeffZoë\r\nmet 👩‍👩‍👧 at\tCafe\u0301 😀 שלום עולם,\n“Zoë” x\u200by."
PAGE = (
    "<html><head><title>T</title><style>p {color: red}</style></head><body>\n<h1>Zoë &amp; <i>Bob</i></h1>\n"
    "<p>He <b>went <i>to</i></b> 👩‍👩‍👧.<br/>Twice,&nbsp;twice <!-- no --> 😀 fin</p><script>var x</script>\n"
    "<ul>\n  <li>שלום</li>\n  <li>Cafe\u0301</li>\n</ul><pre>\nas is</pre></body></html>"
)
TALK = [
    {"author": "Ann", "text": "Hi 😀 there,\nsee Cafe\u0301"},
    {"author": "Bob", "text": "Yes. שלום 👩‍👩‍👧!"},
    {"author": "Ann", "text": "Yes."},
]
# The object, its labels' tag, its data, quotes with what is before them, and their own characters.
KINDS: Mapping[str, tuple[str, str, JSON, Sequence[tuple[str, str, str]]]] = {
    "text": (
        '<Text name="o" value="$d"/>',
        "Labels",
        TEXT,
        [
            ("Zoë met", "", "Zoë\r\nmet"),
            ("👩‍👩‍👧 at", "", "👩‍👩‍👧 at"),
            ("café", "", "Cafe\u0301"),
            ("😀", "", "😀"),
            ("שלום", "", "שלום"),
            ('"Zoë"', "", "“Zoë”"),
            ("xy", "", "x\u200by"),
            ("Zoë", "“", "Zoë"),
        ],
    ),
    **{
        name: (
            f'<HyperText name="o" value="$d" {more}/>',
            tag,
            PAGE,
            [
                ("Zoë & Bob", "", "Zoë & Bob"),
                ("went to", "", "went to"),
                ("👩‍👩‍👧.\nTwice", "", "👩‍👩‍👧.\nTwice"),
                ("twice", "Twice, ", "twice"),
                ("😀 fin", "", "😀 fin"),
                ("שלום", "", "שלום"),
                ("Café", "", "Cafe\u0301"),
                ("as is", "", "as is"),
            ],
        )
        for name, tag, more in (
            ("page", "HyperTextLabels", ""),
            ("page by Labels", "Labels", ""),
            ("page inline", "HyperTextLabels", 'inline="true"'),
        )
    },
    **{
        name: (
            f'<Paragraphs name="o" value="$d" layout="{layout}"/>',
            tag,
            TALK,
            [
                ("😀", "", "😀"),
                ("there, see", "", "there,\nsee"),
                ("Café", "", "Cafe\u0301"),
                ("Yes.", "Ann: ", "Yes."),
                ("שלום 👩‍👩‍👧", "", "שלום 👩‍👩‍👧"),
                ("👩‍👩‍👧!\nAnn: Yes.", "", "👩‍👩‍👧!\nYes."),
            ],
        )
        for name, tag, layout in (
            ("talk", "ParagraphLabels", "none"),
            ("dialogue", "ParagraphLabels", "dialogue"),
            ("talk by Labels", "Labels", "none"),
        )
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_marked_is_what_the_annotator_sees(lab: Lab, editor: Editor, kind: str) -> None:
    tag, control, data, quotes = KINDS[kind]
    config = f'<View>{tag}<{control} name="l" toName="o">{_LABELS}</{control}></View>'
    lab.stub.responder = fills(l=[{"quote": quote, "before": before, "label": "A"} for quote, before, _ in quotes])
    project, (task,) = lab.project(f"spans {kind}", config, [{"d": data}])
    lab.api.retrieve_predictions(project)
    (stored,) = lab.api.predictions(project)
    assert [region["value"]["text"] for region in stored["result"]] == [own for _, _, own in quotes]
    assert complaints([(config, {"model_version": "m", "score": None, "result": stored["result"]})]) == [[]]

    editor.open(project, task)
    there = f"{SELECTED}.regionStore.regions"
    editor.wait(f"{there}.length === {len(quotes)} && {there}.every(r => r._spans && r._spans.length)")

    lit = [squeezed(region["lit"]) for region in editor.page.evaluate(_ON_SCREEN)]
    assert lit == [squeezed(own) for _, _, own in quotes]
    given_back = [(region["id"], place(region["value"])) for region in editor.result()]
    assert given_back == [(region["id"], place(region["value"])) for region in stored["result"]]


MEETING = """<View>
  <Text name="text" value="$text"/>
  <Labels name="who" toName="text"><Label value="Person"/><Label value="Place"/></Labels>
  <Choices name="sure" toName="text" perRegion="true" required="true">
    <Choice value="yes"/><Choice value="no"/>
  </Choices>
  <TextArea name="why" toName="text" perRegion="true" whenTagName="who" whenLabelValue="Place"/>
  <Relations><Relation value="is in"/></Relations>
</View>"""
ALICE = {"id": 1, "quote": "Alice", "before": "", "label": "Person", "sure": "yes", "why": None}
ROME = {"id": 2, "quote": "Rome", "before": "", "label": "Place", "sure": "no", "why": "A city."}


def test_what_hangs_on_a_piece_and_what_links_two_are_shown(lab: Lab, editor: Editor, shots: Path) -> None:
    lab.stub.responder = fills(who=[ALICE, ROME], relations=[{"from": 1, "to": 2, "label": "is in"}])
    project, (task,) = lab.project("linked spans", MEETING, [{"text": "Alice 😀 met Bob in Rome."}])
    lab.api.retrieve_predictions(project)
    (stored,) = lab.api.predictions(project)
    assert complaints([(MEETING, {"model_version": "m", "score": None, "result": stored["result"]})]) == [[]]

    editor.open(project, task)
    editor.wait(f"{SELECTED}.regionStore.regions.length === 2")

    alice, rome = editor.page.evaluate(_ON_SCREEN)
    assert (alice["text"], alice["labels"], alice["choices"]) == ("Alice", ["Person"], [["yes"]])
    assert (rome["text"], rome["labels"], rome["choices"]) == ("Rome", ["Place"], [["no"]])
    link = next(region for region in editor.result() if region["type"] == "relation")
    assert link["labels"] == ["is in"]
    assert {link["from_id"], link["to_id"]} == {region["id"] for region in editor.result() if "id" in region}
    editor.screenshot(shots / "spans.png")


ASKED = MEETING.replace("</View>", '<TextArea name="prompt" toName="text" rows="3"/></View>')


def test_asking_again_marks_nothing_twice_and_leaves_the_editor_at_work(lab: Lab, editor: Editor) -> None:
    lab.stub.responder = fills(who=[ALICE], relations=[])
    project, (task,) = lab.project("asked spans", ASKED, [{"text": "Alice 😀 met Bob in Rome."}])
    editor.open(project, task)
    editor.auto_annotation()
    _ask_and_wait_for_the_draft(editor, "Mark the people")
    lab.stub.responder = fills(who=[ALICE, ROME], relations=[])
    _ask_and_wait_for_the_draft(editor, "Mark the places, too")
    before = lab.calls
    editor.prompt("And again")
    editor.wait_until_quiet()

    assert lab.calls == before + 1
    marked = [region for region in editor.result() if region["type"] == "labels"]
    assert [region["value"]["text"] for region in marked] == ["Alice", "Rome"]
    assert {region["origin"] for region in marked} == {"prediction"}


def _ask_and_wait_for_the_draft(editor: Editor, prompt: str) -> None:
    """Until the editor has saved its draft it tells nobody what is marked."""
    editor.prompt(prompt)
    with editor.page.expect_response(
        lambda reply: "/drafts" in reply.url and '"labels"' in (reply.request.post_data or "")
    ):
        editor.wait_until_quiet()


def squeezed(text: str) -> str:
    """A text without what parts the pieces in which the page shows it."""
    return "".join(text.replace("|", "").split())


def place(value: Mapping[str, JSON]) -> str:
    """What a region holds; but the words of a dialogue, which the editor takes anew from what the page shows."""
    kept = {key: held for key, held in value.items() if key != "text" or type(value["start"]) is int}
    return json.dumps(kept, sort_keys=True)
