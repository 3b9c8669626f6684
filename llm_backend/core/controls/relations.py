"""What do we ask for Relations, how does its answer become links between regions, and back?"""

from collections.abc import Mapping
from dataclasses import replace

from llm_backend.core.controls.base import Control, Regions, shown
from llm_backend.core.controls.regions import Labeling, numbered, set_in
from llm_backend.core.inputs import Inputs
from llm_backend.core.labeling import Output
from llm_backend.core.wire import JSON, RELATION, Region
from llm_backend.errors import AnswerError

_ENDS = {"from": "from_id", "to": "to_id"}


class Relations(Control, tags=("Relations",)):
    """Links between regions. Answer: a list of `{"from": 1, "to": 2, "label": ...}`, by the numbers of the regions.

    A link runs from the one to the other (`direction` is `right`). Where the config has no Relation tags, there is
    no label.
    """

    links = True
    label_paths = (("*", "label"), ("*", "labels"))

    def __init__(self, output: Output) -> None:
        super().__init__(replace(output, name=output.name or "relations"))
        self.labeling = Labeling(self.output) if output.choices else None

    def schema(self, inputs: Inputs) -> JSON:
        fields: dict[str, JSON] = {end: {"type": "integer"} for end in _ENDS}
        if self.labeling:
            fields["label"] = self.labeling.schema(inputs)
        item = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
        return {"type": "array", "items": item}

    def describe(self, inputs: Inputs) -> str:
        lines = ['"from", "to": the numbers ("id") of the two places it links, in that direction']
        if self.labeling:
            lines.append(f'"label": {self.labeling.describe(inputs)}')
        return "a list with an entry for each link between places" + "".join(f"\n- {set_in(line)}" for line in lines)

    def decode(self, answer: JSON, inputs: Inputs, regions: Regions = ()) -> list[Region]:
        if not isinstance(answer, list):
            raise AnswerError(f'"{self.name}" takes a list of links; the model gave {shown(answer)}.')
        ids = {region.id for region in regions}
        made: list[Region] = []
        faults: list[str] = []
        for entry in answer:
            try:
                made.append(self._link(entry, ids, inputs))
            except AnswerError as exc:
                faults.append(exc.sentence)
        if faults:
            raise AnswerError(" ".join(dict.fromkeys(faults)), made)
        return made

    def encode(self, regions: Regions, inputs: Inputs) -> JSON:
        numbers = numbered(regions)
        links = (region for region in self.own(regions) if region.value.get("from_id") in numbers)
        return [self._entry(link, numbers, inputs) for link in links if link.value.get("to_id") in numbers] or None

    def own(self, regions: Regions) -> list[Region]:
        return [region for region in regions if region.type == RELATION]

    def labels(self, inputs: Inputs) -> tuple[str, ...]:
        return self.labeling.labels(inputs) if self.labeling else ()

    def _link(self, entry: JSON, ids: set[str | None], inputs: Inputs) -> Region:
        told = entry if isinstance(entry, Mapping) else {}
        ends = {key: told.get(end) for end, key in _ENDS.items()}
        if not all(type(end) is int and str(end) in ids for end in ends.values()):
            raise AnswerError(f'"{self.name}" links two numbered places; the model gave {shown(entry)}.')
        if ends["from_id"] == ends["to_id"]:
            raise AnswerError(f'"{self.name}" links two different places; the model gave {shown(entry)}.')
        value: dict[str, JSON] = {key: str(end) for key, end in ends.items()} | {"direction": "right"}
        if self.labeling:
            (labelled,) = self.labeling.read(told.get("label"), inputs)
            value["labels"] = labelled.value[self.output.type]
        return Region("", "", RELATION, value)

    def _entry(self, link: Region, numbers: Mapping[str | None, int], inputs: Inputs) -> Mapping[str, JSON]:
        first, second = numbers[link.value["from_id"]], numbers[link.value["to_id"]]
        if link.value.get("direction") == "left":
            first, second = second, first
        entry: dict[str, JSON] = {"from": first, "to": second}
        if self.labeling:
            held = Region(self.name, "", RELATION, {self.output.type: link.value.get("labels") or []})
            entry["label"] = self.labeling.encode([held], inputs)
        return entry
