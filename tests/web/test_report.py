"""How is a report of agreement shown in a browser?"""

import re
from typing import Any

from lxml import html

from llm_backend.web.report import page
from tests.support.exports import annotation, prediction, said, task
from tests.support.reports import report

NASTY = '<script>alert("x")</script>'
CONFIG = """<View>
  <Text name="text" value="$text"/><Text name="a" value="$a"/><Text name="b" value="$b"/>
  <Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/>
    <Choice value="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"/></Choices>
  <Rating name="stars" toName="text"/>
  <Labels name="ner" toName="text"><Label value="PER"/></Labels>
  <Choices name="mood" toName="text" perRegion="true"><Choice value="calm"/><Choice value="cross"/></Choices>
  <TextArea name="summary" toName="text"/>
  <Pairwise name="better" toName="a,b"/>
</View>"""


def made(count: int) -> str:
    rows = []
    for n in range(1, count + 1):
        result = [
            said(NASTY if n % 3 else "good"),
            said(1 + n % 5, "stars", "rating"),
            said({"start": 0, "end": 4, "labels": ["PER"]}, "ner", "labels"),
            said({"text": ["Words."]}, "summary", "textarea"),
            said({"selected": "left"}, "better", "pairwise", to="a"),
        ]
        other = [said("good"), *result[1:]]
        told = [prediction(*other, version="old", score=0.5), prediction(*result, version="new", at=600, score=0.8)]
        rows.append(task(n, [annotation(*result)], told, text=f"Text {n}.", a=f"a{n}", b=f"longer {n}"))
    return page(report(*rows, config=CONFIG, url="http://studio:8080").to_json())


def test_the_page_holds_all_that_it_needs_and_no_script() -> None:
    told = made(60)
    tree = html.fromstring(told)
    assert tree.xpath("//script | //link | //img | //iframe") == []
    assert not re.search(r"url\(|@import|https?://(?!studio:8080)", told)
    headings = [heading.text_content() for heading in tree.xpath("//h2")]
    assert headings[:5] == ["tone", "stars", "ner", "summary", "better"]
    assert headings[5:] == [
        *("Versions on the same tasks", "Bias of the judge of pairs", "What scores are worth"),
        "How this is measured",
    ]


def test_places_and_what_hangs_on_them_are_told_with_what_has_no_match() -> None:
    def span(start: int, end: int, mood: str) -> list[dict[str, Any]]:
        place = {"start": start, "end": end}
        parts = {"ner": ("labels", {**place, "labels": ["PER"]}), "mood": ("choices", {**place, "choices": [mood]})}
        return [said(value, name, kind, id=f"{start}") for name, (kind, value) in parts.items()]

    people, model = [*span(0, 4, "calm"), *span(6, 9, "calm")], [*span(0, 4, "cross"), *span(20, 29, "calm")]
    told = report(task(1, [annotation(*people)], [prediction(*model)], text="t", a="a", b="b"), config=CONFIG)
    words = " ".join(html.fromstring(page(told.to_json())).xpath("//main")[0].text_content().split())
    for told_of in (
        "Places: people marked 2, the model 2, 1 are the same: precision 0.50, recall 0.50, F1 0.50.",
        "Mean IoU of these 1.00.",
        "Not compared, for they have no match: regions of people 1, of the model 1.",
        "1 region on which they differ TaskPeopleModel 1 PER 0-4calmcross",
        "all answers, 1 region",
    ):
        assert told_of in words


def test_what_people_and_models_said_is_text_and_never_markup() -> None:
    told = made(6)
    assert NASTY not in told
    assert "&lt;script&gt;" in told


def test_undefined_figures_are_called_so() -> None:
    assert "undefined" in made(2)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", made(2), flags=re.DOTALL).lower().split()
