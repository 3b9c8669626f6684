"""What would a task for this labeling config hold? Made-up data for every object and every dynamic list of labels.

A config's own sample (JSON in an XML comment) goes first. Media are those that Label Studio serves itself (its editor
plays no sound out of a data URL), else small real files in data URLs, so that nothing is fetched from elsewhere.
"""

import base64
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

from lxml import etree

from tests.support.pictures import drawn, saved

JSON = Any
SERVED = "/static/samples/"
"""Where Label Studio serves its own sample files."""
_AUDIO, _VIDEO = f"{SERVED}game.wav", f"{SERVED}opossum_snow.mp4"

_TEXTS = (
    "Clarissa Dalloway bought flowers in Bond Street on 12 June 1923. The flowers cost her three shillings, she said.",
    "Septimus Smith, who had served in Italy, sat in Regent's Park. Nobody at Sibleys & Arrowsmiths had seen him.",
    "Which of them walked to Westminster? Peter Walsh did, and Big Ben struck eleven while he crossed the street.",
    "Lady Bruton wrote to the Times about emigration to Canada. Hugh Whitbread, an old friend, mended her sentences.",
)
_HTML = (
    "<h1>Mrs Dalloway</h1><p>A novel by <b>Virginia Woolf</b>.</p><p>It was printed by the Hogarth Press in 1925.</p>"
)
_TURNS = (
    ("Clarissa", "Good morning, Miss Pym. I would like sweet peas and roses."),
    ("Miss Pym", "They came from Kent at seven. How many shall I wrap for you?"),
    ("Clarissa", "Two dozen, please, and send them to Westminster by noon."),
)
_MEDIA = ("image", "audio", "video", "pdf", "timeseries")
_OBJECTS = frozenset((*_MEDIA, "text", "hypertext", "paragraphs", "list", "table", "chat"))
_DYNAMIC = ("choices", "taxonomy")


def sample(xml: str) -> dict[str, JSON]:
    """Data for one task: all that the config refers to."""
    root = etree.fromstring(xml.strip().encode(), etree.XMLParser(remove_comments=False))
    own, texts, data = _own(xml), count(), {}
    for element in _tags(root):
        tag = etree.QName(element).localname.lower()
        value = element.get("value") or element.get("valueList") or element.get("valuelist") or ""
        key = value[1:] if re.fullmatch(r"\$\w+", value) else ""
        if not key or (key in data and tag not in _MEDIA):
            continue
        if tag in _MEDIA and not str(own.get(key)).startswith(SERVED):
            data[key] = _MAKERS[tag](element)
        elif key in own:
            data[key] = own[key]
        elif tag in ("text", "header"):
            data[key] = _TEXTS[next(texts) % len(_TEXTS)]
        elif tag in _OBJECTS:
            data[key] = _MAKERS[tag](element)
        elif tag in _DYNAMIC or tag.endswith("labels"):
            data[key] = [{"value": "First"}, {"value": "Second"}]
    return {**{key: value for key, value in own.items() if key not in data}, **data}


def png(words: str = "Total 15.00") -> str:
    return _url("image/png", saved("PNG", drawn((320, 200), words)))


def pdf(words: str = "Minutes of the meeting: the flowers were bought.") -> str:
    """One page with one line of text."""
    content = f"BT /F1 18 Tf 40 700 Td ({words}) Tj ET".encode()
    bodies = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    file, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(file))
        file += b"%d 0 obj%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return _url("application/pdf", file + end % (table, len(file)))


def _series(element: Any) -> JSON:
    """A table with the columns that a TimeSeries shows; as a file where it is given by URL."""
    time = element.get("timeColumn") or element.get("timecolumn") or "time"
    columns = [channel.get("column") for channel in element if etree.QName(channel).localname.lower() == "channel"]
    form = element.get("timeFormat") or element.get("timeformat")
    start = dt.datetime(2024, 5, 1)  # noqa: DTZ001 - the file has no zone
    rows = range(60)
    table: dict[str, list[Any]] = {
        time: [(start + dt.timedelta(seconds=row)).strftime(form) if form else row for row in rows],
        **{name: [round(math.sin(row / 6 + n), 3) for row in rows] for n, name in enumerate(columns)},
    }
    if (element.get("valueType") or element.get("valuetype")) != "url":
        return table
    lines = [table, *zip(*table.values(), strict=True)]
    return _url("text/csv", "\n".join(",".join(map(str, line)) for line in lines).encode())


def _image(element: Any) -> JSON:
    if element.get("valueList") or element.get("valuelist"):
        return [png("Page one"), png("Page two")]
    return png()


def _turns(element: Any) -> JSON:
    name, text = element.get("nameKey") or element.get("namekey"), element.get("textKey") or element.get("textkey")
    return [{name or "author": who, text or "text": said} for who, said in _TURNS]


def _items(element: Any) -> JSON:
    return [{"id": f"item-{n}", "title": f"Item {n}", "body": text} for n, text in enumerate(_TEXTS[:3])]


def _messages(element: Any) -> JSON:
    return [
        {"role": role, "content": said} for role, (_, said) in zip(("user", "assistant", "user"), _TURNS, strict=True)
    ]


_MAKERS: Mapping[str, Callable[[Any], JSON]] = {
    "image": _image,
    "audio": lambda element: _AUDIO,
    "video": lambda element: _VIDEO,
    "pdf": lambda element: pdf(),
    "timeseries": _series,
    "hypertext": lambda element: _HTML,
    "paragraphs": _turns,
    "list": _items,
    "table": lambda element: {"Name": "Clarissa Dalloway", "Flowers": "roses", "Price": 3},
    "chat": _messages,
}


def _tags(root: Any) -> Iterator[Any]:
    return (element for element in root.iter() if isinstance(element.tag, str))


def _own(xml: str) -> dict[str, JSON]:
    """The sample that a config brings along; a list of them gives its first."""
    for words in re.findall(r"<!--(.*?)-->", xml, re.DOTALL):
        try:
            told = json.loads(words)
        except ValueError:
            continue
        first = told[0] if isinstance(told, list) and told else told
        if isinstance(first, dict):
            return dict(first.get("data", first))
    return {}


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
