"""How is a report of agreement shown in a browser?"""

import re
from typing import Any

from lxml import html

from llm_backend.agreement.pairs import gather
from llm_backend.agreement.report import make_report
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, make_plan
from llm_backend.core.prompts import Template
from llm_backend.interchange.exports import ExportedTask, of_json
from llm_backend.services import texts
from llm_backend.web.report import page
from tests.support.exports import annotation, prediction, said, task

NASTY = '<script>alert("x")</script>'
CONFIG = """<View>
  <Text name="text" value="$text"/><Text name="a" value="$a"/><Text name="b" value="$b"/>
  <Choices name="tone" toName="text"><Choice value="good"/><Choice value="bad"/>
    <Choice value="&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;"/></Choices>
  <Rating name="stars" toName="text"/>
  <Labels name="ner" toName="text"><Label value="PER"/></Labels>
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
    config = make_plan(parse(CONFIG), texts(), Template(True, "{text} {prompt}"), Parameters())
    entries = (of_json(n, row) for n, row in enumerate(rows, 1))
    found = gather(config, (entry for entry in entries if isinstance(entry, ExportedTask)))
    report: dict[str, Any] = make_report(found, "export.json", "http://studio:8080").to_json()
    return page(report)


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


def test_what_people_and_models_said_is_text_and_never_markup() -> None:
    told = made(6)
    assert NASTY not in told
    assert "&lt;script&gt;" in told


def test_undefined_figures_are_called_so() -> None:
    assert "undefined" in made(2)
    assert "nan" not in re.sub(r"<style>.*?</style>", "", made(2), flags=re.DOTALL).lower().split()
