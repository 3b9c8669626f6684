"""Reports of agreement over exports."""

from typing import Any

from llm_backend.agreement.pairs import Material, gather
from llm_backend.agreement.report import Comparison, Report, make_report
from llm_backend.core.labeling import parse
from llm_backend.core.predictor import Parameters, Plan, make_plan
from llm_backend.core.prompts import Template
from llm_backend.core.wire import TaskId
from llm_backend.interchange.exports import ExportedTask, of_json
from llm_backend.services import texts
from tests.support.exports import CONFIG

JSON = Any


def plan(config: str = CONFIG) -> Plan:
    return make_plan(parse(config), texts(), Template(True, "{text} {prompt}"), Parameters(fill_geometry=True))


def material(*tasks: JSON, config: str = CONFIG, blind: frozenset[TaskId] = frozenset()) -> Material:
    """What is compared of exported tasks; all of them are sound."""
    told = [of_json(line, raw) for line, raw in enumerate(tasks, 1)]
    exported = [one for one in told if isinstance(one, ExportedTask)]
    assert len(exported) == len(told)
    return gather(plan(config), exported, blind)


def report(*tasks: JSON, config: str = CONFIG, url: str = "", blind: frozenset[TaskId] = frozenset()) -> Report:
    return make_report(material(*tasks, config=config, blind=blind), "export.json", url)


def only(found: Report) -> Comparison:
    (comparison,) = found.comparisons
    return comparison


def fields(body: str) -> str:
    return f'<View><Text name="text" value="$text"/>{body}</View>'
