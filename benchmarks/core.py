"""What does our own thinking take: reading a labeling config, making its question, finding quotes?"""

import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from xml.sax.saxutils import quoteattr

from benchmarks.measures import Row, ms, part
from benchmarks.processes import ROOT
from llm_backend.core.controls.quotes import Quotes
from llm_backend.core.inputs import read
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, Plan, ask, make_plan
from llm_backend.core.prompts import Prompt, Template
from llm_backend.core.wire import JSON
from llm_backend.services import texts
from tests.support.samples import sample

_CONFIGS = ROOT / "tests" / "data" / "configs"
_PROMPT = Prompt("Fill in the form.", "config")
_TEXTS = texts()
_LABELS = 5000
_QUOTES, _TEXT = 200, 200_000


def configs(share: float) -> list[Row]:
    """Parsing a config and making its schema; then a task's whole question, for which nothing is read again."""
    rows = []
    for file in sorted(_CONFIGS.glob("*.xml")):
        xml = file.read_text(encoding="utf-8")
        data = sample(xml)
        first = _median(partial(_first, xml, data), part(200, share))
        rows.append(Row(f"Config {file.name}: parsed, with its schema", ms(first), "ms", 2, 2))
    xml, data = _large(), {"text": "A text."}
    first = _median(partial(_first, xml, data), part(20, share))
    plan = _first(xml, data)
    _question(plan, data)
    again = _median(partial(_question, plan, data), part(200, share))
    return [
        *rows,
        Row(f"Config of {_LABELS} labels: parsed, with its schema", ms(first), "ms", 50),
        Row(f"Config of {_LABELS} labels: the next task's question", ms(again), "ms", digits=2),
    ]


def quotes(share: float) -> list[Row]:
    """Finding many quotes in a long text."""
    words = [f"word{number}" for number in range(_TEXT // 9)]
    text = " ".join(words)[:_TEXT]
    told = [" ".join(words[at : at + 5]) for at in range(0, len(text) // 12, len(text) // 12 // _QUOTES)][:_QUOTES]

    def find() -> None:
        found = Quotes(text)
        assert all(found.next(quote) for quote in told)

    taken = _median(find, part(20, share))
    return [Row(f"{len(told)} quotes found in {len(text) // 1000} kB", ms(taken), "ms", 100)]


MEASURES: Mapping[str, Callable[[float], list[Row]]] = {"configs": configs, "quotes": quotes}


def _first(xml: str, data: Mapping[str, JSON]) -> Plan:
    """What a config takes before its first task can be asked."""
    plan = make_plan(parse(xml), _TEXTS, Template(), Parameters())
    plan.form({plan.keys[control.name]: control for control in plan.controls}, read(plan.config, data))
    return plan


def _question(plan: Plan, data: Mapping[str, JSON]) -> None:
    ask(plan, read(plan.config, data), _PROMPT)


def _large() -> str:
    labels = "".join(f"<Choice value={quoteattr(f'Label {number} of many')}/>" for number in range(_LABELS))
    return f'<View><Text name="text" value="$text"/><Choices name="c" toName="text">{labels}</Choices></View>'


def _median(work: Callable[[], object], times: int) -> float:
    """Seconds that a piece of work takes in the middle of several times."""
    taken = []
    for _ in range(max(3, times)):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
