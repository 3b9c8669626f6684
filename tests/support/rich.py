"""Labeling configs that hold, between them, every control that is filled; and a task for each."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from llm_backend.core.chat import ImagePart, Part, Takes
from llm_backend.core.inputs import MediaRef
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Outcome, Parameters, Plan, make_plan, predict
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON, Task
from llm_backend.services import texts
from tests.support.reading_model import ReadingModel, answer
from tests.support.samples import sample
from tests.support.scripted import ScriptedLLM

_PROMPT = Prompt("Fill in the form.", "config")


@dataclass(frozen=True)
class Rich:
    """A labeling config with the data of one task."""

    xml: str
    data: dict[str, JSON]


# Emoji, combining marks, a line end of Windows, letters that run from right to left, and words that come twice.
ODD_TEXT = (
    "Zoë saw 👩‍👩‍👧 at Cafe\u0301 Noir.\r\nShe said: שלום עולם, “hello” – and hello again.\tAlice & Bob <went> home."
)
_TREE = '<Choice value="A" alias="a"><Choice value="B / C"/><Choice value="D"/></Choice><Choice value="E"/>'
_FEW = '<Choice value="Good" alias="g"/><Choice value="Bad"/>'
_LABELS = '<Label value="Person" alias="PER"/><Label value="Place"/><Label value="Time 🕑"/>'

FORM = f"""
<View>
  <Text name="text" value="$text"/><Text name="second" value="$second"/>
  <List name="list" value="$items"/>
  <TextArea name="note" toName="text"/>
  <TextArea name="one-line" toName="text" maxSubmissions="1" required="true"/>
  <Choices name="tone" toName="text" required="true">{_FEW}</Choices>
  <Choices name="props" toName="text" choice="multiple" visibleWhen="choice-selected" whenTagName="tone"
    whenChoiceValue="Good"><Choice value="Long"/><Choice value="Short"/></Choices>
  <Choices name="nested" toName="text" allowNested="true" choice="multiple">{_TREE}</Choices>
  <Choices name="dynamic" toName="text" value="$options"/>
  <Taxonomy name="tree" toName="text" leafsOnly="true" maxUsages="2">{_TREE}</Taxonomy>
  <Rating name="stars" toName="text" maxRating="7"/>
  <Number name="count" toName="text" min="0" max="10" step="0.5"/>
  <DateTime name="day" toName="text" only="date"/>
  <DateTime name="month" toName="text" only="month,year" format="%B %Y"/>
  <Pairwise name="better" toName="text,second"/>
  <Ranker name="order" toName="list"/>
  <List name="results" value="$items"/>
  <Ranker name="pick" toName="results"><Bucket name="good"/><Bucket name="bad one"/></Ranker>
</View>"""
SPANS = f"""
<View>
  <Relations><Relation value="knows"/><Relation value="near"/></Relations>
  <Labels name="names" toName="text">{_LABELS}</Labels>
  <Labels name="several" toName="text" choice="multiple"><Label value="X"/><Label value="Y"/></Labels>
  <Text name="text" value="$text"/>
  <TextArea name="why" toName="text" perRegion="true" maxSubmissions="1"/>
  <Choices name="sure" toName="text" perRegion="true" whenTagName="names" whenLabelValue="Place">{_FEW}</Choices>
  <Rating name="weight" toName="text" perRegion="true"/>
  <HyperText name="page" value="$page"/>
  <HyperTextLabels name="parts" toName="page"><Label value="Head"/><Label value="Body"/></HyperTextLabels>
  <Paragraphs name="talk" value="$talk" nameKey="who" textKey="said"/>
  <ParagraphLabels name="acts" toName="talk"><Label value="Asks"/><Label value="Tells"/></ParagraphLabels>
  <Choices name="mood" toName="talk"><Choice value="Calm"/><Choice value="Cross"/></Choices>
</View>"""
SHAPES = """
<View>
  <Image name="image" value="$image"/>
  <RectangleLabels name="boxes" toName="image"><Label value="Car"/><Label value="Tree"/></RectangleLabels>
  <EllipseLabels name="rounds" toName="image"><Label value="Wheel"/></EllipseLabels>
  <KeyPointLabels name="points" toName="image"><Label value="Nose"/></KeyPointLabels>
  <PolygonLabels name="areas" toName="image"><Label value="Lake"/><Label value="Wood"/></PolygonLabels>
  <Image name="page" value="$page"/>
  <Labels name="kind" toName="page"><Label value="Text"/><Label value="Hand"/></Labels>
  <Rectangle name="bbox" toName="page"/><Polygon name="outline" toName="page"/><Ellipse name="round" toName="page"/>
  <TextArea name="words" toName="page" perRegion="true" maxSubmissions="1"/>
</View>"""
TIMES = f"""
<View>
  <Audio name="audio" value="$audio"/>
  <Labels name="sounds" toName="audio" choice="multiple"><Label value="Speech"/><Label value="Noise"/></Labels>
  <TextArea name="heard" toName="audio" perRegion="true"/>
  <Choices name="quality" toName="audio">{_FEW}</Choices>
  <TimeSeries name="series" value="$series" timeColumn="time"><Channel column="speed"/></TimeSeries>
  <TimeSeriesLabels name="stretch" toName="series"><Label value="Run"/><Label value="Walk"/></TimeSeriesLabels>
  <Rating name="steady" toName="series" perRegion="true" maxRating="3"/>
  <TimeSeries name="dated" value="$dated" timeColumn="time" timeFormat="%Y-%m-%d %H:%M:%S">
    <Channel column="v"/>
  </TimeSeries>
  <TimeSeriesLabels name="days" toName="dated"><Label value="Odd"/></TimeSeriesLabels>
  <Video name="video" value="$video"/>
  <TimelineLabels name="scenes" toName="video"><Label value="Still"/><Label value="Moving"/></TimelineLabels>
</View>"""
ITEMS = f"""
<View>
  <Image name="pages" valueList="$pages"/>
  <Choices name="look" toName="pages" perItem="true">{_FEW}</Choices>
  <TextArea name="title" toName="pages"/>
</View>"""
REPEATED = f"""
<View>
  <Repeater on="$turns" indexFlag="{{{{idx}}}}">
    <Text name="turn_{{{{idx}}}}" value="$turns[{{{{idx}}}}].text"/>
    <Choices name="tone_{{{{idx}}}}" toName="turn_{{{{idx}}}}">{_FEW}</Choices>
  </Repeater>
</View>"""

RICH = {
    "form": Rich(
        FORM,
        {
            **sample(FORM),
            "text": ODD_TEXT,
            "second": "Another text.",
            "options": [{"value": "Drei", "alias": "3"}, {"value": "Vier 🚀"}],
            "items": [{"id": "a", "title": "One"}, {"id": 2, "title": "Two"}, {"id": "c c", "body": "Three"}],
        },
    ),
    "spans": Rich(
        SPANS,
        {
            "text": ODD_TEXT,
            "page": "<h1>Zoë &amp; Bob</h1><p>He <b>went</b> to 👩‍👩‍👧.<br/>Twice, twice.</p>",
            "talk": [{"who": "Ann", "said": "Who 👍 is there?\r\nYou?"}, {"who": "Bob", "said": "I am, “Ann”."}],
        },
    ),
    "shapes": Rich(SHAPES, sample(SHAPES)),
    "times": Rich(TIMES, sample(TIMES)),
    "items": Rich(ITEMS, sample(ITEMS)),
    "repeated": Rich(REPEATED, {"turns": [{"text": "Good morning."}, {"text": "Go away."}]}),
}


@dataclass(frozen=True)
class Asked:
    """What a config asks of its task, and a good answer to that."""

    plan: Plan
    task: Task
    good: JSON

    def told(self, reply: str) -> Outcome:
        """What comes of this reply, which is given again when the model is asked to mend it.

        Raises:
            TaskError: Nothing does.
        """
        return asyncio.run(predict(self.plan, self.task, _PROMPT, ScriptedLLM(reply), _quick))

    @property
    def names(self) -> set[str]:
        """Who may have regions; a relation has no name."""
        controls = self.plan.of_task(self.task.data).controls
        return {part.name for control in controls for part in (control, *control.hanging)} | {""}


@cache
def asked(name: str) -> Asked:
    """One of them with a question to which the reading model knows an answer that fills all of it."""
    rich = RICH[name]
    plan = make_plan(parse(rich.xml), texts(), Template(), Parameters(fill_geometry=True)).of_task(rich.data)
    model = ReadingModel()
    task = Task(1, rich.data)
    made = asyncio.run(predict(plan, task, _PROMPT, model, _quick))
    assert made.regions
    assert not made.faults
    return Asked(plan, task, json.loads(answer(model.calls[0])))


async def _quick(refs: Sequence[MediaRef], takes: Takes) -> list[tuple[Part, ...]]:
    """A fetch that takes no time."""
    return [(ImagePart(ref.url),) for ref in refs]
