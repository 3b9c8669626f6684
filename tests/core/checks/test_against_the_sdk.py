"""Our own check refuses all that the SDK's checker refuses; the few exceptions are named."""

import json

import pytest

from llm_backend.core.checks import wrongs
from llm_backend.core.inputs import read
from llm_backend.core.wire import JSON, Region
from llm_backend.errors import TaskError
from tests.support.damage import damaged, spoilt
from tests.support.rich import RICH, Asked, Rich, asked
from tests.support.validator import complaints

COPIES = 400


@pytest.mark.e2e
def test_what_the_sdk_refuses_is_refused_here() -> None:
    cases = []
    for number, (name, rich) in enumerate(RICH.items()):
        case = asked(name)
        config, made = case.plan.config, case.told(json.dumps(case.good)).regions
        inputs = read(config, rich.data)
        assert wrongs(config, inputs, made) == []
        for regions in [list(made), *damaged(made, COPIES, seed=number)]:
            if not excepted(rich, regions):
                cases.append((rich.xml, regions, bool(wrongs(config, inputs, regions))))
    said = complaints([(xml, prediction(regions)) for xml, regions, _ in cases])
    refused = [one for one, errors in zip(cases, said, strict=True) if errors]
    assert len(refused) > len(cases) / 10  # else the copies are not damaged enough to tell anything
    assert [regions for _, regions, here in refused if not here] == []


@pytest.mark.e2e
def test_what_bad_answers_make_passes_the_sdk() -> None:
    cases = []
    for number, (name, rich) in enumerate(RICH.items()):
        case = asked(name)
        made = (regions_of(case, answer) for answer in spoilt(case.good, COPIES, seed=number))
        cases += [(rich.xml, prediction(regions)) for regions in made if regions and not excepted(rich, regions)]
    assert len(cases) > COPIES
    refused = [errors for errors in complaints(cases) if errors]
    assert refused == []


def regions_of(case: Asked, answer: JSON) -> list[Region]:
    try:
        return list(case.told(json.dumps(answer)).regions)
    except TaskError:
        return []


def prediction(regions: list[Region]) -> dict[str, JSON]:
    return {"result": [region.to_json() for region in regions]}


def excepted(rich: Rich, regions: list[Region]) -> bool:
    """What goes by the editor's rules alone: nested Choices, whose results are paths, and a Repeater's controls."""
    nested = any(region.type == "choices" and _is_path(region.value.get("choices")) for region in regions)
    return (nested and "allowNested" in rich.xml) or "<Repeater" in rich.xml


def _is_path(entries: JSON) -> bool:
    return isinstance(entries, list) and any(isinstance(entry, list) for entry in entries)
