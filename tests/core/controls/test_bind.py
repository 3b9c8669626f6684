"""Every output gets a control, or a sentence on why a person has to fill it."""

import importlib
import pkgutil
import time

import pytest

from llm_backend.core import controls as package
from llm_backend.core.controls import Control, bind
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import parse
from tests.support.controls import config_of

CHOICES = '<Choices name="c" {}><Choice value="A"/></Choices>'


def test_every_control_that_can_be_filled_is_found() -> None:
    assert set(Control.by_tag) >= {"TextArea", "Choices", "Taxonomy", "Rating", "Number", "DateTime", "Pairwise"}
    controls, others = bind(config_of(CHOICES.format('toName="text"') + '<Rating name="r" toName="text"/>'))
    assert [(control.name, type(control).__name__) for control in controls] == [("c", "Choices"), ("r", "Rating")]
    assert others == ()


def test_a_new_tag_is_a_new_file() -> None:
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    ]
    named = {kind.__module__ for kind in Control.by_tag.values()}
    assert named <= {module.__name__ for module in modules}


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        pytest.param(
            '<Text name="t" value="$t"/><BrushLabels name="mask" toName="t"><Label value="x"/></BrushLabels>',
            'BrushLabels "mask" paints single pixels, which a language model cannot; an annotator has to paint them.',
            id="pixels",
        ),
        pytest.param(
            '<Audio name="t" value="$t"/><TimelineLabels name="cut" toName="t"/>',
            'TimelineLabels "cut" marks pieces of Audio, which it is not known to do; an annotator has to do it.',
            id="times of another object",
        ),
        pytest.param(
            '<Video name="t" value="$t"/><VideoRectangle name="box" toName="t"/>',
            'VideoRectangle "box" follows things from frame to frame, and a model is shown few of the frames; '
            "an annotator has to follow them.",
            id="boxes through a video",
        ),
        pytest.param(
            '<Text name="t" value="$t"/><Mood name="m" toName="t"/>',
            'Mood "m" is not a tag of Label Studio that is known here; an annotator has to fill it.',
            id="unknown tag",
        ),
        pytest.param(
            '<Text name="t" value="$t"/>' + CHOICES.format('toName="t" perRegion="true"'),
            'Choices "c" is answered region by region, and nothing that is filled makes regions in "t".',
            id="perRegion",
        ),
        pytest.param(
            '<Text name="t" value="$t"/>' + CHOICES.format('toName="t" perItem="true"'),
            'Choices "c" is answered item by item (perItem="true"), and "t" has no items; an Image has.',
            id="perItem",
        ),
        pytest.param(
            CHOICES.format(""),
            'Choices "c" has nothing to label: the labeling config shows no named object, such as a Text.',
            id="no object",
        ),
        pytest.param(
            '<Text name="a" value="$a"/><Text name="b" value="$b"/>' + CHOICES.format(""),
            'Choices "c" does not say which object it labels; set its toName to "a" or "b".',
            id="no toName",
        ),
        pytest.param(
            '<Text name="a" value="$a"/>' + CHOICES.format('toName="txt"'),
            'Choices "c" labels "txt", which the labeling config does not have; set its toName to "a".',
            id="toName elsewhere",
        ),
        pytest.param(
            '<Text name="t" value="Look at the video"/>' + CHOICES.format('toName="t"'),
            'Choices "c" has nothing to go by: the labeling config shows nothing of the task that a model can read.',
            id="nothing seen at all",
        ),
        pytest.param(
            '<Chat name="chat" value="$chat"/>',
            'Chat "chat" takes new messages in Label Studio Enterprise only; its messages are read, none is written.',
            id="chat",
        ),
    ],
)
def test_what_cannot_be_filled_is_told_in_a_sentence(xml: str, reason: str) -> None:
    controls, (other,) = bind(parse(f"<View>{xml}</View>"))
    assert controls == ()
    assert other.reason == reason


def test_a_tag_of_the_host_that_has_no_control_is_told_with_those_that_have() -> None:
    _, others = bind(config_of('<MagicWand name="m" toName="text"/><ReactCode name="r" toName="text"/>'))
    assert others[1].reason.startswith('ReactCode "r" is not among the tags that are filled: Choices, DateTime,')


@pytest.mark.parametrize(
    "xml",
    [
        pytest.param('<Text name="a" value="$a"/>' + CHOICES.format(""), id="only object"),
        pytest.param(
            '<Text name="a" value="Judge it"/><Header value="$a"/>' + CHOICES.format('toName="a"'), id="literal"
        ),
        pytest.param('<Chat name="a" value="$a"/>' + CHOICES.format('toName="a"'), id="chat"),
        pytest.param(
            '<Video name="v" value="$v"/><Text name="a" value="$a"/>' + CHOICES.format('toName="v,a"'),
            id="one of two seen",
        ),
    ],
)
def test_what_can_be_filled_is(xml: str) -> None:
    (control,), _ = bind(parse(f"<View>{xml}</View>"))
    assert control.name == "c"


@pytest.mark.parametrize("tag", ["Choices", "Taxonomy"])
def test_five_thousand_labels_are_bound_once_and_looked_up(tag: str) -> None:
    labels = "".join(f'<Choice value="label {number}"/>' for number in range(5000))
    config = config_of(f'<{tag} name="c" toName="text" choice="multiple">{labels}</{tag}>')
    spent = min(_seconds(lambda: bind(config)[0][0].schema(Inputs((), {}))) for _ in range(5))
    assert spent < 0.5  # the speed itself is measured in the benchmarks; this sees a quadratic step
    (control,), _ = bind(config)
    inputs = Inputs((), {})
    assert control.schema(inputs)["items"] is control.schema(inputs)["items"]
    assert len(control.labels(inputs)) == 5000
    answer = [f"LABEL {number}" for number in range(5000)]
    assert min(_seconds(lambda: control.decode(answer, inputs)) for _ in range(3)) < 0.5


def _seconds(work: object) -> float:
    assert callable(work)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
